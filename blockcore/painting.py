"""Pictures of materials in one differentiable step: on a GPU two kernels forwards and two backwards.

Autograd through soft-max, blend and gather launches some thirty kernels, whose launching takes a training loop longer
than they take. The adjoint is written out here instead; ``shading.shaded_picture`` is the same, plainly.
"""

from __future__ import annotations

from typing import Any

import torch

from blockcore.shading import shaded_picture
from blockcore.triton_here import triton_is_here
from blockcore.visible import VisibleFaces


def paint(
    logits: torch.Tensor,
    visible: VisibleFaces,
    face: torch.Tensor,
    radiance: torch.Tensor,
    background: torch.Tensor,
    temperature: float = 1.0,
    hard: bool = False,
) -> torch.Tensor:
    """Makes pictures of materials; arguments and result as for ``shading.shaded_picture``.

    Gradients flow to ``logits``, also those of gradients.
    """
    scene = (visible, face, radiance, background, temperature, hard)
    if logits.is_cuda and logits.dtype == torch.float32 and triton_is_here():
        return _Paint.apply(logits, *scene)  # type: ignore[no-any-return, no-untyped-call]
    return shaded_picture(logits, *scene)


class _Paint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, *scene: Any) -> torch.Tensor:
        from blockcore import painting_triton

        ctx.save_for_backward(logits)
        ctx.scene = scene
        return painting_triton.picture(logits.detach(), *scene)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        from blockcore import painting_triton

        (logits,) = ctx.saved_tensors
        nothing = (None,) * len(ctx.scene)
        if torch.is_grad_enabled():  # somebody differentiates the gradient
            plain = shaded_picture(logits, *ctx.scene)
            return *torch.autograd.grad(plain, logits, grads[0], create_graph=True), *nothing
        return painting_triton.gradient(grads[0], logits.detach(), *ctx.scene), *nothing
