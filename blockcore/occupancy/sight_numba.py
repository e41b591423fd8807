"""Compiled walks that decide at edges as the rasteriser does. Importing this module imports numba.

The rasteriser snaps the corners of faces to 1/256 of a pixel. A ray that comes so near to an edge of the lattice leaves
its cell by the face in which the pixel's centre lies as drawn: whole numbers tell, and the top-left rule. All others go
by the planes' places on the ray, as in ``walk_numba``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel

Array = npt.NDArray[Any]

NOWHERE = 1 << 40
"""Of a corner that is not in front of the camera."""
_BITS = 8
_NEAR = 2.0 / (1 << _BITS)  # of a pixel: twice what snapping two corners moves an edge
_STILL = 1e-30
_START, _SLOWNESS, _UNSURE, _LEAVES = range(4)  # rows of a ray


@kernel
def follow(matrix: Array, corners: Array, hull: Array, counts: Array) -> tuple[Array, Array]:
    """Lists the cells of ``hull`` that each pixel's ray meets, front to back.

    Args:
        matrix: (4, 4), as ``rays.unprojection`` gives it.
        corners: (X + 3, Y + 3, Z + 3, 2) int64: where corners of the lattice and of a ring of cells around it are
            drawn, in 1/256 of a pixel from the centre of pixel (0, 0).
        hull: (X, Y, Z) bool.
        counts: (H, W) bool: whether a pixel is asked for.

    Returns:
        (H·W,) how many each ray meets; the cells, each as six times its number plus the face that is met.
    """
    height, width = counts.shape
    lengths, entries, count = np.zeros(height * width, np.int64), np.empty(1 << 16, np.int32), 0
    most = hull.shape[0] + hull.shape[1] + hull.shape[2] + 9
    ray, cell, signs = np.empty((4, 3)), np.empty(3, np.int64), np.empty(3, np.int64)
    for row in range(height):
        for column in range(width):
            if not counts[row, column]:
                continue
            if count + most > len(entries):
                larger = np.empty(2 * len(entries) + most, np.int32)
                for i in range(count):
                    larger[i] = entries[i]
                entries = larger
            if _begin(matrix, hull.shape, row, column, height, width, ray, cell, signs):
                added = _walk(ray, cell, signs, corners, hull, row, column, entries, count)
                lengths[row * width + column] = added
                count += added
    return lengths, entries[:count].copy()


@kernel
def _place(matrix: Array, axis: int, x: float, y: float) -> tuple[float, float]:
    """Returns where a ray starts along an axis, and its way to the far plane."""
    near_w = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 3]
    near = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 3]
    start = near / near_w
    return start, (near + matrix[axis, 2]) / (near_w + matrix[3, 2]) - start


@kernel
def _begin(
    matrix: Array, shape: Any, row: int, column: int, height: int, width: int, ray: Array, cell: Array, signs: Array
) -> bool:
    """Puts a ray at its first cell of the grid and a ring around it; returns whether it meets them."""
    x, y = (column + 0.5) / width * 2.0 - 1.0, 1.0 - (row + 0.5) / height * 2.0
    begins, ends, by = 0.0, 1.0, -1
    for a in range(3):
        start, way = _place(matrix, a, x, y)
        start_x, way_x = _place(matrix, a, x + 2.0 / width, y)
        start_y, way_y = _place(matrix, a, x, y + 2.0 / height)
        way = way if abs(way) >= _STILL else _STILL
        moved = abs(start_x - start) + abs(way_x - way) + abs(start_y - start) + abs(way_y - way)
        ray[_START, a], ray[_SLOWNESS, a], ray[_UNSURE, a] = start, 1.0 / way, _NEAR * moved / abs(way)
        signs[a] = 1 if way > 0.0 else -1
        one, other = (-1 - start) / way, (shape[a] + 1 - start) / way
        if min(one, other) > begins:
            begins, by = min(one, other), a
        ends = min(ends, max(one, other))
    for a in range(3):
        ray[_LEAVES, a] = ends
        inside = int(np.floor(ray[_START, a] + begins / ray[_SLOWNESS, a])) if begins < ends else 0
        cell[a] = min(max(inside, -1), shape[a])
        if a == by:
            cell[a] = -1 if signs[a] > 0 else shape[a]
    return begins < ends


@kernel
def _walk(
    ray: Array,
    cell: Array,
    signs: Array,
    corners: Array,
    hull: Array,
    row: int,
    column: int,
    entries: Array,
    count: int,
) -> int:
    """Writes the cells of ``hull`` that a ray meets from place ``count`` on; returns how many."""
    shape, began, x, y, z = hull.shape, count, 0.0, 0.0, 0.0
    while True:
        x = (cell[0] + (signs[0] > 0) - ray[_START, 0]) * ray[_SLOWNESS, 0]
        y = (cell[1] + (signs[1] > 0) - ray[_START, 1]) * ray[_SLOWNESS, 1]
        z = (cell[2] + (signs[2] > 0) - ray[_START, 2]) * ray[_SLOWNESS, 2]
        axis = 0 if x <= y and x <= z else 1 if y <= z else 2
        least = min(x, y, z)
        for other in range(3):
            ahead = x if other == 0 else y if other == 1 else z
            if other != axis and ahead - least < ray[_UNSURE, axis] + ray[_UNSURE, other]:
                axis = _drawn(corners, cell, signs, axis, other, column << _BITS, row << _BITS)
        if least >= ray[_LEAVES, axis]:
            return count - began
        cell[axis] += signs[axis]
        if not -1 <= cell[axis] <= shape[axis]:
            return count - began
        inside = 0 <= cell[0] < shape[0] and 0 <= cell[1] < shape[1] and 0 <= cell[2] < shape[2]
        if inside and hull[cell[0], cell[1], cell[2]]:
            at = (cell[0] * shape[1] + cell[1]) * shape[2] + cell[2]
            entries[count] = at * 6 + 2 * axis + (signs[axis] > 0)
            count += 1


@kernel
def _drawn(corners: Array, cell: Array, signs: Array, axis: int, other: int, x: int, y: int) -> int:
    """Returns by which of two faces a ray leaves its cell: the one on whose side of their edge the pixel lies.

    Where the edge or the face is drawn as a point or a line, it is ``axis``.
    """
    along = 3 - axis - other
    i, j, k = cell[0] + 1 + (signs[0] > 0), cell[1] + 1 + (signs[1] > 0), cell[2] + 1 + (signs[2] > 0)
    end = corners[i, j, k]
    begin = corners[i - signs[0] * (along == 0), j - signs[1] * (along == 1), k - signs[2] * (along == 2)]
    face = corners[i - signs[0] * (other == 0), j - signs[1] * (other == 1), k - signs[2] * (other == 2)]
    if end[0] == NOWHERE or begin[0] == NOWHERE or face[0] == NOWHERE:
        return axis
    across, down = begin[0] - end[0], begin[1] - end[1]
    inner = across * (face[1] - end[1]) - down * (face[0] - end[0])
    pixel = across * (y - end[1]) - down * (x - end[0])
    if pixel == 0:  # on the edge: the pixel lies a trace to the right and, less yet, below
        pixel = -down if down != 0 else across
    return axis if inner == 0 or pixel == 0 or (pixel > 0) == (inner > 0) else other


@kernel
def by_cell(first: Array, entry: Array, cells: int) -> tuple[Array, Array, Array]:
    """Sorts what rays meet by cells: where each cell's list starts (cells + 1,), the rays, and places in ``entry``."""
    starts = np.zeros(cells + 1, np.int64)
    for e in entry:
        starts[e // 6 + 1] += 1
    for cell in range(cells):
        starts[cell + 1] += starts[cell]
    at, pixel, place = starts[:-1].copy(), np.empty(len(entry), np.int32), np.empty(len(entry), np.int32)
    for p in range(len(first) - 1):
        for i in range(first[p], first[p + 1]):
            cell = entry[i] // 6
            pixel[at[cell]], place[at[cell]] = p, i
            at[cell] += 1
    return starts, pixel, place
