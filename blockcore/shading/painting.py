"""Pictures of materials in one differentiable step: on a GPU two kernels forwards and two backwards.

Autograd through soft-max, blend and gather launches some thirty kernels, whose launching takes a training loop longer
than they take. The adjoint is written out here instead; ``shading.shaded_picture`` is the same, plainly.
"""

from __future__ import annotations

from typing import Any

import torch

from blockcore.ops.pixels import takes_triton
from blockcore.shading.radiance import Sight, shaded_picture


def paint(logits: torch.Tensor, sight: Sight, temperature: float = 1.0, hard: bool = False) -> torch.Tensor:
    """Makes pictures of materials; arguments and result as for ``shading.shaded_picture``.

    Gradients flow to ``logits``, also those of gradients.
    """
    if logits.dtype == torch.float32 and takes_triton(logits):
        return Painting.apply(logits, sight, float(temperature), hard)  # type: ignore[no-any-return, no-untyped-call]
    return shaded_picture(logits, sight, temperature, hard)


class Painting(torch.autograd.Function):
    """``shaded_picture`` by Triton kernels, of float32 logits."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, sight: Sight, temperature: float, hard: bool) -> torch.Tensor:
        """Makes the pictures."""
        from blockcore.shading import painting_triton

        ctx.save_for_backward(logits)
        ctx.how = sight, temperature, hard
        return painting_triton.picture(logits.detach(), *ctx.how)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Takes their gradient back to the logits."""
        from blockcore.shading import painting_triton

        (logits,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody differentiates the gradient
            plain = shaded_picture(logits, *ctx.how)
            return *torch.autograd.grad(plain, logits, grads[0], create_graph=True), None, None, None
        return painting_triton.gradient(grads[0], logits.detach(), *ctx.how), None, None, None
