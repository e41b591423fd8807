"""Pictures of something a little smaller than its blocks: what is behind them never becomes a material of theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blockcore.assignment.outlines import without_background
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize

BEHIND = (40, 90, 250)
COLORS = np.array([[0.0, 0.0, 0.0], [0.8, 0.2, 0.1], [0.2, 0.7, 0.2], [0.16, 0.35, 0.98]])
PALETTE = Palette(("Air", "Red", "Green", "Blue"), np.repeat(COLORS[:, None], 3, axis=1))


@pytest.fixture(scope="module")
def tower() -> BlockScene:
    """A tower of red and green, in pictures that show it three pixels narrower on each side, before blue."""
    cells = [(x, y, z) for x in range(4) for y in range(10) for z in range(4)]
    grid = BlockGrid((4, 10, 4), 1.0, cells)
    materials = 1 + (grid.positions[:, 1] % 2).astype(np.int32)
    views = []
    for place in ((14.0, 9.0, 3.0), (-3.0, 9.0, 14.0), (-14.0, 9.0, -3.0), (3.0, 9.0, -14.0)):
        camera = Camera(look_at(place, (0.0, 5.0, 0.0)), perspective(0.8, 1.0, 0.1, 60.0), 128, 128, str(place))
        (seen,) = rasterize(grid.exposed_faces, [camera], "cpu")
        colors = frame_colors(grid.exposed_faces, materials, PALETTE, WEBGPU_LIGHTING)
        picture = draw(seen, camera, colors)[..., :3].copy()
        covered = np.asarray(seen.face) >= 0
        for shift in (-3, 3):
            picture[~np.roll(covered, shift, axis=1)] = BEHIND
        picture[~covered] = BEHIND
        views.append(View(camera, picture))
    return BlockScene(grid, materials, PALETTE, tuple(views))


def test_what_is_behind_becomes_no_material(tower):
    blue = []
    for outline in (0, 4):
        found = optimize_materials(tower, OptimizeSettings(device="cpu", outline=outline))
        blue.append(int((found.materials[found.visible_blocks] == 3).sum()))
    assert blue[0] > 5 and blue[1] == 0


def test_without_a_width_views_are_as_they_were(tower):
    kept = without_background(tower.views, tower.grid.exposed_faces, 0, "cpu")
    assert all(one is other for one, other in zip(kept, tower.views, strict=True))


def test_only_pixels_that_look_like_the_background_are_left_out(tower):
    for view, plain in zip(
        without_background(tower.views, tower.grid.exposed_faces, 4, "cpu"), tower.views, strict=True
    ):
        (seen,) = rasterize(tower.grid.exposed_faces, [view.camera], "cpu")
        out, blue = view.target[..., 3] == 0, (plain.target == BEHIND).all(axis=-1)
        assert (out == (blue & (np.asarray(seen.face) >= 0))).mean() > 0.999 and out.sum() > 200
        assert (view.target[..., :3] == plain.target).all()


def test_a_mask_stays(tower):
    hidden = np.full((128, 128, 1), 255, np.uint8)
    hidden[:64] = 0
    masked = [replace(view, target=np.dstack([view.target, hidden])) for view in tower.views]
    for view in without_background(masked, tower.grid.exposed_faces, 4, "cpu"):
        assert (view.target[:64, :, 3] == 0).all() and (view.target[64:, :, 3] > 0).any()
