"""Compiled walks through a grid. Importing this module imports numba; nothing is compiled until first called.

A ray goes from cell to cell (Amanatides and Woo 1987, "A Fast Voxel Traversal Algorithm for Ray Tracing"). The walk
back goes the same way again: what lies beyond a cell is the picture less what has been added so far, so that no list of
cells is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread

Array = npt.NDArray[Any]

_PARTS = 8  # of a picture, fixed, so that a result does not depend on the machine's cores
_SUMS = 2  # of gradients, likewise: each is as large as the grid


def forward(
    alpha: Array, colors: Array, number: Array, box: Array, matrix: Array, background: Array, stop: float
) -> Array:
    """Returns (4, H, W) of the type of ``alpha``; see ``walk.walk``."""
    height, width = background.shape[:2]
    out = np.empty((4, height, width), alpha.dtype)
    cuts = [height * part // _PARTS for part in range(_PARTS + 1)]
    spread(
        lambda first, last: _forward(alpha, colors, number, box, matrix, background, stop, first, last, out),
        cuts[:-1],
        cuts[1:],
    )
    return out


def backward(
    grad: Array,
    out: Array,
    alpha: Array,
    colors: Array,
    number: Array,
    box: Array,
    matrix: Array,
    background: Array,
    stop: float,
) -> tuple[Array, Array, Array]:
    """Returns the gradients (K,), (K, 6, 3) and (H, W, 3) of alpha, colours and background, in float64."""
    height, width = background.shape[:2]
    to_alpha, to_colors = np.zeros((_SUMS, len(alpha))), np.zeros((_SUMS, *colors.shape))
    to_background = np.empty((height, width, 3))

    def part(which: int) -> None:
        first, last = height * which // _SUMS, height * (which + 1) // _SUMS
        what = alpha, colors, number, box, matrix, background, stop, first, last
        _backward(grad, out, *what, to_alpha[which], to_colors[which], to_background)

    spread(part, range(_SUMS))
    return to_alpha.sum(axis=0), to_colors.sum(axis=0), to_background


@kernel
def _begin(matrix: Array, box: Array, x: float, y: float, start: Array, way: Array) -> tuple[float, float, int]:
    """Sets where a ray starts and which way it goes; returns where in the box it begins and ends, and by which axis."""
    near_w = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 3]
    far_w = near_w + matrix[3, 2]
    begins, ends, by = 0.0, 1.0, -1
    for a in range(3):
        near = matrix[a, 0] * x + matrix[a, 1] * y + matrix[a, 3]
        start[a] = near / near_w
        way[a] = (near + matrix[a, 2]) / far_w - start[a]
        if way[a] == 0.0:
            if start[a] < box[0, a] or start[a] >= box[1, a]:
                ends = -1.0
            continue
        one, other = (box[0, a] - start[a]) / way[a], (box[1, a] - start[a]) / way[a]
        if one > other:
            one, other = other, one
        if one > begins:
            begins, by = one, a
        ends = min(ends, other)
    return begins, ends, by


@kernel
def _enter(box: Array, start: Array, way: Array, begins: float, by: int, cell: Array, after: Array) -> None:
    """Sets the first cell, and where the ray leaves it along each axis."""
    for a in range(3):
        at = int(np.floor(start[a] + begins * way[a]))
        if a == by:
            at = box[0, a] if way[a] > 0.0 else box[1, a] - 1
        cell[a] = min(max(at, box[0, a]), box[1, a] - 1)
        after[a] = np.inf
        if way[a] != 0.0:
            after[a] = (cell[a] + (1 if way[a] > 0.0 else 0) - start[a]) / way[a]


@kernel
def _step(box: Array, start: Array, way: Array, ends: float, cell: Array, after: Array) -> int:
    """Goes on to the next cell; returns the axis that it is entered along, -1 at the end."""
    a = 0
    if after[1] < after[a]:
        a = 1
    if after[2] < after[a]:
        a = 2
    if after[a] >= ends:
        return -1
    cell[a] += 1 if way[a] > 0.0 else -1
    if cell[a] < box[0, a] or cell[a] >= box[1, a]:
        return -1
    after[a] = (cell[a] + (1 if way[a] > 0.0 else 0) - start[a]) / way[a]
    return a


@kernel
def _forward(
    alpha: Array, colors: Array, number: Array, box: Array, matrix: Array, background: Array, stop: float,
    first: int, last: int, out: Array,
) -> None:  # fmt: skip
    height, width = background.shape[0], background.shape[1]
    start, way, after, cell = np.empty(3), np.empty(3), np.empty(3), np.empty(3, np.int64)
    for row in range(first, last):
        y = 1.0 - (row + 0.5) / height * 2.0
        for column in range(width):
            x = (column + 0.5) / width * 2.0 - 1.0
            begins, ends, by = _begin(matrix, box, x, y, start, way)
            left, red, green, blue = 1.0, 0.0, 0.0, 0.0
            if begins < ends:
                _enter(box, start, way, begins, by, cell, after)
                entered = by >= 0
                while True:
                    n = number[cell[0], cell[1], cell[2]]
                    if entered and n >= 0:
                        face = 2 * by + (1 if way[by] > 0.0 else 0)
                        weight = left * alpha[n]
                        red += weight * colors[n, face, 0]
                        green += weight * colors[n, face, 1]
                        blue += weight * colors[n, face, 2]
                        left *= 1.0 - alpha[n]
                        if left <= stop:
                            break
                    by = _step(box, start, way, ends, cell, after)
                    entered = True
                    if by < 0:
                        break
            out[0, row, column] = red + left * background[row, column, 0]
            out[1, row, column] = green + left * background[row, column, 1]
            out[2, row, column] = blue + left * background[row, column, 2]
            out[3, row, column] = 1.0 - left


@kernel
def _backward(
    grad: Array, out: Array, alpha: Array, colors: Array, number: Array, box: Array, matrix: Array, background: Array,
    stop: float, first: int, last: int, to_alpha: Array, to_colors: Array, to_background: Array,
) -> None:  # fmt: skip
    height, width = background.shape[0], background.shape[1]
    start, way, after, cell = np.empty(3), np.empty(3), np.empty(3), np.empty(3, np.int64)
    for row in range(first, last):
        y = 1.0 - (row + 0.5) / height * 2.0
        for column in range(width):
            x = (column + 0.5) / width * 2.0 - 1.0
            end = 1.0 - out[3, row, column]  # what is left where the ray ends
            beyond = grad[3, row, column] * -end
            for c in range(3):
                beyond += grad[c, row, column] * out[c, row, column]
                to_background[row, column, c] = end * grad[c, row, column]
            begins, ends, by = _begin(matrix, box, x, y, start, way)
            if begins >= ends:
                continue
            _enter(box, start, way, begins, by, cell, after)
            entered, left = by >= 0, 1.0
            while True:
                n = number[cell[0], cell[1], cell[2]]
                if entered and n >= 0:
                    face = 2 * by + (1 if way[by] > 0.0 else 0)
                    through, shown = 1.0 - alpha[n], 0.0
                    for c in range(3):
                        shown += grad[c, row, column] * colors[n, face, c]
                        to_colors[n, face, c] += left * alpha[n] * grad[c, row, column]
                    beyond -= left * alpha[n] * shown
                    to_alpha[n] += left * shown - (beyond / through if through > 0.0 else 0.0)
                    left *= through
                    if left <= stop:
                        break
                by = _step(box, start, way, ends, cell, after)
                entered = True
                if by < 0:
                    break
