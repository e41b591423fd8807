"""Compiled steps of rays through a grid. Importing this module imports numba; nothing is compiled until first called.

A ray goes from cell to cell (Amanatides and Woo 1987, "A Fast Voxel Traversal Algorithm for Ray Tracing"). Which plane
comes next cannot be foretold, so a step hardly has a branch: all three axes are worked out again, and one of them has
moved. A plane's place on the ray is always the same product, ``(plane - start) * slowness``, that of a plane which
bounds the grid too; so a ray that has not met its end is inside, and no step has to look.

The rasteriser snaps the corners of faces to 1/256 of a pixel. A ray that comes so near to an edge of the lattice leaves
its cell by the face in which the pixel's centre lies as drawn: whole numbers tell, and the top-left rule. Hence a block
is met where it would be drawn, but where an edge leaves the picture: the rasteriser cuts it there before it snaps it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.visibility.reference import WINDOW_LIMIT

Array = npt.NDArray[Any]

UNSURE = 3
_STILL = 1e-30  # of the way along an axis: the ray does not go along it
_BITS = 8  # of a pixel's fraction, to which corners are snapped
_LIMIT = np.float32(WINDOW_LIMIT)


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
def first_cell(rays: Any, box: Array, shape: tuple[int, ...], row: int, column: int, height: int, width: int) -> Any:
    """Puts a pixel's ray at its first cell of a box that is a cell of air wider than what may hold blocks.

    Args:
        rays: ``rays.Rays``.
        box: (2, 3) int64: its lowest cell, and one further than its highest.
        shape: of the grid.
        row: of the pixel.
        column: of the pixel.
        height: of the picture.
        width: of the picture.

    Returns:
        The cell's place in the grid; the planes ahead; and what ``step`` is to know of the ray, which ends before it
        begins where it misses the box.
    """
    x, y = (column + 0.5) / width * 2.0 - 1.0, 1.0 - (row + 0.5) / height * 2.0
    matrix, unsure = rays.to_lattice, rays.unsure
    start_x, way_x, slow_x, enters_x, leaves_x = _axis(matrix, 0, x, y, box[0, 0], box[1, 0])
    start_y, way_y, slow_y, enters_y, leaves_y = _axis(matrix, 1, x, y, box[0, 1], box[1, 1])
    start_z, way_z, slow_z, enters_z, leaves_z = _axis(matrix, 2, x, y, box[0, 2], box[1, 2])
    begins = max(0.0, enters_x, enters_y, enters_z)
    ends = min(1.0, leaves_x, leaves_y, leaves_z)
    begins, ends = (begins, ends) if begins < ends else (0.0, -np.inf)
    by_x, by_y, by_z = begins == enters_x, begins == enters_y, begins == enters_z
    cell_x = _first(start_x, way_x, begins, by_x, box[0, 0], box[1, 0])
    cell_y = _first(start_y, way_y, begins, by_y, box[0, 1], box[1, 1])
    cell_z = _first(start_z, way_z, begins, by_z, box[0, 2], box[1, 2])
    ahead_x, ahead_y, ahead_z = way_x >= 0.0, way_y >= 0.0, way_z >= 0.0
    plane = float(cell_x + ahead_x), float(cell_y + ahead_y), float(cell_z + ahead_z)
    signs = 1 if ahead_x else -1, 1 if ahead_y else -1, 1 if ahead_z else -1
    at = (cell_x * shape[1] + cell_y) * shape[2] + cell_z
    slowness = slow_x, slow_y, slow_z
    blur = unsure[0] * abs(slow_x), unsure[1] * abs(slow_y), unsure[2] * abs(slow_z)
    near = 0.0
    near = max(near, blur[0]) if (plane[0] - start_x) * slow_x < ends else near
    near = max(near, blur[1]) if (plane[1] - start_y) * slow_y < ends else near
    near = max(near, blur[2]) if (plane[2] - start_z) * slow_z < ends else near
    near *= 2.0
    faces = 0 + ahead_x, 2 + ahead_y, 4 + ahead_z
    pixel = column << _BITS, row << _BITS, np.float32(width * 0.5), np.float32(height * 0.5)
    return at, plane, (ends, (start_x, start_y, start_z), slowness, blur, near, signs, faces, pixel)


@kernel
def _met(plane: Any, start: Any, slowness: Any) -> tuple[float, float, float, int]:
    """Returns where on a ray the planes ahead are, and along which axis the first of them is."""
    x = (plane[0] - start[0]) * slowness[0]
    y = (plane[1] - start[1]) * slowness[1]
    z = (plane[2] - start[2]) * slowness[2]
    return x, y, z, 0 if (x <= y) & (x <= z) else 1 if y <= z else 2


@kernel
def next_axis(plane: Any, ray: Any) -> int:
    """Returns the axis whose plane a ray meets next: -1 at its end, ``UNSURE`` so near to an edge that it is drawn.

    Who walks asks ``drawn_axis`` then: with all that it needs to know, this here would be too large to be inlined.
    """
    ends, start, slowness, blur, near, _, _, _ = ray
    x, y, z, axis = _met(plane, start, slowness)
    least = min(x, y, z)
    if max(min(x, y), min(max(x, y), z)) - least <= near:  # seldom, and then often not by what the two say themselves
        sure = least + (blur[0] if axis == 0 else blur[1] if axis == 1 else blur[2])
        if (x - blur[0] <= sure) + (y - blur[1] <= sure) + (z - blur[2] <= sure) > 1:
            axis = UNSURE
    return axis if least < ends else -1


@kernel
def onward(at: int, plane: Any, ray: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Returns the next cell's place, the face that it is entered by, and the planes ahead."""
    signs, faces = ray[5], ray[6]
    face = faces[0] if axis == 0 else faces[1] if axis == 1 else faces[2]
    step_x = signs[0] if axis == 0 else 0
    step_y = signs[1] if axis == 1 else 0
    step_z = signs[2] if axis == 2 else 0
    at += (step_x * shape[1] + step_y) * shape[2] + step_z
    return at, face, (plane[0] + step_x, plane[1] + step_y, plane[2] + step_z)


