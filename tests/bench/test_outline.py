"""How well the outlines of blocks match those of ten models, from cameras that had no part in placing them."""

import math

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils.bvhtree import BVHTree  # noqa: E402

from blockcore.model.camera import Camera, create_perspective_matrix  # noqa: E402
from blockcore.model.grid import BlockGrid  # noqa: E402
from blockcore.voxelize.outline import block_triangles, fit_blocks, outline_match, outlines  # noqa: E402
from blockcore.voxelize.voxels import Voxels  # noqa: E402
from bridge.blender.models import MODELS  # noqa: E402
from bridge.blender.triangles import read_model  # noqa: E402
from bridge.cameras import orbit  # noqa: E402
from bridge.convert import TO_BLENDER  # noqa: E402

ACROSS = 36
FOV = 2.0 * math.atan(18.0 / 50.0)
CHOSEN = (24, (10, 35, 62), 128, 0.0)  # cameras, degrees above the horizon, pixels, degrees around
HELD_OUT = (12, (22, 48), 256, 7.5)


def cameras(triangles, count, elevations, pixels, around) -> list[Camera]:
    corners = (triangles @ TO_BLENDER[:3, :3].T).reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    poses = orbit(low, high, count, [math.radians(e) for e in elevations], FOV, FOV)
    turn, middle = np.eye(4), np.eye(4)
    c, s = math.cos(math.radians(around)), math.sin(math.radians(around))
    turn[:2, :2], middle[:3, 3] = [[c, -s], [s, c]], (low + high) / 2
    proj = np.asarray(create_perspective_matrix(FOV, 1.0, 0.1, 1000.0))
    moved = [middle @ turn @ np.linalg.inv(middle) @ pose for pose in poses]
    return [Camera(np.linalg.inv(pose) @ TO_BLENDER, proj, pixels, pixels) for pose in moved]


def near_blocks(triangles, size) -> Voxels:
    """Returns the blocks of the plain test: those whose centre is at most 0.7 of a block from the surface."""
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    count = np.ceil((high - low) / size).astype(int) + 2
    corner = np.array([(low[0] + high[0] - count[0] * size) / 2, low[1], (low[2] + high[2] - count[2] * size) / 2])
    cells = np.argwhere(np.ones(count, bool))
    tree = BVHTree.FromPolygons(
        triangles.reshape(-1, 3).tolist(), np.arange(3 * len(triangles)).reshape(-1, 3).tolist()
    )
    centers = (corner + (cells + 0.5) * size).tolist()
    cells = cells[[tree.find_nearest(center, 0.7 * size)[3] is not None for center in centers]]
    lowest = cells.min(axis=0)
    x, y, z = (cells.max(axis=0) - lowest + 1).tolist()
    return Voxels(BlockGrid((x, y, z), size, cells - lowest), corner + (lowest + np.array([x / 2, 0.0, z / 2])) * size)


@pytest.fixture(scope="module")
def matches() -> dict[str, tuple[float, float]]:
    found = {}
    for name, build in MODELS.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        triangles = read_model(build().objects).triangles @ TO_BLENDER[:3, :3]
        held = cameras(triangles, *HELD_OUT)
        wanted = outlines(triangles, held)
        fitted = fit_blocks(triangles, cameras(triangles, *CHOSEN), ACROSS).voxels
        plain = near_blocks(triangles, fitted.grid.world_scale)
        found[name] = tuple(outline_match(wanted, outlines(block_triangles(one), held)) for one in (fitted, plain))
        print(f"{name}: {found[name][0]:.3f}, plain test {found[name][1]:.3f}")
    return found


def test_outlines_match_on_average(matches):
    assert np.mean([fitted for fitted, _ in matches.values()]) >= 0.95


def test_outlines_match_better_than_by_the_plain_test_on_each(matches):
    assert all(fitted > plain for fitted, plain in matches.values())
