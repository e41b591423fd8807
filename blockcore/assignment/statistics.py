"""Sufficient statistics of target pictures: what a squared loss needs to know of them, per visible face.

A face has one colour c in every pixel that shows it, so its part of the squared loss over n pixels with targets t is
``Σ|c − t|² = n|c|² − 2c·Σt + Σ|t|²``. Counts, sums and sums of squares are whole numbers of 8-bit units: they are
exact, and after one pass over the pixels no step depends on pixels or views any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.machine import workers
from blockcore.ops.arrays import Array, add_target_sums, namespace, packed, placed, sum_by, sum_over_blocks
from blockcore.visibility.faces import VisibleFaces


@dataclass(frozen=True, eq=False)
class FaceStatistics:
    """Targets summed over the F visible faces, in units of 8-bit values over 255: numpy's arrays or tensors.

    Attributes:
        count: (F,) float64, pixels that show the face, each counted by its view's weight, as in all that follows.
        total: (F, 3) float64, Σt.
        square: (F, 3) float64, Σt².
        outside: squared loss of the pixels that show no face, which no material can change.
        pixels: number of all pixels that count, background included.
    """

    count: Array
    total: Array
    square: Array
    outside: float
    pixels: float

    def part(self, faces: slice, with_outside: bool) -> FaceStatistics:
        """Returns those of consecutive faces; what shows no face is left to one of the parts that make up a whole."""
        outside = self.outside if with_outside else 0.0
        return FaceStatistics(self.count[faces], self.total[faces], self.square[faces], outside, self.pixels)


def face_statistics(
    visible: VisibleFaces,
    targets: Sequence[npt.NDArray[np.uint8]],
    background: Sequence[float],
    weights: Sequence[float] | None = None,
) -> FaceStatistics:
    """Sums the targets over the visible faces; processes that work together each sum a share of the views.

    Args:
        visible: what the views show.
        targets: per view (H, W, 3) or (H, W, 4) uint8; where a fourth channel is 0 the pixel does not count.
        background: RGB display value of a pixel that shows no block.
        weights: of the views; 1 each if None, and then the sums are exact.

    Returns:
        The statistics, on the device of ``visible``.
    """
    # Whole numbers, and exact as long as no weight is a fraction: below 2^53 float64 holds them all.
    sums = placed(np.zeros((len(visible.block) + 1, 7)), visible.device)
    team = workers.current()
    for index in team.mine([target.shape[0] * target.shape[1] for target in targets]):
        flat = np.ascontiguousarray(targets[index].reshape(-1, targets[index].shape[2]))
        weight = 1.0 if weights is None else float(weights[index])
        add_target_sums(sums, flat, visible.views[index].reshape(-1), weight)
    team.add_up(sums)
    count, total, square = sums[:, 0], sums[:, 1:4] / 255.0, sums[:, 4:] / 255.0**2
    sky = placed(np.array(background, dtype=np.float64), visible.device)
    outside = float((count[-1] * sky**2 - 2.0 * sky * total[-1] + square[-1]).sum())
    count, total, square, pixels = packed(count[:-1]), packed(total[:-1]), packed(square[:-1]), float(count.sum())
    return FaceStatistics(count, total, square, outside, pixels)


def cost_table(visible: VisibleFaces, statistics: FaceStatistics, radiance: Array) -> Array:
    """Returns the squared loss of making each visible block of each material.

    Args:
        visible: what the views show.
        statistics: of the targets.
        radiance: (M, L, 3) float64 from ``shading.radiance_of``; clamped here, as the pictures clamp it.

    Returns:
        (V, M) float64: summed over the block's pixels and RGB. Picking one material per block makes a picture whose
        squared loss is the sum of the picked entries and ``statistics.outside``.
    """
    xp = namespace(radiance)
    shown = xp.clip(xp.asarray(radiance, dtype=xp.float64), 0.0, 1.0)
    powers = xp.concatenate([(shown * shown).sum(2)[..., None], shown], 2)
    moments = xp.concatenate([statistics.count[:, None], -2.0 * statistics.total], 1)
    constant = sum_by(statistics.square.sum(1), visible.block, len(visible.blocks))
    costs = sum_over_blocks(powers, moments, visible.block, visible.look, len(visible.blocks))
    costs += constant[:, None]  # in place: the table is the largest there is
    return costs
