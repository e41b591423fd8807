"""Lines of sight: which cells each pixel looks through, and by which faces, as the rasteriser would draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from blockcore.machine.threads import spread
from blockcore.model.camera import Camera
from blockcore.occupancy.rays import RING, Rays, box_of, rays_of


class Sight(NamedTuple):
    """The cells that P pixels look through, front to back, and the pixels that look through each of N cells.

    Attributes:
        first: (P + 1,) int64, where each pixel's cells start in ``entry``.
        entry: (E,) int32: six times a cell's number, plus the face that the ray enters it by.
        starts: (N + 1,) int64, where each cell's pixels start in ``pixel`` and ``place``.
        pixel: (E,) int32.
        place: (E,) int32, where in ``entry`` that pixel has the cell.
    """

    first: npt.NDArray[np.int64]
    entry: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    pixel: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]


def sight(
    cameras: Sequence[Camera], hull: npt.NDArray[np.bool_], world_scale: float, counts: npt.NDArray[np.bool_]
) -> Sight:
    """Follows the rays of pixels through the cells in which blocks may be.

    Args:
        cameras: B of one size.
        hull: (X, Y, Z) bool: which cells are listed.
        world_scale: edge of a block in world units.
        counts: (B, H, W) bool: which pixels are asked for; others look through no cell.

    Returns:
        What each sees; pixels are numbered as in ``counts``.
    """
    from blockcore.occupancy import sight_numba

    number = np.full(np.array(hull.shape) + 2 * RING, -1, np.int32)
    number[RING:-RING, RING:-RING, RING:-RING] = np.where(hull, np.arange(hull.size).reshape(hull.shape), -1)
    box = box_of(number)

    def of_view(rays: Rays, asked: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return sight_numba.follow(rays, number, box, asked)

    size = (hull.shape[0], hull.shape[1], hull.shape[2])
    every = spread(of_view, rays_of(cameras, size, world_scale), list(counts))
    entry = np.concatenate([entries for _, entries in every])
    first = np.append(0, np.cumsum(np.concatenate([lengths for lengths, _ in every])))
    return Sight(first, entry, *sight_numba.by_cell(first, entry, hull.size))
