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
import torch

from blockcore import workers
from blockcore.blend import sum_over_blocks
from blockcore.visible import VisibleFaces


@dataclass(frozen=True, eq=False)
class FaceStatistics:
    """Targets summed over the F visible faces, in units of 8-bit values over 255. Tensors live on one device.

    Attributes:
        count: (F,) float64, pixels that show the face, each counted by its view's weight, as in all that follows.
        total: (F, 3) float64, Σt.
        square: (F, 3) float64, Σt².
        outside: squared loss of the pixels that show no face, which no material can change.
        pixels: number of all pixels that count, background included.
    """

    count: torch.Tensor
    total: torch.Tensor
    square: torch.Tensor
    outside: float
    pixels: float


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
    from blockcore import kernels

    faces = len(visible.block)
    # Whole numbers, and exact as long as no weight is a fraction: below 2^53 float64 holds them all.
    count = np.zeros(faces + 1)
    total, square = (np.zeros((faces + 1, 3)) for _ in range(2))
    team = workers.current()
    for index in team.mine(len(targets)):
        view, target, weight = visible.views[index], targets[index], 1.0 if weights is None else weights[index]
        # Pixels of no face are summed as one more face, so that the loss of a whole picture comes out.
        face = np.where((flat := view.reshape(-1).cpu().numpy()) < 0, faces, flat).astype(np.int32)
        n, s, q = kernels.target_sums(target.reshape(-1, target.shape[2]), face, faces + 1)
        count, total, square = count + weight * n, total + weight * s, square + weight * q
    for sums in (count, total, square):
        team.add_up(torch.from_numpy(sums))
    sky = np.asarray(background, dtype=np.float64)
    t, q2 = total / 255.0, square / 255.0**2
    outside = float((count[-1] * sky**2 - 2.0 * sky * t[-1] + q2[-1]).sum())

    def tensor(values: npt.NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(values[:-1].copy()).to(visible.device)

    return FaceStatistics(tensor(count), tensor(t), tensor(q2), outside, float(count.sum()))


def cost_table(visible: VisibleFaces, statistics: FaceStatistics, radiance: torch.Tensor) -> torch.Tensor:
    """Returns the squared loss of making each visible block of each material.

    Args:
        visible: what the views show.
        statistics: of the targets.
        radiance: (M, L, 3) float64 from ``shading.radiance_of``; clamped here, as the pictures clamp it.

    Returns:
        (V, M) float64: summed over the block's pixels and RGB. Picking one material per block makes a picture whose
        squared loss is the sum of the picked entries and ``statistics.outside``.
    """
    shown = radiance.double().clamp(0.0, 1.0)
    powers = torch.cat([shown.square().sum(dim=2, keepdim=True), shown], dim=2)
    moments = torch.cat([statistics.count[:, None], -2.0 * statistics.total], dim=1)
    constant = moments.new_zeros(len(visible.blocks)).index_add_(0, visible.block, statistics.square.sum(dim=1))
    return sum_over_blocks(powers, moments, visible.block, visible.look, len(visible.blocks)) + constant[:, None]
