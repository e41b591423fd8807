"""Steps of rays through a grid in Triton kernels; see ``rays_numba``, of which this is the same, ray by ray."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl

from blockcore.occupancy.rays import Rays
from blockcore.visibility.clip_triton import snap, transform

PLACES = tl.constexpr(39)  # of a camera's rays in a table: two matrices, what is unsure, centre and scale
UNSURE = tl.constexpr(3)
_STILL = tl.constexpr(1e-30)  # of the way along an axis: the ray does not go along it
_ONE = tl.constexpr(256)  # parts of a pixel to which corners are snapped
_NEVER = tl.constexpr(float("inf"))


def table(rays: Sequence[Rays], device: torch.device) -> torch.Tensor:
    """Returns cameras' rays as kernels read them, (B, ``PLACES``) float64: one tensor, for every upload takes time."""
    rows = [
        np.concatenate([r.to_lattice.ravel(), r.to_clip.ravel().astype(np.float64), r.unsure, r.center, [r.scale]])
        for r in rays
    ]
    return torch.from_numpy(np.stack(rows)).to(device)


@triton.jit
def _axis(rays, a: tl.constexpr, x, y, size):
    """Returns where rays start along an axis, their way, the inverse of it, and where they enter and leave the grid."""
    near_w = tl.load(rays + 12) * x + tl.load(rays + 13) * y + tl.load(rays + 15)
    near = tl.load(rays + 4 * a) * x + tl.load(rays + 4 * a + 1) * y + tl.load(rays + 4 * a + 3)
    start = near / near_w
    way = (near + tl.load(rays + 4 * a + 2)) / (near_w + tl.load(rays + 14)) - start
    still = tl.abs(way) < _STILL
    way = tl.where(still, 0.0, way)
    slowness = tl.where(still, _NEVER, 1.0 / tl.where(still, 1.0, way))
    one, other = (0.0 - start) * slowness, (size - start) * slowness
    inside = (start >= 0.0) & (start < size)
    enters = tl.where(still, tl.where(inside, -_NEVER, _NEVER), tl.minimum(one, other))
    leaves = tl.where(still, tl.where(inside, _NEVER, -_NEVER), tl.maximum(one, other))
    return start, way, slowness, enters, leaves


@triton.jit
def _first(start, way, begins, enters, size):
    """Returns the cell, along an axis, that rays are in where they begin."""
    inside = tl.minimum(tl.maximum(tl.floor(start + begins * way), 0.0), size - 1.0)
    return tl.where(begins == enters, tl.where(way > 0.0, 0.0, size - 1.0), inside)


@triton.jit
def first_cell(rays, row, column, height, width, size_x, size_y, size_z):
    """Puts pixels' rays at their first cells.

    Returns:
        The cells' places in the grid, the planes ahead, and what ``next_axis`` is to know of the rays: where they end,
        start, the inverse of their ways, the signs of these, and how near to a plane they are unsure of it.
    """
    x, y = (column.to(tl.float64) + 0.5) / width * 2.0 - 1.0, 1.0 - (row.to(tl.float64) + 0.5) / height * 2.0
    start_x, way_x, slow_x, enters_x, leaves_x = _axis(rays, 0, x, y, size_x)
    start_y, way_y, slow_y, enters_y, leaves_y = _axis(rays, 1, x, y, size_y)
    start_z, way_z, slow_z, enters_z, leaves_z = _axis(rays, 2, x, y, size_z)
    begins = tl.maximum(tl.maximum(enters_x, 0.0), tl.maximum(enters_y, enters_z))
    ends = tl.minimum(tl.minimum(leaves_x, 1.0), tl.minimum(leaves_y, leaves_z))
    meets = begins < ends
    begins, ends = tl.where(meets, begins, 0.0), tl.where(meets, ends, -_NEVER)
    cell_x = _first(start_x, way_x, begins, enters_x, size_x)
    cell_y = _first(start_y, way_y, begins, enters_y, size_y)
    cell_z = _first(start_z, way_z, begins, enters_z, size_z)
    at = (cell_x.to(tl.int32) * size_y + cell_y.to(tl.int32)) * size_z + cell_z.to(tl.int32)
    plane = cell_x + (way_x >= 0.0), cell_y + (way_y >= 0.0), cell_z + (way_z >= 0.0)
    sign_x, sign_y = tl.where(way_x >= 0.0, 1, -1), tl.where(way_y >= 0.0, 1, -1)
    signs = sign_x, sign_y, tl.where(way_z >= 0.0, 1, -1)
    blur_x, blur_y = tl.load(rays + 32) * tl.abs(slow_x), tl.load(rays + 33) * tl.abs(slow_y)
    blur = blur_x, blur_y, tl.load(rays + 34) * tl.abs(slow_z)
    return at, plane, ends, (start_x, start_y, start_z), (slow_x, slow_y, slow_z), signs, blur


