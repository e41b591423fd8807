"""Sets of cells of a grid, a bit each: (sx, sy, words) uint64, where bit k of word w is the cell at z = 64·w + k.

Bits beyond a grid's depth are never set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel

Cells = npt.NDArray[np.uint64]
Size = tuple[int, int, int]


def no_cells(size: Size) -> Cells:
    """Returns the empty set of a grid of ``size`` cells."""
    return np.zeros((size[0], size[1], -(-size[2] // 64)), np.uint64)


def cells_of(positions: npt.ArrayLike, size: Size) -> Cells:
    """Returns the set of ``positions``, (N, 3) whole numbers inside the grid."""
    cells = no_cells(size)
    x, y, z = np.asarray(positions, np.int64).reshape(-1, 3).T
    np.bitwise_or.at(cells, (x, y, z >> 6), np.uint64(1) << (z & 63).astype(np.uint64))
    return cells


def count(cells: Cells) -> int:
    """Returns how many cells a set has."""
    return int(_count(cells))


def positions_of(cells: Cells) -> npt.NDArray[np.int32]:
    """Returns a set's cells, (N, 3) int32, in ascending order of x, then y, then z."""
    out = np.empty((count(cells), 3), np.int32)
    _fill_positions(cells, out)
    return out


def neighbours(cells: Cells, direction: int, size: Size) -> Cells:
    """Returns the cells whose neighbour in a direction (0…5, as ``FACE_NORMALS``) is in the set."""
    out = np.zeros_like(cells)
    if direction < 4:
        axis, back = direction // 2, direction % 2
        target, source = [slice(None)] * 3, [slice(None)] * 3
        target[axis], source[axis] = (slice(1, None), slice(None, -1)) if back else (slice(None, -1), slice(1, None))
        out[tuple(target)] = cells[tuple(source)]
        return out
    one, last = np.uint64(1), np.uint64(63)
    if direction == 4:
        out[...] = cells >> one
        out[..., :-1] |= cells[..., 1:] << last
        return out
    out[...] = cells << one
    out[..., 1:] |= cells[..., :-1] >> last
    out[..., -1] &= last_word(size)
    return out


def surrounded(cells: Cells, size: Size) -> Cells:
    """Returns the cells of a set whose six neighbours are all in it."""
    out = cells.copy()
    for direction in range(6):
        out &= neighbours(cells, direction, size)
    return out


def last_word(size: Size) -> np.uint64:
    """Returns the bits of a row's last word that are cells."""
    return np.uint64((1 << ((size[2] - 1) % 64 + 1)) - 1)


@kernel
def _count(cells: Any) -> int:
    n = 0
    for x in range(cells.shape[0]):
        for y in range(cells.shape[1]):
            for w in range(cells.shape[2]):
                word = cells[x, y, w]
                while word:
                    word &= word - np.uint64(1)
                    n += 1
    return n


@kernel
def _fill_positions(cells: Any, out: Any) -> None:
    n = 0
    for x in range(cells.shape[0]):
        for y in range(cells.shape[1]):
            for w in range(cells.shape[2]):
                word = cells[x, y, w]
                z = 64 * w
                while word:
                    if word & np.uint64(0xFFFFFFFF) == 0:
                        word >>= np.uint64(32)
                        z += 32
                    if word & np.uint64(1):
                        out[n, 0], out[n, 1], out[n, 2] = x, y, z
                        n += 1
                    word >>= np.uint64(1)
                    z += 1
