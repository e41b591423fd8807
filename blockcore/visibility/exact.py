"""Draws block faces in exact fixed point, everywhere or where a coarser rasteriser may have erred.

Faces are drawn as WebGPU draws them: vertices snapped to 1/256 pixel, edge functions in whole numbers, top-left rule,
the nearest wins and, of equals, the first.

A rasteriser that snaps vertices to 1/16 pixel can only be wrong where its picture changes from one pixel to the next:
there it has to be repaired. Drawing all faces there, and not just those seen nearby, also finds faces so thin that the
coarse picture lost them.

This module does it with torch on any device; ``exact_triton`` has the same class, ``Drawing``, as GPU kernels. Both do
what the reference does, operation by operation, and give its pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from blockcore.model.camera import Camera
from blockcore.model.grid import FACE_CORNERS, FACE_NORMALS, ExposedFaces
from blockcore.visibility.reference import WINDOW_LIMIT, facing_point

LARGEST_WHOLE_ID = 1 << 24  # above it float32 skips whole numbers, and nvdiffrast stores bit patterns instead
ID_OFFSET = 0x4A800000
MOST_CORNERS = 9  # of a triangle cut by six planes
_FACES = 1 << 18  # faces whose corners are computed at once
_PAIRS = 1 << 21  # (triangle, pixel) pairs decided at once: bounds memory to some 500 MB
HALVES = ((0, 1, 2), (0, 2, 3))


@dataclass(frozen=True, eq=False)
class FaceCorners:
    """Exposed faces as tensors on one device.

    Attributes:
        corners: (F, 4, 3) float32, world space.
        direction: (F,) int32, in the order of ``grid.FACE_NAMES``.
    """

    corners: torch.Tensor
    direction: torch.Tensor

    @staticmethod
    def of(faces: ExposedFaces, device: torch.device) -> FaceCorners:
        """Computes the corners on ``device``; equal to ``faces.corners()`` bit by bit."""
        direction = torch.from_numpy(faces.direction.copy()).to(device)
        table = torch.from_numpy(FACE_CORNERS.copy()).to(device)
        center = torch.tensor([faces.grid_size[0] / 2, 0.0, faces.grid_size[2] / 2], dtype=torch.float64, device=device)
        corners = torch.empty((len(faces), 4, 3), dtype=torch.float32, device=device)
        for start in range(0, len(faces), _FACES):
            part = slice(start, start + _FACES)
            cell = torch.from_numpy(faces.cell[part].copy()).to(device)
            lattice = (cell[:, None, :] + table[direction[part].long()]).double()
            corners[part] = ((lattice - center) * faces.world_scale).float()
        return FaceCorners(corners, direction)

    def __len__(self) -> int:
        return len(self.direction)

    def front(self, eye: torch.Tensor) -> torch.Tensor:
        """Returns (F,) bool: which faces turn their front to the homogeneous point ``eye``, (4,) float64."""
        axis = (self.direction // 2).long()
        sign = torch.from_numpy(FACE_NORMALS.sum(axis=1)).to(axis.device)[self.direction.long()]
        offset = self.corners[:, 0].gather(1, axis[:, None])[:, 0].double()
        return sign * (eye[axis] - offset * eye[3]) > 0.0


def clip_positions(corners: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Maps world positions (..., 3) by a matrix (4, 4) to clip space (..., 4), in the reference's float32 order."""
    x, y, z = (axis[..., None] for axis in corners.unbind(-1))
    clip: torch.Tensor = ((matrix[:, 3] + z * matrix[:, 2]) + y * matrix[:, 1]) + x * matrix[:, 0]
    return clip


@dataclass(frozen=True, eq=False)
class Views:
    """B cameras of one picture size as tensors on one device.

    Attributes:
        cameras: (B, 20) float64: the float32 matrix world to clip space, row by row, and the homogeneous point of
            ``reference.facing_point``. One tensor, since every upload makes the host wait.
        width: pixels per row.
        height: rows.
    """

    cameras: torch.Tensor
    width: int
    height: int

    @staticmethod
    def of(cameras: Sequence[Camera]) -> Views:
        """Collects cameras of one picture size, on the CPU."""
        rows = np.empty((len(cameras), 20))
        for row, camera in zip(rows, cameras, strict=True):
            matrix = camera.view_proj
            row[:16], row[16:] = matrix.reshape(16), facing_point(matrix)
        return Views(torch.from_numpy(rows), cameras[0].width, cameras[0].height)

    def to(self, device: torch.device) -> Views:
        """Returns the same views on ``device``."""
        return replace(self, cameras=self.cameras.to(device))

    @property
    def matrices(self) -> torch.Tensor:
        """(B, 4, 4) float32, world to clip space."""
        return self.cameras[:, :16].float().reshape(-1, 4, 4)

    @property
    def eyes(self) -> torch.Tensor:
        """(B, 4) float64 homogeneous points."""
        return self.cameras[:, 16:]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.cameras.device

    def __len__(self) -> int:
        return len(self.cameras)


