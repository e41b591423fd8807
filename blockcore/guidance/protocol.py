"""What a guidance is: a loss that needs no picture to compare with."""

from __future__ import annotations

from typing import Protocol

import torch

from blockcore.guidance.shots import Shots


class Guidance(Protocol):
    """Says how little pictures are what one has in mind."""

    def __call__(self, rendered: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
        """Returns the loss.

        Args:
            rendered: (B, 3, H, W) floating point, RGB display values in 0…1, row 0 on top.
            shots: from where and in what light they were rendered.
            step: how many steps were taken before; what is random has to follow from it, so that a loop that was
                stopped can go on as if it had not been.

        Returns:
            A scalar whose gradient with respect to ``rendered`` is followed; its value is for the curve alone.
        """
        ...


def generator_of(seed: int, step: int, what: int = 0) -> torch.Generator:
    """Returns a generator on the CPU for what is drawn in one step, the same whenever the step is taken.

    Args:
        seed: of the whole run.
        step: how many steps were taken before.
        what: tells apart what is drawn in the same step.
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + what * 0x94D049BB133111EB) % (1 << 63)
    return torch.Generator().manual_seed(mixed)
