"""Compiled loops over the pixels of faces with tiles. Importing this module imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count
from blockcore.model.grid import FACE_CORNERS, FACE_UVS, TRIANGLE_CORNERS, ExposedFaces

_LANES = 16  # pixels that vector code does at a time
_BELOW_ONE = np.nextafter(np.float32(1.0), np.float32(0.0))
_BANDS = 3  # per thread: more would prepare triangles again, fewer leave a thread waiting for another's last band
_BAND_PIXELS = 1 << 14  # fewer are not worth the start


class _View(NamedTuple):
    """What the loops need of the faces and the camera."""

    cell: npt.NDArray[np.int32]
    direction: npt.NDArray[np.int32]
    center: npt.NDArray[np.float64]
    scale: float
    view_proj: npt.NDArray[np.float32]
    grid: npt.NDArray[np.float64]  # corners snap to 1/grid of half the picture, (2,); 0 where they do not

    @staticmethod
    def of(
        faces: ExposedFaces, view_proj: npt.NDArray[np.float32], shape: tuple[int, ...], snapped_bits: int | None
    ) -> _View:
        """Collects it; see ``texels.texture_coordinates``."""
        center = np.array([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2])
        grid = np.array([shape[1], shape[0]]) / 2 * (0 if snapped_bits is None else 1 << snapped_bits)
        return _View(faces.cell, faces.direction, center, faces.world_scale, view_proj, grid)


def texture_coordinates(
    faces: ExposedFaces,
    view_proj: npt.NDArray[np.float32],
    triangle_id: npt.NDArray[np.int32],
    snapped_bits: int | None,
) -> npt.NDArray[np.float32]:
    """Returns (2, H, W) float32, u and v; see ``texels.texture_coordinates``."""
    uv = np.zeros((2, *triangle_id.shape), np.float32)
    view = _View.of(faces, view_proj, triangle_id.shape, snapped_bits)
    _in_bands(triangle_id.shape, lambda top, bottom: _coordinates(triangle_id, top, bottom, view, uv))
    return uv


def look_up(
    faces: ExposedFaces,
    view_proj: npt.NDArray[np.float32],
    triangle_id: npt.NDArray[np.int32],
    snapped_bits: int | None,
    table: npt.NDArray[np.uint32],
    tile: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint32]:
    """Returns (H, W) uint32, what each pixel stores; see ``frames.FrameColors`` for the tables."""
    out = np.empty(triangle_id.shape, np.uint32)
    view = _View.of(faces, view_proj, triangle_id.shape, snapped_bits)
    _in_bands(triangle_id.shape, lambda top, bottom: _look_up(triangle_id, top, bottom, view, table, tile, out))
    return out


def _in_bands(shape: tuple[int, ...], draw: Callable[[int, int], None]) -> None:
    """Calls ``draw`` with the first and the last row, exclusive, of bands that threads may do at a time."""
    threads = thread_count()
    bands = 1 if threads == 1 else min(shape[0], _BANDS * threads, -(-shape[0] * shape[1] // _BAND_PIXELS))
    cuts = [shape[0] * band // bands for band in range(bands + 1)]
    spread(draw, cuts[:-1], cuts[1:])


# No array is sliced in what follows: a slice counts references, which takes longer than a short run of pixels.


@kernel
def _set_up(triangle: Any, view: Any, world: Any, clip: Any, planes: Any, at: Any) -> None:
    """Fills planes[at], (3, 3): at (x, y, 1), x and y in −1…1, it gives u, v and 1, each times the same factor."""
    face, half = triangle // 2, triangle % 2
    d = view.direction[face]
    for i in range(3):
        corner = TRIANGLE_CORNERS[half, i]
        for axis in range(3):
            world[axis] = (view.cell[face, axis] + FACE_CORNERS[d, corner, axis] - view.center[axis]) * view.scale
        for row in range(4):  # in float32, as the vertex shader does
            beside = view.view_proj[row, 3] + world[2] * view.view_proj[row, 2]
            clip[i, row] = (beside + world[1] * view.view_proj[row, 1]) + world[0] * view.view_proj[row, 0]
    if view.grid[0] > 0.0 and min(clip[0, 3], clip[1, 3], clip[2, 3]) > 0.0:
        for i in range(3):
            for axis in range(2):
                w, grid = clip[i, 3], view.grid[axis]
                clip[i, axis] = np.rint((clip[i, axis] / w + 1.0) * grid) / grid * w - w
    for row in range(3):
        for column in range(3):
            planes[at, row, column] = 0.0
    # The adjugate of the matrix of the corners' x, y, w; its determinant falls out of u and v.
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        xj, yj, wj = clip[j, 0], clip[j, 1], clip[j, 3]
        xk, yk, wk = clip[k, 0], clip[k, 1], clip[k, 3]
        corner = TRIANGLE_CORNERS[half, i]
        for row in range(3):
            factor = FACE_UVS[d, corner, row] if row < 2 else np.float32(1.0)
            planes[at, row, 0] += (yj * wk - wj * yk) * factor
            planes[at, row, 1] += (wj * xk - xj * wk) * factor
            planes[at, row, 2] += (xj * yk - yj * xk) * factor


@kernel
def _find_runs(triangle_id: Any, y: Any, shift: Any, ends: Any) -> Any:
    """Fills the ends of a row's runs of one triangle or face, and returns how many runs there are. Takes no branch."""
    width = triangle_id.shape[1]
    runs = np.uint64(0)
    before = (triangle_id[y, 0] - 1) >> shift
    for x in range(width):
        this = (triangle_id[y, x] - 1) >> shift
        ends[runs] = x
        runs += np.uint64(this != before)
        before = this
    ends[runs] = width
    return runs + np.uint64(1)