@kernel
def drawn_axis(plane: Any, rays: Any, ray: Any) -> int:
    """Returns the axis along which a ray leaves its cell that comes near to an edge: as the edge is drawn."""
    ends, start, slowness, blur, _, signs, _, pixel = ray
    x, y, z, axis = _met(plane, start, slowness)
    met, least = (x, y, z), min(x, y, z)
    for other in range(3):
        # Outside the ring there is nothing: a ray stays inside until it has met its end.
        if other != axis and met[other] < ends and met[other] - blur[other] <= least + blur[axis]:
            axis = _drawn(axis, other, plane, signs, pixel, rays)
    return axis


@kernel
def _drawn(axis: int, other: int, plane: Any, signs: Any, pixel: Any, rays: Any) -> int:
    """Returns by which of two faces a ray leaves its cell: the one on whose side of their edge the pixel lies.

    Where the edge or the face is drawn as a point or a line, it is ``axis``.
    """
    along = 3 - axis - other
    end_x, end_y, end_there = _corner(plane, signs, -1, pixel, rays)
    begin_x, begin_y, begin_there = _corner(plane, signs, along, pixel, rays)
    face_x, face_y, face_there = _corner(plane, signs, other, pixel, rays)
    if not (end_there and begin_there and face_there):
        return axis
    across, down = begin_x - end_x, begin_y - end_y
    inner = across * (face_y - end_y) - down * (face_x - end_x)
    side = across * (pixel[1] - end_y) - down * (pixel[0] - end_x)
    if side == 0:  # on the edge: the pixel lies a trace to the right and, less yet, below
        side = -down if down != 0 else across
    return axis if inner == 0 or side == 0 or (side > 0) == (inner > 0) else other


@kernel
def _corner(plane: Any, signs: Any, back: int, pixel: Any, rays: Any) -> tuple[int, int, bool]:
    """Returns where a corner is drawn, in 1/256 of a pixel from the centre of pixel (0, 0), and whether it is at all.

    It is the one where the planes ahead meet, or its neighbour back along an axis. In float32 and in the order of
    ``visibility.reference``, to the last bit.
    """
    m, scale, center = rays.to_clip, rays.scale, rays.center
    x = np.float32((plane[0] - (signs[0] if back == 0 else 0) - center[0]) * scale)
    y = np.float32((plane[1] - (signs[1] if back == 1 else 0) - center[1]) * scale)
    z = np.float32((plane[2] - (signs[2] if back == 2 else 0) - center[2]) * scale)
    w = ((m[3, 3] + z * m[3, 2]) + y * m[3, 1]) + x * m[3, 0]
    if not w > np.float32(0.0):
        return 0, 0, False
    inverse = np.float32(1.0) / w
    across = (((m[0, 3] + z * m[0, 2]) + y * m[0, 1]) + x * m[0, 0]) * inverse
    down = (((m[1, 3] + z * m[1, 2]) + y * m[1, 1]) + x * m[1, 0]) * inverse
    column = (across * pixel[2] + pixel[2]) - np.float32(0.5)
    row = (down * -pixel[3] + pixel[3]) - np.float32(0.5)
    if not (abs(column) < _LIMIT and abs(row) < _LIMIT):
        return 0, 0, False
    one = np.float32(1 << _BITS)
    return int(np.rint(column * one)), int(np.rint(row * one)), True
