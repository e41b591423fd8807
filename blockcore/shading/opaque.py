"""Rendering as one operator that ``torch.compile`` does not look into.

What cameras see is found by compiled loops and remembered between calls, neither of which can be traced. A graph
therefore holds the operator ``blockcore::render``, with the renderer as a number.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any, Protocol

import torch

from blockcore.shading.choice import Choice
from blockcore.shading.painting import picture, picture_gradient
from blockcore.shading.radiance import Sight

_LOOKERS: weakref.WeakValueDictionary[int, Looker] = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


class Looker(Protocol):
    """Who knows what cameras see."""

    def sight(
        self, positions: torch.Tensor, view: torch.Tensor, proj: torch.Tensor, height: int, width: int
    ) -> tuple[Sight, torch.Tensor]:
        """Returns what cameras see of blocks, and the (V,) blocks there that are seen."""
        ...


def registered(looker: Looker) -> int:
    """Returns the number by which graphs know a renderer, for as long as it lives."""
    number = next(_NUMBERS)
    _LOOKERS[number] = looker
    return number


@torch.library.custom_op("blockcore::render", mutates_args=())
def render(
    logits: torch.Tensor,
    positions: torch.Tensor,
    view: torch.Tensor,
    proj: torch.Tensor,
    looker: int,
    height: int,
    width: int,
    temperature: float,
    hard: bool,
) -> torch.Tensor:
    """Makes pictures, (B, 4, H, W) of the type of ``logits``; gradients flow to those, once.

    Args:
        logits: (N, M) of the blocks, noise included.
        positions: (N, 3) cells.
        view: (4, 4) or (B, 4, 4).
        proj: (4, 4) or (B, 4, 4).
        looker: number of the renderer, from ``registered``.
        height: rows.
        width: pixels per row.
        temperature: of the soft-max.
        hard: one material per block, straight-through.
    """
    sight, _, visible = _seen(looker, logits, positions, view, proj, height, width)
    return picture(visible, sight, Choice(temperature, hard=hard)).to(logits.dtype).contiguous()


@torch.library.custom_op("blockcore::render_gradient", mutates_args=())
def _gradient(
    pixels: torch.Tensor,
    logits: torch.Tensor,
    positions: torch.Tensor,
    view: torch.Tensor,
    proj: torch.Tensor,
    looker: int,
    height: int,
    width: int,
    temperature: float,
    hard: bool,
) -> torch.Tensor:
    sight, blocks, visible = _seen(looker, logits, positions, view, proj, height, width)
    with torch.no_grad():
        found = picture_gradient(pixels.to(visible.dtype), visible, sight, Choice(temperature, hard=hard))
    return torch.zeros_like(logits).index_copy_(0, blocks, found.to(logits.dtype))


def _seen(looker: int, logits: torch.Tensor, *where: Any) -> tuple[Sight, torch.Tensor, torch.Tensor]:
    sight, blocks = _LOOKERS[looker].sight(*where)
    exact = logits if logits.dtype == torch.float64 else logits.float()
    return sight, blocks, exact[blocks]


@render.register_fake
def _(
    logits: torch.Tensor, positions: Any, view: Any, proj: Any, looker: int, height: int, width: int, *how: Any
) -> torch.Tensor:
    views = max((m.shape[0] for m in (view, proj) if m.ndim == 3), default=1)
    return logits.new_empty(views, 4, height, width)


@_gradient.register_fake
def _(pixels: torch.Tensor, logits: torch.Tensor, *others: Any) -> torch.Tensor:
    return torch.empty_like(logits)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.how = inputs[4:]


def _back(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return (_gradient(grad.contiguous(), *ctx.saved_tensors, *ctx.how), *[None] * 8)


render.register_autograd(_back, setup_context=_remember)
