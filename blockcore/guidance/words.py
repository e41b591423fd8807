"""Prompts: what one has in mind, in words, which may depend on where the camera stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blockcore.errors import SettingsError
from blockcore.guidance.shots import Shots

VIEWS = ("front view", "side view", "back view", "overhead view")
_OVERHEAD = 60.0  # degrees above the horizon, as in DreamFusion
_SECTOR = 45.0  # degrees to either side that count as front, and as back


@dataclass(frozen=True)
class Prompt:
    """What is to be seen.

    Attributes:
        text: in words.
        negative: what is not to be seen.
        by_view: whether ``text`` is followed by the side that a camera sees, one of ``VIEWS`` (Poole et al. 2022,
            "DreamFusion", section 3.2), so that not every side becomes a front.
    """

    text: str
    negative: str = ""
    by_view: bool = True

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SettingsError("the prompt is empty; say in words what the blocks should look like")

    @property
    def texts(self) -> tuple[str, ...]:
        """All that cameras may be told, in the order that ``index`` counts."""
        return tuple(f"{self.text}, {view}" for view in VIEWS) if self.by_view else (self.text,)

    def index(self, shots: Shots) -> list[int]:
        """Returns for each camera which of ``texts`` it is told."""
        if not self.by_view:
            return [0] * len(shots)
        turned = np.abs((shots.azimuth + 180.0) % 360.0 - 180.0)
        side = np.where(turned <= _SECTOR, 0, np.where(turned >= 180.0 - _SECTOR, 2, 1))
        return [int(view) for view in np.where(shots.elevation > _OVERHEAD, 3, side)]
