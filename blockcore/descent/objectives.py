"""Objectives: what a step minimises, as a function of the share each material has in each visible block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.neighbours import touching_pairs
from blockcore.assignment.smoothing import Neighbourhood
from blockcore.assignment.statistics import FaceStatistics, cost_table
from blockcore.machine import workers
from blockcore.machine.workers import Share
from blockcore.ops.blend import blend
from blockcore.ops.pixels import squared_error
from blockcore.shading.radiance import face_colors
from blockcore.visibility.faces import VisibleFaces


class Objective(Protocol):
    """A loss of material shares.

    Losses are sums over pixels, so that a block of few pixels pulls on its own logits as any other does; ``mean``
    makes them comparable between pictures.
    """

    def __call__(self, shares: torch.Tensor) -> torch.Tensor:
        """Returns the loss, a scalar, of shares (V, M). Gradients flow to ``shares``."""
        ...

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the mean per pixel and channel that belongs to a loss."""
        ...


def objective_of(
    kind: str,
    commitment: float,
    visible: VisibleFaces,
    statistics: FaceStatistics,
    radiance: torch.Tensor,
    targets: Sequence[npt.NDArray[np.uint8]],
    costs_and_outside: tuple[torch.Tensor, float] | None = None,
    share: Share | None = None,
) -> Objective:
    """Returns an objective that is a sum over pixels.

    Args:
        kind: ``"statistics"``, ``"pixels"`` or ``"costs"``, as ``plan.Decided`` names it.
        commitment: the share of it that single materials have, 0…1; that of costs is 1.
        visible: what the views show.
        statistics: of their pixels.
        radiance: of each look and material.
        targets: the views' pictures, which pixels alone need.
        costs_and_outside: what costs alone need: (V, M) and the loss of what shows no block.
        share: the blocks that it shall be about; all if None. The objectives of all shares add up to that of all.
    """
    faces = None
    if share is not None and share.workers.count > 1:
        faces = visible.faces_of(share.rows)
    pixels = compared_pixels(visible, targets, faces) if kind == "pixels" else None
    if share is not None and faces is not None:
        first = share.workers.rank == 0
        visible, statistics = visible.part(share.rows), statistics.part(faces, first)
        if costs_and_outside is not None:
            costs, outside = costs_and_outside
            costs_and_outside = costs[share.rows], outside if first else 0.0
    if pixels is not None:
        return PixelObjective(visible, statistics, radiance, pixels, commitment)
    if kind == "statistics":
        return StatisticsObjective(visible, statistics, radiance, commitment)
    return StatisticsObjective(visible, statistics, radiance, 1.0, costs_and_outside)


