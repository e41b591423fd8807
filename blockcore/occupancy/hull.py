"""The visual hull: the cells that no picture shows the background through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import Camera


def visual_hull(
    grid_size: tuple[int, int, int],
    world_scale: float,
    cameras: Sequence[Camera],
    masks: Sequence[npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Finds where blocks may be, from the outlines of what pictures show.

    A cell stays unless some picture shows all of it, as far as 27 points of it tell, and nothing but background there.

    Args:
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        cameras: the views.
        masks: (H, W) of each: whether a block shows.

    Returns:
        (X, Y, Z): true where a block may be.
    """
    from blockcore.occupancy import hull_numba

    hull = np.ones(grid_size, np.bool_)
    center = np.array([grid_size[0] / 2, 0.0, grid_size[2] / 2])
    for camera, mask in zip(cameras, masks, strict=True):
        to_world = np.diag([world_scale, world_scale, world_scale, 1.0])
        to_world[:3, 3] = -center * world_scale
        matrix: npt.NDArray[Any] = camera.view_proj.astype(np.float64) @ to_world
        hull_numba.carve(matrix, np.ascontiguousarray(mask), hull)
    return hull
