"""Losses between whole pictures, for the gradient method: structure, low-pass, perception, or anybody's own.

A picture loss is any callable ``loss(rendered, target)``: both (B, 3, H, W) float32 display values in 0…1 on one
device, of one size; it returns a scalar tensor, a mean and not a sum, differentiable in ``rendered``. It is called once
a view. Where a target is masked, ``rendered`` is the target itself. A setting names one as ``"module:function"``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.problem import Problem
from blockcore.assignment.statistics import FaceStatistics
from blockcore.errors import BackendError, SettingsError
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.blend import blend
from blockcore.ops.pixels import gather_faces
from blockcore.shading.radiance import face_colors
from blockcore.visibility.faces import VisibleFaces

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5


class PictureLoss(Protocol):
    """What a loss of whole pictures looks like."""

    def __call__(self, rendered: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns a scalar for pictures (B, 3, H, W)."""
        ...


def picture_loss(settings: OptimizeSettings) -> PictureLoss:
    """Returns the loss that the settings name.

    Raises:
        SettingsError: there is no such module or function.
        BackendError: it needs a library that is not installed.
    """
    name = settings.loss
    if name == "l1":
        return lambda rendered, target: (rendered - target).abs().mean()
    if name == "huber":
        return lambda rendered, target: huber(rendered, target, settings.huber_width)
    if name == "ssim":
        return ssim_loss
    if name == "lowpass":
        return lambda rendered, target: lowpass_loss(rendered, target, settings.blur)
    if name == "lpips":
        return _lpips()
    if name == "l2":
        return lambda rendered, target: (rendered - target).square().mean()
    return _by_name(name)


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


def _lpips() -> PictureLoss:
    try:
        import lpips
    except ImportError as error:
        raise BackendError("loss 'lpips' needs the package lpips; pip install lpips") from error
    net = lpips.LPIPS(net="alex", verbose=False)

    def loss(rendered: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = net.to(rendered.device)(2.0 * rendered - 1.0, 2.0 * target - 1.0).mean()
        return value

    return loss


def _by_name(name: str) -> PictureLoss:
    module, colon, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if colon and module and function else None
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"loss {name!r} cannot be loaded ({error}); name a function as module:function") from error
    if not callable(found):
        raise SettingsError(f"loss {name!r} is neither a loss blockcore has nor a function named as module:function")
    loss: PictureLoss = found
    return loss


class PictureObjective:
    """A picture loss of what the shares blend to, one call a view; see ``losses.Objective``.

    The blend's loss is joined by ``commitment`` times the spread of each block's colours over its materials, except
    for a low-pass loss, which is about several blocks together.
    """

    def __init__(
        self,
        settings: OptimizeSettings,
        loss: PictureLoss,
        visible: VisibleFaces,
        statistics: FaceStatistics,
        radiance: torch.Tensor,
        targets: Sequence[npt.NDArray[np.uint8]],
        background: Sequence[float],
        weights: Sequence[float],
        gains: npt.NDArray[np.float64],
    ) -> None:
        device = visible.device
        self.name, self.loss, self.visible, self.statistics = settings.loss, loss, visible, statistics
        self.radiance, self.samples = radiance.float(), settings.samples
        self.commitment = 0.0 if settings.loss == "lowpass" else settings.commitment
        self.background = torch.tensor(background, dtype=torch.float32, device=device)
        self.gains = [torch.tensor(gain, dtype=torch.float32, device=device)[:, None] for gain in gains]
        self.targets = [_planes(target, device) for target in targets]
        self.masks = [_mask(target, device) for target in targets]
        self.parts = [w * 3 * float(m.sum()) for w, m in zip(weights, self.masks, strict=True)]

    def __call__(self, shares: torch.Tensor) -> torch.Tensor:
        """Returns the loss. Gradients flow to ``shares``.

        Raises:
            SettingsError: the loss is not a finite number.
        """
        return self._total(shares, self.commitment)

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the mean of the views' losses, by their weights and pixels."""
        return loss.double() / max(sum(self.parts), 1e-300)

    def hard(self, materials: torch.Tensor) -> float:
        """Returns the mean loss of an assignment, (V,) int64, without any spread."""
        shares = torch.nn.functional.one_hot(materials, len(self.radiance)).float()
        with torch.no_grad():
            return float(self.mean(self._total(shares, 0.0)))

    def _total(self, shares: torch.Tensor, commitment: float) -> torch.Tensor:
        colors = face_colors(shares.float(), self.radiance, self.visible.block, self.visible.look)
        total = shares.new_zeros(())
        for index, part in enumerate(self.parts):
            value = self.loss(self._picture(colors, index), self.targets[index])
            self._check(value, index)
            total = total + part * value
        if commitment > 0.0:
            total = total + commitment * self._spread(shares, colors)
        return total

    def _picture(self, colors: torch.Tensor, index: int) -> torch.Tensor:
        view, target = self.visible.views[index].to(self.visible.device), self.targets[index]
        face = view.reshape(-1)
        flat = gather_faces(colors, face, self.background)
        picture = (flat * self.gains[index]).clamp_max(1.0).reshape(1, 3, *view.shape)
        if self.samples > 1:
            picture = torch.nn.functional.avg_pool2d(picture, self.samples)
        return torch.where(self.masks[index], picture, target)

    def _spread(self, shares: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
        squares = blend(shares.float(), self.radiance.clamp(0, 1).square(), self.visible.block, self.visible.look)
        spread: torch.Tensor = (self.statistics.count.float()[:, None] * (squares - colors.square())).sum()
        return spread

    def _check(self, value: Any, index: int) -> None:
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise SettingsError(f"loss {self.name!r}: gave {type(value).__name__}, expected a tensor of one number")
        if not bool(torch.isfinite(value)):
            raise SettingsError(f"loss {self.name!r}: is {value.item()} in view {index}; it must be a finite number")


def picture_objective(settings: OptimizeSettings, problem: Problem, loss: PictureLoss) -> PictureObjective:
    """Returns the objective of a picture loss in a problem."""
    return PictureObjective(
        settings,
        loss,
        problem.visible,
        problem.statistics,
        problem.radiance,
        problem.targets,
        problem.lighting.background,
        problem.weights,
        problem.gains,
    )


def _planes(target: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(target[..., :3].copy()).to(device).movedim(2, 0)[None].float() / 255.0


def _mask(target: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    shown = target[..., 3] > 0 if target.shape[2] == 4 else np.ones(target.shape[:2], dtype=np.bool_)
    return torch.from_numpy(np.ascontiguousarray(shown)).to(device)[None, None]
