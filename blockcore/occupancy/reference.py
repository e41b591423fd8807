"""What a pixel sees through cells that are not quite there, plainly and in float64, to hold the kernels to.

Every plane of the lattice cuts a ray. Cuts are sorted, not walked; of two in a row, that one comes first through whose
face the pixel's centre sees as the rasteriser draws it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from blockcore.model.camera import Camera
from blockcore.occupancy.rays import ends_of_rays
from blockcore.visibility.reference import WINDOW_LIMIT, to_clip, to_window

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def seen_through(
    faces: torch.Tensor,
    number: torch.Tensor,
    camera: Camera,
    world_scale: float,
    background: torch.Tensor,
) -> torch.Tensor:
    """Composes a picture front to back; arguments and result as for ``walk.walk``, of one camera and in float64."""
    size = (number.shape[0], number.shape[1], number.shape[2])
    cell, face = (torch.from_numpy(found) for found in _met(camera, size, world_scale))
    inside = ((cell >= 0) & (cell < torch.tensor(size))).all(dim=2)
    cell = torch.where(inside[..., None], cell, 0)
    found = torch.where(inside & (face >= 0), number.long()[cell[..., 0], cell[..., 1], cell[..., 2]], -1)
    shown = torch.where((found >= 0)[..., None], faces.double()[found.clamp_min(0), face], 0.0)
    left = torch.cumprod(torch.cat([torch.ones(len(found), 1), 1.0 - shown[..., 3]], dim=1), dim=1)
    color = (left[:, :-1, None] * shown[..., :3]).sum(dim=1) + left[:, -1:] * background.double().reshape(-1, 3)
    return torch.cat([color, 1.0 - left[:, -1:]], dim=1).T.reshape(4, camera.height, camera.width)


def _met(camera: Camera, size: tuple[int, int, int], world_scale: float) -> tuple[Whole, Whole]:
    """Returns the cells behind each ray's cuts, front to back, (P, C, 3), and the faces met, (P, C), -1 for none."""
    start, end = ends_of_rays(camera, size, world_scale)
    way = end - start
    plane = np.concatenate([np.arange(n + 1) for n in size])
    along = np.repeat([0, 1, 2], [n + 1 for n in size])
    with np.errstate(all="ignore"):
        cuts = (plane - start[:, along]) / way[:, along]
    cuts = np.where((cuts > 0.0) & (cuts < 1.0), cuts, np.inf)
    axes = along[np.argsort(cuts, axis=1)]
    cuts = np.append(np.sort(cuts, axis=1), np.full((len(cuts), 1), np.inf), axis=1)
    drawn, sign = _corners(camera, size, world_scale), np.where(way >= 0.0, 1, -1)
    cell, cells, faces = np.clip(np.floor(start).astype(np.int64), -1, size), [], []
    for i in range(axes.shape[1]):
        here, next_one = axes[:, i], axes[:, min(i + 1, axes.shape[1] - 1)]
        pair = np.flatnonzero((cuts[:, i + 1] < np.inf) & (here != next_one))
        corner = cell[pair] + (sign[pair] > 0)  # where the planes ahead meet
        swapped = pair[_is_behind(drawn, camera, pair, corner, sign[pair], here[pair], next_one[pair])]
        axes[swapped, i : i + 2] = axes[swapped, i : i + 2][:, ::-1]
        cell = cell + sign * (axes[:, i, None] == np.arange(3))
        cells.append(cell)
        forward = np.take_along_axis(sign, axes[:, i, None], axis=1)[:, 0] > 0
        faces.append(np.where(cuts[:, i] < np.inf, 2 * axes[:, i] + forward, -1))
    return np.stack(cells, axis=1), np.stack(faces, axis=1)


def _corners(camera: Camera, size: tuple[int, int, int], world_scale: float) -> Floats:
    """Returns where corners of the lattice and of a ring around are drawn, in 1/256 of a pixel; NaN for nowhere."""
    center = np.array([size[0] / 2, 0.0, size[2] / 2])
    lattice = np.stack(np.meshgrid(*(np.arange(-1, n + 2) for n in size), indexing="ij"), axis=-1).reshape(-1, 3)
    with np.errstate(all="ignore"):
        clip = to_clip(((lattice - center) * world_scale).astype(np.float32), camera.view_proj)
        window = to_window(clip, camera)[:, :2]
        seen = (clip[:, 3] > 0.0) & (np.abs(window) < WINDOW_LIMIT).all(axis=1)
    drawn = np.where(seen[:, None], np.rint(window * np.float32(256)), np.nan)
    return drawn.reshape(*(n + 3 for n in size), 2)


def _is_behind(
    drawn: Floats, camera: Camera, pixel: Whole, corner: Whole, sign: Whole, axis: Whole, other: Whole
) -> npt.NDArray[np.bool_]:
    """Returns whether pixels see the edge between two faces that meet in ``corner`` from the side of the other one."""
    unit = np.eye(3, dtype=np.int64)
    x, y, z = np.moveaxis(np.stack([corner, *(corner - sign * unit[a] for a in (3 - axis - other, other))]) + 1, -1, 0)
    end, begin, face = drawn[x, y, z]
    across, down = (begin - end).T
    here = np.stack([pixel % camera.width, pixel // camera.width], axis=1) * 256 - end
    inner = across * (face - end)[:, 1] - down * (face - end)[:, 0]
    side = across * here[:, 1] - down * here[:, 0]
    side = np.where(side == 0.0, np.where(down != 0.0, -down, across), side)  # the top-left rule
    return np.asarray(inner * side < 0.0)
