"""Compiled lines of sight, along the rays of ``rays_numba``. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.occupancy.rays_numba import UNSURE, drawn_axis, first_cell, next_axis, onward

Array = npt.NDArray[Any]


@kernel
def follow(rays: Any, number: Array, box: Array, counts: Array) -> tuple[Array, Array]:
    """Lists the cells that each pixel's ray meets, front to back.

    Args:
        rays: ``rays.Rays``.
        number: (X, Y, Z) int32: which cell each is, -1 for those that are not listed, among them a ring around.
        box: (2, 3) int64: the lowest and, one further, the highest cell that rays are followed in.
        counts: (H, W) bool: whether a pixel is asked for.

    Returns:
        (H·W,) how many each ray meets; the cells, each as six times its number plus the face that is met.
    """
    height, width = counts.shape
    cells, shape = number.reshape(-1), number.shape
    lengths, entries, count = np.zeros(height * width, np.int64), np.empty(1 << 16, np.int32), 0
    most = shape[0] + shape[1] + shape[2]
    for row in range(height):
        for column in range(width):
            if not counts[row, column]:
                continue
            if count + most > len(entries):
                larger = np.empty(2 * len(entries) + most, np.int32)
                for i in range(count):
                    larger[i] = entries[i]
                entries = larger
            began = count
            at, plane, ray = first_cell(rays, box, shape, row, column, height, width)
            while True:
                axis = next_axis(plane, ray)
                if axis == UNSURE:
                    axis = drawn_axis(plane, rays, ray)
                if axis < 0:
                    break
                at, face, plane = onward(at, plane, ray, axis, shape)
                if cells[at] >= 0:
                    entries[count] = cells[at] * 6 + face
                    count += 1
            lengths[row * width + column] = count - began
    return lengths, entries[:count].copy()


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
