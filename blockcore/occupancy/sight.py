"""Lines of sight: which cells each pixel looks through, and by which faces, as the rasteriser would draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from blockcore.machine.threads import spread
from blockcore.model.camera import Camera
from blockcore.occupancy.rays import unprojection
from blockcore.visibility.reference import WINDOW_LIMIT, to_clip, to_window

_SUBPIXELS = np.float32(256)


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

    size = (hull.shape[0], hull.shape[1], hull.shape[2])

    def of_view(camera: Camera, asked: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        drawn = _corners(camera, size, world_scale)
        return sight_numba.follow(unprojection(camera, size, world_scale), drawn, hull, asked)

    every = spread(of_view, cameras, list(counts))
    entry = np.concatenate([entries for _, entries in every])
    first = np.append(0, np.cumsum(np.concatenate([lengths for lengths, _ in every])))
    return Sight(first, entry, *sight_numba.by_cell(first, entry, hull.size))


def _corners(camera: Camera, size: tuple[int, int, int], world_scale: float) -> npt.NDArray[np.int64]:
    """Returns where the lattice's corners, and those of a ring around, are drawn; see ``sight_numba.follow``."""
    from blockcore.occupancy.sight_numba import NOWHERE

    center = np.array([size[0] / 2, 0.0, size[2] / 2])
    lattice = np.stack(np.meshgrid(*(np.arange(-1, n + 2) for n in size), indexing="ij"), axis=-1).reshape(-1, 3)
    with np.errstate(all="ignore"):
        clip = to_clip(((lattice - center) * world_scale).astype(np.float32), camera.view_proj)
        window = to_window(clip, camera)[:, :2]
        seen = (clip[:, 3] > 0.0) & (np.abs(window) < WINDOW_LIMIT).all(axis=1)
        drawn = np.where(seen[:, None], np.rint(window * _SUBPIXELS), NOWHERE).astype(np.int64)
    return drawn.reshape(size[0] + 3, size[1] + 3, size[2] + 3, 2)
