"""Faces to pixels and back: the gather that colours a picture, and its adjoint, the sum of pixels over each face.

Both are linear and each is the other's derivative, so they can be differentiated any number of times. On the CPU they
are compiled loops that walk the pixels in order, on a GPU Triton kernels that add up runs of pixels first: plain
indexing would leave the adjoint to colliding scatter-adds.
"""

from __future__ import annotations

from typing import Any

import torch

from blockcore.machine.triton_here import triton_is_here
from blockcore.ops.batched import OneByOne


def takes_triton(values: torch.Tensor) -> bool:
    """Whether Triton's kernels take a tensor: it lives on a GPU, and they can be built here."""
    return values.is_cuda and triton_is_here()


def gather_faces(values: torch.Tensor, face: torch.Tensor, outside: torch.Tensor | None = None) -> torch.Tensor:
    """Gives each pixel the value of the face it shows.

    Args:
        values: (F, C) float32 or float64.
        face: (P,) int32, the face of each pixel in 0…F-1, or -1 where there is none; same device.
        outside: (C,) values where there is no face, a constant; 0 if None.

    Returns:
        (C, P): ``values[face]``, and ``outside`` where there is no face. Gradients flow to ``values``.
    """
    none = values.new_zeros(values.shape[1]) if outside is None else outside.to(values)
    return _Gather.apply(values, face, none)  # type: ignore[no-any-return, no-untyped-call]


def sum_over_faces(pixels: torch.Tensor, face: torch.Tensor, count: int) -> torch.Tensor:
    """Sums the pixels of each face; the adjoint of ``gather_faces``.

    Args:
        pixels: (C, P) float32 or float64.
        face: (P,) int32, as for ``gather_faces``.
        count: F, the number of faces.

    Returns:
        (F, C), accumulated in float64 on the CPU. Gradients flow to ``pixels``.
    """
    return _SumOver.apply(pixels, face, count)  # type: ignore[no-any-return, no-untyped-call]


def squared_error(colors: torch.Tensor, face: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compares what faces show with a picture.

    Args:
        colors: (F, 3) float32 display colours.
        face: (P,) int32, the face of each pixel, or -1 where there is none; same device.
        target: (P, 3) or (P, 4) uint8; a fourth channel of 0 leaves the pixel out.

    Returns:
        The squared error summed over RGB and the pixels that show a face, a scalar. Gradients flow to ``colors``.
    """
    return _SquaredError.apply(colors, face, target)  # type: ignore[no-any-return, no-untyped-call]


def gathered(values: torch.Tensor, face: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
    """Returns what ``gather_faces`` does, (C, P), of plain tensors and without any gradient."""
    if takes_triton(values):
        from blockcore.ops import pixels_triton

        return pixels_triton.gather(values.detach(), face, outside)
    if values.is_cuda:
        return torch.cat([values, outside[None]]).T[:, face.long()]
    from blockcore.ops import pixels_numba

    arrays = (values.detach().contiguous().numpy(), face.numpy(), outside.numpy())
    return torch.from_numpy(pixels_numba.gather(*arrays))


def summed(pixels: torch.Tensor, face: torch.Tensor, count: int) -> torch.Tensor:
    """Returns what ``sum_over_faces`` does, (F, C), of plain tensors and without any gradient."""
    if takes_triton(pixels):
        from blockcore.ops import pixels_triton

        return pixels_triton.sum_over(pixels.detach(), face, count).to(pixels.dtype)
    if pixels.is_cuda:
        sums = pixels.new_zeros(count + 1, pixels.shape[0])
        return sums.index_add_(0, face.long() % (count + 1), pixels.T)[:count]
    from blockcore.ops import pixels_numba

    return torch.from_numpy(pixels_numba.sum_over(pixels.detach().contiguous().numpy(), face.numpy(), count))


class _Gather(OneByOne):
    @staticmethod
    def forward(values: torch.Tensor, face: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        return gathered(values, face, outside)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.count = len(inputs[0])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (face,) = ctx.saved_tensors
        return sum_over_faces(grads[0], face, ctx.count), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor) -> torch.Tensor:
        return gather_faces(tangents[0], *ctx.saved_tensors)


class _SumOver(OneByOne):
    @staticmethod
    def forward(pixels: torch.Tensor, face: torch.Tensor, count: int) -> torch.Tensor:
        return summed(pixels, face, count)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.count = inputs[2]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (face,) = ctx.saved_tensors
        return gather_faces(grads[0], face), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor) -> torch.Tensor:
        (face,) = ctx.saved_tensors
        return sum_over_faces(tangents[0], face, ctx.count)


class _SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, colors: torch.Tensor, face: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss, gradient = _error_and_gradient(colors.detach(), face, target)
        ctx.save_for_backward(gradient.to(colors.dtype))
        return loss.to(colors.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return grads[0] * gradient, None, None


def _error_and_gradient(
    colors: torch.Tensor, face: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    if takes_triton(colors):
        from blockcore.ops import pixels_triton

        return pixels_triton.squared_error(colors, face, target)
    if colors.is_cuda:
        counts = (face >= 0) if target.shape[1] == 3 else (face >= 0) & (target[:, 3] > 0)
        error = (gather_faces(colors, face) - target[:, :3].T / 255.0) * counts
        return error.square().sum(), sum_over_faces(2.0 * error, face, len(colors))
    from blockcore.ops import pixels_numba

    loss, gradient = pixels_numba.squared_error(colors.contiguous().numpy(), face.numpy(), target.numpy())
    return torch.tensor(loss, dtype=torch.float64), torch.from_numpy(gradient)
