"""What ``Display.show`` makes of surfaces in a light, compiled. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread
from blockcore.model.display import Display

Colors = npt.NDArray[np.float64]
_AT_ONCE = 1 << 16  # values
_SHIFT = 45  # of a number's bits: leaves the exponent and seven more, 128 steps from each power of 2 to the next


def show(display: Display, albedo: Colors, received: Colors, surface: npt.NDArray[np.int64]) -> Colors:
    """Returns the display values in 0…1 of surfaces in a light.

    Args:
        display: the view transform.
        albedo: (M, S, 3) scene-linear.
        received: (L, 3) scene-linear.
        surface: (L,) which of the S surfaces is in each light.

    Returns:
        (M, L, 3) float64.
    """
    shown = np.empty((len(albedo), *received.shape))
    ends = [len(received) * part // _parts(shown.size) for part in range(_parts(shown.size) + 1)]
    levels, table, (lowest, guide) = display.levels, display.table.reshape(-1, 3), _guide(display.levels)
    spread(
        lambda first, last: _show(albedo, received, surface, first, last, levels, lowest, guide, table, shown),
        ends[:-1],
        ends[1:],
    )
    return shown


def _parts(values: int) -> int:
    return -(-values // _AT_ONCE)


def _guide(levels: Colors) -> tuple[int, npt.NDArray[np.int64]]:
    """Returns where to begin to look for the levels beside a number: the first of its bits, and the level for each."""
    positive = np.ascontiguousarray(levels[levels > 0.0])
    first, last = (positive[[0, -1]].view(np.int64) >> _SHIFT).tolist() if len(positive) else (0, 0)
    numbers = (np.arange(first, last + 1) << _SHIFT).view(np.float64)
    return first, np.clip(np.searchsorted(levels, numbers, side="right") - 1, 0, len(levels) - 2)


@kernel
def _show(
    albedo: Any,
    received: Any,
    surface: Any,
    first: int,
    last: int,
    levels: Any,
    lowest: int,
    guide: Any,
    table: Any,
    shown: Any,
) -> None:
    most, mixes = len(levels), len(table) > len(levels)
    cell, part, strides = np.empty(3, np.int64), np.empty(3), (most * most, most, 1)
    linear = np.empty(3)
    bits = linear.view(np.int64)
    for m in range(len(albedo)):
        for p in range(first, last):
            for c in range(3):
                linear[c] = albedo[m, surface[p], c] * received[p, c]
                begin = (bits[c] >> _SHIFT) - lowest
                low = guide[min(begin, len(guide) - 1)] if begin >= 0 else 0
                while low < most - 2 and levels[low + 1] <= linear[c]:
                    low += 1
                cell[c] = low
                part[c] = min(max((linear[c] - levels[low]) / (levels[low + 1] - levels[low]), 0.0), 1.0)
            if mixes:
                _mix(cell, part, strides, table, shown, m, p)
            else:
                for c in range(3):
                    shown[m, p, c] = table[cell[c], c] * (1.0 - part[c]) + table[cell[c] + 1, c] * part[c]
            for c in range(3):
                shown[m, p, c] = min(max(shown[m, p, c], 0.0), 1.0)


@kernel
def _mix(cell: Any, part: Any, strides: Any, table: Any, shown: Any, m: int, p: int) -> None:
    for c in range(3):
        shown[m, p, c] = 0.0
    for corner in range(8):
        share, at = 1.0, 0
        for c in range(3):
            upper = (corner >> c) & 1
            share *= part[c] if upper else 1.0 - part[c]
            at += (cell[c] + upper) * strides[c]
        for c in range(3):
            shown[m, p, c] += share * table[at, c]