def decode_ids(encoded: torch.Tensor) -> torch.Tensor:
    """Reads triangle ids, int32, from nvdiffrast's float32: whole numbers up to 2²⁴, shifted bit patterns above."""
    bits = encoded.view(torch.int32) - ID_OFFSET
    return torch.where(encoded <= LARGEST_WHOLE_ID, encoded.int(), bits)


def encode_ids(ids: torch.Tensor) -> torch.Tensor:
    """Writes int32 triangle ids as nvdiffrast's float32; the inverse of ``decode_ids``."""
    return torch.where(ids <= LARGEST_WHOLE_ID, ids.float(), (ids + ID_OFFSET).view(torch.float32))


class Drawing:
    """Faces to be drawn from some views: by themselves, or to repair what nvdiffrast drew."""

    def __init__(self, faces: FaceCorners, views: Views, subpixel_bits: int = 8) -> None:
        self.faces, self.views, self.subpixel_bits = faces, views, subpixel_bits

    def draw(self) -> torch.Tensor:
        """Draws every pixel.

        Returns:
            (B, H, W) int32 triangle ids as in ``Visibility``. No gradients flow.
        """
        views = self.views
        blank = torch.zeros((views.height, views.width), dtype=torch.int32, device=views.device)
        return self._draw(blank.expand(len(views), -1, -1), torch.ones_like(blank, dtype=torch.bool))

    def positions(self) -> torch.Tensor:
        """Computes nvdiffrast's input: the one place where WebGPU's clip space becomes nvdiffrast's.

        Row 0 comes out on top, 0 ≤ z ≤ w becomes −w ≤ z ≤ w, and faces turned away lie outside the clip volume.

        Returns:
            (B, 4·F, 4) float32.
        """
        faces, views = self.faces, self.views
        out = torch.empty((len(views), len(faces), 4, 4), device=views.device)
        for view, (matrix, eye) in enumerate(zip(views.matrices, views.eyes, strict=True)):
            x, y, z, w = clip_positions(faces.corners, matrix).unbind(-1)
            out[view] = torch.stack([x, -y, 2.0 * z - w, w], dim=-1)
            out[view][~faces.front(eye)] = out.new_tensor([2.0, 2.0, 2.0, 1.0])
        return out.reshape(len(views), -1, 4)

    def redraw(self, encoded: torch.Tensor) -> torch.Tensor:
        """Decides the suspect pixels of coarsely drawn views again, exactly; call it after ``positions``.

        Args:
            encoded: (B, H, W) float32, any strides: triangle ids as nvdiffrast encodes them, row 0 on top.

        Returns:
            (B, H, W) int32 triangle ids as in ``Visibility``. No gradients flow.
        """
        raw = decode_ids(encoded)
        return self._draw(raw, suspects(raw))

    def _draw(self, raw: torch.Tensor, is_open: torch.Tensor) -> torch.Tensor:
        """Returns ``raw``, decided again where ``is_open``."""
        drawn = zip(raw, is_open.expand_as(raw), self.views.matrices, self.views.eyes, strict=True)
        return torch.stack([_draw_view(*view, self.faces, self.subpixel_bits) for view in drawn])


def suspects(raw: torch.Tensor) -> torch.Tensor:
    """Returns (..., H, W) bool: which pixels show another triangle than one of their eight neighbours."""
    found = torch.zeros_like(raw, dtype=torch.bool)
    later, earlier, every = slice(1, None), slice(None, -1), slice(None)
    for a, b in (
        ((every, later), (every, earlier)),
        ((later, every), (earlier, every)),
        ((later, later), (earlier, earlier)),
        ((later, earlier), (earlier, later)),
    ):
        changes = raw[(..., *a)] != raw[(..., *b)]
        found[(..., *a)] |= changes
        found[(..., *b)] |= changes
    return found


