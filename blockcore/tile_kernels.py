"""Compiled loops behind ``texels``, ``frames`` and ``blend``. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from blockcore.grid import FACE_CORNERS, FACE_UVS, TRIANGLE_CORNERS, ExposedFaces

_ROWS = 16  # rows of pixels that a thread takes at a time


def texture_coordinates(
    faces: ExposedFaces,
    view_proj: npt.NDArray[np.float32],
    triangle_id: npt.NDArray[np.int32],
    snapped_bits: int | None,
) -> npt.NDArray[np.float32]:
    """Returns (H, W, 2) float32; see ``texels.texture_coordinates``."""
    seen = np.zeros(2 * len(faces) + 1, np.bool_)
    _mark(triangle_id.ravel(), seen)
    seen[0] = False
    triangles = np.flatnonzero(seen) - 1
    number = np.cumsum(seen, dtype=np.int32) - 1
    center = np.array([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2])
    planes = np.empty((len(triangles), 3, 3))
    grid = np.array([triangle_id.shape[1], triangle_id.shape[0]]) / 2 * (1 << (snapped_bits or 0))
    if snapped_bits is None:
        grid[:] = 0.0
    _set_up(triangles, faces.cell, faces.direction, center, faces.world_scale, view_proj, grid, planes)
    uv = np.empty((*triangle_id.shape, 2), np.float32)
    _interpolate(triangle_id, number, planes, uv)
    return uv


@numba.njit(cache=True, nogil=True)
def _mark(triangle_id: Any, seen: Any) -> None:
    last = -1
    for p in range(len(triangle_id)):
        if triangle_id[p] != last:
            last = triangle_id[p]
            seen[last] = True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _set_up(
    triangles: Any, cell: Any, direction: Any, center: Any, scale: Any, view_proj: Any, grid: Any, planes: Any
) -> None:
    """Fills planes (T, 3, 3): at (x, y, 1), x and y in −1…1, they give u, v and 1, each times the same factor.

    Corners snap to whole numbers of 1/grid, (2,), of half the picture; to nothing where that is 0.
    """
    clip = np.empty((3, 4))
    world = np.empty(3, np.float32)
    inverse = np.empty((3, 3))
    for t in range(len(triangles)):
        face, half = triangles[t] // 2, triangles[t] % 2
        d = direction[face]
        for i in range(3):
            corner = TRIANGLE_CORNERS[half, i]
            for axis in range(3):
                world[axis] = (cell[face, axis] + FACE_CORNERS[d, corner, axis] - center[axis]) * scale
            for row in range(4):  # in float32, as the vertex shader does
                m = view_proj[row]
                clip[i, row] = ((m[3] + world[2] * m[2]) + world[1] * m[1]) + world[0] * m[0]
        if grid[0] > 0.0 and min(clip[0, 3], clip[1, 3], clip[2, 3]) > 0.0:
            for i in range(3):
                for axis in range(2):
                    w = clip[i, 3]
                    clip[i, axis] = np.rint((clip[i, axis] / w + 1.0) * grid[axis]) / grid[axis] * w - w
        # The adjugate of the matrix of the corners' x, y, w; its determinant falls out of u and v.
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            xj, yj, wj = clip[j, 0], clip[j, 1], clip[j, 3]
            xk, yk, wk = clip[k, 0], clip[k, 1], clip[k, 3]
            inverse[0, i] = yj * wk - wj * yk
            inverse[1, i] = wj * xk - xj * wk
            inverse[2, i] = xj * yk - yj * xk
        for a in range(3):
            u, v, w = 0.0, 0.0, 0.0
            for i in range(3):
                corner = TRIANGLE_CORNERS[half, i]
                u += inverse[a, i] * FACE_UVS[d, corner, 0]
                v += inverse[a, i] * FACE_UVS[d, corner, 1]
                w += inverse[a, i]
            planes[t, 0, a], planes[t, 1, a], planes[t, 2, a] = u, v, w


@numba.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _interpolate(triangle_id: Any, number: Any, planes: Any, uv: Any) -> None:
    height, width = triangle_id.shape
    for band in numba.prange((height + _ROWS - 1) // _ROWS):
        for y in range(band * _ROWS, min(height, (band + 1) * _ROWS)):
            ndc_y = 1.0 - (y + 0.5) / height * 2.0
            last = 0
            u0 = u1 = v0 = v1 = w0 = w1 = 0.0
            for x in range(width):
                this = triangle_id[y, x]
                if this == 0:
                    uv[y, x, 0] = uv[y, x, 1] = 0.0
                    continue
                if this != last:
                    last = this
                    p = planes[number[this]]
                    u1, v1, w1 = p[0, 0], p[1, 0], p[2, 0]
                    u0 = p[0, 1] * ndc_y + p[0, 2]
                    v0 = p[1, 1] * ndc_y + p[1, 2]
                    w0 = p[2, 1] * ndc_y + p[2, 2]
                ndc_x = (x + 0.5) / width * 2.0 - 1.0
                factor = 1.0 / (w1 * ndc_x + w0)
                uv[y, x, 0] = (u1 * ndc_x + u0) * factor
                uv[y, x, 1] = (v1 * ndc_x + v0) * factor


def look_up(
    triangle_id: npt.NDArray[np.int32],
    flat: npt.NDArray[np.uint32],
    tile: npt.NDArray[np.int32],
    texels: npt.NDArray[np.uint32],
    uv: npt.NDArray[np.float32],
) -> npt.NDArray[np.uint32]:
    """Returns (H, W) uint32, what each pixel stores; see ``frames.FrameColors`` for the tables."""
    out = np.empty(triangle_id.shape, np.uint32)
    _look_up(triangle_id, flat, tile, texels, uv, out)
    return out


@numba.njit(cache=True, nogil=True, parallel=True)
def _look_up(triangle_id: Any, flat: Any, tile: Any, texels: Any, uv: Any, out: Any) -> None:
    height, width = triangle_id.shape
    background = flat[len(flat) - 1]
    for y in numba.prange(height):
        for x in range(width):
            face = ((triangle_id[y, x] + 1) >> 1) - 1
            if face < 0:
                out[y, x] = background
                continue
            columns, rows = tile[face, 1], tile[face, 2]
            if columns == 0:
                out[y, x] = flat[face]
                continue
            u, v = uv[y, x, 0] * np.float32(columns), uv[y, x, 1] * np.float32(rows)
            column = min(max(np.int32(np.floor(u)), 0), columns - 1)
            row = min(max(np.int32(np.floor(v)), 0), rows - 1)
            out[y, x] = texels[tile[face, 0] + row * columns + column]


def blend(
    shares: npt.NDArray[Any], table: npt.NDArray[Any], block: npt.NDArray[np.int64], look: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Returns (F, C): ``Σ_m shares[block, m] · table[m, look]``; see ``blend.blend``."""
    out = np.empty((len(block), table.shape[2]), shares.dtype)
    _blend(shares, np.ascontiguousarray(table.transpose(1, 0, 2)), block, look, out)
    return out


