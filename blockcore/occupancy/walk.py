"""Pictures of cells that are not quite there, differentiable in what is there and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch.autograd.function import once_differentiable

from blockcore.model.camera import Camera
from blockcore.occupancy.rays import RING, box_of, rays_of
from blockcore.ops.pixels import takes_triton

STOP = 1e-3
"""A ray ends where less than this of what lies beyond would show."""


def walk(
    faces: torch.Tensor,
    number: torch.Tensor,
    cameras: Sequence[Camera],
    world_scale: float,
    background: torch.Tensor,
    stop: float = STOP,
) -> torch.Tensor:
    """Lets each pixel's ray walk through the cells of a grid, front to back.

    A cell shows the face that the ray enters by: ``C = Σ Tᵢ αᵢ cᵢ + T · background``, where Tᵢ is what the cells before
    let through. A cell that a ray begins in shows nothing, as the inside of a block does not. Faces are where the
    rasteriser draws them: with opacities of 0 and 1 the picture is the rasteriser's.

    Args:
        faces: (K, 6, 4) float32 or float64, what the faces of the cells that may hold a block show: colours times
            opacity, αᵢ cᵢ, and opacity, αᵢ in 0…1 (Porter and Duff 1984, "Compositing Digital Images").
        number: (X, Y, Z) int32, where ``faces`` are: which of the K each cell of the grid is, -1 for none.
        cameras: B of one size.
        world_scale: edge of a block in world units.
        background: (B, H, W, 3).
        stop: see ``STOP``; 0 lets every ray go to its end.

    Returns:
        (B, 4, H, W): RGB and coverage, ``1 - T``. Gradients flow to ``faces`` and ``background``, once.
    """
    ground = (number, tuple(cameras), world_scale, stop)
    return _Walk.apply(faces, background, ground)  # type: ignore[no-any-return, no-untyped-call]


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, faces: torch.Tensor, background: torch.Tensor, ground: Any) -> torch.Tensor:
        number, cameras, world_scale, stop = ground
        rays = rays_of(cameras, tuple(number.shape), world_scale)
        number = torch.nn.functional.pad(number, (RING,) * 6, value=-1)
        if takes_triton(faces):
            from blockcore.occupancy import rays_triton, walk_triton

            table = rays_triton.table(rays, faces.device)
            out = walk_triton.forward(faces, number, table, background, stop)
            ctx.ground = table, stop
        else:
            from blockcore.occupancy import walk_numba

            shown, cells, behind = _arrays(faces, number, background)
            box = box_of(cells)
            out = torch.from_numpy(walk_numba.forward(shown, cells, box, rays, behind, stop)).to(faces)
            ctx.ground = box, rays, stop
        ctx.save_for_backward(faces, number, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        faces, number, out = ctx.saved_tensors
        if takes_triton(faces):
            from blockcore.occupancy import walk_triton

            to_faces = walk_triton.backward(grads[0], out, faces, number, *ctx.ground)
        else:
            from blockcore.occupancy import walk_numba

            shown, cells, seen, grad = _arrays(faces, number, out, grads[0])
            sums = walk_numba.backward(grad, seen, shown, cells, *ctx.ground)
            to_faces = torch.from_numpy(sums).to(faces)
        return to_faces, _to_background(grads[0], out) if ctx.needs_input_grad[1] else None, None


def _to_background(grad: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Returns the gradient (B, H, W, 3) of the background: it shows as far as all cells let it through."""
    return ((1.0 - out[:, 3:]) * grad[:, :3]).movedim(1, -1)


def _arrays(*tensors: torch.Tensor) -> list[npt.NDArray[Any]]:
    return [tensor.detach().cpu().contiguous().numpy() for tensor in tensors]
