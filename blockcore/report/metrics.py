"""How alike two pictures are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.model.lighting import WEBGPU_LIGHTING

_WINDOW, _SIGMA = 11, 1.5


@dataclass(frozen=True)
class PictureMetrics:
    """A comparison of two 8-bit RGB pictures of one size, where the target is not masked.

    Attributes:
        pixels: how many count.
        differing: pixels with any channel different.
        differing_over_1: pixels with any channel off by more than 1/255.
        max_error: largest difference of a channel, 0…1.
        mse: mean squared error over pixels and channels, of values in 0…1.
        psnr: peak signal-to-noise ratio in dB; infinite for equal pictures.
        ssim: mean structural similarity, 1 for equal pictures; what is masked is taken as equal.
        geometry_match: share of pixels where both pictures show a block or both show the background.
    """

    pixels: int
    differing: int
    differing_over_1: int
    max_error: float
    mse: float
    psnr: float
    ssim: float
    geometry_match: float


def compare_pictures(
    picture: npt.NDArray[np.uint8],
    target: npt.NDArray[np.uint8],
    background: Sequence[float] = WEBGPU_LIGHTING.background,
) -> PictureMetrics:
    """Compares two pictures.

    Args:
        picture: (H, W, 3 or 4) uint8; a fourth channel is ignored.
        target: (H, W, 3 or 4) uint8 of the same size; where a fourth channel is 0 the pixel does not count.
        background: RGB display value by which background pixels are told from blocks, to within 1/255.

    Returns:
        The metrics.
    """
    counted = _counted(target)
    b = target[..., :3].astype(np.int16)
    a = np.where(counted[..., None], picture[..., :3], b)
    off = largest_difference(a, b)
    sky = np.rint(255.0 * np.asarray(background)).astype(np.int16)
    is_sky_a, is_sky_b = ((np.abs(p - sky) <= 1).all(axis=2) for p in (a, b))
    error, pixels = squared_error(picture, target)
    mse = error / max(pixels, 1)
    return PictureMetrics(
        pixels=pixels,
        differing=int((off > 0).sum()),
        differing_over_1=int((off > 1).sum()),
        max_error=float(off.max()) / 255.0,
        mse=mse,
        psnr=psnr(mse),
        ssim=1.0 if not off.any() else ssim(a / 255.0, b / 255.0),
        geometry_match=float((is_sky_a == is_sky_b)[counted].mean()) if pixels else 1.0,
    )


def squared_error(picture: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> tuple[float, int]:
    """Compares two pictures where the target is not masked.

    Args:
        picture: (H, W, 3 or 4) uint8; a fourth channel is ignored.
        target: (H, W, 3 or 4) uint8; where a fourth channel is 0 the pixel does not count.

    Returns:
        The squared error, a mean over channels summed over pixels, of values in 0…1; and how many pixels count.
    """
    off = picture[..., :3].astype(np.int32) - target[..., :3]
    counted = _counted(target)
    if not counted.all():
        off *= counted[..., None]
    # all at once, as whole numbers: numpy is slow at sums over three
    return float(np.square(off).sum(dtype=np.int64)) / (3 * 255.0**2), int(counted.sum())


def largest_difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Returns (H, W) int16: how many shades two pictures (H, W, 3 or 4) are apart in the channel that differs most."""
    red, green, blue = (np.abs(a[..., channel].astype(np.int16) - b[..., channel]) for channel in range(3))
    largest: npt.NDArray[np.int16] = np.maximum(np.maximum(red, green), blue)
    return largest


def _counted(target: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Returns which pixels of a target are not masked, (H, W)."""
    return np.ones(target.shape[:2], np.bool_) if target.shape[2] == 3 else target[..., 3] > 0


def psnr(mse: float) -> float:
    """Returns the peak signal-to-noise ratio, in dB, of a mean squared error of values in 0…1."""
    return math.inf if mse == 0.0 else -10.0 * math.log10(mse)


def decibel(value: float | None) -> str:
    """Returns a PSNR as text; None, which stands for infinity in JSON, is that of equal pictures."""
    return "∞ dB" if value is None or math.isinf(value) else f"{value:.2f} dB"


def ssim(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Returns the mean structural similarity of two (H, W, C) pictures of values in 0…1.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity": a Gaussian window of
    11 × 11 (less for smaller pictures) with σ = 1.5, K1 = 0.01, K2 = 0.03, averaged over windows inside the picture.
    """
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    index = ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(index.mean())


def _blur(picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    for axis in (0, 1):
        width = min(_WINDOW, picture.shape[axis])
        offset = np.arange(width) - (width - 1) / 2
        kernel = np.exp(-0.5 * (offset / _SIGMA) ** 2)
        kernel /= kernel.sum()
        length = picture.shape[axis] - width + 1
        rows = [np.take(picture, range(k, k + length), axis=axis) * kernel[k] for k in range(width)]
        picture = np.sum(rows, axis=0)
    return picture
