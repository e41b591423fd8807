"""Cameras as a renderer is given them: matrices of one camera or of many, and the pictures' size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import CameraError
from blockcore.model.camera import Camera
from blockcore.ops.batched import array_of


@dataclass(frozen=True, eq=False)
class Posed:
    """Cameras before they are looked at.

    Attributes:
        views: (B, 4, 4) or (1, 4, 4), row-major, world to view space.
        projs: (B, 4, 4) or (1, 4, 4), row-major, view to clip space.
        height: rows of the pictures.
        width: pixels per row.
    """

    views: npt.NDArray[Any]
    projs: npt.NDArray[Any]
    height: int
    width: int

    @staticmethod
    def of(view: torch.Tensor, proj: torch.Tensor, height: int, width: int) -> Posed:
        """Takes matrices (4, 4) or (B, 4, 4), one of one kind with B of the other.

        Raises:
            CameraError: they have other shapes, or ask for a gradient.
        """
        for name, matrix in (("camera_view", view), ("camera_proj", proj)):
            if matrix.requires_grad:
                raise CameraError(f"{name} asks for a gradient, but none flows to cameras; give {name}.detach()")
        views, projs = (array_of(matrix).reshape(-1, *matrix.shape[-2:]) for matrix in (view, proj))
        fits = all(matrix.ndim in (2, 3) and matrix.shape[-2:] == (4, 4) for matrix in (view, proj))
        if not fits or not (len(views) == len(projs) or 1 in (len(views), len(projs))):
            raise CameraError(
                f"camera_view {tuple(view.shape)} and camera_proj {tuple(proj.shape)} must both be (4, 4) or (B, 4, 4)"
            )
        return Posed(views, projs, height, width)

    def cameras(self) -> list[Camera]:
        """Returns the B cameras."""
        count = max(len(self.views), len(self.projs))
        pairs = zip(*(np.broadcast_to(matrices, (count, 4, 4)) for matrices in (self.views, self.projs)), strict=True)
        return [Camera(view, proj, self.width, self.height, f"camera {i}") for i, (view, proj) in enumerate(pairs)]
