"""What a set of views shows: its faces and blocks numbered densely, so that every step works on those alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from blockcore.camera import Camera
from blockcore.grid import ExposedFaces
from blockcore.palette import Palette
from blockcore.shading import face_index_tensors
from blockcore.tiles.texels import WHOLE_FACES, TileCuts, texture_coordinates, triangle_array

if TYPE_CHECKING:
    from blockcore.visibility import Visibility


@dataclass(frozen=True, eq=False)
class VisibleFaces:
    """The F faces and V blocks that at least one pixel of some view shows. Tensors live on one device.

    Where the palette has tiles, a face is here each of the parts into which they cut it; see ``texels``.

    Attributes:
        blocks: (V,) int64, ascending: which of the grid's blocks they are.
        block: (F,) int64, ascending: the block of each face, as an index into ``blocks``.
        look: (F,) int64: the look of each face, as an index into ``looks``.
        looks: (L, 3) int64: face direction, and column and row of the part; ``texels.WHOLE_FACES`` without tiles.
        views: per view (H, W) int32: the face each pixel shows, in 0…F-1, or -1. They may be on the CPU where the
            GPU's memory is too small for all of them.
    """

    blocks: torch.Tensor
    block: torch.Tensor
    look: torch.Tensor
    looks: npt.NDArray[np.int64]
    views: tuple[torch.Tensor, ...]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.blocks.device


def visible_faces(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    device: torch.device,
    keep: torch.device | None = None,
) -> VisibleFaces:
    """Numbers the faces and blocks that the views show.

    Args:
        exposed: the grid's exposed faces.
        cameras: the views.
        visibilities: what each view shows.
        palette: whose tiles cut the faces.
        device: where the result shall live.
        keep: where its views shall, if not there, too.

    Returns:
        The visible faces; views in the order given.
    """
    if palette.tiles:
        return _visible_parts(exposed, cameras, visibilities, TileCuts.of(palette), device, keep or device)
    seen = torch.zeros(len(exposed) + 1, dtype=torch.bool, device=device)
    for visibility in visibilities:
        seen[torch.as_tensor(visibility.face, device=device).reshape(-1) + 1] = True
    seen[0] = False
    number = torch.cumsum(seen, dim=0, dtype=torch.int32) - 1
    number[0] = -1
    block, direction = (t[seen[1:]] for t in face_index_tensors(exposed, device))
    blocks, block = torch.unique(block, return_inverse=True)
    views = tuple(number[torch.as_tensor(v.face, device=device) + 1].to(keep or device) for v in visibilities)
    return VisibleFaces(blocks, block, direction, WHOLE_FACES, views)


def _visible_parts(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    cuts: TileCuts,
    device: torch.device,
    keep: torch.device,
) -> VisibleFaces:
    """Numbers parts of faces: by face, and within a face by row and column."""
    per_view = [_parts(exposed, camera, seen, cuts) for camera, seen in zip(cameras, visibilities, strict=True)]
    parts = np.unique(np.concatenate([found for found, _ in per_view]))
    rows, columns = cuts.most
    face, place = np.divmod(parts, rows * columns)
    looks, look = np.unique(exposed.direction[face] * np.int64(rows * columns) + place, return_inverse=True)
    blocks, block = np.unique(exposed.block[face].astype(np.int64), return_inverse=True)
    views = []
    for found, number in per_view:
        renumbered = np.append(np.searchsorted(parts, found), -1).astype(np.int32)  # -1, none, takes the last
        views.append(torch.from_numpy(renumbered[number]).to(keep))
    return VisibleFaces(
        blocks=torch.from_numpy(blocks).to(device),
        block=torch.from_numpy(block).to(device),
        look=torch.from_numpy(look).to(device),
        looks=np.stack([looks // (rows * columns), looks % columns, looks // columns % rows], axis=1),
        views=tuple(views),
    )


def _parts(
    exposed: ExposedFaces, camera: Camera, visibility: Visibility, cuts: TileCuts
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the parts that a view shows, ascending, and (H, W) which of them each pixel shows, -1 for none."""
    face = (triangle_array(visibility) + 1) // 2 - 1
    covered = face >= 0
    uv = texture_coordinates(exposed, camera, visibility)[covered]
    column, row = cuts.cut(uv, exposed.direction[face[covered]]).T
    rows, columns = cuts.most
    found, inverse = np.unique((face[covered].astype(np.int64) * rows + row) * columns + column, return_inverse=True)
    number = np.full(face.shape, -1, np.int64)
    number[covered] = inverse
    return found, number
