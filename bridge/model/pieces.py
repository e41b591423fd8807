# SPDX-License-Identifier: GPL-3.0-or-later
"""How blocks hang together: which nobody can see, and which float."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from blockcore.assignment.neighbours import neighbour_table
from blockcore.model.grid import BlockGrid

Bools = npt.NDArray[np.bool_]
_HALF = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
"""One of each two opposite steps to what touches a block by a face, an edge or a corner."""


def surrounded(grid: BlockGrid) -> Bools:
    """Returns which blocks have all six neighbours, (N,): a shell does without them."""
    return np.asarray((neighbour_table(grid) >= 0).all(axis=1))


def floating(grid: BlockGrid) -> Bools:
    """Returns which blocks neither touch the ground nor hang, by faces, edges or corners, on one that does, (N,)."""
    if not len(grid):
        return np.zeros(0, np.bool_)
    piece = _pieces(grid)
    grounded = np.unique(piece[grid.positions[:, 1] == grid.positions[:, 1].min()])
    return ~np.isin(piece, grounded)


def _pieces(grid: BlockGrid) -> npt.NDArray[np.int64]:
    """Returns a number for each block, (N,), the same for those that hang together."""
    pairs = np.concatenate([_touching(grid, step) for step in _HALF])
    piece = np.arange(len(grid))
    while True:
        least = piece.copy()
        for a, b in (pairs.T, pairs[:, ::-1].T):
            np.minimum.at(least, a, piece[b])
        least = least[least]
        if np.array_equal(least, piece):
            return piece
        piece = least


def _touching(grid: BlockGrid, step: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Returns the pairs of blocks that are a step apart, (P, 2)."""
    size = np.array(grid.size) + 2
    keys = np.ravel_multi_index(tuple((grid.positions + 1).T), tuple(size))
    wanted = np.ravel_multi_index(tuple((grid.positions + 1 + step).T), tuple(size))
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
    there = np.flatnonzero(keys[at] == wanted)
    return np.stack([there, at[there]], axis=1)
