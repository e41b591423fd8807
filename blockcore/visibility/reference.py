"""The reference rasteriser: slow and plain. It defines which triangle a pixel shows.

It follows the stages of a WebGPU implementation, with the order of float32 operations that Mesa's lavapipe has:

1. corners to clip space in float32, each row of the matrix summed from its translation backwards;
2. faces turned away from the eye are dropped;
3. triangles that cross the clip volume −w ≤ x, y ≤ w, 0 ≤ z ≤ w are cut, plane by plane, in float32;
4. division by w and viewport in float32, x and y snapped to 1/2^subpixel_bits of a pixel;
5. a pixel is covered when its centre is inside all three edges, decided in whole numbers; a centre on an edge belongs
   to the triangle if that edge is a top or a left one;
6. of the triangles that cover a pixel the nearest wins, the first one drawn where depths are equal. Depth is linear
   in the picture, in float64, and must be less than 1, which is what the depth buffer is cleared to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import MAX_PIXELS_PER_AXIS, Camera
from blockcore.model.frozen import frozen_array
from blockcore.model.grid import FACE_NORMALS, TRIANGLE_CORNERS, ExposedFaces
from blockcore.visibility.buffer import Visibility

CLIP_PLANES = frozen_array(
    [[-1, 0, 0, 1], [1, 0, 0, 1], [0, -1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, -1, 1]], np.float32
)
"""(6, 4): a clip-space point is inside where the product with each is at least 0; in the order they cut."""

WINDOW_LIMIT = float(2 * MAX_PIXELS_PER_AXIS)
"""Pixels: what lies farther out after cutting has come from overflowing numbers and is not drawn."""

Float32 = npt.NDArray[np.float32]


def rasterize(faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int = 8) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows; see ``blockcore.visibility.rasterize``.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views.
        subpixel_bits: vertices snap to 1/2^bits of a pixel; 0 to 8.

    Returns:
        One ``Visibility`` per camera: (H, W) int32 numpy arrays.
    """
    with np.errstate(all="ignore"):  # what overflows is not drawn
        return [Visibility(_draw(faces, camera, subpixel_bits)) for camera in cameras]


def facing_point(view_proj: Float32) -> npt.NDArray[np.float64]:
    """Returns the eye as a homogeneous point e, (4,): a plane p shows its front to the camera where p · e > 0.

    The eye is the point that every line of sight runs through: where clip x, y and w vanish, so the cross product, in
    four dimensions, of the rows that give them. It is at infinity for an orthographic camera. Its sign carries the
    orientation: a mirroring camera takes backs for fronts, as on a GPU.
    """
    x, y, _, w = view_proj.tolist()  # as Python's float64: a training loop draws from new cameras in every step
    xy, xz, xu = (x[0] * y[k] - x[k] * y[0] for k in (1, 2, 3))
    yz, yu, zu = (x[j] * y[k] - x[k] * y[j] for j, k in ((1, 2), (1, 3), (2, 3)))
    return np.array(
        [
            w[1] * zu - w[2] * yu + w[3] * yz,
            w[2] * xu - w[0] * zu - w[3] * xz,
            w[0] * yu - w[1] * xu + w[3] * xy,
            w[1] * xz - w[0] * yz - w[2] * xy,
        ]
    )


def _draw(faces: ExposedFaces, camera: Camera, subpixel_bits: int) -> npt.NDArray[np.int32]:
    triangle_id = np.zeros((camera.height, camera.width), np.int32)
    depth = np.ones((camera.height, camera.width))
    corners = faces.corners()
    clip = to_clip(corners, camera.view_proj)
    for face in np.flatnonzero(_front(corners, faces.direction, camera.view_proj)):
        for half in range(2):
            polygon = _cut(clip[face, TRIANGLE_CORNERS[half]])
            window = to_window(polygon, camera)
            for k in range(2, len(polygon)):
                _fill(triangle_id, depth, window[[0, k - 1, k]], 1 + 2 * int(face) + half, subpixel_bits)
    return triangle_id


def to_clip(world: Float32, view_proj: Float32) -> Float32:
    """Maps world positions (..., 3) to clip space (..., 4), float32."""
    x, y, z = (world[..., axis, None] for axis in range(3))
    matrix = view_proj
    clip: Float32 = ((matrix[:, 3] + z * matrix[:, 2]) + y * matrix[:, 1]) + x * matrix[:, 0]
    return clip


