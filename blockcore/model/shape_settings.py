"""ShapeSettings: how blocks are looked for where pictures alone are given; one line a setting."""

from __future__ import annotations

from dataclasses import dataclass

from blockcore.model.settings import Group, setting


@dataclass(frozen=True)
class ShapeSettings(Group):
    """How a shape is looked for."""

    steps: int = setting(300, "steps of gradient descent", "Steps", "How long to look", bounds=(1, 1_000_000))
    learning_rate: float = setting(0.3, "of Adam", "Learning Rate", "How far a step goes", bounds=(1e-6, 100.0))
    opacity: float = setting(0.1, "of the fog at the start", "Opacity", "How dense it begins", bounds=(1e-3, 0.999))
    entropy: float = setting(1e-3, "cost of undecided cells at the end", "Entropy", "Be sure", bounds=(0.0, 1e3))
    sparsity: float = setting(1e-3, "cost of opacity", "Sparsity", "Prefer few blocks", bounds=(0.0, 1e3))
    seed: int = setting(0, "of the order of views", "Seed", "Which random order")
