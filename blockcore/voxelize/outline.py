"""How well the outline of blocks matches that of the model they were made of, and where the grid matches it best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread
from blockcore.model.camera import Camera
from blockcore.model.grid import TRIANGLE_CORNERS
from blockcore.voxelize.blocks import COVERAGE, Shift, size_for_budget, voxels_of
from blockcore.voxelize.voxels import Fit, Floats, Voxels, checked_size, checked_triangles

Outlines = list[npt.NDArray[np.bool_]]
_SHIFTS = (0.0, 0.25, 0.5, 0.75)
_LEAST_GAIN = 1e-4  # of the match: less is not worth leaving the model's lowest corner


def outlines(triangles: Floats, cameras: Sequence[Camera]) -> Outlines:
    """Draws where triangles are in each picture, (H, W) bool each: the pixels whose centre one covers.

    Triangles that reach behind a camera are left out.

    Args:
        triangles: (T, 3, 3) corners, in the cameras' world.
        cameras: the cameras.
    """
    pictures = [np.zeros((camera.height, camera.width), dtype=np.bool_) for camera in cameras]
    matrices = [np.ascontiguousarray(camera.view_proj, dtype=np.float64) for camera in cameras]
    spread(lambda matrix, picture: _draw(triangles, matrix, picture), matrices, pictures)
    return pictures


def block_triangles(voxels: Voxels) -> Floats:
    """Returns the exposed faces of blocks, in the model's space, as (2·F, 3, 3) float64 triangles."""
    corners = voxels.grid.exposed_faces.corners().astype(np.float64) + voxels.offset
    return np.ascontiguousarray(corners[:, TRIANGLE_CORNERS].reshape(-1, 3, 3))


def outline_match(wanted: Outlines, got: Outlines) -> float:
    """Returns the mean over pictures of intersection over union; a picture that shows nothing on both sides is 1."""
    matches = []
    for one, other in zip(wanted, got, strict=True):
        union = int((one | other).sum())
        matches.append(int((one & other).sum()) / union if union else 1.0)
    return float(np.mean(matches)) if matches else 1.0


def fit_blocks(
    triangles: npt.ArrayLike,
    cameras: Sequence[Camera],
    across: float = 36.0,
    block_size: float | None = None,
    budget: int | None = None,
    fill: str = "shell",
) -> Fit:
    """Makes blocks of a model, as many as asked for, where their outline matches best.

    Args:
        triangles: see ``voxelize``; in the cameras' world.
        cameras: whose pictures' outlines count.
        across: blocks along the longest side; taken where neither of the next two is given.
        block_size: edge of a block.
        budget: most blocks.
        fill: see ``voxelize``.

    Raises:
        BlockcoreError: see ``voxelize``.
    """
    corners = checked_triangles(triangles)
    size = checked_size(corners, across, block_size) if budget is None else size_for_budget(corners, budget, fill)
    return best_fit(corners, size, cameras, fill)


def best_fit(
    triangles: Floats, block_size: float, cameras: Sequence[Camera], fill: str = "shell", coverage: float = COVERAGE
) -> Fit:
    """Makes blocks of a model in the place of the grid, to a part of a cell, where their outline matches best.

    One axis after another, quarters of a cell are tried, and the place where the model's highest side ends with a cell.

    Args:
        triangles: (T, 3, 3) corners, in the cameras' world.
        block_size: edge of a block.
        cameras: whose pictures' outlines count.
        fill: see ``voxelize``.
        coverage: see ``voxelize``.

    Raises:
        BlockcoreError: see ``voxelize``.
    """
    wanted = outlines(triangles, cameras)
    extent = np.ptp(triangles.reshape(-1, 3), axis=0) / block_size

    def tried(shift: Shift) -> tuple[Voxels, float]:
        voxels = voxels_of(triangles, block_size, fill, coverage, shift)
        return voxels, outline_match(wanted, outlines(block_triangles(voxels), cameras))

    place = [0.0, 0.0, 0.0]
    best, match = tried((0.0, 0.0, 0.0))
    for axis in range(3):
        start = tuple(place)
        for step in sorted({*_SHIFTS, round(math.ceil(extent[axis]) - extent[axis], 6) % 1.0} - {place[axis]}):
            x, y, z = (step if d == axis else start[d] for d in range(3))
            voxels, its_match = tried((x, y, z))
            if its_match > match + _LEAST_GAIN:
                best, match, place[axis] = voxels, its_match, step
    return Fit(best, match)


@kernel
def _draw(triangles: Any, matrix: Any, picture: Any) -> None:
    height, width = picture.shape
    x, y = np.empty(3), np.empty(3)
    for t in range(len(triangles)):
        behind = False
        for k in range(3):
            p, q, r = triangles[t, k, 0], triangles[t, k, 1], triangles[t, k, 2]
            w = matrix[3, 0] * p + matrix[3, 1] * q + matrix[3, 2] * r + matrix[3, 3]
            behind = behind or w <= 0.0
            x[k] = ((matrix[0, 0] * p + matrix[0, 1] * q + matrix[0, 2] * r + matrix[0, 3]) / w + 1.0) * 0.5 * width
            y[k] = (1.0 - (matrix[1, 0] * p + matrix[1, 1] * q + matrix[1, 2] * r + matrix[1, 3]) / w) * 0.5 * height
        if behind:
            continue
        area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
        sign = 1.0 if area > 0.0 else -1.0
        for j in range(max(0, math.ceil(y.min() - 0.5)), min(height - 1, math.floor(y.max() - 0.5)) + 1):
            for i in range(max(0, math.ceil(x.min() - 0.5)), min(width - 1, math.floor(x.max() - 0.5)) + 1):
                inside = not picture[j, i]
                for k in range(3):
                    m = (k + 1) % 3
                    turn = (x[m] - x[k]) * (j + 0.5 - y[k]) - (y[m] - y[k]) * (i + 0.5 - x[k])
                    inside = inside and sign * turn >= 0.0
                if inside:
                    picture[j, i] = True
