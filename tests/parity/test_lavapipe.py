"""Random worlds, drawn by blockcore and by a running WebGPU implementation: the same pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from blockcore.webgpu_live.renderer import WebGpuRenderer
from tests.parity.comparison import Tally
from tests.parity.worlds import scenes
from tests.parts import need

MORE = float(os.environ.get("BLOCKCORE_PARITY_TIMES", "1"))  # how many times the usual number of pictures to draw


def compare(scene: BlockScene, rasterizer: str, tally: Tally) -> None:
    """Draws every view of a scene with both."""
    renderer = WebGpuRenderer(scene)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    seen = rasterize(faces, [view.camera for view in scene.views], rasterizer)
    for number, visibility in enumerate(seen):
        camera = scene.views[number].camera
        tally.add(scene, number, draw(visibility, camera, colors), renderer.draw(camera))


def search(check: Callable[[BlockScene], None], pictures: int, tiles: bool = False, views: int = 4) -> None:
    """Runs a check on random scenes of some ``pictures`` in all, and shrinks one that fails."""
    settings(
        max_examples=int(MORE * pictures) // views,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(given(scenes(views=views, tiles=tiles))(check))()


@pytest.mark.parametrize(("rasterizer", "pictures"), [("cpu", 1200), ("reference", 300)])
def test_random_worlds_match_webgpu(
    tmp_path: Path, rasterizer: str, pictures: int, record_property: Callable[[str, object], None]
) -> None:
    need("wgpu")
    tally = Tally(tmp_path, most=5)
    search(lambda scene: compare(scene, rasterizer, tally), pictures)
    print(tally)
    record_property("parity", str(tally))
    assert tally.pictures >= int(MORE * 300)
    assert tally.covered > 0.02 * tally.pixels  # pictures of something
    assert tally.equal >= 0.99999, str(tally)


def test_random_tiles_match_webgpu(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    need("wgpu")
    tally = Tally(tmp_path, most=100_000)  # a texel's border may run along a row of pixels, for both to round
    search(lambda scene: compare(scene, "cpu", tally), 600, tiles=True)
    print(tally)
    record_property("parity", str(tally))
    assert tally.pictures >= int(MORE * 300)
    assert tally.covered > 0.02 * tally.pixels
    assert tally.equal >= 0.9995, str(tally)


@pytest.mark.parametrize("size", [(1, 1), (1, 4096), (4096, 1), (3, 2048), (4096, 4096)])
@pytest.mark.parametrize("fill", [0.0, 0.4, 1.0])
def test_extreme_sizes_match_webgpu(tmp_path: Path, size: tuple[int, int], fill: float) -> None:
    need("wgpu")
    width, height = size
    rng = np.random.default_rng(7)
    cells = np.argwhere(rng.random((6, 5, 7)) < fill)
    grid = BlockGrid((6, 5, 7), 2.0, cells)
    cameras = (
        Camera(look_at((9.0, 12.0, 14.0), (0.0, 4.0, 0.0)), perspective(1.0, width / height, 0.1, 500.0), *size),
        Camera(look_at((1.0, 60.0, 2.0), (0.0, 0.0, 0.0)), orthographic(16.0, 16.0, 0.0, 100.0), *size, "square"),
        Camera(look_at((9.0, 12.0, 14.0), (20.0, 30.0, 40.0)), perspective(1.0, 1.0, 0.1, 500.0), *size, "away"),
    )
    scene = BlockScene(grid, rng.integers(1, 8, len(cells)), views=tuple(View(camera) for camera in cameras))
    tally = Tally(tmp_path, most=5)
    compare(scene, "cpu", tally)
    assert tally.pictures == 3
    assert (tally.covered > 0) == (fill > 0.0)
    assert tally.equal >= 0.99999 or tally.off <= 1, str(tally)
