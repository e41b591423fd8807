"""What each material costs in each block, pixel by pixel, for losses that face sums do not suffice for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from blockcore.ops import costs_numba

Floats = npt.NDArray[np.float64]


def add_pixel_costs(
    costs: Floats,
    face: npt.NDArray[np.int32],
    block: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
    target: npt.NDArray[np.uint8],
    shown: Floats,
    gain: Floats,
    kind: int | None,
    of_errors: Callable[[Floats], Floats],
    width: float,
    weight: float,
) -> None:
    """Adds what each material costs in each block in one view.

    Args:
        costs: (V, M), added to.
        face: (P,) the face each pixel shows, or -1.
        block: (F,) the block of each face.
        look: (F,) the look of each face.
        target: (P, 3 or 4); a fourth channel of 0 leaves the pixel out.
        shown: (L, 3, M): what each material shows in each look, before the gain.
        gain: (3,) factors of the view's exposure and white balance; what they lift above 1 is 1.
        kind: one of ``error_kinds``, which is compiled; None for what ``of_errors`` says.
        of_errors: what absolute errors of any shape cost, each.
        width: of a Huber loss.
        weight: of each pixel.
    """
    if kind is None:
        costs += weight * pixel_costs(len(costs), face, block, look, target, shown, gain, of_errors)
    else:
        costs_numba.add_pixel_costs(costs, face, block, look, target, shown, gain, kind, width, weight)


def pixel_costs(
    blocks: int,
    face: npt.NDArray[np.int32],
    block: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
    target: npt.NDArray[np.uint8],
    shown: Floats,
    gain: Floats,
    of_errors: Callable[[Floats], Floats],
) -> Floats:
    """Returns (V, M) the same of any loss, plainly: the reference of the compiled loops."""
    counts = (face >= 0) & (True if target.shape[1] == 3 else target[:, 3] > 0)
    seen = face[counts]
    wanted = target[counts, :3] / 255.0
    return np.stack(
        [
            np.bincount(block[seen], _of_material(drawn, look[seen], gain, wanted, of_errors), blocks)
            for drawn in shown.transpose(2, 0, 1)
        ],
        axis=1,
    )


def _of_material(
    drawn: Floats, look: npt.NDArray[np.int64], gain: Floats, wanted: Floats, of_errors: Callable[[Floats], Floats]
) -> Floats:
    summed: Floats = of_errors(np.abs(np.minimum(drawn[look] * gain, 1.0) - wanted)).sum(axis=1)
    return summed