@dataclass(frozen=True)
class _Triangles:
    """T projected triangles: x, y (T, 3) int64 subpixels from the first pixel's centre, z (T, 3), number (T,)."""

    x: torch.Tensor
    y: torch.Tensor
    z: torch.Tensor
    number: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> _Triangles:
        return _Triangles(self.x[index], self.y[index], self.z[index], self.number[index])


def _draw_view(
    raw: torch.Tensor,
    is_open: torch.Tensor,
    matrix: torch.Tensor,
    eye: torch.Tensor,
    faces: FaceCorners,
    subpixel_bits: int,
) -> torch.Tensor:
    height, width = raw.shape
    triangles = _project(faces, matrix, eye, width, height, 1 << subpixel_bits)
    is_open = is_open.reshape(-1)
    id_bits = (2 * len(faces) + 1).bit_length()
    far = 1 << (62 - id_bits)  # depth 1 as a whole number: what a depth buffer is cleared to
    nearest = torch.full((height * width,), far << id_bits, dtype=torch.int64, device=raw.device)
    for which, x, y in _box_pixels(triangles, width, height, subpixel_bits):
        keep = is_open[y * width + x]
        x, y, triangle = x[keep], y[keep], triangles[which[keep]]
        inside, z = _cover(triangle, x << subpixel_bits, y << subpixel_bits)
        inside &= z < 1.0
        key = ((z.clamp_min(0.0) * far).long() << id_bits) | triangle.number
        nearest.scatter_reduce_(0, (y * width + x)[inside], key[inside], "amin")
    decided = (nearest & ((1 << id_bits) - 1)).int()
    return torch.where(is_open, decided, raw.reshape(-1)).reshape(height, width)