class StatisticsObjective:
    """Squared loss from per-face sums: independent of how many pixels and views there are.

    With shares p, costs C of single materials and the blend's loss L: ``commitment · Σ pC + (1 − commitment) · L``.
    With a commitment of 1 other costs will do, of any loss that is a sum over pixels.
    """

    def __init__(
        self,
        visible: VisibleFaces,
        statistics: FaceStatistics,
        radiance: torch.Tensor,
        commitment: float,
        costs_and_outside: tuple[torch.Tensor, float] | None = None,
    ) -> None:
        self.visible, self.statistics, self.commitment = visible, statistics, commitment
        self.radiance = radiance
        costs, outside = costs_and_outside or (cost_table(visible, statistics, radiance), statistics.outside)
        # Only differences within a block matter to its choice; what is left fits float32 without cancellation.
        least = costs[:, 1:].amin(dim=1, keepdim=True)
        self.floor = float(least.sum()) + outside
        self.costs = (costs - least).float()

    def __call__(self, shares: torch.Tensor) -> torch.Tensor:
        """Returns the loss above its least possible value; see ``Objective``."""
        loss = shares.new_zeros(())
        if self.commitment > 0.0:
            loss = loss + self.commitment * (shares * self.costs.to(shares)).sum()
        if self.commitment < 1.0:
            loss = loss + (1.0 - self.commitment) * self._blend(shares)
        return loss

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the mean per pixel and channel; see ``Objective``."""
        return (loss.double() + self.floor) / (3 * self.statistics.pixels)

    def _blend(self, shares: torch.Tensor) -> torch.Tensor:
        stats = self.statistics
        colors = face_colors(shares.double(), self.radiance, self.visible.block, self.visible.look)
        squares = stats.count[:, None] * colors**2 - 2.0 * colors * stats.total + stats.square
        loss: torch.Tensor = squares.sum() + stats.outside - self.floor
        return loss


def compared_pixels(
    visible: VisibleFaces, targets: Sequence[npt.NDArray[np.uint8]], faces: slice | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the pixels of all views, one view after the other; each process brings its share to the device.

    Args:
        visible: what the views show.
        targets: per view (H, W, 3 or 4) uint8.
        faces: leaves out what shows none of these consecutive faces, and numbers them from 0; all stay if None.

    Returns:
        (P,) int32, the face each pixel shows, or -1; and (P, 3 or 4) uint8, what it should show.
    """
    device, team = visible.device, workers.current()
    channels = 4 if any(target.shape[2] == 4 for target in targets) else 3
    shapes = [(*target.shape[:2], channels) for target in targets]
    brought = {
        number: torch.tensor(_rgba(targets[number]) if channels == 4 else targets[number], device=device)
        for number in team.mine([shape[0] * shape[1] for shape in shapes])
    }
    wanted = torch.cat([picture.reshape(-1, channels) for picture in team.exchange(brought, shapes, device, device)])
    shown = torch.cat([view.to(device).reshape(-1) for view in visible.views])
    if faces is None:
        return shown, wanted
    own = torch.nonzero((shown >= faces.start) & (shown < faces.stop))[:, 0]  # at once: each makes the host wait
    return shown[own] - faces.start, wanted[own]


class PixelObjective:
    """Squared loss of rendered pixels against target pixels, with the same commitment term."""

    def __init__(
        self,
        visible: VisibleFaces,
        statistics: FaceStatistics,
        radiance: torch.Tensor,
        pixels: tuple[torch.Tensor, torch.Tensor],
        commitment: float,
    ) -> None:
        self.visible, self.statistics, self.commitment = visible, statistics, commitment
        self.radiance = radiance.float()
        self.face, self.target = pixels

    def __call__(self, shares: torch.Tensor) -> torch.Tensor:
        """Returns the loss; see ``Objective``."""
        colors = face_colors(shares.float(), self.radiance, self.visible.block, self.visible.look)
        loss = squared_error(colors, self.face, self.target) + self.statistics.outside
        if self.commitment > 0.0:
            loss = loss + self.commitment * self._spread(shares, colors)
        return loss

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the mean per pixel and channel; see ``Objective``."""
        return loss.double() / (3 * self.statistics.pixels)

    def _spread(self, shares: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
        squares = blend(shares.float(), self.radiance.square(), self.visible.block, self.visible.look)
        variance = squares - colors.square()
        spread: torch.Tensor = (self.statistics.count.float()[:, None] * variance).sum()
        return spread


class SeamsObjective:
    """Another objective and the expected cost of seams, were each block's material drawn by its shares."""

    def __init__(self, objective: Objective, neighbourhood: Neighbourhood, device: torch.device) -> None:
        self.objective = objective
        self.seams = torch.from_numpy(neighbourhood.seams).to(device)
        self.first, self.second = torch.from_numpy(touching_pairs(neighbourhood.table).T.copy()).to(device)

    def __call__(self, shares: torch.Tensor) -> torch.Tensor:
        """Returns the loss; see ``Objective``."""
        expected = (shares[self.first] @ self.seams.to(shares)) * shares[self.second]
        return self.objective(shares) + expected.sum()

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Returns the mean per pixel and channel; see ``Objective``."""
        return self.objective.mean(loss)


def _rgba(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if picture.shape[2] == 4:
        return picture
    return np.concatenate([picture, np.full((*picture.shape[:2], 1), 255, dtype=np.uint8)], axis=2)