@kernel
def _coordinates(triangle_id: Any, top: Any, bottom: Any, view: Any, uv: Any) -> None:
    height, width = triangle_id.shape
    number, found = np.zeros(2 * len(view.cell), np.int32), 0  # of the triangles seen so far, from 1
    planes = np.empty((1 + min(len(number), (bottom - top) * width), 3, 3))
    world, clip = np.empty(3, np.float32), np.empty((3, 4))
    for row in range(top, bottom):
        y = 1.0 - (row + 0.5) / height * 2.0
        for column in range(width):
            triangle = triangle_id[row, column] - 1
            if triangle < 0:
                continue
            if number[triangle] == 0:
                found += 1
                number[triangle] = found
                _set_up(triangle, view, world, clip, planes, found)
            x, p = (column + 0.5) / width * 2.0 - 1.0, number[triangle]
            w = planes[p, 2, 0] * x + planes[p, 2, 1] * y + planes[p, 2, 2]
            uv[0, row, column] = (planes[p, 0, 0] * x + planes[p, 0, 1] * y + planes[p, 0, 2]) / w
            uv[1, row, column] = (planes[p, 1, 0] * x + planes[p, 1, 1] * y + planes[p, 1, 2]) / w


@kernel
def _look_up(triangle_id: Any, top: Any, bottom: Any, view: Any, table: Any, tile: Any, out: Any) -> None:
    height, width = triangle_id.shape
    number, found = np.zeros(2 * len(view.cell), np.int32), 0  # of the triangles or faces seen so far, from 1
    planes = np.empty((1 + min(len(number), (bottom - top) * width), 3, 3))
    world, clip = np.empty(3, np.float32), np.empty((3, 4))
    shift = 0 if view.grid[0] > 0.0 else 1  # both triangles of a face give the same, unless their corners snap
    ends, index = np.empty(width + 1, np.int64), np.empty(width + _LANES, np.int32)
    background = np.int32(len(tile))
    for row in range(top, bottom):
        y = 1.0 - (row + 0.5) / height * 2.0
        last = 0
        for run in range(_find_runs(triangle_id, row, shift, ends)):
            first, last = last, ends[run]
            unit = (triangle_id[row, first] - 1) >> shift
            face = unit >> (1 - shift)
            if unit < 0 or tile[face, 1] == 0:
                entry = background if unit < 0 else np.int32(face)
                for k in range(first, last):
                    index[k] = entry
                continue
            if number[unit] == 0:
                found += 1
                number[unit] = found
                _set_up(unit << shift, view, world, clip, planes, found)
            x = (first + 0.5) / width * 2.0 - 1.0
            _find_texels(planes, number[unit], x, y, 2.0 / width, tile, face, first, last - first, index)
        for k in range(width):
            out[row, k] = table[index[k]]


@kernel
def _find_texels(
    planes: Any, p: Any, x: Any, y: Any, step: Any, tile: Any, face: Any, first: Any, count: Any, index: Any
) -> None:
    """Fills index[first: first + count], and up to ``_LANES`` more, for pixels from (x, y), in −1…1, on.

    In float32, scaled so that it holds every value and every texel's number, and without a branch: this becomes vector
    code. What would leave the tile is cut to its border.
    """
    scale = 1.0 / (planes[p, 2, 0] * x + planes[p, 2, 1] * y + planes[p, 2, 2])
    start, columns, rows = tile[face, 0], np.float32(tile[face, 1]), np.float32(tile[face, 2])
    to_columns, to_rows = columns * scale, rows * scale
    u0 = np.float32((planes[p, 0, 0] * x + planes[p, 0, 1] * y + planes[p, 0, 2]) * to_columns)
    v0 = np.float32((planes[p, 1, 0] * x + planes[p, 1, 1] * y + planes[p, 1, 2]) * to_rows)
    u1, v1 = np.float32(planes[p, 0, 0] * step * to_columns), np.float32(planes[p, 1, 0] * step * to_rows)
    w1 = np.float32(planes[p, 2, 0] * step * scale)
    right, low, zero = columns * _BELOW_ONE, rows * _BELOW_ONE, np.float32(0.0)
    at = np.uint64(first)
    for chunk in range(0, count, _LANES):
        before = np.float32(chunk)
        for lane in range(_LANES):
            along = before + np.float32(lane)
            factor = np.float32(1.0) / (np.float32(1.0) + w1 * along)
            u, v = (u0 + u1 * along) * factor, (v0 + v1 * along) * factor
            u, v = u if u > zero else zero, v if v > zero else zero  # also where it is not a number
            column, row = np.int32(u if u < right else right), np.int32(v if v < low else low)
            index[at + np.uint64(lane)] = np.int32(np.float32(row) * columns + np.float32(column)) + start
        at += np.uint64(_LANES)
