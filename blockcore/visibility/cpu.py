"""The CPU rasteriser: the reference's stages as compiled kernels, on all cores, with the very same result.

A view is drawn in two steps. Shares of the faces become lists of triangles that may cover a pixel
(``_list_triangles``); then bands of rows are filled from those lists, in order (``_fill_band``). Within a step nothing
is shared, so that threads run freely: the kernels release the interpreter's lock.

A triangle is filled row by row. With A and B the two points where its outline meets a row of pixel centres, the
top-left rule covers exactly the pixels ceil(A) … ceil(B) − 1: whole numbers, found once per edge and stepped along it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count
from blockcore.model.camera import Camera
from blockcore.model.frozen import frozen_array
from blockcore.model.grid import FACE_CORNERS, RUN, TRIANGLE_CORNERS, ExposedFaces
from blockcore.visibility.buffer import Visibility
from blockcore.visibility.reference import WINDOW_LIMIT, facing_point

Array = npt.NDArray[Any]
Whole = Any  # int, or a numpy integer: mypy cannot mix them
Triangles = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

_BAND_PIXELS = 1 << 16  # the depths of a band stay in the second-level cache
_MOST_BANDS = 16  # every band looks through all triangles
_SHARE_FACES = 1 << 12  # fewer are not worth a thread
_MANY_RUNS = 1 << 5  # of faces; fewer are looked through faster than they are sorted out
_MARGIN = 1e-5  # of the numbers that a corner's place is summed from
_MOST_CORNERS = 3 << 6  # of a triangle cut by six planes, whatever rounding does

_NOT_FINITE = 1 << 6  # beside a bit for each clip plane that a corner is outside of
_NOWHERE = 1 << 40

# Columns of a triangle list: x and y of the corners in subpixels, the rows it may cover, and its id.
_X, _Y, _TOP, _BOTTOM, _ID, _COLUMNS = 0, 3, 6, 7, 8, 9


def rasterize(faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int = 8) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows; see ``blockcore.visibility.rasterize``.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views.
        subpixel_bits: vertices snap to 1/2^bits of a pixel; 0 to 8.

    Returns:
        One ``Visibility`` per camera: (H, W) int32 numpy arrays.
    """
    cell, direction = (frozen_array(numbers, np.int32) for numbers in (faces.cell, faces.direction))
    if cell is not faces.cell or direction is not faces.direction:
        faces = replace(faces, cell=cell, direction=direction)  # the one kind of array that kernels are compiled for
    pictures = _blank_pictures(cameras)
    threads = thread_count()
    if len(cameras) < threads:
        for camera, picture in zip(cameras, pictures, strict=True):
            _draw(faces, subpixel_bits, spread, threads, camera, picture)
    else:  # a view on each thread spares the hand-overs within a view
        spread(partial(_draw, faces, subpixel_bits, map, 1), cameras, pictures)
    return [Visibility(picture) for picture in pictures]


def _blank_pictures(cameras: Sequence[Camera]) -> list[npt.NDArray[np.int32]]:
    """Returns a (H, W) picture of zeros per camera, in one block of memory: the system hands those out faster."""
    sizes = [camera.height * camera.width for camera in cameras]
    ends = np.cumsum([0, *sizes])
    pixels = np.zeros(ends[-1], np.int32)
    return [
        pixels[first : first + size].reshape(camera.height, camera.width)
        for camera, first, size in zip(cameras, ends, sizes, strict=False)
    ]


