"""What lies inside a surface: by a flood from outside, and by votes of rays that count how they cross it.

The flood needs a surface without holes, and goes whatever way the triangles face. Rays need no more than pairs of
crossings: a ray along an axis through a cell's centre counts a crossing up or down by the way the triangle faces. Where
the counts of a whole row cancel, what they wind around is inside; else an odd number of crossings before it is. A row
that crosses an odd number of triangles has come through a hole, and its axis does not vote.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count
from blockcore.voxelize.cells import Cells, Size, last_word, no_cells

_STRIPS = 4  # per thread: triangles are not spread evenly


def outside(surface: Cells, size: Size) -> Cells:
    """Returns the cells that a flood through faces of cells reaches from beyond the grid, past those of a surface."""
    reached = no_cells(size)
    _flood(surface, reached, last_word(size))
    return reached


def enclosed(surface: Cells, size: Size) -> Cells:
    """Returns the cells that a flood from outside does not reach and that are not of the surface."""
    inner = ~(surface | outside(surface, size))
    inner[..., -1] &= last_word(size)
    return inner


def voted_inside(triangles: npt.NDArray[np.float64], size: Size) -> Cells:
    """Returns the cells whose centre most rays along the three axes find inside.

    Args:
        triangles: (T, 3, 3) float64 corners, in cells of the grid; all inside it.
        size: cells along x, y, z.
    """
    votes = np.zeros(size, np.int8)
    for axis in range(3):
        crossings = np.zeros(size, np.int8)
        across = size[(axis + 1) % 3]
        cuts = np.linspace(0, across, min(across, _STRIPS * thread_count()) + 1).astype(int).tolist()
        rows = np.moveaxis(crossings, (axis, (axis + 1) % 3, (axis + 2) % 3), (2, 0, 1))
        tally = np.moveaxis(votes, (axis, (axis + 1) % 3, (axis + 2) % 3), (2, 0, 1))

        def cast(first: int, last: int, axis: int = axis, rows: Any = rows, tally: Any = tally) -> None:
            _cross(triangles, axis, first, last, rows)
            _vote(rows, first, last, tally)

        spread(cast, cuts[:-1], cuts[1:])
    inside = no_cells(size)
    _pack(votes, inside)
    return inside


def eighths_inside(
    triangles: npt.NDArray[np.float64], positions: npt.NDArray[np.int32], size: Size
) -> npt.NDArray[np.int8]:
    """Returns how many of the centres of a cell's eighths are inside, 0…8, for each of (N, 3) cells."""
    x, y, z = positions.T
    of = np.zeros(len(positions), np.int8)
    for corner in itertools.product((-0.25, 0.25), repeat=3):
        cells = voted_inside(triangles - corner, size)
        of += ((cells[x, y, z >> 6] >> (z & 63).astype(np.uint64)) & np.uint64(1)).astype(np.int8)
    return of


@kernel
def _flood(surface: Any, reached: Any, last_mask: Any) -> None:
    """Sweeps over the grid to and fro until no cell is added; within a row of cells all at once, by bits."""
    sx, sy, words = surface.shape
    one, full = np.uint64(1), ~np.uint64(0)
    changed, sweep = True, 0
    while changed:
        changed = False
        for i in range(sx):
            x = i if sweep % 2 == 0 else sx - 1 - i
            for j in range(sy):
                y = j if sweep % 2 == 0 else sy - 1 - j
                for k in range(words):
                    w = k if sweep % 2 == 0 else words - 1 - k
                    mask = last_mask if w == words - 1 else full
                    free = ~surface[x, y, w] & mask
                    old = reached[x, y, w]
                    if old == free:
                        continue
                    word = old
                    word |= reached[x - 1, y, w] if x > 0 else full
                    word |= reached[x + 1, y, w] if x < sx - 1 else full
                    word |= reached[x, y - 1, w] if y > 0 else full
                    word |= reached[x, y + 1, w] if y < sy - 1 else full
                    word |= reached[x, y, w - 1] >> np.uint64(63) if w > 0 else one
                    if w < words - 1:
                        word |= reached[x, y, w + 1] << np.uint64(63)
                    else:
                        word |= last_mask ^ (last_mask >> one)
                    word &= free
                    if word != np.uint64(0):
                        word = _along(word, free)
                    if word != old:
                        reached[x, y, w] = word
                        changed = True
        sweep += 1


