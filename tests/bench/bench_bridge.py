"""How long the bridge takes for the hills (88,767 blocks), and how large their .blend is; and for 100,000 cube objects.

Usage: python -m tests.bench.bench_bridge [--json PATH|-]
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blockcore.commands.arguments import emit_json
from bridge.blender.apply import apply
from bridge.blender.build import build
from bridge.blender.extract import extract
from bridge.blender.files import new_file, open_file, save_file
from bridge.blender.world import update_materials
from tests.bpy import scenes
from tests.captures import captured

_OBJECTS = 100_000


def measure() -> dict[str, float]:
    """Returns seconds, and megabytes, by what was measured."""
    figures: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        bpy.context.view_layer.update()
        figures[f"{name}_seconds"] = round(time.perf_counter() - began, 4)

    hills = captured(2)
    materials = np.random.default_rng(0).integers(1, len(hills.palette), len(hills.grid)).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hills.blend"
        new_file()
        with timed("build"):
            build(hills)
        with timed("save"):
            save_file(path)
        with timed("open"):
            open_file(path)
        with timed("extract"):
            scene = extract()
        with timed("apply"):
            world = apply(scene, materials)
        with timed("update"):
            update_materials(world, materials[::-1].copy())
        save_file(path)
        figures["megabytes"] = round(path.stat().st_size / 1e6, 3)
    new_file()
    cubes = _cube_objects(_OBJECTS)
    with timed("extract_cube_objects"):
        found = extract(cubes, (), need_targets=False, bake=False)
    assert len(found.grid) == _OBJECTS
    return figures


def _cube_objects(count: int) -> Any:
    """Returns a collection of cube objects that share eight meshes, each with a material."""
    blocks = scenes.collection()
    paints = [scenes.material(f"Paint {i}", (i / 8, 0.3, 0.2)) for i in range(8)]
    meshes = [scenes.cube_mesh(materials=(paint,)) for paint in paints]
    side = math.ceil(count ** (1 / 3))
    for number, cell in zip(range(count), np.ndindex(side, side, side), strict=False):
        scenes.add(meshes[number % 8], f"Block {number}", cell, blocks)
    bpy.context.view_layer.update()
    return blocks


def main() -> None:
    """Prints or writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-", metavar="PATH", help="where to write them; - for standard output")
    emit_json(measure(), parser.parse_args().json)


if __name__ == "__main__":
    main()