def _draw(
    faces: ExposedFaces,
    subpixel_bits: int,
    share_out: Callable[..., Iterable[Any]],
    threads: int,
    camera: Camera,
    triangle_id: npt.NDArray[np.int32],
) -> None:
    """Draws a view into ``triangle_id``, all zeros; ``share_out`` is a ``map`` that may use ``threads`` at a time."""
    view_proj = camera.view_proj
    eye = facing_point(view_proj)
    center = np.array([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2])
    runs = _runs_in_sight(faces, view_proj)
    shares = 1 + min(threads - 1, len(runs) * RUN // _SHARE_FACES)
    cuts = [len(runs) * share // shares for share in range(shares + 1)]
    rows = min(-(-camera.height // threads), max(-(-camera.height // _MOST_BANDS), _BAND_PIXELS // camera.width))

    def list_triangles(first: int, last: int) -> Triangles:
        return _list_triangles(
            faces.cell,
            faces.direction,
            runs[first:last],
            FACE_CORNERS,
            TRIANGLE_CORNERS,
            center,
            float(faces.world_scale),
            view_proj,
            eye,
            camera.width,
            camera.height,
            subpixel_bits,
            WINDOW_LIMIT,
        )

    def fill_band(top: int) -> None:
        band = triangle_id[top : top + rows]
        depth = np.ones(band.shape)
        for triangles, depths in lists:
            _fill_band(band, depth, top, triangles, depths, subpixel_bits)

    lists = list(share_out(list_triangles, cuts[:-1], cuts[1:]))
    list(share_out(fill_band, range(0, camera.height, rows)))


def _runs_in_sight(faces: ExposedFaces, view_proj: Array) -> Array:
    """Returns the runs of faces, ascending, whose box is not wholly outside one of the planes of the view.

    What is left out has no corner inside that plane however float32 rounds: the margin is many times its error.
    """
    every = np.arange(-(-len(faces) // RUN))
    if len(every) < _MANY_RUNS:
        return every
    low, high = faces.run_boxes
    center = np.array([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2])
    ends = np.stack([low, high + 1]) - center
    points = np.stack([ends[[i, j, k], :, [0, 1, 2]].T for i, j, k in np.ndindex(2, 2, 2)]) * faces.world_scale
    matrix = np.asarray(view_proj, np.float64)
    with np.errstate(all="ignore"):  # what is not finite is in sight, as far as this tells
        clip = points @ matrix[:, :3].T + matrix[:, 3]
        error = _MARGIN * (abs(points) @ abs(matrix[:, :3]).T + abs(matrix[:, 3]))
        w, w_error = clip[..., 3], error[..., 3]
        outside = (clip[..., 2] < -error[..., 2]).all(axis=0)
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1), (2, 1)):
            outside |= (sign * clip[..., axis] - w > error[..., axis] + w_error).all(axis=0)
    in_sight: Array = every[~outside]
    return in_sight


@kernel
def _list_triangles(
    cell: Array,
    direction: Array,
    runs: Array,
    face_corners: Array,
    triangle_corners: Array,
    center: Array,
    scale: float,
    matrix: Array,
    eye: Array,
    width: int,
    height: int,
    bits: int,
    limit: float,
) -> Triangles:
    """Returns the triangles of runs of faces that may cover a pixel, in drawing order: (n, _COLUMNS), and depths."""
    count = 0
    triangles = np.empty((2 * _MOST_CORNERS + min(len(cell), len(runs) * RUN), _COLUMNS), np.int32)
    depths = np.empty((len(triangles), 3), np.float32)
    world = np.empty(3, np.float32)
    clip = np.empty((4, 4), np.float32)
    polygon = np.empty((_MOST_CORNERS, 4), np.float32)
    spare = np.empty((_MOST_CORNERS, 4), np.float32)
    window = np.empty((_MOST_CORNERS, 2), np.int64)
    z = np.empty(_MOST_CORNERS, np.float32)
    codes = np.empty(4, np.int64)
    for run in runs:
        for face in range(run * RUN, min((run + 1) * RUN, len(cell))):
            corners = face_corners[direction[face]]
            if not _faces_eye(cell[face], direction[face], corners[0], center, scale, eye):
                continue
            for i in range(4):
                for axis in range(3):
                    world[axis] = (cell[face, axis] + corners[i, axis] - center[axis]) * scale
                _to_clip(clip[i], world, matrix)
                codes[i] = _outside(clip[i])
            if codes[0] & codes[1] & codes[2] & codes[3]:
                continue
            if count + 2 * _MOST_CORNERS > len(triangles):
                triangles, depths = _grown(triangles, count), _grown(depths, count)
            whole = (codes[0] | codes[1] | codes[2] | codes[3]) == 0
            if whole:
                _to_window(clip, 4, window, z, width, height, bits, limit)
            for half in range(2):
                number = 1 + 2 * face + half
                a, b, c = triangle_corners[half, 0], triangle_corners[half, 1], triangle_corners[half, 2]
                if whole:
                    count += _put_triangle(triangles, depths, count, window, z, a, b, c, number, width, height, bits)
                elif not codes[a] & codes[b] & codes[c] and (codes[a] | codes[b] | codes[c]) < _NOT_FINITE:
                    for i in range(3):
                        _copy_point(polygon[i], clip[triangle_corners[half, i]])
                    left = _cut(polygon, spare, codes[a] | codes[b] | codes[c])
                    _to_window(polygon, left, window, z, width, height, bits, limit)
                    for k in range(2, left):
                        count += _put_triangle(
                            triangles, depths, count, window, z, 0, k - 1, k, number, width, height, bits
                        )
    return triangles[:count], depths[:count]


@kernel
def _faces_eye(cell: Array, direction: int, corner: Array, center: Array, scale: float, eye: Array) -> bool:
    axis = direction // 2
    offset = np.float32((cell[axis] + corner[axis] - center[axis]) * scale)
    side = eye[axis] - np.float64(offset) * eye[3]
    return bool(side > 0.0 if direction % 2 == 0 else side < 0.0)


@kernel
def _to_clip(clip: Array, world: Array, matrix: Array) -> None:
    for row in range(4):
        clip[row] = ((matrix[row, 3] + world[2] * matrix[row, 2]) + world[1] * matrix[row, 1]) + (
            world[0] * matrix[row, 0]
        )


@kernel
def _outside(point: Array) -> int:
    """Returns the planes that a clip-space point is outside of, a bit each, numbered as in ``CLIP_PLANES``."""
    x, y, z, w = point[0], point[1], point[2], point[3]
    code = (x > w) | (x < -w) << 1 | (y > w) << 2 | (y < -w) << 3 | (z < 0) << 4 | (z > w) << 5
    if not np.isfinite(abs(x) + abs(y) + abs(z) + abs(w)):
        for k in range(4):
            if not np.isfinite(point[k]):
                code |= _NOT_FINITE
    return int(code)


@kernel
def _distance(point: Array, plane: int) -> Any:
    """Returns how far a clip-space point is inside a plane, numbered as in ``CLIP_PLANES``."""
    if plane == 4:
        return point[2]
    value = point[plane // 2]
    return point[3] + value if plane % 2 == 1 and plane < 4 else point[3] - value


@kernel
def _copy_point(to: Array, point: Array) -> None:
    for k in range(4):  # assigning slices would take the compiler a second each
        to[k] = point[k]


@kernel
def _cut(polygon: Array, spare: Array, planes: int) -> int:
    """Cuts a triangle, the first three rows of ``polygon``, in place; returns how many corners are left."""
    count = 3
    for plane in range(6):
        if planes >> plane & 1:
            count = _cut_by_plane(polygon, count, plane, spare)
            for corner in range(count):
                _copy_point(polygon[corner], spare[corner])
    return count


@kernel
def _cut_by_plane(polygon: Array, count: int, plane: int, kept: Array) -> int:
    corners = 0
    for i in range(count):
        j = (i + 1) % count
        here, there = _distance(polygon[i], plane), _distance(polygon[j], plane)
        if here >= 0:
            _copy_point(kept[corners], polygon[i])
            corners += 1
        if (here >= 0) != (there >= 0):
            outer, inner, far, near = (j, i, there, here) if here >= 0 else (i, j, here, there)
            t = far / (far - near)
            for k in range(4):
                kept[corners, k] = polygon[outer, k] + t * (polygon[inner, k] - polygon[outer, k])
            corners += 1
    return corners


@kernel
def _to_window(
    clip: Array, count: int, window: Array, depth: Array, width: int, height: int, bits: int, limit: float
) -> None:
    """Writes x, y in subpixels from the centre of pixel (0, 0), and depth; ``_NOWHERE`` where numbers overflowed."""
    half_width, half_height = np.float32(width / 2), np.float32(height / 2)
    one = np.float32(1 << bits)
    for i in range(count):
        inverse = np.float32(1) / clip[i, 3]
        x = (clip[i, 0] * inverse * half_width + half_width) - np.float32(0.5)
        y = (clip[i, 1] * inverse * -half_height + half_height) - np.float32(0.5)
        depth[i] = clip[i, 2] * inverse
        if abs(x) < limit and abs(y) < limit and abs(depth[i]) < limit:
            window[i, 0], window[i, 1] = np.rint(x * one), np.rint(y * one)
        else:
            window[i, 0] = window[i, 1] = _NOWHERE


@kernel
def _put_triangle(
    triangles: Array,
    depths: Array,
    count: int,
    window: Array,
    z: Array,
    a: int,
    b: int,
    c: int,
    number: int,
    width: int,
    height: int,
    bits: int,
) -> int:
    """Stores corners a, b, c of a polygon in row ``count``, unless no pixel can show them; returns 1 if it did."""
    x0, x1, x2 = window[a, 0], window[b, 0], window[c, 0]
    y0, y1, y2 = window[a, 1], window[b, 1], window[c, 1]
    if max(x0, x1, x2) == _NOWHERE or (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0) <= 0:
        return 0
    left, right = max(0, _pixel(min(x0, x1, x2), bits)), min(width, _pixel(max(x0, x1, x2), bits))
    top, bottom = max(0, _pixel(min(y0, y1, y2), bits)), min(height, _pixel(max(y0, y1, y2), bits))
    if left >= right or top >= bottom:
        return 0
    triangle = triangles[count]
    triangle[_X], triangle[_X + 1], triangle[_X + 2] = x0, x1, x2
    triangle[_Y], triangle[_Y + 1], triangle[_Y + 2] = y0, y1, y2
    triangle[_TOP], triangle[_BOTTOM], triangle[_ID] = top, bottom, number
    depths[count, 0], depths[count, 1], depths[count, 2] = z[a], z[b], z[c]
    return 1


@kernel
def _pixel(position: Whole, bits: int) -> Whole:
    """Returns the first pixel whose centre is at or past a position in subpixels."""
    return (position + (1 << bits) - 1) >> bits


@kernel
def _grown(array: Array, count: int) -> Array:
    larger = np.empty((2 * len(array), array.shape[1]), array.dtype)
    for row in range(count):
        for column in range(array.shape[1]):
            larger[row, column] = array[row, column]
    return larger


@kernel
def _fill_band(band: Array, depth: Array, first_row: int, triangles: Array, depths: Array, bits: int) -> None:
    """Draws triangles, in order, into a band of rows: their ids, and depths where 1 is the far plane."""
    last_row = first_row + band.shape[0]
    for t in range(len(triangles)):
        top, bottom = max(triangles[t, _TOP], first_row), min(triangles[t, _BOTTOM], last_row)
        if top < bottom:
            _fill(band, depth, first_row, top, bottom, triangles[t], depths[t], bits)


@kernel
def _fill(
    band: Array, depth: Array, first_row: int, top: int, bottom: int, triangle: Array, z: Array, bits: int
) -> None:
    """Draws rows top … bottom − 1 of a triangle."""
    x0, x1, x2 = np.int64(triangle[_X]), np.int64(triangle[_X + 1]), np.int64(triangle[_X + 2])
    y0, y1, y2 = np.int64(triangle[_Y]), np.int64(triangle[_Y + 1]), np.int64(triangle[_Y + 2])
    plane = _depth_plane(x0, x1, x2, y0, y1, y2, z, bits)
    # Turn the corners round until the first is the highest: the outline then runs from it down to the left, and to 2.
    if y1 < y0 and y1 <= y2:
        x0, y0, x1, y1, x2, y2 = x1, y1, x2, y2, x0, y0
    elif y2 < y0 and y2 < y1:
        x0, y0, x1, y1, x2, y2 = x2, y2, x0, y0, x1, y1
    middle = _pixel(min(y1, y2), bits)
    if top < middle:
        left, right = _edge(x0, y0, x1, y1, top, bits), _edge(x0, y0, x2, y2, top, bits)
        _fill_rows(band, depth, first_row, top, min(bottom, middle), left, right, plane, triangle[_ID])
    if middle < bottom:
        start = max(top, middle)
        if y1 < y2:
            left, right = _edge(x1, y1, x2, y2, start, bits), _edge(x0, y0, x2, y2, start, bits)
        else:
            left, right = _edge(x0, y0, x1, y1, start, bits), _edge(x2, y2, x1, y1, start, bits)
        _fill_rows(band, depth, first_row, start, bottom, left, right, plane, triangle[_ID])


@kernel
def _depth_plane(
    x0: Whole, x1: Whole, x2: Whole, y0: Whole, y1: Whole, y2: Whole, z: Array, bits: int
) -> tuple[float, float, float]:
    """Returns the depth at the centre of pixel (0, 0), and its growth per pixel along x and along y."""
    one = 1 << bits
    z0, z1, z2 = np.float64(z[0]), np.float64(z[1]), np.float64(z[2])
    area = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    per_x = ((z2 - z0) * (y1 - y0) - (z1 - z0) * (y2 - y0)) * one / area
    per_y = ((z1 - z0) * (x2 - x0) - (z2 - z0) * (x1 - x0)) * one / area
    return z0 - per_x * (x0 / one) - per_y * (y0 / one), per_x, per_y


@kernel
def _edge(ax: Whole, ay: Whole, bx: Whole, by: Whole, row: Whole, bits: int) -> tuple[Whole, ...]:
    """Prepares to step along an edge that runs down from a to b, from the given row of pixel centres.

    Returns:
        The first pixel on or right of the edge in that row, ⌊n / d⌋, with its remainder; how both grow per row; and d.
    """
    height, width = by - ay, bx - ax
    d = height << bits
    n = ax * height + ((row << bits) - ay) * width + d - 1
    first = _floor_div(n, d)
    step = _floor_div(width, height)
    return first, n - first * d, step, (width - step * height) << bits, d


@kernel
def _floor_div(n: Whole, d: Whole) -> Whole:
    """Returns ⌊n / d⌋ for d > 0 and a quotient that fits 32 bits; a float division takes half as long."""
    quotient = np.int64(np.floor(n / d))
    rest = n - quotient * d
    return quotient - 1 if rest < 0 else quotient + 1 if rest >= d else quotient


@kernel
def _fill_rows(
    band: Array,
    depth: Array,
    first_row: int,
    start: int,
    stop: int,
    left: tuple[Whole, ...],
    right: tuple[Whole, ...],
    plane: tuple[float, float, float],
    number: int,
) -> None:
    """Draws the rows between two edges that neither start nor end among them."""
    at_origin, per_x, per_y = plane
    begin, begin_rest, begin_step, begin_rest_step, begin_size = left
    end, end_rest, end_step, end_rest_step, end_size = right
    width = band.shape[1]
    for y in range(start, stop):
        row = np.uint32(y - first_row)
        z_row = at_origin + per_y * y
        # Unsigned indices and stores without a branch let the compiler draw many pixels per instruction.
        for x in range(np.uint32(max(begin, 0)), np.uint32(max(0, min(end, width)))):
            z = z_row + per_x * np.int32(x)
            nearer = z < depth[row, x]
            depth[row, x] = z if nearer else depth[row, x]
            band[row, x] = number if nearer else band[row, x]
        begin, begin_rest = begin + begin_step, begin_rest + begin_rest_step
        if begin_rest >= begin_size:
            begin, begin_rest = begin + 1, begin_rest - begin_size
        end, end_rest = end + end_step, end_rest + end_rest_step
        if end_rest >= end_size:
            end, end_rest = end + 1, end_rest - end_size
