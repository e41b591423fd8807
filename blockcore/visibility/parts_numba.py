"""Compiled loops that number the parts of faces which views show. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from blockcore.machine.compiled import kernel


@kernel
def mark_faces(triangle_id: Any, seen: Any) -> None:
    """Sets seen (F + 1,) at 1 + the face of each pixel of (H, W) triangle ids, and at 0 for none."""
    for row in range(triangle_id.shape[0]):
        for column in range(triangle_id.shape[1]):
            seen[(triangle_id[row, column] + 1) >> 1] = True


@kernel
def code_faces(triangle_id: Any, number: Any, codes: Any) -> None:
    """Fills codes (H, W) with ``number`` (F + 1,) of each pixel's face."""
    for row in range(triangle_id.shape[0]):
        for column in range(triangle_id.shape[1]):
            codes[row, column] = number[(triangle_id[row, column] + 1) >> 1]


@kernel
def code_parts(
    triangle_id: Any, number: Any, direction: Any, uv: Any, widths: Any, heights: Any, side: Any, most: Any, codes: Any
) -> None:
    """Fills codes (H, W) with the part of a face that each pixel shows, -1 for none.

    Column and row of a part are sums of the texel indices in tiles of every size that some material has on a face of
    that direction: they grow by one at each border, and by as many where borders of several sizes coincide.

    Args:
        triangle_id: (H, W) int32.
        number: (F + 1,) of each face, -1 for none; the first is that of no face.
        direction: (F,) of each face.
        uv: (2, H, W) float32 texture coordinates.
        widths: (6, n) float32, the widths of tiles in each direction, filled up with 1.
        heights: (6, m) float32, likewise.
        side: texels of the light along an edge.
        most: (2,) rows and columns that tiles cut a face into.
        codes: (H, W) int64: ((number · rows + row) · columns + column) · side² + texel of the light.
    """
    for y in range(triangle_id.shape[0]):
        for x in range(triangle_id.shape[1]):
            face = (triangle_id[y, x] + 1) >> 1
            if face == 0:
                codes[y, x] = -1
                continue
            u, v = uv[0, y, x], uv[1, y, x]
            column = _cut(u, widths, direction[face - 1])
            row = _cut(v, heights, direction[face - 1])
            tile = (number[face] * most[0] + row) * most[1] + column
            codes[y, x] = (tile * side + _texel(v, np.float32(side))) * side + _texel(u, np.float32(side))


@kernel
def _cut(at: Any, sides: Any, direction: Any) -> Any:
    part = np.int64(0)
    for k in range(sides.shape[1]):
        part += _texel(at, sides[direction, k])
    return part


@kernel
def _texel(at: Any, side: Any) -> Any:
    return min(max(np.int64(np.floor(at * side)), np.int64(0)), np.int64(side) - 1)


@kernel
def mark_codes(codes: Any, first: Any, seen: Any) -> None:
    """Sets seen (n,) where a pixel has the code ``first`` + its index."""
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            code = codes[row, column] - first
            if 0 <= code < len(seen):
                seen[code] = True


@kernel
def renumber(codes: Any, first: Any, number: Any, parts: Any) -> None:
    """Fills parts (H, W) with ``number`` (n,) of the codes from ``first`` on; others stay."""
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            code = codes[row, column] - first
            if 0 <= code < len(number):
                parts[row, column] = number[code]


@kernel
def share(shown: Any, groups: Any, step: Any, most: Any, slots: Any, owner: Any, index: Any) -> Any:
    """Numbers lights by what cell of ``step`` they lie in, in the order in which cells are come upon.

    Args:
        shown: (P, 3) float64, not below 0.
        groups: (P,) int64; lights of different groups never share a cell.
        step: edge of a cell.
        most: cells that may be found.
        slots: (S,) int64 filled with -1: a hash table, S a power of 2 above 2 · most.
        owner: (most,) int64: the first light of each cell.
        index: (P,) int64: the cell of each light.

    Returns:
        How many cells there are, or -1 where they are more than may be.
    """
    found, mask = 0, len(slots) - 1
    for p in range(len(shown)):
        key = _cell(shown, p, step)
        at = _mixed(groups[p], key) & mask
        while True:
            cell = slots[at]
            if cell < 0:
                if found == most:
                    return -1
                slots[at], owner[found], index[p] = found, p, found
                found += 1
                break
            if groups[owner[cell]] == groups[p] and _cell(shown, owner[cell], step) == key:
                index[p] = cell
                break
            at = (at + 1) & mask
    return found


@kernel
def _cell(shown: Any, p: Any, step: Any) -> Any:
    half = step / 2.0
    red, green, blue = shown[p, 0] + half, shown[p, 1] + half, shown[p, 2] + half
    return np.int64(red / step), np.int64(green / step), np.int64(blue / step)


@kernel
def _mixed(group: Any, cell: Any) -> Any:
    """Spreads four numbers over all bits (multiplicative hashing, Knuth, "The Art of Computer Programming", 6.4)."""
    key = group * np.int64(0x9E3779B1) + cell[0]
    key = (key ^ (key >> 15)) * np.int64(0x85EBCA77) + cell[1]
    key = (key ^ (key >> 13)) * np.int64(0xC2B2AE3D) + cell[2]
    key = (key ^ (key >> 16)) * np.int64(0x27D4EB2F)
    return (key ^ (key >> 15)) & np.int64(0x7FFFFFFFFFFFFFFF)
