"""What a loss is: how a picture is compared with its target, as a sum over pixels or as a whole."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError
from blockcore.model.settings import LOSSES, Comparison

Errors = npt.NDArray[np.float64]
PictureLoss = Callable[[Any, Any], Any]
"""``loss(rendered, target)``: both (B, 3, H, W) float32 tensors of display values in 0…1 on one device, of one size.

It returns a scalar tensor, a mean and not a sum, differentiable in ``rendered``. Where a target is masked, ``rendered``
is the target itself.
"""


@dataclass(frozen=True)
class Loss:
    """One way to compare pictures.

    To add one from another package, name such an object as an entry point of the group ``blockcore.losses``, or hand it
    to ``settings.LOSSES.add``.

    Attributes:
        name: as settings and command lines have it.
        label: its name in the panel.
        description: its tooltip there.
        of_pictures: gives, for settings of the comparison, the function of whole pictures that a descent calls once a
            view; torch is imported in here, if at all.
        of_errors: for a loss that is a sum over pixels and channels: what each absolute error, an array of values in
            0…1, costs; solving needs this alone. None for a loss of whole pictures.
        compiled: its number in ``ops.costs``, if compiled loops know it.
        power: of the error in the costs: 2, or 1 for an absolute loss.
        is_squared: whether it is the plain squared error, about which sums per face say all.
        commits: whether a descent joins the blend's loss by the spread of each block's colours; not so where the loss
            is about several blocks together.
    """

    name: str
    label: str
    description: str
    of_pictures: Callable[[Comparison], PictureLoss]
    of_errors: Callable[[Errors, Comparison], Errors] | None = None
    compiled: int | None = None
    power: float = 2.0
    is_squared: bool = False
    commits: bool = True

    @property
    def is_sum(self) -> bool:
        """Whether it is a sum over pixels and channels, of which the best assignment is found outright."""
        return self.of_errors is not None

    def priced_by(self, comparison: Comparison) -> Callable[[Errors], Errors]:
        """Returns what absolute errors cost, each, under some settings; only for sums."""
        assert self.of_errors is not None
        of_errors = self.of_errors
        return lambda error: of_errors(error, comparison)


def chosen_loss(comparison: Comparison) -> Loss:
    """Returns the loss that settings name.

    Raises:
        SettingsError: there is no such module or function.
    """
    name = comparison.loss
    if ":" in name:
        return Loss(name, name, "A function of one's own", lambda comparison: _function(comparison.loss))
    loss: Loss = LOSSES[name]
    return loss


def guiding_loss(comparison: Comparison) -> Loss:
    """Returns the sum over pixels that tells what materials cost: the loss chosen, or the squared one in its place."""
    chosen = chosen_loss(comparison)
    squared: Loss = LOSSES["l2"]
    return chosen if chosen.is_sum else squared


def _function(name: str) -> PictureLoss:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if module and function else None
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"loss {name!r} cannot be loaded ({error}); name a function as module:function") from error
    if not callable(found):
        raise SettingsError(f"loss {name!r} is neither a loss blockcore has nor a function named as module:function")
    loss: PictureLoss = found
    return loss
