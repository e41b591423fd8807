"""What a set of views shows: its faces and blocks numbered densely, so that every step works on those alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from blockcore.model.baked_light import BakedLight, Light, merged
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.palette import Palette
from blockcore.visibility.texels import WHOLE_FACES, TileCuts, texture_coordinates, triangle_array

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility

_MOST_PIXELS = 1 << 22  # numbered at once
MOST_LIT_LOOKS = 1 << 12
"""To how many looks baked light comes down, however many faces there are: nearly equal light becomes one."""


@dataclass(frozen=True, eq=False)
class VisibleFaces:
    """The F faces and V blocks that at least one pixel of some view shows. Tensors live on one device.

    Where the palette has tiles, a face is here each of the parts into which they cut it; see ``texels``. So it is where
    light is baked with several texels a face.

    Attributes:
        blocks: (V,) int64, ascending: which of the grid's blocks they are.
        block: (F,) int64, ascending: the block of each face, as an index into ``blocks``.
        look: (F,) int64: the look of each face, as an index into ``looks``.
        looks: (L, 3) int64: face direction, and column and row of the part; ``texels.WHOLE_FACES`` without tiles.
        received: (L, 3) float64, what each look receives of a baked light; None where light is not baked.
        views: per view (H, W) int32: the face each pixel shows, in 0…F-1, or -1. They may be on the CPU where the
            GPU's memory is too small for all of them.
    """

    blocks: torch.Tensor
    block: torch.Tensor
    look: torch.Tensor
    looks: npt.NDArray[np.int64]
    views: tuple[torch.Tensor, ...]
    received: npt.NDArray[np.float64] | None = None

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.blocks.device

    @cached_property
    def starts(self) -> torch.Tensor:
        """(V + 1,) int32: where the faces of each block begin, and where the last one's end."""
        return torch.searchsorted(self.block, torch.arange(len(self.blocks) + 1, device=self.device)).int()


