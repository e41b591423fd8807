"""How far an optimisation is, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Progress:
    """How far an optimisation is.

    Attributes:
        step: steps taken.
        steps: the most that will be taken.
        loss: mean squared error per pixel and channel of the last step, of values in 0…1.
        temperature: of the last step.
        seconds: since the optimisation began.
        changed: blocks whose best material is another than at the last report.
        materials: (N,) int32, the assignment as it stands.
    """

    step: int
    steps: int
    loss: float
    temperature: float
    seconds: float
    changed: int
    materials: npt.NDArray[np.int32]
