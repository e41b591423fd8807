"""A box of Minecraft's block states: what its formats carry, and what each has to say about what it left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_CELLS = 1 << 25
"""The most cells that are read from a file."""


@dataclass(frozen=True)
class BlockStates:
    """Block states in a box.

    Attributes:
        cells: (x, y, z) int32, the index of each cell's state. The axes are Minecraft's: y is up.
        states: the states, such as ``minecraft:oak_log[axis=x]``.
        origin: where the corner of least coordinates lies, in blocks.
        losses: what the file has that is not here, a sentence each.
    """

    cells: npt.NDArray[np.int32]
    states: tuple[str, ...]
    origin: tuple[int, int, int] = (0, 0, 0)
    losses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cells.ndim != 3 or self.cells.dtype != np.int32 or not self.cells.size:
            raise ValueError("block states fill a box of (x, y, z) int32")
        if self.cells.min() < 0 or self.cells.max() >= len(self.states):
            raise ValueError("has a block that its list of states lacks")