def visible_faces(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    device: torch.device,
    keep: torch.device | None = None,
    lighting: Light | None = None,
) -> VisibleFaces:
    """Numbers the faces and blocks that the views show.

    Args:
        exposed: the grid's exposed faces.
        cameras: the views.
        visibilities: what each view shows.
        palette: whose tiles cut the faces.
        device: where the result shall live.
        keep: where its views shall, if not there, too.
        lighting: the light; a baked one cuts the faces, too.

    Returns:
        The visible faces; views in the order given.
    """
    baked = lighting if isinstance(lighting, BakedLight) else None
    if palette.tiles or baked is not None:
        return _visible_parts(exposed, cameras, visibilities, TileCuts.of(palette), baked, device, keep or device)
    seen = torch.zeros(len(exposed) + 1, dtype=torch.bool, device=device)
    for ids in _batches(visibilities, device):
        seen[(ids + 1) // 2] = True
    seen[0] = False
    number = torch.cumsum(seen, dim=0, dtype=torch.int32) - 1
    number[0] = -1
    shown = torch.nonzero(seen[1:])[:, 0]
    block, direction = (t[shown] for t in face_index_tensors(exposed, device))
    blocks, block = torch.unique_consecutive(block, return_inverse=True)  # faces are ordered by block
    views = [view for ids in _batches(visibilities, device) for view in number[(ids + 1) // 2].to(keep or device)]
    return VisibleFaces(blocks, block, direction, WHOLE_FACES, tuple(views))


def every_face(exposed: ExposedFaces, blocks: int, device: torch.device) -> VisibleFaces:
    """Takes all exposed faces of all blocks for visible, without any view: to count those seen makes a GPU's host wait.

    Args:
        exposed: the grid's exposed faces, cut by no tiles.
        blocks: how many the grid has.
        device: where the result shall live.
    """
    block, direction = face_index_tensors(exposed, device)
    return VisibleFaces(torch.arange(blocks, device=device), block, direction, WHOLE_FACES, ())


def _batches(visibilities: Sequence[Visibility], device: torch.device) -> Iterator[torch.Tensor]:
    """Yields triangle ids (B, H, W) of views in order: several of one size at once on a GPU, which saves launches."""
    batch: list[torch.Tensor] = []
    for visibility in visibilities:
        ids = torch.as_tensor(visibility.triangle_id, device=device)
        together = (len(batch) + 1) * ids.numel() <= _MOST_PIXELS
        if batch and not (together and batch[0].shape == ids.shape):
            yield torch.stack(batch)
            batch = []
        if device.type == "cuda":
            batch.append(ids)
        else:
            yield ids[None]
    if batch:
        yield torch.stack(batch)


def unshared_faces(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    side: int,
    device: torch.device,
) -> tuple[VisibleFaces, torch.Tensor]:
    """Numbers what views show in light of side × side texels a face, without letting parts share a look.

    Args:
        exposed: the grid's exposed faces.
        cameras: the views.
        visibilities: what each view shows.
        palette: whose tiles cut the faces, too.
        side: texels of the light along each edge of a face.
        device: where the result shall live.

    Returns:
        The visible faces, each of which has a look of its own; and (L,) int64, the texel of the light that each look
        receives, as an index into all faces' texels, face by face and row by row.
    """
    found = _PartsSeen.of(exposed, cameras, visibilities, TileCuts.of(palette), side)
    each = np.arange(len(found.face))
    texel = torch.from_numpy(found.face * side**2 + found.texel).to(device)
    return found.numbered(exposed, found.surface, each, None, device, device), texel


def _visible_parts(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    cuts: TileCuts,
    baked: BakedLight | None,
    device: torch.device,
    keep: torch.device,
) -> VisibleFaces:
    """Numbers parts of faces: by face, and within a face by row and column of the tiles, then of the light."""
    side = 1 if baked is None else baked.side
    found = _PartsSeen.of(exposed, cameras, visibilities, cuts, side)
    surfaces, group = np.unique(found.surface, return_inverse=True)
    if baked is None:
        return found.numbered(exposed, surfaces, group, None, device, keep)
    lights = baked.received.reshape(-1, side**2, 3)[found.face, found.texel].astype(np.float64)
    received, groups, look = merged(lights, group, max(MOST_LIT_LOOKS, len(surfaces)))
    return found.numbered(exposed, surfaces[groups], look, received, device, keep)


@dataclass(frozen=True, eq=False)
class _PartsSeen:
    """The P parts of faces that views show.

    Attributes:
        face: (P,) ascending.
        surface: (P,) direction and place among the tiles' cuts, as one number.
        texel: (P,) of the light on the face, row by row.
        views: per view (H, W) int32, the part of each pixel, -1 for none.
        most: rows and columns that tiles cut a face into.
    """

    face: npt.NDArray[np.int64]
    surface: npt.NDArray[np.int64]
    texel: npt.NDArray[np.int64]
    views: tuple[npt.NDArray[np.int32], ...]
    most: tuple[int, int]

    @staticmethod
    def of(
        exposed: ExposedFaces,
        cameras: Sequence[Camera],
        visibilities: Sequence[Visibility],
        cuts: TileCuts,
        side: int,
    ) -> _PartsSeen:
        """Finds them."""
        per_view = [_parts(exposed, c, seen, cuts, side) for c, seen in zip(cameras, visibilities, strict=True)]
        parts = np.unique(np.concatenate([found for found, _ in per_view]))
        rows, columns = cuts.most
        face, within = np.divmod(parts, rows * columns * side**2)
        place, texel = np.divmod(within, side**2)
        views = tuple(
            np.append(np.searchsorted(parts, found), -1).astype(np.int32)[number]  # -1, none, takes the last
            for found, number in per_view
        )
        return _PartsSeen(face, exposed.direction[face] * np.int64(rows * columns) + place, texel, views, cuts.most)

    def numbered(
        self,
        exposed: ExposedFaces,
        surfaces: npt.NDArray[np.int64],
        look: npt.NDArray[np.int64],
        received: npt.NDArray[np.float64] | None,
        device: torch.device,
        keep: torch.device,
    ) -> VisibleFaces:
        """Returns them as faces: part p has the look ``look[p]``, whose surface is ``surfaces[look[p]]``."""
        rows, columns = self.most
        blocks, block = np.unique(exposed.block[self.face].astype(np.int64), return_inverse=True)
        return VisibleFaces(
            blocks=torch.from_numpy(blocks).to(device),
            block=torch.from_numpy(block).to(device),
            look=torch.from_numpy(look).to(device),
            looks=np.stack([surfaces // (rows * columns), surfaces % columns, surfaces // columns % rows], axis=1),
            views=tuple(torch.from_numpy(view).to(keep) for view in self.views),
            received=received,
        )


def _parts(
    exposed: ExposedFaces, camera: Camera, visibility: Visibility, cuts: TileCuts, side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the parts that a view shows, ascending, and (H, W) which of them each pixel shows, -1 for none."""
    face = (triangle_array(visibility) + 1) // 2 - 1
    covered = face >= 0
    part = face[covered].astype(np.int64)
    rows, columns = cuts.most
    if rows * columns * side > 1:
        uv = texture_coordinates(exposed, camera, visibility)[covered]
        column, row = cuts.cut(uv, exposed.direction[face[covered]]).T
        across, down = np.clip(np.floor(uv * side), 0, side - 1).astype(np.int64).T
        part = (((part * rows + row) * columns + column) * side + down) * side + across
    found, inverse = np.unique(part, return_inverse=True)
    number = np.full(face.shape, -1, np.int64)
    number[covered] = inverse
    return found, number


def face_index_tensors(faces: ExposedFaces, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the block and direction of each face, (F,) int64 each, on ``device``."""
    block, direction = (torch.from_numpy(a.astype("int64")).to(device) for a in (faces.block, faces.direction))
    return block, direction
