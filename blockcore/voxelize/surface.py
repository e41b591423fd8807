"""The cells that triangles go through, by separating axes.

Source: Akenine-Möller, "Fast 3D Triangle-Box Overlap Testing", 2001.

A cell is the box from its place to one further along each axis, moved down by an infinitely small step, along x more
than along y, and there more than along z. So every point of space is in one cell, and a face on the border of two
layers of cells is in the upper one alone. On an axis whose first component that is not 0 is positive, this comes down
to intervals that lack their upper end.

The thin mode gives each cell's box the radius ½·max|a| on an axis a, in place of ½·Σ|a| (Schwarz and Seidel, "Fast
Parallel Surface and Solid Voxelization on GPUs", 2010): fewer cells, which still part what the surface parts for a
walk through faces of cells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count
from blockcore.voxelize.cells import Cells, Size, no_cells

_RUN = 256  # triangles that one thread takes at a time
_MOST_SETS = 16  # a set for each thread: together no more than two bytes a cell
_MANY = 4096  # triangles; fewer are not worth a thread


def surface_cells(triangles: npt.NDArray[np.float64], size: Size, thin: bool = False) -> Cells:
    """Returns the cells that triangles go through.

    Args:
        triangles: (T, 3, 3) float64 corners, in cells of the grid; all inside it.
        size: cells along x, y, z.
        thin: whether to take the fewer cells of the thin mode.
    """
    parts = max(1, min(thread_count(), _MOST_SETS, len(triangles) // _MANY))
    sets = [no_cells(size) for _ in range(parts)]
    spread(lambda part, cells: _mark(triangles, part, parts, thin, cells), range(parts), sets)
    for other in sets[1:]:
        np.bitwise_or(sets[0], other, out=sets[0])
    return sets[0]


@kernel
def _mark(triangles: Any, part: int, parts: int, thin: bool, cells: Any) -> None:
    axes, ends = np.empty((10, 3)), np.empty((10, 2))
    corners = np.empty((3, 3))
    low, high, place = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3, np.int64)
    for run in range(part * _RUN, len(triangles), parts * _RUN):
        for t in range(run, min(run + _RUN, len(triangles))):
            spans = 0
            for d in range(3):
                a, b, c = triangles[t, 0, d], triangles[t, 1, d], triangles[t, 2, d]
                low[d], high[d] = math.floor(min(a, b, c)), math.floor(max(a, b, c))
                corners[0, d], corners[1, d], corners[2, d] = a - low[d], b - low[d], c - low[d]
                spans += high[d] > low[d]
            if spans < 2 and not thin:
                # A triangle that is in one row of cells goes through all of them.
                for x in range(low[0], high[0] + 1):
                    for y in range(low[1], high[1] + 1):
                        for z in range(low[2], high[2] + 1):
                            cells[x, y, z >> 6] |= np.uint64(1) << np.uint64(z & 63)
            else:
                _set_axes(corners, thin, axes, ends)
                _mark_one(axes, ends, low, high, place, cells)


@kernel
def _set_axes(corners: Any, thin: bool, axes: Any, ends: Any) -> None:
    """Finds the axes, edges × x, y and z and the normal, and the ends that a cell's lowest corner is between."""
    for k in range(3):
        m, o = (k + 1) % 3, (k + 2) % 3
        for d in range(3):
            p, q = (d + 1) % 3, (d + 2) % 3
            if p > q:
                p, q = q, p
            # The two ends of an edge are one point on the axes that it is crossed to.
            a, b = corners[m, q] - corners[k, q], corners[k, p] - corners[m, p]
            if a < 0.0 or (a == 0.0 and b < 0.0):
                a, b = -a, -b
            edge = corners[k, p] * a + corners[k, q] * b
            other = corners[o, p] * a + corners[o, q] * b
            if other < edge:
                edge, other = other, edge
            _set_axis(axes, ends, 3 * d + k, 0.0, p, a, q, b, edge, other, thin)
    x, y, z = _normal(corners)
    if x < 0.0 or (x == 0.0 and (y < 0.0 or (y == 0.0 and z < 0.0))):
        x, y, z = -x, -y, -z
    plane = corners[0, 0] * x + corners[0, 1] * y + corners[0, 2] * z
    _set_axis(axes, ends, 9, x, 1, y, 2, z, plane, plane, thin)


@kernel
def _normal(corners: Any) -> tuple[float, float, float]:
    a, b, c = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1], corners[1, 2] - corners[0, 2]
    d, e, f = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1], corners[2, 2] - corners[0, 2]
    return b * f - c * e, c * d - a * f, a * e - b * d


@kernel
def _set_axis(
    axes: Any, ends: Any, k: int, x: float, p: int, a: float, q: int, b: float, low: float, high: float, thin: bool
) -> None:
    """Sets axis ``k``: components ``a`` and ``b`` along p and q, and ``x`` along the first axis of all."""
    axes[k, 0], axes[k, 1], axes[k, 2] = x, 0.0, 0.0
    axes[k, p], axes[k, q] = a, b
    if x == 0.0 and a == 0.0 and b == 0.0:
        ends[k, 0], ends[k, 1] = -np.inf, np.inf
        return
    middle = 0.5 * (x + a + b)
    radius = 0.5 * (max(abs(x), abs(a), abs(b)) if thin else abs(x) + abs(a) + abs(b))
    ends[k, 0], ends[k, 1] = low - middle - radius, high - middle + radius


@kernel
def _mark_one(axes: Any, ends: Any, low: Any, high: Any, place: Any, cells: Any) -> None:
    """Marks one triangle's cells: column by column along the axis that it faces most."""
    w = 0
    for d in range(1, 3):
        if abs(axes[9, d]) > abs(axes[9, w]):
            w = d
    u, v = (w + 1) % 3, (w + 2) % 3
    for i in range(high[u] - low[u] + 1):
        for j in range(high[v] - low[v] + 1):
            inside = True
            for k in range(3 * w, 3 * w + 3):
                along = axes[k, u] * i + axes[k, v] * j
                inside = inside and ends[k, 0] < along and along <= ends[k, 1]
            if not inside:
                continue
            first, last = 0, high[w] - low[w]
            slope = axes[9, w]
            if slope != 0.0 and last > 3:
                along = axes[9, u] * i + axes[9, v] * j
                one, other = (ends[9, 0] - along) / slope, (ends[9, 1] - along) / slope
                first = max(first, math.floor(min(one, other)) - 1)
                last = min(last, math.ceil(max(one, other)) + 1)
            place[u], place[v] = i, j
            for n in range(first, last + 1):
                place[w] = n
                if _overlaps(axes, ends, place, 3 * w):
                    x, y, z = place[0] + low[0], place[1] + low[1], place[2] + low[2]
                    cells[x, y, z >> 6] |= np.uint64(1) << np.uint64(z & 63)


@kernel
def _overlaps(axes: Any, ends: Any, place: Any, done: int) -> bool:
    for k in range(9, -1, -1):
        if k < done or k >= done + 3:
            along = axes[k, 0] * place[0] + axes[k, 1] * place[1] + axes[k, 2] * place[2]
            if not (ends[k, 0] < along and along <= ends[k, 1]):
                return False
    return True
