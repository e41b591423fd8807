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

from blockcore.machine import workers
from blockcore.machine.triton_here import triton_is_here
from blockcore.ops.blend import sum_over_blocks
from blockcore.visibility.faces import VisibleFaces


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
    # Whole numbers, and exact as long as no weight is a fraction: below 2^53 float64 holds them all.
    sums = torch.zeros((len(visible.block) + 1, 7), dtype=torch.float64, device=visible.device)
    team = workers.current()
    for index in team.mine(len(targets)):
        flat = np.ascontiguousarray(targets[index].reshape(-1, targets[index].shape[2]))
        of_view = _target_sums(flat, visible.views[index].reshape(-1), visible)
        sums.add_(of_view, alpha=1.0 if weights is None else float(weights[index]))
    team.add_up(sums)
    count, total, square = sums[:, 0], sums[:, 1:4] / 255.0, sums[:, 4:] / 255.0**2
    sky = torch.tensor(background, dtype=torch.float64, device=visible.device)
    outside = float((count[-1] * sky**2 - 2.0 * sky * total[-1] + square[-1]).sum())
    return FaceStatistics(
        count[:-1].contiguous(), total[:-1].contiguous(), square[:-1].contiguous(), outside, float(count.sum())
    )


def _target_sums(target: npt.NDArray[np.uint8], face: torch.Tensor, visible: VisibleFaces) -> torch.Tensor:
    """Returns (F + 1, 7) int64: pixels, sums and squares of RGB; pixels of no face are one more face, the last."""
    faces = len(visible.block)
    if visible.device.type == "cuda" and triton_is_here():
        from blockcore.ops import pixels_triton

        return pixels_triton.target_sums(torch.tensor(target, device=visible.device), face.to(visible.device), faces)
    from blockcore.ops import pixels_numba

    shown = np.where((flat := face.cpu().numpy()) < 0, faces, flat).astype(np.int32)
    count, total, square = pixels_numba.target_sums(target, shown, faces + 1)
    return torch.from_numpy(np.column_stack([count, total, square])).to(visible.device)


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
