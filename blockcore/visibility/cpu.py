"""The CPU rasteriser: the reference's stages as compiled kernels, on all cores, with the very same result.

A view is drawn in two steps. Shares of the faces become lists of triangles that may cover a pixel
(``_list_triangles``); then bands of rows are filled from those lists, in order (``_fill_band``). Within a step nothing is shared, so that
threads run freely: the kernels release the interpreter's lock.

A triangle is filled row by row. With A and B the two points where its outline meets a row of pixel centres, the
top-left rule covers exactly the pixels ceil(A) … ceil(B) − 1: whole numbers, found once per edge and stepped along it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from blockcore.camera import Camera
from blockcore.grid import FACE_CORNERS, TRIANGLE_CORNERS, ExposedFaces
from blockcore.visibility import Visibility
from blockcore.visibility.reference import WINDOW_LIMIT, facing_point

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]
Whole = Any  # int, or a numpy integer: mypy cannot mix them
Triangles = tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]

_BAND_PIXELS = 1 << 16  # the depths of a band stay in the second-level cache
_SHARE_FACES = 1 << 12  # fewer are not worth a thread
_MOST_CORNERS = 3 << 6  # of a triangle cut by six planes, whatever rounding does

_ALL_PLANES = 63
_NOWHERE = 1 << 40

# Columns of a triangle list: x and y of the corners in subpixels, the rows and the id.
_TOP, _BOTTOM, _ID, _COLUMNS = 6, 7, 8, 9


def _kernel(function: Function) -> Function:
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(Function, compiled)


def rasterize(faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int = 8) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows; see ``blockcore.visibility.rasterize``.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views.
        subpixel_bits: vertices snap to 1/2^bits of a pixel; 0 to 8.

    Returns:
        One ``Visibility`` per camera: (H, W) int32 numpy arrays.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        return [Visibility(_draw(faces, camera, subpixel_bits, pool, threads)) for camera in cameras]


def _draw(
    faces: ExposedFaces, camera: Camera, subpixel_bits: int, pool: ThreadPoolExecutor, threads: int
) -> npt.NDArray[np.int32]:
    triangle_id = np.zeros((camera.height, camera.width), np.int32)
    view_proj = camera.view_proj
    eye = facing_point(view_proj)
    shares = np.linspace(0, len(faces), 1 + max(1, min(threads, len(faces) // _SHARE_FACES)), dtype=np.int64)
    center = np.array([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2])

    def list_triangles(share: int) -> Triangles:
        triangles: Triangles = _list_triangles(
            faces.cell,
            faces.direction,
            shares[share],
            shares[share + 1],
            FACE_CORNERS,
            TRIANGLE_CORNERS,
            center,
            faces.world_scale,
            view_proj,
            eye,
            camera.width,
            camera.height,
            1 << subpixel_bits,
            WINDOW_LIMIT,
        )
        return triangles

    lists = list(pool.map(list_triangles, range(len(shares) - 1)))
    rows = max(1, min(-(-camera.height // threads), _BAND_PIXELS // camera.width))

    def fill_band(top: int) -> None:
        band = triangle_id[top : top + rows]
        depth = np.ones(band.shape)
        for count, triangles, depths in lists:
            _fill_band(band, depth, top, triangles[:count], depths[:count], 1 << subpixel_bits)

    list(pool.map(fill_band, range(0, camera.height, rows)))
    return triangle_id


@_kernel
def _list_triangles(
    cell: Array,
    direction: Array,
    first: int,
    last: int,
    face_corners: Array,
    triangle_corners: Array,
    center: Array,
    scale: float,
    matrix: Array,
    eye: Array,
    width: int,
    height: int,
    one: int,
    limit: float,
) -> Triangles:
    half_width, half_height = np.float32(width / 2), np.float32(height / 2)
    count = 0
    triangles = np.empty((64 + (last - first), _COLUMNS), np.int32)
    depths = np.empty((len(triangles), 3), np.float32)
    world = np.empty(3, np.float32)
    clip = np.empty((4, 4), np.float32)
    codes = np.empty(4, np.int64)
    polygon = np.empty((_MOST_CORNERS, 4), np.float32)
    spare = np.empty((_MOST_CORNERS, 4), np.float32)
    window = np.empty((_MOST_CORNERS, 2), np.int64)
    z = np.empty(_MOST_CORNERS, np.float32)
    for face in range(first, last):
        if not _faces_eye(cell[face], direction[face], face_corners, center, scale, eye):
            continue
        for corner in range(4):
            for axis in range(3):
                lattice = cell[face, axis] + face_corners[direction[face], corner, axis]
                world[axis] = np.float32((lattice - center[axis]) * scale)
            _to_clip(clip[corner], world, matrix)
            codes[corner] = _outside(clip[corner])
        if codes[0] & codes[1] & codes[2] & codes[3]:
            continue
        for half in range(2):
            a, b, c = triangle_corners[half]
            planes = codes[a] | codes[b] | codes[c]
            if codes[a] & codes[b] & codes[c]:
                continue
            polygon[0], polygon[1], polygon[2] = clip[a], clip[b], clip[c]
            corners = _cut(polygon, spare, planes) if planes else 3
            for k in range(corners):
                window[k, 0], window[k, 1], z[k] = _to_window(polygon[k], half_width, half_height, one, limit)
            if count + corners > len(triangles):
                triangles, depths = _grown(triangles, count), _grown(depths, count)
            for k in range(2, corners):
                if _put_triangle(triangles[count], window, k, width, height, one):
                    triangles[count, _ID] = 1 + 2 * face + half
                    depths[count, 0], depths[count, 1], depths[count, 2] = z[0], z[k - 1], z[k]
                    count += 1
    return count, triangles, depths


@_kernel
def _faces_eye(cell: Array, direction: int, face_corners: Array, center: Array, scale: float, eye: Array) -> bool:
    axis = direction // 2
    offset = np.float32((cell[axis] + face_corners[direction, 0, axis] - center[axis]) * scale)
    side = eye[axis] - np.float64(offset) * eye[3]
    return bool(side > 0.0 if direction % 2 == 0 else side < 0.0)


@_kernel
def _to_clip(clip: Array, world: Array, matrix: Array) -> None:
    for row in range(4):
        clip[row] = ((matrix[row, 3] + world[2] * matrix[row, 2]) + world[1] * matrix[row, 1]) + world[0] * matrix[
            row, 0
        ]


@_kernel
def _distance(point: Array, plane: int) -> Any:
    """Returns how far a clip-space point is inside a plane of the clip volume, numbered as in ``CLIP_PLANES``."""
    if plane == 4:
        return point[2]
    value = point[plane // 2]
    return point[3] + value if plane % 2 == 1 and plane < 4 else point[3] - value


@_kernel
def _outside(point: Array) -> int:
    """Returns the planes that a clip-space point is outside of, a bit each; all where it is not finite."""
    code = 0
    for plane in range(6):
        if _distance(point, plane) < 0:
            code |= 1 << plane
    for k in range(4):
        if not np.isfinite(point[k]):
            code = _ALL_PLANES
    return code


@_kernel
def _cut(polygon: Array, spare: Array, planes: int) -> int:
    """Cuts a triangle, the first three rows of ``polygon``, in place; returns how many corners are left."""
    count = 3
    for plane in range(6):
        if planes >> plane & 1:
            count = _cut_by_plane(polygon, count, plane, spare)
            polygon[:count] = spare[:count]
    return count


@_kernel
def _cut_by_plane(polygon: Array, count: int, plane: int, kept: Array) -> int:
    corners = 0
    for i in range(count):
        j = (i + 1) % count
        here, there = _distance(polygon[i], plane), _distance(polygon[j], plane)
        if here >= 0:
            kept[corners] = polygon[i]
            corners += 1
        if (here >= 0) != (there >= 0):
            outer, inner, far, near = (j, i, there, here) if here >= 0 else (i, j, here, there)
            t = far / (far - near)
            for k in range(4):
                kept[corners, k] = polygon[outer, k] + t * (polygon[inner, k] - polygon[outer, k])
            corners += 1
    return corners


@_kernel
def _to_window(point: Array, half_width: Any, half_height: Any, one: int, limit: float) -> tuple[Any, Any, Any]:
    """Returns x, y in subpixels from the centre of pixel (0, 0), and depth; ``_NOWHERE`` where numbers overflowed."""
    inverse = np.float32(1) / point[3]
    x = (point[0] * inverse * half_width + half_width) - np.float32(0.5)
    y = (point[1] * inverse * -half_height + half_height) - np.float32(0.5)
    z = point[2] * inverse
    if not (abs(x) < limit and abs(y) < limit and abs(z) < limit):
        return _NOWHERE, _NOWHERE, z
    scale = np.float32(one)
    return np.int64(np.rint(x * scale)), np.int64(np.rint(y * scale)), z


@_kernel
def _put_triangle(triangle: Array, window: Array, k: int, width: int, height: int, one: int) -> bool:
    """Stores corners 0, k − 1, k of a polygon, unless no pixel can show them; returns whether it did."""
    x0, x1, x2 = window[0, 0], window[k - 1, 0], window[k, 0]
    y0, y1, y2 = window[0, 1], window[k - 1, 1], window[k, 1]
    if max(x0, x1, x2) == _NOWHERE or (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0) <= 0:
        return False
    left, right = max(0, _ceil_div(min(x0, x1, x2), one)), min(width, _ceil_div(max(x0, x1, x2), one))
    top, bottom = max(0, _ceil_div(min(y0, y1, y2), one)), min(height, _ceil_div(max(y0, y1, y2), one))
    if left >= right or top >= bottom:
        return False
    triangle[0], triangle[1], triangle[2] = x0, x1, x2
    triangle[3], triangle[4], triangle[5] = y0, y1, y2
    triangle[_TOP], triangle[_BOTTOM] = top, bottom
    return True


@_kernel
def _ceil_div(n: Whole, d: Whole) -> Whole:
    return -(-n // d)


@_kernel
def _grown(array: Array, count: int) -> Array:
    larger = np.empty((2 * len(array) + _MOST_CORNERS, array.shape[1]), array.dtype)
    larger[:count] = array[:count]
    return larger


@_kernel
def _fill_band(band: Array, depth: Array, first_row: int, triangles: Array, depths: Array, one: int) -> None:
    """Draws triangles, in order, into a band of rows: ids, and depths in units of the clear value."""
    last_row = first_row + band.shape[0]
    for t in range(len(triangles)):
        top, bottom = max(triangles[t, _TOP], first_row), min(triangles[t, _BOTTOM], last_row)
        if top < bottom:
            _fill(band, depth, first_row, top, bottom, triangles[t], depths[t], one)


@_kernel
def _fill(
    band: Array, depth: Array, first_row: int, top: int, bottom: int, triangle: Array, z: Array, one: int
) -> None:
    x0, x1, x2 = np.int64(triangle[0]), np.int64(triangle[1]), np.int64(triangle[2])
    y0, y1, y2 = np.int64(triangle[3]), np.int64(triangle[4]), np.int64(triangle[5])
    z0, z1, z2 = np.float64(z[0]), np.float64(z[1]), np.float64(z[2])
    area = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    per_x = ((z2 - z0) * (y1 - y0) - (z1 - z0) * (y2 - y0)) * one / area
    per_y = ((z1 - z0) * (x2 - x0) - (z2 - z0) * (x1 - x0)) * one / area
    at_origin = z0 - per_x * (x0 / one) - per_y * (y0 / one)
    # Turn the corners round until the first is the highest; the outline then runs down on the left, up on the right.
    if y1 < y0 and y1 <= y2:
        x0, y0, x1, y1, x2, y2 = x1, y1, x2, y2, x0, y0
    elif y2 < y0 and y2 < y1:
        x0, y0, x1, y1, x2, y2 = x2, y2, x0, y0, x1, y1
    width = band.shape[1]
    for part in range(2):
        middle = min(y1, y2)
        if part == 0:
            start, stop = top, min(bottom, _ceil_div(middle, one))
            ax, ay, bx, by = x0, y0, x1, y1
            cx, cy, dx, dy = x0, y0, x2, y2
        else:
            start, stop = max(top, _ceil_div(middle, one)), bottom
            if y1 < y2:
                ax, ay, bx, by = x1, y1, x2, y2
                cx, cy, dx, dy = x0, y0, x2, y2
            else:
                ax, ay, bx, by = x0, y0, x1, y1
                cx, cy, dx, dy = x2, y2, x1, y1
        if start >= stop:
            continue
        left, left_rest, left_step, left_rest_step, left_size = _edge(ax, ay, bx, by, start, one)
        right, right_rest, right_step, right_rest_step, right_size = _edge(cx, cy, dx, dy, start, one)
        for y in range(start, stop):
            row = y - first_row
            z_row = at_origin + per_y * y
            for x in range(max(left, 0), min(right, width)):
                z_here = z_row + per_x * x
                if z_here < depth[row, x]:
                    depth[row, x] = z_here
                    band[row, x] = triangle[_ID]
            left += left_step
            left_rest += left_rest_step
            if left_rest >= left_size:
                left_rest -= left_size
                left += 1
            right += right_step
            right_rest += right_rest_step
            if right_rest >= right_size:
                right_rest -= right_size
                right += 1


@_kernel
def _edge(ax: Whole, ay: Whole, bx: Whole, by: Whole, row: Whole, one: Whole) -> tuple[Whole, ...]:
    """Prepares to step along an edge that runs down from a to b, from the given row of pixel centres.

    Returns:
        The first pixel on or right of the edge in that row, ⌊n / d⌋ with its remainder; how both grow per row; and d.
    """
    height, width = by - ay, bx - ax
    d = height * one
    n = ax * height + (row * one - ay) * width + d - 1
    first = n // d
    step = width // height
    return first, n - first * d, step, (width - step * height) * one, d
