"""What a set of views shows: its faces and blocks numbered densely, so that every step works on those alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from blockcore.grid import ExposedFaces
from blockcore.shading import face_index_tensors

if TYPE_CHECKING:
    from blockcore.visibility import Visibility


@dataclass(frozen=True, eq=False)
class VisibleFaces:
    """The F faces and V blocks that at least one pixel of some view shows. All tensors live on one device.

    Attributes:
        blocks: (V,) int64, ascending: which of the grid's blocks they are.
        block: (F,) int64: the block of each face, as an index into ``blocks``.
        direction: (F,) int64: the direction of each face, in the order of ``grid.FACE_NAMES``.
        views: per view (H, W) int32: the face each pixel shows, in 0…F-1, or -1.
    """

    blocks: torch.Tensor
    block: torch.Tensor
    direction: torch.Tensor
    views: tuple[torch.Tensor, ...]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.blocks.device


def visible_faces(exposed: ExposedFaces, visibilities: Sequence[Visibility], device: torch.device) -> VisibleFaces:
    """Numbers the faces and blocks that the views show.

    Args:
        exposed: the grid's exposed faces.
        visibilities: one per view.
        device: where the result shall live.

    Returns:
        The visible faces; views in the order given.
    """
    shown = [torch.as_tensor(v.face, device=device) for v in visibilities]
    seen = torch.zeros(len(exposed) + 1, dtype=torch.bool, device=device)
    for face in shown:
        seen[face.reshape(-1) + 1] = True
    seen[0] = False
    number = torch.cumsum(seen, dim=0, dtype=torch.int32) - 1
    number[0] = -1
    block, direction = (t[seen[1:]] for t in face_index_tensors(exposed, device))
    blocks, block = torch.unique(block, return_inverse=True)
    return VisibleFaces(blocks, block, direction, tuple(number[face + 1] for face in shown))
