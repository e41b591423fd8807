"""How much of a surface passes through each cell, and which cells can go without leaving a gap.

A cell is left out where a face-neighbour shows the surface better, as long as the picture of the whole stays in one
piece: where the cell is a simple point (26-connected blocks, 6-connected air), so that no part falls off, no hole opens
and nothing grows together (Bertrand and Malandain, "A new characterization of three-dimensional simple points", 1994).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count
from blockcore.model.grid import FACE_NORMALS
from blockcore.voxelize.cells import Cells, Size, cells_of

_MOST_CORNERS = 9  # a triangle that six planes cut has no more


def covered_areas(triangles: npt.NDArray[np.float64], positions: npt.NDArray[np.int32], size: Size) -> Any:
    """Returns how much surface there is in each eighth of some cells.

    Args:
        triangles: (T, 3, 3) float64 corners, in cells of the grid.
        positions: (N, 3) the cells, ascending by x, then y, then z.
        size: cells along x, y, z.

    Returns:
        (N, 2, 2, 2) float64: area in faces of a cell, in the lower and upper half along x, y and z.
    """
    cells = cells_of(positions, size)
    ranks = np.zeros(cells.shape, np.int32)
    _rank(cells, ranks)
    parts = max(1, min(thread_count(), len(triangles) // 256))
    areas = np.zeros((parts, len(positions), 2, 2, 2))
    spread(lambda part: _measure(triangles, part, parts, cells, ranks, areas[part]), range(parts))
    return areas.sum(axis=0)


def well_covered(surface: Cells, inside: Cells, areas: Any, positions: Any, size: Size, least: float) -> Cells:
    """Returns the cells of a surface that stay.

    A cell that is not inside goes where less than ``least`` faces of surface lie in the half away from a face-neighbour
    that is inside, or less than a quarter of that in the half away from one that has more surface. Those with the least
    surface go first.

    Args:
        surface: the cells.
        inside: cells that stay as what is inside.
        areas: (N, 2, 2, 2) as ``covered_areas`` gives for ``positions``.
        positions: (N, 3), the surface's cells, ascending.
        size: cells along x, y, z.
        least: the share of a face; 0 keeps all.
    """
    stay = surface.copy()
    if least > 0.0:
        total = areas.reshape(len(areas), -1).sum(axis=1)
        ranks = np.zeros(surface.shape, np.int32)
        _rank(surface, ranks)
        order = np.argsort(total, kind="stable")
        _thin_out(surface, inside, positions, ranks, areas, total, order, FACE_NORMALS, least, size[2], stay)
    return stay


@kernel
def _rank(cells: Any, ranks: Any) -> None:
    """Counts, for each word, the cells before it."""
    n = 0
    for x in range(cells.shape[0]):
        for y in range(cells.shape[1]):
            for w in range(cells.shape[2]):
                ranks[x, y, w] = n
                word = cells[x, y, w]
                while word:
                    word &= word - np.uint64(1)
                    n += 1


@kernel
def _index(cells: Any, ranks: Any, x: int, y: int, z: int) -> int:
    """Returns the place of a cell among all of its set, or -1."""
    word, bit = cells[x, y, z >> 6], np.uint64(1) << np.uint64(z & 63)
    if not word & bit:
        return -1
    n: int = ranks[x, y, z >> 6]
    word &= bit - np.uint64(1)
    while word:
        word &= word - np.uint64(1)
        n += 1
    return n


@kernel
def _measure(triangles: Any, part: int, parts: int, cells: Any, ranks: Any, areas: Any) -> None:
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    polygon, spare = np.empty((_MOST_CORNERS + 1, 3)), np.empty((_MOST_CORNERS + 1, 3))
    column, slab = np.empty((_MOST_CORNERS + 1, 3)), np.empty((_MOST_CORNERS + 1, 3))
    for t in range(part, len(triangles), parts):
        for d in range(3):  # in halves of a cell
            a, b, c = triangles[t, 0, d], triangles[t, 1, d], triangles[t, 2, d]
            low[d], high[d] = math.floor(2.0 * min(a, b, c)), math.floor(2.0 * max(a, b, c))
        for x in range(low[0], high[0] + 1):
            slab[:3] = triangles[t]
            in_slab = _slice(slab, 3, 0, 0.5 * x, spare)
            if in_slab < 3:
                continue
            for y in range(low[1], high[1] + 1):
                column[:in_slab] = slab[:in_slab]
                in_column = _slice(column, in_slab, 1, 0.5 * y, spare)
                if in_column < 3:
                    continue
                for z in range(low[2], high[2] + 1):
                    n = _index(cells, ranks, x >> 1, y >> 1, z >> 1)
                    if n < 0:
                        continue
                    polygon[:in_column] = column[:in_column]
                    corners = _slice(polygon, in_column, 2, 0.5 * z, spare)
                    if corners >= 3:
                        areas[n, x & 1, y & 1, z & 1] += _area(polygon, corners)


@kernel
def _slice(polygon: Any, corners: int, axis: int, place: float, spare: Any) -> int:
    """Cuts a polygon to half a cell along an axis; what lies in the upper border belongs to the next."""
    corners = _cut(polygon, corners, axis, place, 1.0, spare)
    corners = _cut(spare, corners, axis, place + 0.5, -1.0, polygon)
    if corners >= 3:
        lowest = polygon[0, axis]
        for k in range(1, corners):
            lowest = min(lowest, polygon[k, axis])
        if lowest >= place + 0.5:
            return 0
    return corners


@kernel
def _cut(polygon: Any, corners: int, axis: int, place: float, side: float, out: Any) -> int:
    n = 0
    for k in range(corners):
        m = k + 1 if k + 1 < corners else 0
        a, b = side * (polygon[k, axis] - place), side * (polygon[m, axis] - place)
        if a >= 0.0:
            for d in range(3):
                out[n, d] = polygon[k, d]
            n += 1
        if (a > 0.0 and b < 0.0) or (a < 0.0 and b > 0.0):
            share = a / (a - b)
            for d in range(3):
                out[n, d] = polygon[k, d] + share * (polygon[m, d] - polygon[k, d])
            out[n, axis] = place
            n += 1
    return n


@kernel
def _area(polygon: Any, corners: int) -> float:
    x = y = z = 0.0
    for k in range(1, corners - 1):
        ax, ay, az = (
            polygon[k, 0] - polygon[0, 0],
            polygon[k, 1] - polygon[0, 1],
            polygon[k, 2] - polygon[0, 2],
        )
        bx, by, bz = (
            polygon[k + 1, 0] - polygon[0, 0],
            polygon[k + 1, 1] - polygon[0, 1],
            polygon[k + 1, 2] - polygon[0, 2],
        )
        x += ay * bz - az * by
        y += az * bx - ax * bz
        z += ax * by - ay * bx
    return 0.5 * math.sqrt(x * x + y * y + z * z)


@kernel
def _has(cells: Any, depth: int, x: int, y: int, z: int) -> bool:
    if x < 0 or y < 0 or z < 0 or x >= cells.shape[0] or y >= cells.shape[1] or z >= depth:
        return False
    return bool((cells[x, y, z >> 6] >> np.uint64(z & 63)) & np.uint64(1))


@kernel
def _thin_out(
    surface: Any,
    inside: Any,
    positions: Any,
    ranks: Any,
    areas: Any,
    total: Any,
    order: Any,
    normals: Any,
    least: float,
    depth: int,
    stay: Any,
) -> None:
    near, seen, todo = np.empty(27, np.bool_), np.empty(27, np.bool_), np.empty(27, np.int64)
    for n in order:
        x, y, z = positions[n, 0], positions[n, 1], positions[n, 2]
        if _has(inside, depth, x, y, z):
            continue
        if total[n] == 0.0 and _is_beside_more(surface, ranks, inside, total, depth, x, y, z):
            _leave_out(stay, inside, depth, x, y, z, near, seen, todo)
            continue
        for f in range(6):
            i, j, k = x + normals[f, 0], y + normals[f, 1], z + normals[f, 2]
            is_inside = _has(inside, depth, i, j, k)
            shows_more = is_inside or (_has(stay, depth, i, j, k) and total[_index(surface, ranks, i, j, k)] > total[n])
            if not shows_more:
                continue
            axis, away = f >> 1, f & 1  # an even face looks up its axis, away from it is the lower half
            far = 0.0
            for a in range(2):
                for b in range(2):
                    if axis == 0:
                        far += areas[n, away, a, b]
                    elif axis == 1:
                        far += areas[n, a, away, b]
                    else:
                        far += areas[n, a, b, away]
            if far < (least if is_inside else 0.25 * least):
                _leave_out(stay, inside, depth, x, y, z, near, seen, todo)
                break


@kernel
def _is_beside_more(surface: Any, ranks: Any, inside: Any, total: Any, depth: int, x: int, y: int, z: int) -> bool:
    for d in range(27):
        p, q, r = x + d // 9 - 1, y + d // 3 % 3 - 1, z + d % 3 - 1
        if _has(inside, depth, p, q, r):
            return True
        if _has(surface, depth, p, q, r) and total[_index(surface, ranks, p, q, r)] > 0.0:
            return True
    return False


@kernel
def _leave_out(stay: Any, inside: Any, depth: int, x: int, y: int, z: int, near: Any, seen: Any, todo: Any) -> None:
    """Leaves a cell out where that changes nothing about what hangs together."""
    for d in range(27):
        p, q, r = x + d // 9 - 1, y + d // 3 % 3 - 1, z + d % 3 - 1
        near[d] = _has(stay, depth, p, q, r) or _has(inside, depth, p, q, r)
    if _pieces(near, True, seen, todo) == 1 and _pieces(near, False, seen, todo) == 1:
        stay[x, y, z >> 6] &= ~(np.uint64(1) << np.uint64(z & 63))


@kernel
def _pieces(near: Any, blocks: bool, seen: Any, todo: Any) -> int:
    """Counts, around the middle of 27 cells, the pieces of blocks, or those of air that touch its faces."""
    seen[:] = False
    seen[13] = True
    pieces = 0
    for start in range(27):
        if seen[start] or near[start] != blocks or (not blocks and _steps(start) != 1):
            continue
        pieces += 1
        seen[start] = True
        todo[0], count = start, 1
        while count:
            count -= 1
            here = todo[count]
            for other in range(27):
                if seen[other] or near[other] != blocks or (not blocks and _steps(other) > 2):
                    continue
                dx, dy, dz = abs(here // 9 - other // 9), abs(here // 3 % 3 - other // 3 % 3), abs(here % 3 - other % 3)
                touch = max(dx, dy, dz) == 1 if blocks else dx + dy + dz == 1
                if touch:
                    seen[other] = True
                    todo[count] = other
                    count += 1
    return pieces


@kernel
def _steps(cell: int) -> int:
    """Returns how many steps through faces lead from the middle to one of 27 cells."""
    return abs(cell // 9 - 1) + abs(cell // 3 % 3 - 1) + abs(cell % 3 - 1)