def _box_pixels(
    triangles: _Triangles, width: int, height: int, subpixel_bits: int
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yields every pixel of every triangle's bounding box: triangle, x and y, some ``_PAIRS`` at a time."""
    left, right, top, bottom = _boxes(triangles, width, height, subpixel_bits)
    columns = (right - left + 1).clamp_min(0)
    area = columns * (bottom - top + 1).clamp_min(0)
    covering = torch.nonzero(area)[:, 0]
    batch = area[covering].cumsum(0) // _PAIRS
    for chosen in torch.split(covering, torch.unique_consecutive(batch, return_counts=True)[1].tolist()):
        which = chosen.repeat_interleave(area[chosen])
        start = area[chosen].cumsum(0) - area[chosen]
        rank = torch.arange(len(which), device=which.device) - start.repeat_interleave(area[chosen])
        yield which, left[which] + rank % columns[which], top[which] + rank // columns[which]


def _project(
    faces: FaceCorners, matrix: torch.Tensor, eye: torch.Tensor, width: int, height: int, one: int
) -> _Triangles:
    """Cuts the front faces' triangles to the clip volume and snaps them; up to seven pieces of each triangle."""
    front = torch.nonzero(faces.front(eye))[:, 0]
    clip = clip_positions(faces.corners[front], matrix)
    pieces = []
    for half, corners in enumerate(HALVES):
        triangle = clip[:, list(corners)]
        is_cut = (distances(triangle) < 0).flatten(1).any(dim=1)
        whole, cut = (torch.nonzero(chosen)[:, 0] for chosen in (~is_cut, is_cut))
        count, polygon = _cut(triangle[cut])
        number = (1 + 2 * front + half).long()
        pieces.append(_snap(triangle[whole], number[whole], width, height, one))
        for last in range(2, MOST_CORNERS):
            left = torch.nonzero(count > last)[:, 0]
            fan = torch.tensor([0, last - 1, last], device=clip.device)
            pieces.append(_snap(polygon[left][:, fan], number[cut[left]], width, height, one))
    return _Triangles(*(torch.cat([getattr(part, axis) for part in pieces]) for axis in ("x", "y", "z", "number")))


def distances(clip: torch.Tensor) -> torch.Tensor:
    """Returns how far inside each plane of the clip volume points (..., 4) are, (..., 6) as ``CLIP_PLANES``."""
    x, y, z, w = clip.unbind(-1)
    return torch.stack([w - x, x + w, w - y, y + w, z, w - z], dim=-1)


def _cut(triangle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cuts triangles (T, 3, 4) to the clip volume, as the reference does.

    Returns:
        The number of corners left, (T,), 0 where nothing is, and the polygons (T, ``MOST_CORNERS``, 4).
    """
    outside = distances(triangle) < 0
    count = torch.full((len(triangle),), 3, device=triangle.device)
    polygon = torch.nn.functional.pad(triangle, (0, 0, 0, MOST_CORNERS - 3))
    for plane in range(outside.shape[2]):
        rows = torch.nonzero(outside[:, :, plane].any(dim=1))[:, 0]
        polygon[rows], count[rows] = _cut_by_plane(polygon[rows], count[rows], plane)
    gone = outside.all(dim=1).any(dim=1) | ~torch.isfinite(triangle).flatten(1).all(dim=1)
    return count.masked_fill(gone, 0), polygon


def _cut_by_plane(polygon: torch.Tensor, count: torch.Tensor, plane: int) -> tuple[torch.Tensor, torch.Tensor]:
    place = torch.arange(MOST_CORNERS, device=polygon.device)
    used = place < count[:, None]
    onward = polygon.gather(1, ((place + 1) % count[:, None].clamp_min(1))[..., None].expand_as(polygon))
    here, there = distances(polygon)[..., plane], distances(onward)[..., plane]
    inside = here >= 0
    kept, crosses = used & inside, used & (inside != (there >= 0))
    outer, inner = (torch.where(inside[..., None], *pair) for pair in ((onward, polygon), (polygon, onward)))
    far, near = torch.where(inside, there, here), torch.where(inside, here, there)
    meets = outer + (far / (far - near))[..., None] * (inner - outer)
    sums = torch.cumsum(kept.long() + crosses.long(), dim=1)
    row, _ = torch.nonzero(kept, as_tuple=True)
    result = torch.zeros_like(polygon)
    result[row, (sums - kept.long() - crosses.long())[kept]] = polygon[kept]
    row, _ = torch.nonzero(crosses, as_tuple=True)
    result[row, (sums - 1)[crosses]] = meets[crosses]
    return result, sums[:, -1]


def _snap(clip: torch.Tensor, number: torch.Tensor, width: int, height: int, one: int) -> _Triangles:
    """Snaps triangles (T, 3, 4); depth is not a number where others overflowed, so that nothing is drawn."""
    ndc = clip[..., :3] * (1.0 / clip[..., 3:])
    x = (ndc[..., 0] * (width / 2) + width / 2) - 0.5
    y = (ndc[..., 1] * -(height / 2) + height / 2) - 0.5
    fits = (x.abs() < WINDOW_LIMIT) & (y.abs() < WINDOW_LIMIT) & (ndc[..., 2].abs() < WINDOW_LIMIT)
    x, y = (torch.where(fits, v * one, 0.0).round().long() for v in (x, y))
    return _Triangles(x, y, ndc[..., 2].double().masked_fill(~fits, torch.nan), number)


def _boxes(triangles: _Triangles, width: int, height: int, subpixel_bits: int) -> tuple[torch.Tensor, ...]:
    """Returns the first and last column and row of pixel centres each triangle can cover; none if seen from behind."""
    below = (1 << subpixel_bits) - 1
    (x0, x1, x2), (y0, y1, y2) = triangles.x.unbind(1), triangles.y.unbind(1)
    front = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0) > 0
    left = ((triangles.x.amin(1) + below) >> subpixel_bits).clamp_min(0)
    top = ((triangles.y.amin(1) + below) >> subpixel_bits).clamp_min(0)
    right = (triangles.x.amax(1) >> subpixel_bits).clamp_max(width - 1)
    bottom = (triangles.y.amax(1) >> subpixel_bits).clamp_max(height - 1)
    return left, torch.where(front, right, left - 1), top, bottom


def _cover(triangle: _Triangles, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns whether triangles (P of them) cover the points x, y (P,), and their depth there, float64."""
    (x0, x1, x2), (y0, y1, y2) = triangle.x.unbind(1), triangle.y.unbind(1)
    inside = torch.ones_like(x, dtype=torch.bool)
    for ax, ay, bx, by in ((x0, y0, x1, y1), (x1, y1, x2, y2), (x2, y2, x0, y0)):
        edge = (x - ax) * (by - ay) - (y - ay) * (bx - ax)
        top_or_left = (by > ay) | ((by == ay) & (bx < ax))
        inside &= (edge > 0) | ((edge == 0) & top_or_left)
    area = ((x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)).double()
    z0, z1, z2 = triangle.z.unbind(1)
    per_x = ((z2 - z0) * (y1 - y0) - (z1 - z0) * (y2 - y0)) / area
    per_y = ((z1 - z0) * (x2 - x0) - (z2 - z0) * (x1 - x0)) / area
    return inside, (z0 + per_y * (y - y0)) + per_x * (x - x0)
