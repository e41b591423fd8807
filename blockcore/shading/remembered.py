"""What cameras saw, remembered for when they look at the same blocks again."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from blockcore.model.baked_light import Light
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import Palette
from blockcore.shading.posed import Posed
from blockcore.shading.radiance import Sight
from blockcore.visibility.buffer import Visibility
from blockcore.visibility.faces import VisibleFaces

MOST_PIXELS = 1 << 26
"""How many pixels are remembered, of four bytes each, where nothing else is said."""
_GRIDS = 4
Key = tuple[int, int, int, int, bytes]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a set of cameras sees, with what it was worked out for."""

    grid: BlockGrid
    palette: Palette
    lighting: Light
    sight: Sight

    @property
    def pixels(self) -> int:
        """How many pixels it holds."""
        return self.sight.face.numel()


@dataclass(frozen=True, eq=False)
class Found:
    """The triangles that a set of cameras sees."""

    grid: BlockGrid
    views: list[Visibility]

    @property
    def pixels(self) -> int:
        """How many pixels it holds."""
        return sum(math.prod(view.triangle_id.shape) for view in self.views)


@dataclass(frozen=True, eq=False)
class LitSeen:
    """What a set of cameras sees in light of so many texels a face, and the texel of each look."""

    grid: BlockGrid
    palette: Palette
    key: tuple[Any, ...]
    visible: VisibleFaces
    texel: torch.Tensor


_Kept = TypeVar("_Kept", Seen, Found)


class Remembered:
    """What was seen of the last sets of blocks. Threads may share it.

    Attributes:
        lock: held while what is kept is looked through.
        seen: what was seen, by ``key_of``; the last at the end.
        found: likewise the triangles alone.
        lit: what was seen last in a light that is a tensor.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.seen: OrderedDict[Key, Seen] = OrderedDict()
        self.found: OrderedDict[Key, Found] = OrderedDict()
        self.lit: LitSeen | None = None
        self._grids: deque[BlockGrid] = deque(maxlen=_GRIDS)

    def grid(self, cells: npt.NDArray[Any], size: tuple[int, int, int], scale: float) -> BlockGrid:
        """Returns the grid of blocks at ``cells`` (N, 3): the one that is known, or a new one.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole.
        """
        with self.lock:
            for at, grid in enumerate(self._grids):  # much faster than checking positions and finding faces again
                if np.array_equal(grid.positions, cells):
                    del self._grids[at]
                    self._grids.appendleft(grid)
                    return grid
            self._grids.appendleft(BlockGrid(size, scale, cells))
            return self._grids[0]

    def keep(self, among: OrderedDict[Key, _Kept], key: Key, what: _Kept, views: int, pixels: int | None) -> None:
        """Keeps what was seen; forgets sets of blocks that are no longer known, then what was seen first.

        Args:
            among: ``seen`` or ``found``.
            key: what it is found by.
            what: what was seen.
            views: how many are kept at most.
            pixels: of how many pixels together; ``MOST_PIXELS`` if None.
        """
        most = MOST_PIXELS if pixels is None else pixels
        with self.lock:
            among[key] = what
            for other in [k for k, v in among.items() if all(v.grid is not grid for grid in self._grids)]:
                del among[other]
            held = sum(one.pixels for one in among.values())
            while among and (len(among) > views or held > most):
                _, oldest = among.popitem(last=False)
                held -= oldest.pixels


def key_of(grid: BlockGrid, posed: Posed) -> Key:
    """Returns what tells sights apart; a grid's number is its own for as long as something remembered holds it."""
    return (id(grid), posed.width, posed.height, len(posed.views), posed.views.tobytes() + posed.projs.tobytes())
