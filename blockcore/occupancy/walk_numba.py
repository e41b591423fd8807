"""Compiled walks through a grid. Importing this module imports numba; nothing is compiled until first called.

How a ray goes, ``rays_numba`` tells. The walk back goes the same way again: what lies beyond a cell is the picture less
what has been added so far, so that no list of cells is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread
from blockcore.occupancy.rays import Rays
from blockcore.occupancy.rays_numba import UNSURE, drawn_axis, first_cell, next_axis, onward

Array = npt.NDArray[Any]

_BAND = 16  # rows of a piece of work, fixed, so that a result does not depend on the machine's cores
_TILE = 16  # columns that are walked together: neighbouring rays meet the same cells
_SUMS = 4  # of gradients, fixed likewise: each is as large as the grid


def forward(faces: Array, number: Array, box: Array, rays: Sequence[Rays], background: Array, stop: float) -> Array:
    """Returns (B, 4, H, W) of the type of ``faces``; see ``walk.walk``."""
    views, height, width = background.shape[:3]
    out = np.empty((views, 4, height, width), faces.dtype)
    what = faces, number, box

    def band(view: int, first: int) -> None:
        _forward(*what, rays[view], background[view], stop, first, out[view])

    spread(band, *_bands(views, height))
    return out


def backward(
    grad: Array,
    out: Array,
    faces: Array,
    number: Array,
    box: Array,
    rays: Sequence[Rays],
    stop: float,
) -> Array:
    """Returns the gradient (K, 6, 4) of faces."""
    to_faces = np.empty((_SUMS, *faces.shape), faces.dtype)
    to_faces.fill(0.0)  # not zeros, whose pages come one at a time and to all threads at once
    work = list(zip(*_bands(len(out), out.shape[2]), strict=True))

    def part(which: int) -> None:
        for view, first in work[which::_SUMS]:
            what = faces, number, box, rays[view], stop, first
            _backward(grad[view], out[view], *what, to_faces[which])

    spread(part, range(_SUMS))
    total: Array = to_faces[0]
    for more in to_faces[1:]:
        total += more
    return total


def _bands(views: int, height: int) -> tuple[list[int], list[int]]:
    """Returns the view and the first row of every piece of work."""
    pieces = [(view, first) for view in range(views) for first in range(0, height, _BAND)]
    return [view for view, _ in pieces], [first for _, first in pieces]


@kernel
def _forward(
    faces: Array, number: Array, box: Array, rays: Any, background: Array, stop: float, top: int, out: Array
) -> None:  # fmt: skip
    height, width = background.shape[0], background.shape[1]
    cells, shape = number.reshape(-1), number.shape
    for tile in range(0, width, _TILE):
        for row in range(top, min(top + _BAND, height)):
            for column in range(tile, min(tile + _TILE, width)):
                left, red, green, blue = 1.0, 0.0, 0.0, 0.0
                at, plane, ray = first_cell(rays, box, shape, row, column, height, width)
                while True:
                    axis = next_axis(plane, ray)
                    if axis == UNSURE:
                        axis = drawn_axis(plane, rays, ray)
                    if axis < 0:
                        break
                    at, face, plane = onward(at, plane, ray, axis, shape)
                    n = cells[at]
                    if n >= 0:
                        red += left * faces[n, face, 0]
                        green += left * faces[n, face, 1]
                        blue += left * faces[n, face, 2]
                        left *= 1.0 - faces[n, face, 3]
                        if left <= stop:
                            break
                out[0, row, column] = red + left * background[row, column, 0]
                out[1, row, column] = green + left * background[row, column, 1]
                out[2, row, column] = blue + left * background[row, column, 2]
                out[3, row, column] = 1.0 - left


@kernel
def _backward(
    grad: Array, out: Array, faces: Array, number: Array, box: Array, rays: Any, stop: float, top: int,
    to_faces: Array,
) -> None:  # fmt: skip
    height, width = out.shape[1], out.shape[2]
    cells, shape = number.reshape(-1), number.shape
    for tile in range(0, width, _TILE):
        for row in range(top, min(top + _BAND, height)):
            for column in range(tile, min(tile + _TILE, width)):
                red, green, blue = grad[0, row, column], grad[1, row, column], grad[2, row, column]
                end = 1.0 - out[3, row, column]  # what is left where the ray ends
                beyond = red * out[0, row, column] + green * out[1, row, column] + blue * out[2, row, column]
                beyond -= grad[3, row, column] * end
                left = 1.0
                at, plane, ray = first_cell(rays, box, shape, row, column, height, width)
                while True:
                    axis = next_axis(plane, ray)
                    if axis == UNSURE:
                        axis = drawn_axis(plane, rays, ray)
                    if axis < 0:
                        break
                    at, face, plane = onward(at, plane, ray, axis, shape)
                    n = cells[at]
                    if n >= 0:
                        through = 1.0 - faces[n, face, 3]
                        shown = red * faces[n, face, 0] + green * faces[n, face, 1] + blue * faces[n, face, 2]
                        beyond -= left * shown
                        to_faces[n, face, 0] += left * red
                        to_faces[n, face, 1] += left * green
                        to_faces[n, face, 2] += left * blue
                        to_faces[n, face, 3] -= beyond / through if through > 0.0 else 0.0
                        left *= through
                        if left <= stop:
                            break
