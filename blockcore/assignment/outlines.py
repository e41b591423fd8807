"""Pictures that do not quite fit the blocks: near the blocks' outline a pixel may show what is behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.model.grid import ExposedFaces
from blockcore.model.scene import View
from blockcore.visibility import rasterize
from blockcore.visibility.texels import triangle_array

_REACH = 4  # times the band's width: how far away the colours of blocks and background beside a pixel are looked up


def without_background(views: Sequence[View], faces: ExposedFaces, width: int, rasterizer: str) -> list[View]:
    """Leaves out the pixels beside the blocks' outline that look like what is behind them.

    A pixel counts there only where its colour is nearer to the mean of the blocks further inside than to that of the
    background further outside. Where one of the two is not near, it stays.

    Args:
        views: with targets.
        faces: the exposed faces.
        width: pixels beside the outline that are looked at; 0 for none.
        rasterizer: what finds the outline.

    Returns:
        The views, with masks in their targets' fourth channel.
    """
    if not width:
        return list(views)
    return [_masked(view, faces, width, rasterizer) for view in views]


def _masked(view: View, faces: ExposedFaces, width: int, rasterizer: str) -> View:
    from scipy.ndimage import binary_dilation

    if view.target is None:
        return view
    (seen,) = rasterize(faces, [view.camera], rasterizer)
    covered = triangle_array(seen) > 0
    square = np.ones((3, 3), np.bool_)
    inside = ~binary_dilation(~covered, square, iterations=width)
    outside = ~binary_dilation(covered, square, iterations=width)
    target = (
        view.target if view.target.shape[2] == 4 else np.dstack([view.target, np.full_like(covered, 255, np.uint8)])
    )
    colors, counts = target[..., :3].astype(np.float64), target[..., 3] > 0
    reach = 2 * _REACH * width + 1
    block, background = (_distance_to_mean(colors, some & counts, reach) for some in (inside, outside))
    behind = covered & ~inside & (background < block) & np.isfinite(block)
    return replace(view, target=np.dstack([target[..., :3], np.where(behind, 0, target[..., 3])]).astype(np.uint8))


def _distance_to_mean(colors: npt.NDArray[np.float64], some: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[Any]:
    """Returns how far each pixel's colour is from the mean of some of those around it, infinite where there is none."""
    from scipy.ndimage import uniform_filter

    share = uniform_filter(some.astype(np.float64), reach, mode="constant")
    total = uniform_filter(colors * some[..., None], (reach, reach, 0), mode="constant")
    near = share > 0.5 / reach**2
    mean = total / np.where(near, share, 1.0)[..., None]
    return np.where(near, np.linalg.norm(colors - mean, axis=-1), np.inf)