@triton.jit
def _met(plane, start, slowness):
    """Returns where on rays the planes ahead are, and along which axis the first of them is."""
    x, y, z = (
        (plane[0] - start[0]) * slowness[0],
        (plane[1] - start[1]) * slowness[1],
        (plane[2] - start[2]) * slowness[2],
    )
    axis = tl.where((x <= y) & (x <= z), 0, tl.where(y <= z, 1, 2))
    return x, y, z, axis


@triton.jit
def next_axis(plane, ends, start, slowness, blur):
    """Returns the axes whose planes rays meet next: -1 at their end, ``UNSURE`` so near to an edge that it is drawn."""
    x, y, z, axis = _met(plane, start, slowness)
    least = tl.minimum(x, tl.minimum(y, z))
    sure = least + tl.where(axis == 0, blur[0], tl.where(axis == 1, blur[1], blur[2]))
    near = (x - blur[0] <= sure).to(tl.int32) + (y - blur[1] <= sure).to(tl.int32) + (z - blur[2] <= sure).to(tl.int32)
    return tl.where(least < ends, tl.where(near > 1, UNSURE, axis), -1)


@triton.jit
def onward(at, plane, signs, axis, size_y, size_z):
    """Returns the next cells' places, the faces that they are entered by, and the planes ahead."""
    step_x, step_y = tl.where(axis == 0, signs[0], 0), tl.where(axis == 1, signs[1], 0)
    step_z = tl.where(axis == 2, signs[2], 0)
    face = 2 * axis + (step_x + step_y + step_z > 0)
    return (
        at + (step_x * size_y + step_y) * size_z + step_z,
        face,
        (plane[0] + step_x, plane[1] + step_y, plane[2] + step_z),
    )


@triton.jit
def drawn_axis(rays, row, column, height, width, plane, ends, start, slowness, signs, blur):
    """Returns the axes along which rays leave cells that come near to an edge: as the edge is drawn."""
    x, y, z, axis = _met(plane, start, slowness)
    sure = tl.minimum(x, tl.minimum(y, z)) + tl.where(axis == 0, blur[0], tl.where(axis == 1, blur[1], blur[2]))
    right, below = column.to(tl.int64) * _ONE, row.to(tl.int64) * _ONE
    end = _corner(rays, plane[0], plane[1], plane[2], height, width)
    back_x = _corner(rays, plane[0] - signs[0], plane[1], plane[2], height, width)
    back_y = _corner(rays, plane[0], plane[1] - signs[1], plane[2], height, width)
    back_z = _corner(rays, plane[0], plane[1], plane[2] - signs[2], height, width)
    near = (x < ends) & (x - blur[0] <= sure) & (axis != 0)
    axis = tl.where(near, _drawn(axis, 0, end, back_x, back_y, back_z, right, below), axis)
    near = (y < ends) & (y - blur[1] <= sure) & (axis != 1)
    axis = tl.where(near, _drawn(axis, 1, end, back_x, back_y, back_z, right, below), axis)
    near = (z < ends) & (z - blur[2] <= sure) & (axis != 2)
    return tl.where(near, _drawn(axis, 2, end, back_x, back_y, back_z, right, below), axis)


@triton.jit
def _drawn(axis, other: tl.constexpr, end, back_x, back_y, back_z, right, below):
    """Returns by which of two faces rays leave their cells: the one on whose side of their edge the pixels lie."""
    begin_x, begin_y, begin_there = _select(3 - axis - other, back_x, back_y, back_z)
    face_x, face_y, face_there = _select(tl.zeros_like(axis) + other, back_x, back_y, back_z)
    across, down = begin_x - end[0], begin_y - end[1]
    inner = across * (face_y - end[1]) - down * (face_x - end[0])
    side = across * (below - end[1]) - down * (right - end[0])
    side = tl.where(side == 0, tl.where(down != 0, -down, across), side)  # a trace to the right and, less yet, below
    stays = (inner == 0) | (side == 0) | ((side > 0) == (inner > 0))
    return tl.where(stays | (end[2] & begin_there & face_there == 0), axis, other)


@triton.jit
def _select(axis, x, y, z):
    """Returns one of three corners in every lane."""
    across = tl.where(axis == 0, x[0], tl.where(axis == 1, y[0], z[0]))
    down = tl.where(axis == 0, x[1], tl.where(axis == 1, y[1], z[1]))
    return across, down, tl.where(axis == 0, x[2], tl.where(axis == 1, y[2], z[2]))


@triton.jit
def _corner(rays, x, y, z, height, width):
    """Returns where corners of the lattice are drawn, in 1/256 of a pixel, and 1 where they are at all."""
    scale = tl.load(rays + 38)
    x = ((x - tl.load(rays + 35)) * scale).to(tl.float32)
    y = ((y - tl.load(rays + 36)) * scale).to(tl.float32)
    z = ((z - tl.load(rays + 37)) * scale).to(tl.float32)
    clip = transform(x, y, z, rays + 16)
    column, row, depth = snap(clip, width, height, _ONE)
    there = ((clip[3] > 0.0) & (depth == depth)).to(tl.int32)
    return column.to(tl.int64), row.to(tl.int64), there