def _front(corners: Float32, direction: npt.NDArray[np.int32], view_proj: Float32) -> npt.NDArray[np.bool_]:
    eye = facing_point(view_proj)
    axis = direction // 2
    offset = np.take_along_axis(corners[:, 0].astype(np.float64), axis[:, None], axis=1)[:, 0]
    sign = FACE_NORMALS.sum(axis=1)[direction]
    return np.asarray(sign * (eye[axis] - offset * eye[3]) > 0.0)


def _cut(polygon: Float32) -> Float32:
    """Cuts a convex polygon (n, 4) to the clip volume; returns (m, 4), m = 0 where nothing is left."""
    outside = (polygon @ CLIP_PLANES.T) < 0
    if outside.all(axis=0).any() or not np.isfinite(polygon).all():
        return polygon[:0]
    for plane in CLIP_PLANES[outside.any(axis=0)]:
        polygon = _cut_by_plane(polygon, plane)
    return polygon


def _cut_by_plane(polygon: Float32, plane: Float32) -> Float32:
    distance = polygon @ plane
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if distance[i] >= 0:
            kept.append(polygon[i])
        if (distance[i] >= 0) != (distance[j] >= 0):
            # Always from the outside inwards: neighbours that share the edge then get the very same point.
            outer, inner = (j, i) if distance[i] >= 0 else (i, j)
            t = distance[outer] / (distance[outer] - distance[inner])
            kept.append(polygon[outer] + t * (polygon[inner] - polygon[outer]))
    return np.array(kept, np.float32).reshape(-1, 4)


def to_window(polygon: Float32, camera: Camera) -> Float32:
    """Maps clip space (n, 4) to (n, 3): x and y in pixels from the centre of pixel (0, 0), and depth."""
    half_width, half_height = np.float32(camera.width / 2), np.float32(camera.height / 2)
    ndc = polygon[:, :3] * (np.float32(1) / polygon[:, 3:])
    x = (ndc[:, 0] * half_width + half_width) - np.float32(0.5)
    y = (ndc[:, 1] * -half_height + half_height) - np.float32(0.5)
    return np.stack([x, y, ndc[:, 2]], axis=1)


def _fill(
    triangle_id: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float64],
    window: Float32,
    number: int,
    subpixel_bits: int,
) -> None:
    """Draws one triangle, (3, 3) window positions, into the pictures of ids and depths."""
    if not (np.abs(window) < WINDOW_LIMIT).all():
        return
    one = 1 << subpixel_bits
    (x0, x1, x2), (y0, y1, y2) = np.rint(window[:, :2].T * np.float32(one)).astype(np.int64).tolist()
    area = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    if area <= 0:  # seen from behind, or nothing but a line: with y down, fronts turn the other way round
        return
    height, width = triangle_id.shape
    left, right = max(0, -(-min(x0, x1, x2) // one)), min(width - 1, max(x0, x1, x2) // one)
    top, bottom = max(0, -(-min(y0, y1, y2) // one)), min(height - 1, max(y0, y1, y2) // one)
    if left > right or top > bottom:
        return
    x, y = np.arange(left, right + 1)[None, :], np.arange(top, bottom + 1)[:, None]
    inside = np.ones((bottom - top + 1, right - left + 1), np.bool_)
    for (ax, ay), (bx, by) in (((x0, y0), (x1, y1)), ((x1, y1), (x2, y2)), ((x2, y2), (x0, y0))):
        edge = (x * one - ax) * (by - ay) - (y * one - ay) * (bx - ax)
        is_left, is_top = by > ay, by == ay and bx < ax
        inside &= (edge >= 0) if is_left or is_top else (edge > 0)
    z0, z1, z2 = window[:, 2].astype(np.float64).tolist()
    per_x = ((z2 - z0) * (y1 - y0) - (z1 - z0) * (y2 - y0)) * one / area
    per_y = ((z1 - z0) * (x2 - x0) - (z2 - z0) * (x1 - x0)) * one / area
    at_origin = z0 - per_x * (x0 / one) - per_y * (y0 / one)
    z = (at_origin + per_y * y) + per_x * x
    box = np.s_[top : bottom + 1, left : right + 1]
    nearer = inside & (z < depth[box])
    depth[box][nearer] = z[nearer]
    triangle_id[box][nearer] = number
