"""Compiled walks through a grid. Importing this module imports numba; nothing is compiled until first called.

A ray goes from cell to cell (Amanatides and Woo 1987, "A Fast Voxel Traversal Algorithm for Ray Tracing"). The walk
back goes the same way again: what lies beyond a cell is the picture less what has been added so far, so that no list of
cells is kept.

Which plane comes next cannot be foretold, so a step has no branch: all three axes are worked out again, and one of
them has moved. A plane's place on the ray is always the same product, ``(plane - start) * slowness``, that of a plane
which bounds the grid too; so a ray that has not met its end is inside, and no step has to look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread

Array = npt.NDArray[Any]

_BAND = 16  # rows of a piece of work, fixed, so that a result does not depend on the machine's cores
_TILE = 16  # columns that are walked together: neighbouring rays meet the same cells
_SUMS = 4  # of gradients, fixed likewise: each is as large as the grid
_STILL = 1e-30  # of the way along an axis: the ray does not go along it


def forward(
    alpha: Array, colors: Array, number: Array, box: Array, matrices: Array, background: Array, stop: float
) -> Array:
    """Returns (B, 4, H, W) of the type of ``alpha``; see ``walk.walk``."""
    views, height, width = background.shape[:3]
    out = np.empty((views, 4, height, width), alpha.dtype)
    what = alpha, colors, number, box

    def band(view: int, first: int) -> None:
        _forward(*what, matrices[view], background[view], stop, first, out[view])

    spread(band, *_bands(views, height))
    return out


def backward(
    grad: Array,
    out: Array,
    alpha: Array,
    colors: Array,
    number: Array,
    box: Array,
    matrices: Array,
    stop: float,
) -> tuple[Array, Array, Array]:
    """Returns the gradients (K,), (K, 6, 3) and (B, H, W, 3) of alpha, colours and background."""
    views, _, height, width = out.shape
    to_cells = np.zeros((_SUMS, len(alpha), 6, 4), alpha.dtype)
    to_background = np.empty((views, height, width, 3), alpha.dtype)
    work = list(zip(*_bands(views, height), strict=True))

    def part(which: int) -> None:
        for view, first in work[which::_SUMS]:
            what = alpha, colors, number, box, matrices[view], stop, first
            _backward(grad[view], out[view], *what, to_cells[which], to_background[view])

    spread(part, range(_SUMS))
    total = to_cells[0]
    for more in to_cells[1:]:
        total += more
    return total[:, :, 3].sum(axis=1), np.ascontiguousarray(total[:, :, :3]), to_background


def _bands(views: int, height: int) -> tuple[list[int], list[int]]:
    """Returns the view and the first row of every piece of work."""
    pieces = [(view, first) for view in range(views) for first in range(0, height, _BAND)]
    return [view for view, _ in pieces], [first for _, first in pieces]


@kernel
def _axis(matrix: Array, a: int, x: float, y: float, low: int, high: int) -> tuple[float, float, float, float, float]:
    """Returns where a ray starts along an axis, its way, the inverse of it, and where it enters and leaves the box."""
    near_w = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 3]
    near = matrix[a, 0] * x + matrix[a, 1] * y + matrix[a, 3]
    start = near / near_w
    way = (near + matrix[a, 2]) / (near_w + matrix[3, 2]) - start
    if abs(way) < _STILL:
        inside = low <= start < high
        return start, 0.0, np.inf, -np.inf if inside else np.inf, np.inf if inside else -np.inf
    slowness = 1.0 / way
    one, other = (low - start) * slowness, (high - start) * slowness
    return start, way, slowness, min(one, other), max(one, other)


@kernel
def _first(start: float, way: float, begins: float, entered: bool, low: int, high: int) -> int:
    """Returns the cell, along an axis, that a ray is in where it begins."""
    if entered:
        return low if way > 0.0 else high - 1
    return min(max(int(np.floor(start + begins * way)), low), high - 1)


@kernel
def first_cell(matrix: Array, box: Array, shape: tuple[int, ...], x: float, y: float) -> Any:
    """Returns a ray at its first cell.

    Returns:
        The cell's place in the grid, the face that it is entered by, -1 where the ray begins inside, and where the ray
        ends, which is below 0 for one that misses the box; and for each axis the plane ahead, where the ray starts, the
        inverse of its way, the sign of that, and the face that is met by going along it.
    """
    start_x, way_x, slow_x, enters_x, leaves_x = _axis(matrix, 0, x, y, box[0, 0], box[1, 0])
    start_y, way_y, slow_y, enters_y, leaves_y = _axis(matrix, 1, x, y, box[0, 1], box[1, 1])
    start_z, way_z, slow_z, enters_z, leaves_z = _axis(matrix, 2, x, y, box[0, 2], box[1, 2])
    begins = max(0.0, enters_x, enters_y, enters_z)
    ends = min(1.0, leaves_x, leaves_y, leaves_z)
    by_x = begins > 0.0 and enters_x == begins
    by_y = begins > 0.0 and not by_x and enters_y == begins
    by_z = begins > 0.0 and not by_x and not by_y
    if not begins < ends:
        by_x = by_y = by_z = False
        begins, ends = 0.0, -1.0
    cell_x = _first(start_x, way_x, begins, by_x, box[0, 0], box[1, 0])
    cell_y = _first(start_y, way_y, begins, by_y, box[0, 1], box[1, 1])
    cell_z = _first(start_z, way_z, begins, by_z, box[0, 2], box[1, 2])
    ahead_x, ahead_y, ahead_z = way_x >= 0.0, way_y >= 0.0, way_z >= 0.0
    faces = 0 + ahead_x, 2 + ahead_y, 4 + ahead_z
    face = faces[0] if by_x else faces[1] if by_y else faces[2] if by_z else -1
    plane = float(cell_x + ahead_x), float(cell_y + ahead_y), float(cell_z + ahead_z)
    signs = 1 if ahead_x else -1, 1 if ahead_y else -1, 1 if ahead_z else -1
    at = (cell_x * shape[1] + cell_y) * shape[2] + cell_z
    return at, face, ends, plane, (start_x, start_y, start_z), (slow_x, slow_y, slow_z), signs, faces


@kernel
def step(
    at: int, ends: float, plane: Any, start: Any, slowness: Any, signs: Any, faces: Any, shape: tuple[int, ...]
) -> Any:
    """Returns the next cell's place, the face that it is entered by, -1 at the ray's end, and the planes ahead."""
    x = (plane[0] - start[0]) * slowness[0]
    y = (plane[1] - start[1]) * slowness[1]
    z = (plane[2] - start[2]) * slowness[2]
    along_x, along_y = (x <= y) & (x <= z), (y < x) & (y <= z)
    face = faces[0] if along_x else faces[1] if along_y else faces[2]
    step_x = signs[0] if along_x else 0
    step_y = signs[1] if along_y else 0
    step_z = 0 if along_x | along_y else signs[2]
    if min(x, y, z) >= ends:
        return at, -1, plane
    at += (step_x * shape[1] + step_y) * shape[2] + step_z
    return at, face, (plane[0] + step_x, plane[1] + step_y, plane[2] + step_z)


@kernel
def _forward(
    alpha: Array, colors: Array, number: Array, box: Array, matrix: Array, background: Array, stop: float, top: int,
    out: Array,
) -> None:  # fmt: skip
    height, width = background.shape[0], background.shape[1]
    cells, shape = number.reshape(-1), number.shape
    for tile in range(0, width, _TILE):
        for row in range(top, min(top + _BAND, height)):
            y = 1.0 - (row + 0.5) / height * 2.0
            for column in range(tile, min(tile + _TILE, width)):
                x = (column + 0.5) / width * 2.0 - 1.0
                at, face, ends, plane, start, slowness, signs, faces = first_cell(matrix, box, shape, x, y)
                left, red, green, blue = 1.0, 0.0, 0.0, 0.0
                if face < 0 and ends > 0.0:  # the cell that a ray begins in shows nothing
                    at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
                while face >= 0:
                    n = cells[at]
                    if n >= 0:
                        weight = left * alpha[n]
                        red += weight * colors[n, face, 0]
                        green += weight * colors[n, face, 1]
                        blue += weight * colors[n, face, 2]
                        left *= 1.0 - alpha[n]
                        if left <= stop:
                            break
                    at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
                out[0, row, column] = red + left * background[row, column, 0]
                out[1, row, column] = green + left * background[row, column, 1]
                out[2, row, column] = blue + left * background[row, column, 2]
                out[3, row, column] = 1.0 - left


@kernel
def _backward(
    grad: Array, out: Array, alpha: Array, colors: Array, number: Array, box: Array, matrix: Array, stop: float,
    top: int, to_cells: Array, to_background: Array,
) -> None:  # fmt: skip
    height, width = out.shape[1], out.shape[2]
    cells, shape = number.reshape(-1), number.shape
    for tile in range(0, width, _TILE):
        for row in range(top, min(top + _BAND, height)):
            y = 1.0 - (row + 0.5) / height * 2.0
            for column in range(tile, min(tile + _TILE, width)):
                x = (column + 0.5) / width * 2.0 - 1.0
                red, green, blue = grad[0, row, column], grad[1, row, column], grad[2, row, column]
                end = 1.0 - out[3, row, column]  # what is left where the ray ends
                beyond = red * out[0, row, column] + green * out[1, row, column] + blue * out[2, row, column]
                beyond -= grad[3, row, column] * end
                to_background[row, column, 0] = end * red
                to_background[row, column, 1] = end * green
                to_background[row, column, 2] = end * blue
                at, face, ends, plane, start, slowness, signs, faces = first_cell(matrix, box, shape, x, y)
                if face < 0 and ends > 0.0:
                    at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
                left = 1.0
                while face >= 0:
                    n = cells[at]
                    if n >= 0:
                        opaque = alpha[n]
                        through, weight = 1.0 - opaque, left * opaque
                        shown = red * colors[n, face, 0] + green * colors[n, face, 1] + blue * colors[n, face, 2]
                        beyond -= weight * shown
                        to_cells[n, face, 0] += weight * red
                        to_cells[n, face, 1] += weight * green
                        to_cells[n, face, 2] += weight * blue
                        to_cells[n, face, 3] += left * shown - (beyond / through if through > 0.0 else 0.0)
                        left *= through
                        if left <= stop:
                            break
                    at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
