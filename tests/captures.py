"""The WebGPU editor's maps and captures, as tests use them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from blockcore.formats.webgpu import read_scene
from blockcore.model.scene import BlockScene

DATA = Path(__file__).parent / "data"


def map_path(number: int) -> Path:
    """The path of a map.json."""
    return DATA / "maps" / str(number) / "map.json"


def dataset_path(number: int) -> Path:
    """The folder of a dataset."""
    return DATA / "datasets" / str(number)


@cache
def captured(number: int) -> BlockScene:
    """A map with its dataset: 1 village, 2 hills, 3 village with tiles, 4 random blocks around the camera."""
    return read_scene(map_path(number), dataset_path(number))
