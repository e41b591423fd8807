"""Compiled moves from one shape to the next, each with the very change of the pictures. Importing it imports numba.

What a pixel shows is the first cell on its list that is solid. So a cell that goes or comes changes the pixels that
look through it and no others, and what they show instead is found on their lists: pictures are never drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.occupancy.sight import Sight

Array = npt.NDArray[Any]

_SAME = 1e-9  # of a squared error: rounding
_SIDES = 6.0
_UNSURE = 0.9  # of a pair, where its solid cell may not be there: no pixel shows it


class Evidence(NamedTuple):
    """What pictures show, and what materials look like; colours in 0…1.

    Attributes:
        target: (P, 3) float64.
        behind: (P,) float64, the error of a pixel that shows the background.
        looks: (M, 6, 3) float64; the first material, Air, is none.
    """

    target: npt.NDArray[np.float64]
    behind: npt.NDArray[np.float64]
    looks: npt.NDArray[np.float64]


class State(NamedTuple):
    """A shape.

    Attributes:
        material: (N,) int16, 0 where a cell is empty. That of a solid cell which no pixel shows does not count: it may
            be anything.
        shown: (N,) int64, how many pixels show each cell.
        hit: (P,) int64, where on its list each pixel's first solid cell is; the list's end where there is none.
    """

    material: npt.NDArray[np.int16]
    shown: npt.NDArray[np.int64]
    hit: npt.NDArray[np.int64]


class Work(NamedTuple):
    """Room to work in.

    Attributes:
        queue: (N,) int64, cells to look at, in a ring.
        queued: (N,) bool, false when idle.
        log: (L, 2) int64, cells whose material changed and what it was: 0 or more, or -1 less it where the cell went.
            As long as what may go with one cell; more is no small change.
        costs: (M,) float64.
        moved: (P,) int64, the last cell that was tried without and whose going had a pixel show another, -1 at first.
    """

    queue: npt.NDArray[np.int64]
    queued: npt.NDArray[np.bool_]
    log: npt.NDArray[np.int64]
    costs: npt.NDArray[np.float64]
    moved: npt.NDArray[np.int64]


@kernel
def look(sight: Sight, state: State) -> None:
    """Finds what each pixel shows."""
    state.shown[:] = 0
    for p in range(len(sight.first) - 1):
        i = _next(sight, state, p, sight.first[p])
        state.hit[p] = i
        if i < sight.first[p + 1]:
            state.shown[sight.entry[i] // 6] += 1


@kernel
def reached(sight: Sight, state: State) -> Array:
    """Returns the cells (N,) that some pixel looks through or shows."""
    met = np.zeros(len(state.material), np.bool_)
    for p in range(len(sight.first) - 1):
        for i in range(sight.first[p], min(state.hit[p] + 1, sight.first[p + 1])):
            met[sight.entry[i] // 6] = True
    return met


@kernel
def error_of(sight: Sight, evidence: Evidence, state: State) -> float:
    """Returns the squared error of all pixels together."""
    total = 0.0
    for p in range(len(sight.first) - 1):
        total += _error(sight, evidence, state, p, state.hit[p])
    return total


@kernel
def boundary_of(state: State, shape: Any) -> float:
    """Returns how many pairs of neighbours are known to be unlike."""
    total = 0.0
    for cell in range(len(state.material)):
        if state.shown[cell] > 0:
            total += _boundary(state, shape, cell, 0.5, 0.0)
    return total


@kernel
def carve(sight: Sight, evidence: Evidence, state: State, shape: Any, work: Work, tolerance: float) -> None:
    """Takes away cells that no material explains, and what is shown then, until all are explained.

    A cell that is there in truth is never shown by a pixel that does not show it in truth, as long as none of those
    before it has gone: what is left holds every shape that explains the pictures (Kutulakos and Seitz 2000).
    """
    count = 0
    for cell in range(len(state.material)):
        if state.shown[cell] > 0:
            work.queue[count] = cell
            work.queued[cell] = True
            count += 1
    _cascade(sight, evidence, state, shape, work, count, False, tolerance, 0.0)


@kernel
def sweep(
    sight: Sight, evidence: Evidence, state: State, shape: Any, work: Work, order: Array, hull: Array,
    tolerance: float, price: float, least: bool,
) -> int:  # fmt: skip
    """Tries every cell of ``order``, one after the other: another material, gone, or there.

    Args:
        sight: what pixels look through.
        evidence: what they show.
        state: the shape, changed in place.
        shape: cells along x, y, z.
        work: room to work in.
        order: cells.
        hull: (N,) where blocks may be.
        tolerance: mean squared error of a cell's pixels up to which a material explains them.
        price: of a pair of unlike neighbours, in units of squared error.
        least: take away whatever pictures do not speak for, at any price, and put nothing there.

    Returns:
        How many changed.
    """
    changed = 0
    for cell in order:
        if state.shown[cell] > 0:
            best = _best(sight, evidence, state, cell, work.costs)
            gain = work.costs[state.material[cell]] - work.costs[best]
            if gain > _SAME:
                state.material[cell] = best
                changed += 1
            changed += _without(sight, evidence, state, shape, work, cell, tolerance, price, least)
        elif state.material[cell] == 0 and hull[cell] and not least:
            changed += _with(sight, evidence, state, shape, work.costs, cell, price)
    return changed


@kernel
def _next(sight: Sight, state: State, p: int, i: int) -> int:
    """Returns the first place from ``i`` on where a pixel's list has a solid cell, or the list's end."""
    end = sight.first[p + 1]
    while i < end and state.material[sight.entry[i] // 6] == 0:
        i += 1
    return i


@kernel
def _unlike(evidence: Evidence, material: int, face: int, p: int) -> float:
    """Returns the squared error of a pixel that shows a face of a material."""
    red = evidence.looks[material, face, 0] - evidence.target[p, 0]
    green = evidence.looks[material, face, 1] - evidence.target[p, 1]
    blue = evidence.looks[material, face, 2] - evidence.target[p, 2]
    return float(red * red + green * green + blue * blue)


@kernel
def _error(sight: Sight, evidence: Evidence, state: State, p: int, i: int) -> float:
    """Returns the squared error of a pixel that shows what is at place ``i``."""
    if i >= sight.first[p + 1]:
        return float(evidence.behind[p])
    return _unlike(evidence, state.material[sight.entry[i] // 6], sight.entry[i] % 6, p)


@kernel
def _best(sight: Sight, evidence: Evidence, state: State, cell: int, costs: Array) -> int:
    """Fills in the cost of each material of a cell, over the pixels that show it or would; returns the best."""
    costs[:] = 0.0
    for k in range(sight.starts[cell], sight.starts[cell + 1]):
        p, i = sight.pixel[k], sight.place[k]
        if state.hit[p] >= i:
            for material in range(1, len(costs)):
                costs[material] += _unlike(evidence, material, sight.entry[i] % 6, p)
    best = 1
    for material in range(2, len(costs)):
        if costs[material] < costs[best]:
            best = material
    return best


@kernel
def _boundary(state: State, shape: Any, cell: int, inner: float, hidden: float) -> float:
    """Returns how many of a cell's neighbours are unlike it.

    Of solid cells that no pixel shows the material is not known, and of what is below the grid nothing; all else around
    it is empty.

    Args:
        state: the shape.
        shape: cells along x, y, z.
        cell: which.
        inner: what a pair of unlike materials weighs.
        hidden: what a pair of an empty cell and a solid one that no pixel shows weighs.
    """
    mine = state.material[cell]
    known = mine == 0 or state.shown[cell] > 0
    z, y, x = cell % shape[2], cell // shape[2] % shape[1], cell // (shape[2] * shape[1])
    found = 0.0
    for way in range(6):
        there = x if way < 2 else y if way < 4 else z
        side, far = way % 2, shape[way // 2] - 1
        stride = shape[1] * shape[2] if way < 2 else shape[2] if way < 4 else 1
        if there == (far if side == 1 else 0):
            if mine > 0 and way != 2:
                found += 1.0 if known else hidden
            continue
        other = cell + (stride if side == 1 else -stride)
        theirs = state.material[other]
        both = known and (theirs == 0 or state.shown[other] > 0)
        if (theirs > 0) != (mine > 0):
            found += 1.0 if both else hidden
        elif theirs != mine and both:
            found += inner
    return found


@kernel
def _cascade(
    sight: Sight, evidence: Evidence, state: State, shape: Any, work: Work, count: int, forced: bool, tolerance: float,
    price: float,
) -> Any:  # fmt: skip
    """Looks at queued cells: each gets its best material, or goes if that does not explain it; then others are queued.

    The first goes at any rate if ``forced``.

    Returns:
        By how much error and boundary grew, and how many entries the log has. With ``forced`` the error is infinite,
        and nothing more has been done, where the log is full, or where pixels that see the background now are off by
        more than all pixels that saw something else before: nothing that goes as well can mend that.
    """
    error, boundary, logged, at, lost = 0.0, 0.0, 0, 0, 0.0
    origin = work.queue[0] if forced else -1
    while at < count:
        cell = work.queue[at % len(work.queue)]
        work.queued[cell] = False
        at += 1
        if state.shown[cell] == 0 or error == np.inf:
            continue
        if logged + 2 > len(work.log):
            if forced:
                error = np.inf
                continue
            logged = 0
        old = state.material[cell]
        if at > 1 or not forced:
            best = _best(sight, evidence, state, cell, work.costs)
            before = _boundary(state, shape, cell, 1.0, _UNSURE)
            state.material[cell] = best
            work.log[logged, 0], work.log[logged, 1] = cell, old
            logged += 1
            error += work.costs[best] - work.costs[old]
            boundary += _boundary(state, shape, cell, 1.0, _UNSURE) - before
            if work.costs[best] <= tolerance * state.shown[cell]:
                continue
        work.log[logged, 0], work.log[logged, 1] = cell, -1 - state.material[cell]
        logged += 1
        worse, more, gone, count = _take(sight, evidence, state, shape, work, cell, count, origin)
        error, boundary, lost = error + worse, boundary + more, lost + gone
        if forced and lost > price * _SIDES * logged + _SAME:
            error = np.inf
    return error, boundary, logged


@kernel
def _take(
    sight: Sight, evidence: Evidence, state: State, shape: Any, work: Work, cell: int, count: int, origin: int
) -> tuple[float, float, float, int]:
    """Takes a cell away and queues those that are shown instead.

    Returns:
        How error and boundary grew; the error of pixels that see the background now, less that of pixels which had not
        moved for ``origin``; and how many cells have been queued.
    """
    error, lost, material = 0.0, 0.0, state.material[cell]
    boundary = -_boundary(state, shape, cell, 1.0, _UNSURE)
    state.material[cell], state.shown[cell] = 0, 0
    boundary += _boundary(state, shape, cell, 1.0, _UNSURE)
    for k in range(sight.starts[cell], sight.starts[cell + 1]):
        p, i = sight.pixel[k], sight.place[k]
        if state.hit[p] != i:
            continue
        j = _next(sight, state, p, i + 1)
        state.hit[p] = j
        before = _unlike(evidence, material, sight.entry[i] % 6, p)
        error += _error(sight, evidence, state, p, j) - before
        if work.moved[p] != origin:
            work.moved[p] = origin
            lost -= before
        if j == sight.first[p + 1]:
            lost += evidence.behind[p]
        else:
            other = sight.entry[j] // 6
            if state.shown[other] == 0:
                boundary -= _boundary(state, shape, other, 1.0, _UNSURE)
                state.shown[other] = 1
                boundary += _boundary(state, shape, other, 1.0, _UNSURE)
            else:
                state.shown[other] += 1
            if not work.queued[other]:
                work.queued[other] = True
                work.queue[count % len(work.queue)] = other
                count += 1
    return error, boundary, lost, count


@kernel
def _put(sight: Sight, state: State, cell: int, material: int) -> None:
    """Puts a cell where none is."""
    state.material[cell] = material
    for k in range(sight.starts[cell], sight.starts[cell + 1]):
        p, i = sight.pixel[k], sight.place[k]
        if state.hit[p] > i:
            if state.hit[p] < sight.first[p + 1]:
                state.shown[sight.entry[state.hit[p]] // 6] -= 1
            state.hit[p] = i
            state.shown[cell] += 1


@kernel
def _without(
    sight: Sight, evidence: Evidence, state: State, shape: Any, work: Work, cell: int, tolerance: float, price: float,
    least: bool,
) -> int:  # fmt: skip
    """Takes a cell away, with what turns out wrong behind it, if that costs less; returns how many went or came."""
    work.queue[0] = cell
    error, boundary, logged = _cascade(sight, evidence, state, shape, work, 1, True, tolerance, 0.0 if least else price)
    if error <= _SAME if least else error + price * boundary < -_SAME:
        return 1
    for entry in range(logged - 1, -1, -1):
        other, old = work.log[entry, 0], work.log[entry, 1]
        if old < 0:
            _put(sight, state, other, -1 - old)
        else:
            state.material[other] = old
    return 0


@kernel
def _with(
    sight: Sight, evidence: Evidence, state: State, shape: Any, costs: Array, cell: int, price: float
) -> int:  # fmt: skip
    """Puts a cell where none is if that costs less; returns how many came."""
    before, count = 0.0, 0
    for k in range(sight.starts[cell], sight.starts[cell + 1]):
        p, i = sight.pixel[k], sight.place[k]
        if state.hit[p] > i:
            before += _error(sight, evidence, state, p, state.hit[p])
            count += 1
    if count == 0:
        return 0
    best = _best(sight, evidence, state, cell, costs)
    boundary = -_boundary(state, shape, cell, 1.0, _UNSURE)
    state.material[cell], state.shown[cell] = best, count
    boundary += _boundary(state, shape, cell, 1.0, _UNSURE)
    state.material[cell], state.shown[cell] = 0, 0
    if before - costs[best] - price * boundary <= _SAME:
        return 0
    _put(sight, state, cell, best)
    return 1
