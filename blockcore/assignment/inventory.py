"""Assignments under an inventory: at most so many blocks of each material, and at most so many kinds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError

Costs = npt.NDArray[np.float64]

_ENUMERABLE = 5000  # sets of kinds that are all tried; beyond, a greedy choice is improved by swaps


def assign_within(
    costs: Costs, supply: npt.NDArray[np.int64], limits: npt.NDArray[np.int64]
) -> tuple[Costs, float, npt.NDArray[np.float64]]:
    """Finds the cheapest assignment that no limit forbids: a transportation problem, whose LP has whole solutions.

    Args:
        costs: (R, M) float64, cost of one block of a row in a material; infinite where it may not be.
        supply: (R,) how many like blocks each row stands for.
        limits: (M,) the most blocks of each material.

    Returns:
        ``(amounts, bound, prices)``: (R, M) float64 whole numbers, how many of each row's blocks get each material; the
        least cost that any assignment can have, which this one reaches; and (M,) what one block more of each material
        would save.

    Raises:
        SettingsError: the limits are too small for the blocks.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    if not len(costs):
        return np.zeros(costs.shape), 0.0, np.zeros(len(limits))
    rows, materials = np.nonzero(np.isfinite(costs))
    # Only materials that can run out need a row; those with room for everything bind nothing.
    short = np.flatnonzero(limits < supply.sum())
    index = np.full(len(limits), -1)
    index[short] = np.arange(len(short))
    bound_by = np.flatnonzero(index[materials] >= 0)
    ones, variables = np.ones(len(rows)), np.arange(len(rows))
    whole = csr_array((ones, (rows, variables)), shape=(len(costs), len(rows)))
    capped = csr_array((ones[bound_by], (index[materials[bound_by]], bound_by)), shape=(len(short), len(rows)))
    values = costs[rows, materials]
    base = np.where(np.isfinite(costs), costs, np.inf).min(axis=1)
    scale = max(float((values - base[rows]).max(initial=0.0)), 1e-300)
    solution = linprog(
        (values - base[rows]) / scale, A_ub=capped, b_ub=limits[short], A_eq=whole, b_eq=supply, method="highs-ds"
    )
    if solution.status == 2:
        raise SettingsError(
            f"limits: there is not enough material for {int(supply.sum()):,} blocks; raise a limit or allow more"
        )
    if solution.x is None:
        raise SettingsError(f"limits: no assignment was found ({solution.message}); loosen the limits")
    amounts = np.zeros(costs.shape)
    amounts[rows, materials] = np.rint(solution.x)
    prices = np.zeros(len(limits))
    prices[short] = np.maximum(-scale * solution.ineqlin.marginals, 0.0)
    return amounts, float(solution.fun * scale + (base * supply).sum()), prices


def choose_kinds(
    costs: Costs, allowed: npt.NDArray[np.bool_], limits: npt.NDArray[np.int64], most: int
) -> npt.NDArray[np.bool_]:
    """Chooses which materials to use at all, so that the visible blocks cost as little as they can.

    All sets are tried where they are few; else materials are added one by one, each time the one that helps most, and
    then swapped while that helps (Teitz and Bart 1968).

    Args:
        costs: (V, M) of the visible blocks, infinite where a material may not be.
        allowed: (N, M) of all blocks.
        limits: (M,) the most blocks of each material.
        most: how many kinds there may be.

    Returns:
        (M,) bool.

    Raises:
        SettingsError: no such set serves every block.
    """
    classes = np.unique(allowed, axis=0)
    forced = classes[classes.sum(axis=1) == 1].any(axis=0)
    free = np.flatnonzero(allowed.any(axis=0) & ~forced)
    room = most - int(forced.sum())
    if room < 0:
        raise SettingsError(
            f"max_kinds: locked blocks and regions already need {int(forced.sum())} kinds; raise it or unlock some"
        )

    def serves(kinds: npt.NDArray[np.bool_]) -> bool:
        return bool((classes & kinds).any(axis=1).all()) and int(limits[kinds].sum()) >= len(allowed)

    def cost(kinds: npt.NDArray[np.bool_]) -> float:
        return float(costs[:, kinds].min(axis=1).sum()) if serves(kinds) else math.inf

    def with_(some: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        kinds: npt.NDArray[np.bool_] = forced.copy()
        kinds[list(some)] = True
        return kinds

    room = min(room, len(free))
    if math.comb(len(free), room) <= _ENUMERABLE:
        sets = [with_(some) for some in itertools.combinations(free.tolist(), room)]
        best = min(sets, key=cost)
    else:
        best = _by_swaps(costs, forced, free, room, cost)
    if not math.isfinite(cost(best)):
        raise SettingsError(f"max_kinds: no {most} materials serve every block within the limits; raise max_kinds")
    return np.asarray(best)


def _by_swaps(
    costs: Costs,
    forced: npt.NDArray[np.bool_],
    free: npt.NDArray[np.int64],
    room: int,
    cost: Callable[[npt.NDArray[np.bool_]], float],
) -> npt.NDArray[np.bool_]:
    barred = ~np.isfinite(costs)
    finite = np.where(barred, 0.0, costs)
    finite[barred] = finite.max(initial=1.0) * (1 + len(costs))

    def best_addition(kinds: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        so_far = finite[:, kinds].min(axis=1, initial=np.inf)
        sums = np.array([np.inf if kinds[m] else np.minimum(so_far, finite[:, m]).sum() for m in free])
        added = kinds.copy()
        added[free[sums.argmin()]] = True
        return added

    kinds = forced.copy()
    for _ in range(room):
        kinds = best_addition(kinds)
    while True:
        without = [np.where(np.arange(len(kinds)) == m, False, kinds) for m in np.flatnonzero(kinds & ~forced)]
        best = min((best_addition(fewer) for fewer in without), key=cost, default=kinds)
        if cost(best) >= cost(kinds):
            break
        kinds = best
    return kinds
