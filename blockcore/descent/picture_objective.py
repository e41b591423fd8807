"""The objective of losses of whole pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.losses import PictureLoss, chosen_loss
from blockcore.assignment.problem import Problem
from blockcore.errors import SettingsError
from blockcore.model.settings import Comparison
from blockcore.ops.blend import blend
from blockcore.ops.pixels import gather_faces
from blockcore.shading.radiance import face_colors


class PictureObjective:
    """A picture loss of what the shares blend to, one call a view; see ``objectives.Objective``.

    The blend's loss is joined by ``commitment`` times the spread of each block's colours over its materials, except
    for a loss that is about several blocks together.
    """

    def __init__(self, problem: Problem, loss: PictureLoss, comparison: Comparison, commitment: float) -> None:
        """Makes the objective.

        Args:
            problem: what is seen, and what it should look like.
            loss: of whole pictures.
            comparison: its name, whether it commits, and the samples a pixel.
            commitment: weight of the spread, 0…1.
        """
        self.visible, self.statistics = problem.visible, problem.statistics
        device = self.visible.device
        self.name, self.loss, self.samples = comparison.loss, loss, comparison.samples
        self.commitment = commitment if chosen_loss(comparison).commits else 0.0
        self.radiance = problem.radiance.float()
        self.background = torch.tensor(problem.lighting.background, dtype=torch.float32, device=device)
        self.gains = [torch.tensor(gain, dtype=torch.float32, device=device)[:, None] for gain in problem.gains]
        self.targets = [_planes(target, device) for target in problem.targets]
        self.masks = [_mask(target, device) for target in problem.targets]
        self.parts = [w * 3 * float(m.sum()) for w, m in zip(problem.weights, self.masks, strict=True)]

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


def _planes(target: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(target[..., :3].copy()).to(device).movedim(2, 0)[None].float() / 255.0


def _mask(target: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    shown = target[..., 3] > 0 if target.shape[2] == 4 else np.ones(target.shape[:2], dtype=np.bool_)
    return torch.from_numpy(np.ascontiguousarray(shown)).to(device)[None, None]
