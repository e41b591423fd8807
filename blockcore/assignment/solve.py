"""The best assignment of a separable loss: each block takes the material that costs it least."""

from __future__ import annotations

from blockcore.model.palette import AIR
from blockcore.ops.arrays import Array, device_of, namespace, pick, pieces, without

_ROWS = 1 << 14  # blocks at a time, to keep temporaries small beside the table itself
_ENTRIES = 1 << 19  # of a table at a time: with many materials so few blocks that temporaries stay in the cache
_ON_GPU = 16  # times as many, where to launch a kernel takes longer than to go through so few
_TIE = 1e-11  # of the largest cost in a row: costs closer than the rounding of their sums count as equal


def cheapest_materials(costs: Array) -> Array:
    """Returns the global optimum of a sum of costs, one per block.

    Args:
        costs: (V, M) float64, the cost of each material in each block; infinite where it may not be.

    Returns:
        (V,) int64, never Air; of equals the lowest index, whatever the order in which costs were summed.
    """
    best = [_first_cheapest(rows) for rows in pieces(costs[:, AIR + 1 :], _rows_of(costs))]
    return namespace(costs).concatenate(best) + AIR + 1


def _rows_of(costs: Array) -> int:
    device = device_of(costs)
    times = _ON_GPU if device is not None and device.type == "cuda" else 1
    return times * max(1, min(_ROWS, _ENTRIES // int(costs.shape[1])))


def _first_cheapest(rows: Array) -> Array:
    xp = namespace(rows)
    largest = xp.amax(xp.where(xp.isinf(rows), 0.0, abs(rows)), 1)[:, None]
    cheap = rows <= xp.amin(rows, 1)[:, None] + _TIE * largest
    return xp.argmax(xp.asarray(cheap, dtype=xp.uint8), 1)


def assignment_cost(costs: Array, materials: Array) -> float:
    """Returns the summed cost of one material per block, (V,) int64."""
    return float(pick(costs, materials).sum())


def least_cost(costs: Array) -> float:
    """Returns a bound that no assignment of the costs can go below, and that the best one reaches."""
    return float(namespace(costs).amin(costs[:, AIR + 1 :], 1).sum())


def optimality_gap(loss: float, bound: float, pixels: float) -> float:
    """Returns how far a loss lies above what is possible, relative to that.

    Args:
        loss: squared error summed over pixels and RGB.
        bound: the least loss that any assignment can have.
        pixels: how many were summed.

    Returns:
        ``(loss − bound) / bound``, at least 0. A bound below what rounding to 8 bits costs on average, 1/12 of a
        squared shade per channel, is taken as that, so that perfect targets do not divide by nothing.
    """
    rounding = 3 * pixels / 255.0**2 / 12.0
    return max(0.0, loss - bound) / max(bound, rounding)


def confidence_margins(costs: Array, materials: Array, pixels: Array, power: float = 2.0) -> Array:
    """Returns how clearly the pictures speak for each block's material.

    Args:
        costs: (V, M), sums of errors to some power.
        materials: (V,) int64, the materials chosen.
        pixels: (V,) float64, the pixels that show each block.
        power: that power.

    Returns:
        (V,) float64: by how many shades (0…255, power mean per channel) the next best material fits worse than
        the one chosen; 0 where another fits as well or better, infinite where there is no other.
    """
    xp, margins, count = namespace(costs), [], _rows_of(costs)
    for rows, chosen, n in zip(*(pieces(a, count) for a in (costs, materials, pixels)), strict=True):
        others = xp.amin(without(rows, chosen)[:, AIR + 1 :], 1)
        excess = xp.clip(others - pick(rows, chosen), 0.0, None)
        margins.append(255.0 * (excess / (3 * n)) ** (1.0 / power))
    return xp.concatenate(margins)
