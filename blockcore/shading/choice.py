"""How the material of a block is chosen while it is being learned: blended, taken or drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from blockcore.errors import SettingsError, quoted
from blockcore.model.palette import AIR
from blockcore.shading.radiance import gumbel_noise

RELAXATIONS = ("softmax", "gumbel")


@dataclass(frozen=True)
class Choice:
    """How materials are chosen.

    Attributes:
        temperature: of the soft-max, above 0.
        relaxation: ``"softmax"``: shares are the soft-max of the logits; ``"gumbel"``: of the logits and Gumbel noise
            (Jang et al. 2017, "Categorical Reparameterization with Gumbel-Softmax").
        hard: the material of the largest share has all of it, with the gradient of the shares (straight-through).
        generator: what is drawn comes from it, on any device; from torch's own if None.
    """

    temperature: float = 1.0
    relaxation: str = "softmax"
    hard: bool = False
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if isinstance(self.temperature, torch.Tensor) and self.temperature.requires_grad:
            raise SettingsError("temperature: gets no gradient; divide the logits by it, and leave it at 1")
        temperature = float(self.temperature)
        if not 0.0 < temperature < math.inf:
            raise SettingsError(f"temperature {temperature} must be a number above 0")
        if self.relaxation not in RELAXATIONS:
            raise SettingsError(f"relaxation {quoted(self.relaxation)} is not one of {', '.join(RELAXATIONS)}")
        object.__setattr__(self, "temperature", temperature)

    def perturbed(self, logits: torch.Tensor) -> torch.Tensor:
        """Returns the logits (N, M), with noise where that is what relaxes the choice."""
        if self.relaxation == "softmax":
            return logits
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return logits + gumbel_noise(logits.shape, self.generator, dtype, logits.device).to(logits)

    def one_of_equals(self, logits: torch.Tensor) -> torch.Tensor:
        """Returns logits (N, M) of which none is equally likely as another: of equals, one drawn is the next number."""
        solid = logits[:, AIR + 1 :]
        best = solid == solid.amax(dim=1, keepdim=True)
        equal = best.sum(dim=1) > 1
        if not bool(equal.any()):
            return logits
        device = logits.device if self.generator is None else self.generator.device
        lot = torch.rand(best.shape, generator=self.generator, device=device).to(logits.device)
        drawn = torch.where(best, lot, -1.0).argmax(dim=1)
        row = equal.nonzero().squeeze(1)
        result = logits.clone()
        result[row, drawn[row] + AIR + 1] = torch.nextafter(
            solid[row, drawn[row]], torch.full((), math.inf, dtype=logits.dtype, device=logits.device)
        )
        return result
