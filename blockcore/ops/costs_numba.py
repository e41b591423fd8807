"""Compiled CPU loops over the pixels of views, for losses that face sums do not suffice for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread
from blockcore.ops.error_kinds import HUBER, L1

_CHUNKS = 16  # blocks are shared out in so many runs; each block's pixels are summed in one order anyway


def add_pixel_costs(
    costs: npt.NDArray[np.float64],
    face: npt.NDArray[np.int32],
    block: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
    target: npt.NDArray[np.uint8],
    shown: npt.NDArray[np.float64],
    gain: npt.NDArray[np.float64],
    loss: int,
    width: float,
    weight: float,
) -> None:
    """Adds what each material costs in each block in one view; arguments as in ``costs``, ``loss`` is a kind there."""
    order, starts = _by_block(face, block, len(costs))
    cuts = np.linspace(0, len(costs), _CHUNKS + 1).astype(np.int64)
    spread(
        lambda first, last: _add_costs(
            costs, order, starts, face, look, target, shown, gain, loss, width, weight, first, last
        ),
        cuts[:-1].tolist(),
        cuts[1:].tolist(),
    )


@kernel
def _by_block(face: Any, block: Any, blocks: int) -> Any:
    """Returns the covered pixels ordered by block, and (V + 1,) where each block's begin."""
    starts = np.zeros(blocks + 1, dtype=np.int64)
    for p in range(len(face)):
        if face[p] >= 0:
            starts[block[face[p]] + 1] += 1
    for b in range(blocks):
        starts[b + 1] += starts[b]
    at = starts[:-1].copy()
    order = np.empty(starts[-1], dtype=np.int64)
    for p in range(len(face)):
        if face[p] >= 0:
            b = block[face[p]]
            order[at[b]] = p
            at[b] += 1
    return order, starts


@kernel
def _add_costs(
    costs: Any,
    order: Any,
    starts: Any,
    face: Any,
    look: Any,
    target: Any,
    shown: Any,
    gain: Any,
    loss: int,
    width: float,
    weight: float,
    first: int,
    last: int,
) -> None:
    masked = target.shape[1] == 4
    for b in range(first, last):
        for at in range(starts[b], starts[b + 1]):
            p = order[at]
            if masked and target[p, 3] == 0:
                continue
            for c in range(3):
                wanted = target[p, c] / 255.0
                row = shown[look[face[p]], c]
                for m in range(len(row)):
                    error = abs(min(row[m] * gain[c], 1.0) - wanted)
                    if loss == L1:
                        cost = error
                    elif loss == HUBER and error > width:
                        cost = width * (2.0 * error - width)
                    else:
                        cost = error * error
                    costs[b, m] += weight * cost


@kernel
def settle(
    labels: Any,
    costs: Any,
    starts: Any,
    pixel: Any,
    look: Any,
    share: Any,
    drawn: Any,
    wanted: Any,
    shown: Any,
    gain: Any,
    weight: Any,
) -> int:
    """Lets each block in turn take what is best beside all others; the pixels may show several blocks each.

    Args:
        labels: (V,) changed in place.
        costs: (V, M) of the pixels that show one block alone; infinite where a material may not be.
        starts: (V + 1,) where the entries of each block begin.
        pixel: (E,) of each entry, ascending within a block.
        look: (E,) likewise.
        share: (E,) how much of the pixel it covers.
        drawn: (P, 3) what the pixels show, kept up to date.
        wanted: (P, 3) what they should show.
        shown: (L, 3, M): what each material shows in each look.
        gain: (P, 3) of each pixel's view; small lists of views are spread to pixels.
        weight: (P,) of each pixel.

    Returns:
        How many blocks changed.
    """
    materials = costs.shape[1]
    sums = np.empty(materials)
    change = np.empty(materials)
    changed = 0
    for b in range(len(labels)):
        old = labels[b]
        sums[:] = costs[b]
        begin = starts[b]
        while begin < starts[b + 1]:
            p, end = pixel[begin], begin
            while end < starts[b + 1] and pixel[end] == p:
                end += 1
            for c in range(3):
                change[:] = 0.0
                for e in range(begin, end):
                    row = shown[look[e], c]
                    for m in range(materials):
                        change[m] += share[e] * (min(row[m] * gain[p, c], 1.0) - min(row[old] * gain[p, c], 1.0))
                off = drawn[p, c] - wanted[p, c]
                for m in range(materials):
                    sums[m] += weight[p] * (off + change[m]) ** 2
            begin = end
        best = old
        for m in range(materials):
            if sums[m] < sums[best] - 1e-12:
                best = m
        if best != old:
            changed += 1
            labels[b] = best
            for e in range(starts[b], starts[b + 1]):
                for c in range(3):
                    row, g = shown[look[e], c], gain[pixel[e], c]
                    drawn[pixel[e], c] += share[e] * (min(row[best] * g, 1.0) - min(row[old] * g, 1.0))
    return changed