@kernel
def _along(word: Any, free: Any) -> Any:
    """Spreads bits up and down through free ones, in doubling steps."""
    up, down, open_up, open_down = word, word, free, free
    step = np.uint64(1)
    while step < np.uint64(64):
        up |= open_up & (up << step)
        open_up &= open_up << step
        down |= open_down & (down >> step)
        open_down &= open_down >> step
        step <<= np.uint64(1)
    return up | down


@kernel
def _cross(triangles: Any, axis: int, first: int, last: int, rows: Any) -> None:
    """Notes where the rows' rays cross triangles: ±1 at the first centre beyond, in rows ``first`` to ``last``."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    deep = rows.shape[2]
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        low = max(first, math.ceil(min(a[u], b[u], c[u]) - 0.5))
        high = min(last - 1, math.floor(max(a[u], b[u], c[u]) - 0.5))
        if low > high:
            continue
        lowest = max(0, math.ceil(min(a[v], b[v], c[v]) - 0.5))
        highest = min(rows.shape[1] - 1, math.floor(max(a[v], b[v], c[v]) - 0.5))
        for i in range(low, high + 1):
            for j in range(lowest, highest + 1):
                p, q = i + 0.5, j + 0.5
                one = _side(a[u], a[v], b[u], b[v], p, q)
                if one != _side(b[u], b[v], c[u], c[v], p, q) or one != _side(c[u], c[v], a[u], a[v], p, q):
                    continue
                area = (b[u] - a[u]) * (c[v] - a[v]) - (b[v] - a[v]) * (c[u] - a[u])
                if area == 0.0:
                    continue
                toward_b = ((p - a[u]) * (c[v] - a[v]) - (q - a[v]) * (c[u] - a[u])) / area
                toward_c = ((b[u] - a[u]) * (q - a[v]) - (b[v] - a[v]) * (p - a[u])) / area
                depth = a[axis] + toward_b * (b[axis] - a[axis]) + toward_c * (c[axis] - a[axis])
                n = math.ceil(depth - 0.5)
                if n < deep:
                    rows[i, j, max(n, 0)] -= one


@kernel
def _side(au: float, av: float, bu: float, bv: float, p: float, q: float) -> int:
    """Returns on which side of an edge a point is, 1 or -1; on the edge, where it were a tiny step further.

    Exactly the opposite for the edge turned round, so that of triangles that share it one has the point.
    """
    sign = 1
    if (bu, bv) < (au, av):
        au, av, bu, bv = bu, bv, au, av
        sign = -1
    turn = (bu - au) * (q - av) - (bv - av) * (p - au)
    if turn == 0.0:
        turn = av - bv if bv != av else bu - au
    return sign if turn > 0.0 else -sign


@kernel
def _vote(rows: Any, first: int, last: int, tally: Any) -> None:
    for i in range(first, last):
        for j in range(rows.shape[1]):
            total = 0
            for n in range(rows.shape[2]):
                total += rows[i, j, n]
            if total % 2 != 0:
                continue
            count = 0
            for n in range(rows.shape[2]):
                count += rows[i, j, n]
                inside = count != 0 if total == 0 else count % 2 != 0
                tally[i, j, n] += 1 if inside else -1


@kernel
def _pack(votes: Any, cells: Any) -> None:
    for x in range(votes.shape[0]):
        for y in range(votes.shape[1]):
            for z in range(votes.shape[2]):
                if votes[x, y, z] > 0:
                    cells[x, y, z >> 6] |= np.uint64(1) << np.uint64(z & 63)
