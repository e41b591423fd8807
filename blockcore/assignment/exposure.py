"""Exposure and white balance: how much brighter each view's target is than the light says, per channel.

Found together with the materials. First one gain a view, by trying: with the others fixed, a gain is as good as the
best assignment it allows. Then, materials and gains in turn, by least squares over the pixels that are not burnt out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from blockcore.assignment.solve import least_cost
from blockcore.assignment.statistics import FaceStatistics, cost_table, face_statistics
from blockcore.ops.arrays import Array, device_of, host, namespace, placed, sum_by
from blockcore.visibility.faces import VisibleFaces

Gains = npt.NDArray[np.float64]

_TABLE = 4_000_000  # numbers in a view's table while gains are tried: blocks beyond are left out
_COARSE = np.geomspace(0.5, 2.0, 41)
_FINE = np.linspace(0.95, 1.05, 21)
_DARKEST, _BRIGHTEST = 3, 252  # 8-bit values between which a target is taken to be neither crushed nor burnt out


def first_gains(
    visible: VisibleFaces, targets: Sequence[npt.NDArray[np.uint8]], weights: Sequence[float], radiance: Array
) -> Gains:
    """Finds one gain per view before any material is known.

    Args:
        visible: what the views show.
        targets: per view (H, W, 3 or 4) uint8.
        weights: of the views.
        radiance: (M, L, 3) float64.

    Returns:
        (views, 3) factors from 0.5 to 2, the channels alike.
    """
    some = _some_blocks(visible, max(1, _TABLE // len(radiance)))
    parts = [_quadratic(some, i, targets, weights, radiance) for i in range(len(targets))]
    gains = np.ones(len(targets))
    total = sum(a - 2.0 * b + q for a, b, q in parts)
    for grid in (_COARSE, _COARSE, _FINE, _FINE):
        for i, (a, b, q) in enumerate(parts):
            rest = total - (gains[i] ** 2 * a - 2.0 * gains[i] * b + q)
            tried = grid if grid is _COARSE else gains[i] * grid
            costs = [least_cost(rest + g * g * a - 2.0 * g * b + q) for g in tried]
            gains[i] = tried[int(np.argmin(costs))]
            total = rest + gains[i] ** 2 * a - 2.0 * gains[i] * b + q
    return np.repeat(gains[:, None], 3, axis=1)


def refined_gains(
    visible: VisibleFaces,
    targets: Sequence[npt.NDArray[np.uint8]],
    radiance: Array,
    materials: Array,
    gains: Gains,
    white_balance: bool,
) -> Gains:
    """Improves gains for a given assignment.

    Args:
        visible: what the views show.
        targets: per view (H, W, 3 or 4) uint8.
        radiance: (M, L, 3) float64.
        materials: (V,) int64 of the visible blocks.
        gains: (views, 3) so far; kept where no pixel can tell.
        white_balance: whether channels may differ.

    Returns:
        (views, 3).
    """
    block, look = host(visible.block), host(visible.look)
    shown = host(radiance).clip(0.0, 1.0)[host(materials)[block], look]
    refined = gains.copy()
    for i, (view, target) in enumerate(zip(visible.views, targets, strict=True)):
        face = host(view.reshape(-1))
        wanted = target.reshape(-1, target.shape[2])[face >= 0, :3]
        color = shown[face[face >= 0]]
        fair = (wanted > _DARKEST) & (wanted < _BRIGHTEST)
        # Blocks that are wrong so far are outliers: the nearer half decides.
        off = np.abs(color * gains[i] - wanted / 255.0)
        fair &= off <= (np.median(off[fair]) + 1.0 / 255.0 if fair.any() else 0.0)
        products, squares = (np.where(fair, a, 0.0).sum(axis=0) for a in (color * wanted / 255.0, color**2))
        if not white_balance:
            products, squares = (np.full(3, a.sum()) for a in (products, squares))
        refined[i] = np.where(squares > 0.0, products / np.maximum(squares, 1e-300), gains[i])
    return np.asarray(np.clip(refined, 0.1, 10.0))


def _some_blocks(visible: VisibleFaces, most: int) -> VisibleFaces:
    """Returns some of the blocks, evenly picked, where there are too many."""
    count = len(visible.blocks)
    if count <= most:
        return visible
    kept = np.zeros(count, np.bool_)
    kept[np.linspace(0, count - 1, most).astype(np.int64)] = True
    block, look = host(visible.block), host(visible.look)
    faces = kept[block]
    number = np.append(np.where(faces, np.cumsum(faces) - 1, -1), -1).astype(np.int32)  # -1, none, takes the last
    device = visible.device
    return replace(
        visible,
        blocks=placed(host(visible.blocks)[kept], device),
        block=placed((np.cumsum(kept) - 1)[block[faces]], device),
        look=placed(look[faces], device),
        views=tuple(placed(number[host(view)], device_of(view)) for view in visible.views),
    )


def _quadratic(
    visible: VisibleFaces,
    index: int,
    targets: Sequence[npt.NDArray[np.uint8]],
    weights: Sequence[float],
    radiance: Array,
) -> tuple[Array, Array, Array]:
    """Returns a, b (V, M) and q (V, 1) of one view: with gain g a material costs g²a − 2gb + q."""
    own = replace(visible, views=visible.views[index : index + 1])
    sums = face_statistics(own, targets[index : index + 1], (0.0, 0.0, 0.0), weights[index : index + 1])
    zero = namespace(sums.total).zeros_like(sums.total)

    def table(count: Array, total: Array) -> Array:
        return cost_table(visible, FaceStatistics(count, total, zero, 0.0, 1), radiance)

    square = sum_by(sums.square, visible.block, len(visible.blocks))
    return table(sums.count, zero), table(zero[:, 0], sums.total) / -2.0, square.sum(1)[:, None]
