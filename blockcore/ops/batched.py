"""How this room's operations answer ``torch.func``: one item at a time where a batch is asked for, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import SettingsError

Found = TypeVar("Found")


class OneByOne(torch.autograd.Function):
    """A differentiable operation that ``torch.func.vmap`` does for each item of a batch on its own."""

    def __init_subclass__(cls) -> None:
        """Works out once what torch asks for at every call, and what takes longer than a small operation."""
        if "forward" in cls.__dict__:
            cls.forward.__signature__ = inspect.signature(cls.forward)  # type: ignore[attr-defined]

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[torch.Tensor, int]:
        """Returns the results stacked along the first dimension, and that dimension's number."""

        def item(number: int) -> torch.Tensor:
            pairs = zip(arguments, in_dims, strict=True)
            return cls.apply(*(v if dim is None else v.select(dim, number) for v, dim in pairs))  # type: ignore[no-any-return, no-untyped-call]

        return torch.stack([item(number) for number in range(info.batch_size)]), 0


def array_of(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Returns a tensor that asks for no gradient as an array, whatever ``torch.func`` is at."""
    try:
        return np.asarray(tensor.numpy())  # no operation that a transform would wrap
    except (RuntimeError, TypeError):
        return below_transforms(_copied, tensor)


def _copied(tensor: torch.Tensor) -> npt.NDArray[Any]:
    plain = tensor.detach().cpu()
    return np.asarray((plain.double() if plain.is_floating_point() else plain).numpy())


def below_transforms(work: Callable[..., Found], *arguments: Any) -> Found:
    """Returns ``work(*arguments)``, done with plain tensors, whatever ``torch.func`` or inference mode are at.

    What it makes may be kept and trained with later.

    Args:
        work: asks for no gradient.
        arguments: tensors among them reach it without what transforms wrap around them.

    Raises:
        SettingsError: a tensor is a batch of ``vmap``.
    """
    found: list[Found] = []
    _Below.apply(lambda *plain: found.append(work(*plain)), *arguments)  # type: ignore[no-untyped-call]
    return found[0]


class _Below(OneByOne):
    @staticmethod
    def forward(work: Callable[..., None], *arguments: Any) -> torch.Tensor:
        with torch.inference_mode(False):
            work(*arguments)
        return torch.empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[torch.Tensor, int]:
        raise SettingsError("vmap: blocks and cameras cannot be its batch; give B cameras as (B, 4, 4)")
