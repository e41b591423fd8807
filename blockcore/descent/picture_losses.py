"""Losses between whole pictures, for the gradient method; see ``assignment.losses.PictureLoss``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5


def huber(rendered: torch.Tensor, target: torch.Tensor, width: float) -> torch.Tensor:
    """Returns the mean of e² up to ``width`` and of the straight line that goes on from there (Huber 1964)."""
    error = (rendered - target).abs()
    return torch.where(error > width, width * (2.0 * error - width), error.square()).mean()


def ssim_loss(rendered: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Returns 1 − the mean structural similarity (Wang et al. 2004), with the window of ``metrics.ssim``."""

    def mean(picture: torch.Tensor) -> torch.Tensor:
        return _filter(picture, *(_gaussian(min(_SSIM_WINDOW, n), _SSIM_SIGMA) for n in picture.shape[-2:]))

    c1, c2 = 0.01**2, 0.03**2
    a, b = mean(rendered), mean(target)
    var_a, var_b = mean(rendered.square()) - a.square(), mean(target.square()) - b.square()
    cov = mean(rendered * target) - a * b
    index = ((2 * a * b + c1) * (2 * cov + c2)) / ((a.square() + b.square() + c1) * (var_a + var_b + c2))
    return 1.0 - index.mean()


def lowpass_loss(rendered: torch.Tensor, target: torch.Tensor, sigma: float) -> torch.Tensor:
    """Returns the mean squared error of blurred pictures, as an eye far away sees them.

    Where no material has the colour that is wanted, materials alternate so that their average has it: dithering.

    Args:
        rendered: (B, 3, H, W).
        target: likewise.
        sigma: of the Gaussian, in pixels.
    """
    width = 2 * int(np.ceil(3.0 * sigma)) + 1
    kernel = _gaussian(width, sigma)
    pad = torch.nn.functional.pad(rendered - target, (width // 2,) * 4)
    return _filter(pad, kernel, kernel).square().mean()


def _gaussian(width: int, sigma: float) -> torch.Tensor:
    offset = torch.arange(width) - (width - 1) / 2
    kernel = torch.exp(-0.5 * (offset / sigma).square())
    return kernel / kernel.sum()


def _filter(picture: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Convolves each channel of (B, C, H, W) with a symmetric separable kernel, inside the picture."""
    return _Filter.apply(picture, rows.tolist(), columns.tolist())  # type: ignore[no-any-return, no-untyped-call]


class _Filter(torch.autograd.Function):
    """Sums of shifted pictures: on a CPU ten times as fast as torch's convolutions of a single channel."""

    @staticmethod
    def forward(ctx: Any, picture: torch.Tensor, rows: list[float], columns: list[float]) -> torch.Tensor:
        ctx.rows, ctx.columns = rows, columns
        return _sum_shifted(_sum_shifted(picture, rows, -2), columns, -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tall, wide = len(ctx.rows) - 1, len(ctx.columns) - 1
        padded = torch.nn.functional.pad(grads[0], (wide, wide, tall, tall))
        return _Filter.apply(padded, ctx.rows, ctx.columns), None, None  # type: ignore[no-untyped-call]


def _sum_shifted(picture: torch.Tensor, kernel: list[float], axis: int) -> torch.Tensor:
    length = picture.shape[axis] - len(kernel) + 1
    out = kernel[0] * picture.narrow(axis, 0, length)
    for k, weight in enumerate(kernel[1:], start=1):
        out.add_(picture.narrow(axis, k, length), alpha=weight)
    return out
