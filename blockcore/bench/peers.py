"""What other tools do with a model: the average of its unlit texture in each block, and the block that is nearest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.bench.baselines import to_lab
from blockcore.model.grid import FACE_SLOTS, BlockGrid, lattice_to_world
from blockcore.model.palette import Palette

Colors = npt.NDArray[np.float64]
_NEAR = 8  # blocks of which a point outside counts for the one that it is nearest to
_AHEAD = ((1, 0, 7 / 16), (-1, 1, 3 / 16), (0, 1, 5 / 16), (1, 1, 1 / 16))
"""Floyd and Steinberg 1976, "An Adaptive Algorithm for Spatial Greyscale": columns, rows and share of the error."""


def block_colors(grid: BlockGrid, points: Colors, colors: Colors) -> Colors:
    """Returns (N, 3), the mean display colour of a model's surface about each block.

    Args:
        grid: the blocks.
        points: (P, 3) evenly spread over the surface, in the grid's world space.
        colors: (P, 3) the texture there, unlit.

    A point counts for the block that it is in or nearest to; a block without a point takes the colours of the eight
    points nearest to its centre.
    """
    from scipy.spatial import cKDTree

    centers = lattice_to_world(grid.positions + 0.5, grid.size, grid.world_scale)
    near = cKDTree(centers).query(points, min(_NEAR, len(grid)), p=np.inf)[1].reshape(len(points), -1)
    beside = np.maximum(np.abs(points[:, None] - centers[near]) - grid.world_scale / 2, 0.0)
    block = near[np.arange(len(points)), (beside**2).sum(axis=-1).argmin(axis=1)]
    count = np.bincount(block, minlength=len(grid))
    total = np.stack([np.bincount(block, colors[:, c], len(grid)) for c in range(3)], axis=1)
    means = total / np.maximum(count, 1)[:, None]
    empty = np.flatnonzero(count == 0)
    if len(empty):
        near = cKDTree(points).query(centers[empty], min(8, len(points)))[1]
        means[empty] = colors[near.reshape(len(empty), -1)].mean(axis=1)
    return np.asarray(means)


def nearest_blocks(
    grid: BlockGrid, palette: Palette, wanted: Colors, lab: bool = False, dithered: bool = False
) -> npt.NDArray[np.int32]:
    """Returns (N,) materials whose exposed faces have the nearest average colour.

    Args:
        grid: the blocks.
        palette: the materials.
        wanted: (N, 3) display colours.
        lab: compare in CIE Lab instead of display RGB.
        dithered: hand on what a choice is off by, layer by layer, within a layer row by row.
    """
    faces = grid.exposed_faces
    slots = np.zeros((len(grid), 3))
    np.add.at(slots, (faces.block, FACE_SLOTS[faces.direction]), 1.0)
    slots[slots.sum(axis=1) == 0.0] = 1.0
    slots /= slots.sum(axis=1, keepdims=True)
    have = np.einsum("ns,msc->nmc", slots, palette.colors[1:].astype(np.float64))

    def nearest(choices: Colors, color: Colors) -> npt.NDArray[np.int64]:
        a, b = (to_lab(choices), to_lab(np.clip(color, 0.0, 1.0))) if lab else (choices, color)
        return np.asarray(((a - b[..., None, :]) ** 2).sum(axis=-1).argmin(axis=-1))

    if not dithered:
        return np.asarray(1 + nearest(have, wanted), dtype=np.int32)
    left, chosen = wanted.copy(), np.zeros(len(grid), np.int32)
    number = {tuple(cell): index for index, cell in enumerate(grid.positions.tolist())}
    x, y, z = grid.positions.T
    for index in np.lexsort((x, z, y)).tolist():
        choice = int(nearest(have[index], left[index]))
        chosen[index] = 1 + choice
        error = np.clip(left[index], 0.0, 1.0) - have[index, choice]
        column, layer, row = grid.positions[index].tolist()
        for across, down, share in _AHEAD:
            neighbour = number.get((column + across, layer, row + down))
            if neighbour is not None:
                left[neighbour] += share * error
    return chosen
