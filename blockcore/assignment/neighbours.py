"""Which blocks touch: the six neighbours of each block, pairs of touching blocks, and filling from neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.model.grid import FACE_NORMALS, BlockGrid

NONE = -1


def neighbour_table(grid: BlockGrid) -> npt.NDArray[np.int64]:
    """Returns (N, 6): the block beyond each face of each block, in the order of ``grid.FACE_NAMES``, or -1."""
    if len(grid) == 0:
        return np.zeros((0, len(FACE_NORMALS)), dtype=np.int64)
    low = grid.positions.min(axis=0).astype(np.int64) - 1
    extent = grid.positions.max(axis=0).astype(np.int64) + 2 - low
    stride = np.array([extent[1] * extent[2], extent[2], 1])
    keys = (grid.positions - low) @ stride
    order = np.argsort(keys, kind="stable")
    wanted = keys[:, None] + FACE_NORMALS.astype(np.int64) @ stride
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = order[at]
    return np.asarray(np.where(keys[found] == wanted, found, NONE))


def among(table: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Renumbers a neighbour table for some blocks.

    Args:
        table: (N, 6), from ``neighbour_table``.
        blocks: (V,) the blocks kept, ascending.

    Returns:
        (V, 6): neighbours as indices into ``blocks``, -1 where there is none or it was not kept.
    """
    number = np.full(len(table) + 1, NONE, dtype=np.int64)
    number[blocks] = np.arange(len(blocks))
    return np.asarray(number[table[blocks]])


def touching_pairs(table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns (P, 2): each pair of touching blocks once, from a neighbour table."""
    positive = table[:, np.flatnonzero(FACE_NORMALS.sum(axis=1) > 0)]
    block, direction = np.nonzero(positive != NONE)
    return np.stack([block, positive[block, direction]], axis=1)


def fill_from_neighbours(
    table: npt.NDArray[np.int64],
    materials: npt.NDArray[np.int32],
    known: npt.NDArray[np.bool_],
    allowed: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int32]:
    """Gives blocks that nothing is known of the commonest material around them, layer by layer outwards.

    Args:
        table: (N, 6), from ``neighbour_table``.
        materials: (N,) palette indices.
        known: (N,) the blocks whose material stands.
        allowed: (N, M) the materials each block may have.

    Returns:
        (N,) int32; of equally common materials the lowest; blocks that no known block reaches keep theirs.
    """
    filled, known = np.append(materials, np.int32(0)), np.append(known, False)
    while True:
        border = np.flatnonzero(~known[:-1] & known[table].any(axis=1))
        around = np.where(known[table[border]], filled[table[border]], 0)
        fits = (around > 0) & np.take_along_axis(allowed[border], around, axis=1)
        border, around, fits = (a[fits.any(axis=1)] for a in (border, around, fits))
        if not len(border):
            return np.asarray(filled[:-1])
        votes = ((around[:, :, None] == around[:, None, :]) & fits[:, None, :]).sum(axis=2) * fits
        # Most votes first, then the lowest index.
        rank = votes.astype(np.int64) * allowed.shape[1] - around
        filled[border] = np.take_along_axis(around, np.where(fits, rank, -(1 << 40)).argmax(axis=1)[:, None], axis=1)[
            :, 0
        ]
        known[border] = True