@numba.njit(cache=True, nogil=True, parallel=True)
def _blend(shares: Any, table: Any, block: Any, look: Any, out: Any) -> None:
    for f in numba.prange(len(block)):
        weights, values = shares[block[f]], table[look[f]]
        for c in range(out.shape[1]):
            total = 0.0
            for m in range(len(weights)):
                total += weights[m] * values[m, c]
            out[f, c] = total


def blend_to_shares(
    count: int,
    table: npt.NDArray[Any],
    grad: npt.NDArray[Any],
    block: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
) -> npt.NDArray[Any]:
    """Returns (V, M), the adjoint of ``blend`` by shares; ``block`` ascends."""
    starts = np.searchsorted(block, np.arange(count + 1))
    out = np.empty((count, len(table)), grad.dtype)
    _blend_to_shares(np.ascontiguousarray(table.transpose(1, 0, 2)), grad, starts, look, out)
    return out


@numba.njit(cache=True, nogil=True, parallel=True)
def _blend_to_shares(table: Any, grad: Any, starts: Any, look: Any, out: Any) -> None:
    for v in numba.prange(len(out)):
        total = np.zeros(out.shape[1])
        for f in range(starts[v], starts[v + 1]):
            values = table[look[f]]
            for m in range(len(total)):
                for c in range(grad.shape[1]):
                    total[m] += grad[f, c] * values[m, c]
        out[v] = total


def blend_to_table(
    count: int,
    shares: npt.NDArray[Any],
    grad: npt.NDArray[Any],
    block: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
) -> npt.NDArray[Any]:
    """Returns (M, L, C), the adjoint of ``blend`` by its table."""
    out = np.zeros((count, shares.shape[1], grad.shape[1]))
    _blend_to_table(shares, grad, block, look, out)
    return np.ascontiguousarray(out.transpose(1, 0, 2).astype(grad.dtype))


@numba.njit(cache=True, nogil=True)
def _blend_to_table(shares: Any, grad: Any, block: Any, look: Any, out: Any) -> None:
    for f in range(len(block)):
        weights, values = shares[block[f]], out[look[f]]
        for m in range(len(weights)):
            for c in range(grad.shape[1]):
                values[m, c] += weights[m] * grad[f, c]
