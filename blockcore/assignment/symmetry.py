"""Mirror symmetry: a block and the one that mirrors it get the same material, at the sum of what it costs in both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from blockcore.assignment.constraints import Constraints
from blockcore.model.grid import BlockGrid

AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True, eq=False)
class Mirror:
    """Which blocks mirror each other.

    Attributes:
        twins: (N,) int64: each block's mirrored one; itself where it lies in the mirror, or nothing is there.
    """

    twins: npt.NDArray[np.int64]

    @staticmethod
    def of(grid: BlockGrid, axis: str) -> Mirror:
        """Mirrors a grid's blocks about the middle of their extent along an axis of blockcore's world."""
        a = AXES[axis]
        places = grid.positions.astype(np.int64)
        mirrored = places.copy()
        if len(places):
            mirrored[:, a] = places[:, a].min() + places[:, a].max() - places[:, a]
        keys, wanted = (np.ravel_multi_index(tuple(each.T), grid.size) for each in (places, mirrored))
        order = np.argsort(keys)
        at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), max(0, len(order) - 1))]
        return Mirror(np.where(keys[at] == wanted, at, np.arange(len(places))))

    def shared(self, costs: npt.NDArray[np.float64], blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Returns costs that are the same for both of a pair: a symmetric assignment costs as much by them as before.

        Args:
            costs: (V, M) of the visible blocks.
            blocks: (V,) these blocks, ascending.
        """
        row = np.full(len(self.twins), -1)
        row[blocks] = np.arange(len(blocks))
        other = row[self.twins[blocks]]
        return np.where((other >= 0)[:, None], (costs + costs[other]) / 2.0, costs)

    def constrained(self, constraints: Constraints) -> Constraints:
        """Returns constraints by which a pair may have what both may; where that is nothing, each keeps its own."""
        both = constraints.allowed & constraints.allowed[self.twins]
        return replace(constraints, allowed=np.where(both.any(axis=1)[:, None], both, constraints.allowed))

    def alike(
        self, materials: npt.NDArray[np.int32], blocks: npt.NDArray[np.int64], constraints: Constraints | None
    ) -> npt.NDArray[np.int32]:
        """Gives the second of each pair the material of the first; one that no view shows is second, if it may."""
        first = np.arange(len(materials))
        seen = np.zeros(len(materials), dtype=np.bool_)
        seen[blocks] = True
        follows = (seen[self.twins] & ~seen) | ((seen[self.twins] == seen) & (self.twins < first))
        copied = np.where(follows, materials[self.twins], materials)
        if constraints is not None:
            copied = np.where(constraints.allowed[first, copied], copied, materials)
        return copied.astype(np.int32)
