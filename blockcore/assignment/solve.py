"""The best assignment of a separable loss: each block takes the material that costs it least."""

from __future__ import annotations

import torch

from blockcore.model.palette import AIR

_ROWS = 1 << 14  # blocks at a time, to keep temporaries small beside the table itself
_TIE = 1e-11  # of the largest cost in a row: costs closer than the rounding of their sums count as equal


def cheapest_materials(costs: torch.Tensor) -> torch.Tensor:
    """Returns the global optimum of a sum of costs, one per block.

    Args:
        costs: (V, M) float64, the cost of each material in each block; infinite where it may not be.

    Returns:
        (V,) int64, never Air; of equals the lowest index, whatever the order in which costs were summed.
    """
    best = [_first_cheapest(rows) for rows in torch.split(costs[:, AIR + 1 :], _ROWS)]
    return torch.cat(best) + AIR + 1


def _first_cheapest(rows: torch.Tensor) -> torch.Tensor:
    largest = rows.abs().masked_fill(rows.isinf(), 0.0).amax(dim=1, keepdim=True)
    cheap = rows <= rows.amin(dim=1, keepdim=True) + _TIE * largest
    return cheap.to(torch.uint8).argmax(dim=1)


def assignment_cost(costs: torch.Tensor, materials: torch.Tensor) -> float:
    """Returns the summed cost of one material per block, (V,) int64."""
    return float(costs.gather(1, materials[:, None]).sum())


def least_cost(costs: torch.Tensor) -> float:
    """Returns a bound that no assignment of the costs can go below, and that the best one reaches."""
    return float(costs[:, AIR + 1 :].amin(dim=1).sum())


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


def confidence_margins(
    costs: torch.Tensor, materials: torch.Tensor, pixels: torch.Tensor, power: float = 2.0
) -> torch.Tensor:
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
    margins = []
    for rows, chosen, n in zip(*(torch.split(t, _ROWS) for t in (costs, materials, pixels)), strict=True):
        own = rows.gather(1, chosen[:, None])
        others = rows[:, AIR + 1 :].scatter(1, chosen[:, None] - AIR - 1, torch.inf)
        excess = (others.amin(dim=1) - own[:, 0]).clamp_min(0.0)
        margins.append(255.0 * (excess / (3 * n)) ** (1.0 / power))
    return torch.cat(margins)
