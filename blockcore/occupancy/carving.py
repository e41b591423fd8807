"""Shapes that explain pictures: carved out of all that may be there, then bettered cell by cell.

A shape is judged by the squared error of its pictures plus a price for every pair of unlike neighbours and every block
that they show: of shapes that explain the pictures alike, the plainest is taken. Cells that no pixel shows are taken as
solid while single cells are tried, so that a hole which pictures do not call for has walls to pay for; whole shapes are
compared by what is known of them. What a change of one cell does to the pictures is known exactly, since every line of
sight is; see ``carving_numba``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from blockcore.model.scene import View
from blockcore.occupancy.sight import sight

_TOLERANCES = tuple(0.5**k for k in range(10, 2, -1))
"""Mean squared errors, summed over channels, up to which a material may explain what pixels show; tried in turn."""
_SAME = 1e-9  # of a squared error: rounding
_SWEEPS = 40
_LOG = 256  # cells that change with one
_AIR = 0.25  # of a pair of unlike neighbours: what a cell is worth that pixels look through
_SURE = 3.0  # the error of a block where a mask has none: as of white for black
_MOST_SEEN = 1 << 29  # cells on lines of sight, were every cell of them in question


class Carving:
    """A shape, and what pictures say of it."""

    def __init__(
        self,
        views: Sequence[View],
        masks: Sequence[npt.NDArray[np.bool_]] | None,
        hull: npt.NDArray[np.bool_],
        world_scale: float,
        looks: npt.NDArray[np.float64],
        background: npt.NDArray[np.float64],
    ) -> None:
        """Follows the pictures' lines of sight; where these are very many, those of every second or third pixel alone.

        Args:
            views: posed pictures of one size, uint8; pixels whose fourth channel is 0 do not count.
            masks: (H, W) of each: false where there is certainly no block; or None.
            hull: (X, Y, Z): where blocks may be.
            world_scale: edge of a block in world units.
            looks: (M, 6, 3) display values of the materials' faces.
            background: (3,) display values.
        """
        from blockcore.occupancy import carving_numba

        self._kernels = carving_numba
        pictures = np.stack([np.asarray(view.target) for view in views])
        counts = np.ones(pictures.shape[:3], np.bool_) if pictures.shape[3] == 3 else pictures[..., 3] > 0
        every = -(-counts.size * sum(hull.shape) // _MOST_SEEN)
        counts = counts & (np.arange(counts.size).reshape(counts.shape) % every == 0)
        target = pictures[..., :3] / 255.0
        shown, behind = (np.rint(255.0 * np.clip(colors, 0.0, 1.0)) / 255.0 for colors in (looks, background))
        error = np.square(target - behind).sum(axis=3)
        if masks is not None:
            clear = ~np.stack(masks)
            target[clear], error[clear] = behind - _SURE, 0.0
        self.shape: tuple[int, int, int] = (hull.shape[0], hull.shape[1], hull.shape[2])
        self.pixels = int(counts.sum())
        self._hull = hull.ravel()
        self._sight = sight([view.camera for view in views], hull, world_scale, counts)
        self._evidence = carving_numba.Evidence(target.reshape(-1, 3), np.where(counts, error, 0.0).ravel(), shown)
        numbers = np.zeros(hull.size, np.int16), np.zeros(hull.size, np.int64), np.zeros(counts.size, np.int64)
        self._state = carving_numba.State(*numbers)
        queue, log = np.empty(hull.size + 1, np.int64), np.empty((_LOG, 2), np.int64)
        moved = np.full(counts.size, -1)
        self._work = carving_numba.Work(queue, np.zeros(hull.size, np.bool_), log, np.zeros(len(looks)), moved)

    @property
    def material(self) -> npt.NDArray[np.int32]:
        """(X, Y, Z): the material of each block that some pixel shows, 0 elsewhere."""
        return np.where(self._state.shown > 0, self._state.material, 0).astype(np.int32).reshape(self.shape)

    @property
    def error(self) -> float:
        """The squared error of all pixels together."""
        return float(self._kernels.error_of(self._sight, self._evidence, self._state))

    def cost(self, price: float) -> float:
        """Returns the error and the price of what is known of a shape: pairs of unlike neighbours, blocks, and air."""
        known = float(self._kernels.boundary_of(self._state, self.shape)) + np.count_nonzero(self._state.shown)
        air = np.count_nonzero(self._kernels.reached(self._sight, self._state) & (self._state.material == 0))
        return self.error + price * (known - _AIR * air)

    @property
    def solid(self) -> npt.NDArray[np.int16]:
        """(N,): the shape, to return to with ``begin``; above 0 where it is solid, shown or not."""
        return self._state.material.copy()

    def begin(self, solid: npt.NDArray[np.int16]) -> None:
        """Makes a shape of what ``solid`` has; the materials of those shown are where to begin."""
        self._state.material[:] = solid
        self._kernels.look(self._sight, self._state)

    def carve(self, watch: Callable[[float], None]) -> float:
        """Carves all that may be there; returns the tolerance that explains the pictures best.

        Args:
            watch: told the mean squared error of each shape.
        """
        found = []
        for tolerance in _TOLERANCES:
            self.begin(self._hull.astype(np.int16))
            self._kernels.carve(self._sight, self._evidence, self._state, self.shape, self._work, tolerance)
            found.append((self.error, tolerance, self.solid))
            watch(self.error / self.pixels)
            if found[-1][0] <= _SAME:
                break
        _, tolerance, solid = min(found, key=lambda each: each[:2])
        self.begin(solid)
        return tolerance

    def begin_with(self, cells: npt.NDArray[np.int32], materials: npt.NDArray[np.int32]) -> None:
        """Makes a shape of blocks, and of the cells that no pixel sees for them."""
        solid = np.zeros(self.shape, np.int16)
        solid[tuple(cells.T)] = materials
        self.begin(solid.ravel())
        met = self._kernels.reached(self._sight, self._state)
        self.begin(np.where(met | ~self._hull, solid.ravel(), np.maximum(solid.ravel(), 1)))

    def better(self, tolerance: float, price: float, watch: Callable[[float], None]) -> float:
        """Changes cell by cell until no change is for the better; returns what the shape costs.

        A room stays filled by that, as what fills it explains what is seen through a window as well as its walls do,
        and one cell less of it would only be a hole. Rooms are therefore emptied whole, each that costs less then.

        Args:
            tolerance: mean squared error up to which a material may explain what is shown when a cell has gone.
            price: of a pair of unlike neighbours; above 0.
            watch: told the mean squared error of each shape.
        """
        self._sweep(tolerance, price, False, watch)
        filled = self.solid
        self._sweep(tolerance, price, True, watch)
        least = self.solid
        self.begin(filled)
        if self._empty_rooms(least, price):
            self._sweep(tolerance, price, False, watch)
        return self.cost(price)

    def _empty_rooms(self, least: npt.NDArray[np.int16], price: float) -> bool:
        """Empties each room that ``least`` has not if the shape costs less then; returns whether one is."""
        filled = cost = self.cost(price)
        parts, rooms = _rooms(((self._state.material > 0) & (least == 0)).reshape(self.shape))
        for room in rooms:
            before = self.solid
            behind = (self._state.shown == 0) & (before > 0) & (least > 0)
            self.begin(np.where(parts.ravel() == room, 0, np.where(behind, least, before)))
            emptied = self.cost(price)
            if emptied < cost:
                cost = emptied
            else:
                self.begin(before)
        return cost < filled

    def _sweep(self, tolerance: float, price: float, least: bool, watch: Callable[[float], None]) -> None:
        """Tries all cells, those that few pixels show first, until nothing changes."""
        for _ in range(_SWEEPS):
            order = np.argsort(self._state.shown, kind="stable")
            tools = self._sight, self._evidence, self._state, self.shape, self._work
            changed = self._kernels.sweep(*tools, order, self._hull, tolerance, price, least)
            watch(self.error / self.pixels)
            if not changed:
                return


def _rooms(gone: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Finds rooms in cells (X, Y, Z) that may go: parts that are somewhere two cells wide every way.

    Returns:
        (X, Y, Z) each cell's part, and which parts are rooms, large ones first.
    """
    from scipy.ndimage import binary_opening, label

    parts, _ = label(gone, np.ones((3, 3, 3)))
    size, rooms = np.bincount(parts.ravel()), np.unique(parts[binary_opening(gone, np.ones((2, 2, 2)))])
    return parts, sorted(rooms.tolist(), key=lambda part: -int(size[part]))
