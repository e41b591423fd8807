# SPDX-License-Identifier: GPL-3.0-or-later
"""How alike pictures are where their targets are masked: `compare` and `optimize` must say the same."""

import math

import numpy as np
import pytest

from blockcore.report.metrics import compare_pictures, largest_difference, psnr, squared_error


def pictures(masked_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and a target that differ by 51/255 in the rows below the first four, all but some masked."""
    picture = np.full((16, 16, 3), 100, dtype=np.uint8)
    picture[4:] += 51
    target = np.full((16, 16, 4), 100, dtype=np.uint8)
    target[..., 3] = 255
    target[16 - masked_rows :, :, 3] = 0
    return picture, target


@pytest.mark.parametrize("masked_rows, wrong, counted", [(12, 0, 64), (8, 64, 128), (0, 192, 256), (16, 0, 0)])
def test_what_is_masked_does_not_count(masked_rows: int, wrong: int, counted: int):
    picture, target = pictures(masked_rows)
    metrics = compare_pictures(picture, target)
    assert (metrics.pixels, metrics.differing, metrics.differing_over_1) == (counted, wrong, wrong)
    expected = 0.2**2 * wrong / max(counted, 1)
    assert metrics.mse == pytest.approx(expected, abs=1e-12)
    assert math.isinf(metrics.psnr) == (wrong == 0) and (metrics.ssim == 1.0) == (wrong == 0)
    assert metrics.max_error == pytest.approx(0.2 if wrong else 0.0)
    error, pixels = squared_error(picture, target)
    assert psnr(error / max(pixels, 1)) == metrics.psnr


def test_errors_are_those_of_each_pixel_added_up():
    rng = np.random.default_rng(0)
    picture, target = (rng.integers(0, 256, (9, 7, channels), dtype=np.uint8) for channels in (3, 4))
    target[..., 3] *= rng.random((9, 7)) < 0.5
    squares = largest = 0
    for a, (*b, alpha) in zip(picture.reshape(-1, 3).tolist(), target.reshape(-1, 4).tolist(), strict=True):
        squares += sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) if alpha else 0
        largest = max(largest, *(abs(x - y) for x, y in zip(a, b, strict=True)))
    assert squared_error(picture, target)[0] == pytest.approx(squares / (3 * 255**2), rel=1e-12)
    assert largest_difference(picture, target).max() == largest


def test_geometry_is_matched_where_the_target_counts():
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    target = np.full((4, 4, 4), 255, dtype=np.uint8)
    target[:2, :, :3] = 0
    assert compare_pictures(picture, target, (0.0, 0.0, 0.0)).geometry_match == 0.5
    target[2:, :, 3] = 0
    assert compare_pictures(picture, target, (0.0, 0.0, 0.0)).geometry_match == 1.0
