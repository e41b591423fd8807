"""Pictures of materials in one differentiable step: on a GPU two kernels forwards and two backwards.

Autograd through soft-max, blend and gather launches some thirty kernels, whose launching takes a training loop longer
than they take. The adjoint is written out here instead; ``shading.shaded_picture`` is the same, plainly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from blockcore.model.grid import FACE_NAMES
from blockcore.ops.batched import OneByOne
from blockcore.ops.blend import blend, blended_to_shares, sum_over_blocks
from blockcore.ops.pixels import gather_faces, gathered, sum_over_faces, summed, takes_triton
from blockcore.shading.choice import Choice
from blockcore.shading.radiance import Sight, material_probabilities, shaded_picture

_NARROW = (torch.float16, torch.bfloat16)


def paint(
    logits: torch.Tensor,
    sight: Sight,
    temperature: float = 1.0,
    hard: bool = False,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Makes pictures of materials as ``shading.shaded_picture`` does, whatever autocast says.

    Args:
        logits: (V, M), of the visible blocks; of 16 bits they are worked with in float32.
        sight: what is seen.
        temperature: of the soft-max.
        hard: one material per block, straight-through.
        generator: draws which one of materials that are equally likely.

    Returns:
        (..., 4, H, W) of the type of ``logits``. Gradients flow to ``logits``, also those of gradients; and to the
        sight's radiance and background where they are asked for.
    """
    if logits.dtype in _NARROW:
        return paint(logits.float(), sight, temperature, hard, generator).to(logits.dtype)
    if sight.radiance.requires_grad or sight.background.requires_grad:
        with precisely(logits):
            return shaded_picture(logits, sight, temperature, hard)
    return Painting.apply(logits, sight, Choice(temperature, hard=hard, generator=generator))  # type: ignore[no-any-return, no-untyped-call]


def precisely(tensor: torch.Tensor) -> torch.autocast:
    """Returns a context in which autocast leaves a tensor's device alone."""
    return torch.autocast(tensor.device.type, enabled=False)


def picture(logits: torch.Tensor, sight: Sight, choice: Choice) -> torch.Tensor:
    """Returns the pictures without any gradient, (..., 4, H, W); arguments as for ``Painting``."""
    with torch.no_grad(), precisely(logits):
        shown = choice.one_of_equals(logits) if choice.hard else logits
        if _takes_kernels(logits):
            from blockcore.shading import painting_triton

            return painting_triton.picture(shown.detach(), sight, choice.temperature, choice.hard)
        shares = material_probabilities(shown, choice.temperature, choice.hard)
        colors = blend(shares, sight.radiance.to(logits.dtype), sight.visible.block, sight.visible.look)
        outside = torch.nn.functional.pad(sight.background.to(logits.dtype), (0, 1))
        flat = gathered(torch.nn.functional.pad(colors, (0, 1), value=1.0), sight.face.reshape(-1), outside)
        return flat.reshape(4, *sight.face.shape).movedim(0, -3)


def picture_gradient(pixels: torch.Tensor, logits: torch.Tensor, sight: Sight, choice: Choice) -> torch.Tensor:
    """Returns the gradient of logits, (V, M), that belongs to one of the pictures, (..., 4, H, W).

    Gradients flow to both where gradients are enabled; else both are plain tensors.
    """
    differentiable, visible, face = torch.is_grad_enabled(), sight.visible, sight.face.reshape(-1)
    if _takes_kernels(logits) and not differentiable:
        from blockcore.shading import painting_triton

        return painting_triton.gradient(pixels, logits.detach(), sight, choice.temperature, choice.hard)
    add_up, take_back = (sum_over_faces, sum_over_blocks) if differentiable else (summed, blended_to_shares)
    with precisely(logits):
        pull = add_up(pixels.movedim(-3, 0)[:3].reshape(3, -1), face, len(visible.block))
        to_shares = take_back(sight.radiance.to(logits.dtype), pull, visible.block, visible.look, len(logits))
        return _through_softmax(logits, to_shares, choice.temperature)


def _picture_tangent(tangent: torch.Tensor, logits: torch.Tensor, sight: Sight, choice: Choice) -> torch.Tensor:
    """Returns how the pictures change with a step of the logits, (V, M)."""
    with precisely(logits):
        visible = sight.visible
        shares = _through_softmax(logits, tangent, choice.temperature)
        colors = blend(shares, sight.radiance.to(logits.dtype), visible.block, visible.look)
        flat = gather_faces(torch.nn.functional.pad(colors, (0, 1)), sight.face.reshape(-1))
        return flat.reshape(4, *sight.face.shape).movedim(0, -3)


def _through_softmax(logits: torch.Tensor, values: torch.Tensor, temperature: float) -> torch.Tensor:
    """Returns the derivative of the shares, which is symmetric, times values (V, M)."""
    shares = material_probabilities(logits, temperature)
    return shares * (values - (shares * values).sum(dim=1, keepdim=True)) / temperature


def _takes_kernels(logits: torch.Tensor) -> bool:
    return logits.dtype == torch.float32 and takes_triton(logits)


class Painting(OneByOne):
    """``shaded_picture`` of float32 or float64 logits, with its adjoint."""

    @staticmethod
    def forward(logits: torch.Tensor, sight: Sight, choice: Choice) -> torch.Tensor:
        """Makes the pictures."""
        return picture(logits, sight, choice)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        """Keeps what the adjoint needs."""
        logits, *how = inputs
        ctx.save_for_backward(logits)
        ctx.save_for_forward(logits)
        ctx.how = how

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Takes their gradient back to the logits."""
        (logits,) = ctx.saved_tensors
        return picture_gradient(grads[0], logits, *ctx.how), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor) -> torch.Tensor:
        """Returns how they change with a step of the logits."""
        (logits,) = ctx.saved_tensors
        return _picture_tangent(tangents[0], logits, *ctx.how)


def of_faces(sight: Sight) -> Sight:
    """Returns a sight in which every face of a block is a block of its own, of number ``6 · block + direction``."""
    visible = sight.visible
    direction = torch.from_numpy(visible.looks[:, 0].copy()).to(visible.look.device)[visible.look]
    row = visible.blocks[visible.block] * len(FACE_NAMES) + direction
    blocks, block = torch.unique_consecutive(row, return_inverse=True)
    return replace(sight, visible=replace(visible, blocks=blocks, block=block))
