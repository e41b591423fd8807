"""Finds each block's material from posed pictures: outright where the loss allows it, else by gradient descent.

Visibility is found once per view. A loss that is a sum over pixels then comes down to a table of what each material
costs in each visible block, whose best assignment is its row-wise minimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from blockcore.constraints import Constraints
from blockcore.decide import decide, seams_between
from blockcore.descent import BARRED, Descent, Progress, lean_towards, starting_logits
from blockcore.device import choose_device
from blockcore.errors import Cancelled, SceneError
from blockcore.losses import SeamsObjective, choose_objective
from blockcore.scene import BlockScene, View
from blockcore.settings import OptimizeSettings
from blockcore.shading import best_materials, radiance_of
from blockcore.solve import assignment_cost, confidence_margins, optimality_gap
from blockcore.statistics import FaceStatistics, cost_table, face_statistics
from blockcore.visibility import Visibility, choose_rasterizer, rasterize
from blockcore.visible import VisibleFaces, visible_faces

__all__ = ["Descent", "OptimizeResult", "Progress", "optimize_materials", "views_with_target"]


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """What an optimisation found.

    Attributes:
        initial: (N,) int32, the assignment it started from.
        materials: (N,) int32, the assignment it found.
        visible_blocks: (V,) int64, indices of the blocks that some view shows.
        margins: (V,) float64, how clearly the pictures speak for the material of each of those; see
            ``solve.confidence_margins``.
        method: ``"solve"`` or ``"gradient"``.
        loss: mean squared error per pixel and channel of the assignment found, of values in 0…1.
        optimality_gap: how far that, seams included, is above what is known to be the least possible, relative to it;
            see ``solve.optimality_gap``.
        steps: steps taken; solving is one.
        seconds: wall time, visibility included.
        timings: what of it went where, in seconds.
        losses: loss of each step.
        temperatures: temperature of each step; 0 where one material per block was compared.
        device: where tensors lived.
        rasterizer: what filled the visibility.
    """

    initial: npt.NDArray[np.int32]
    materials: npt.NDArray[np.int32]
    visible_blocks: npt.NDArray[np.int64]
    margins: npt.NDArray[np.float64]
    method: str
    loss: float
    optimality_gap: float
    steps: int
    seconds: float
    timings: dict[str, float]
    losses: tuple[float, ...]
    temperatures: tuple[float, ...]
    device: str
    rasterizer: str


def optimize_materials(
    scene: BlockScene,
    settings: OptimizeSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> OptimizeResult:
    """Finds the material of every block that some view with a target shows.

    Args:
        scene: blocks, palette, light and views; views without a target are left out.
        settings: how to look; the defaults if None.
        progress: called every few steps.
        cancelled: asked at every step; true stops the optimisation.

    Returns:
        The assignment found, and how.

    Raises:
        SceneError: there is no block, no view with a target, or no pixel of a target that counts.
        SettingsError: constraints contradict each other or the scene.
        BackendError: the device or rasteriser asked for is not to be had.
        Cancelled: ``cancelled`` said so.
    """
    settings = settings or OptimizeSettings()
    began = time.perf_counter()
    device, _ = choose_device(settings.device)
    rasterizer, _ = choose_rasterizer(settings.rasterizer, device.type)
    views = views_with_target(scene)
    visible = _look(scene, views, rasterizer, device, cancelled)
    seen_at = time.perf_counter()
    radiance = radiance_of(scene.palette, scene.lighting, device, torch.float64, visible.looks)
    targets = [view.target for view in views if view.target is not None]
    statistics = face_statistics(visible, targets, scene.lighting.background)
    if not statistics.pixels:
        raise SceneError("targets: every pixel is masked; make the parts to be compared opaque")
    costs = cost_table(visible, statistics, radiance)
    summed_at = time.perf_counter()
    blocks, pixels = visible.blocks.cpu().numpy(), float(statistics.count.sum())
    decision = decide(scene, settings, blocks, pixels, costs)
    best = torch.from_numpy(decision.materials[blocks]).long().to(device)
    start = starting_logits(scene, settings, visible, torch.Generator().manual_seed(settings.seed))
    if settings.init == "solve":
        start = lean_towards(best, len(scene.palette)).to(device)
    initial = best_materials(start)
    energy = decision.energy
    if settings.method == "gradient":
        objective = choose_objective(settings, visible, statistics, radiance, targets)
        if settings.smoothness:
            objective = SeamsObjective(objective, seams_between(scene, settings, blocks, pixels), device)
        if settings.constrained:
            barred = ~Constraints.of(settings, scene).allowed[blocks]
            start[torch.from_numpy(barred).to(device)] = BARRED
        descent = Descent(scene, settings, visible, objective, began, start)
        losses, temperatures = descent.run(progress, cancelled)
        # What the logits do not favour costs; so limits and kinds move the blocks that mind least.
        found = decide(scene, replace(settings, smoothness=0.0), blocks, pixels, _reluctance(descent.logits))
        best = torch.from_numpy(found.materials[blocks]).long().to(device)
        energy = assignment_cost(costs, best)
        if settings.smoothness:
            energy = seams_between(scene, settings, blocks, pixels, costs.cpu().numpy()).energy(best.cpu().numpy())
        decision = replace(decision, materials=found.materials, energy=energy)
    else:
        losses, temperatures = [_mean_loss(costs, best, statistics)], [0.0]
    found_at = time.perf_counter()
    result = OptimizeResult(
        initial=_everywhere(scene, visible, initial),
        materials=decision.materials,
        visible_blocks=blocks,
        margins=confidence_margins(costs, best, _pixels_of_blocks(visible, statistics)).cpu().numpy(),
        method="gradient" if settings.method == "gradient" else "solve",
        loss=_mean_loss(costs, best, statistics),
        optimality_gap=optimality_gap(
            decision.energy + statistics.outside, decision.bound + statistics.outside, statistics.pixels
        ),
        steps=len(losses),
        seconds=found_at - began,
        timings={
            "visibility": seen_at - began,
            "sums over pixels": summed_at - seen_at,
            "search": found_at - summed_at,
        },
        losses=tuple(losses),
        temperatures=tuple(temperatures),
        device=str(device),
        rasterizer=rasterizer,
    )
    if progress is not None and result.method == "solve":
        changed = int((best != initial).sum())
        progress(Progress(1, 1, result.loss, 0.0, result.seconds, changed, result.materials))
    return result


def planned_steps(settings: OptimizeSettings) -> int:
    """Returns the most steps that these settings take."""
    return settings.steps if settings.method == "gradient" else 1


def _everywhere(scene: BlockScene, visible: VisibleFaces, materials: torch.Tensor) -> npt.NDArray[np.int32]:
    """Returns materials (V,) of visible blocks as those of all blocks, (N,); the others keep the scene's."""
    every = scene.materials.copy()
    every[visible.blocks.cpu().numpy()] = materials.cpu().numpy()
    return every


def _reluctance(logits: torch.Tensor) -> torch.Tensor:
    values = logits.detach().double()
    return values.amax(dim=1, keepdim=True) - values


def _mean_loss(costs: torch.Tensor, materials: torch.Tensor, statistics: FaceStatistics) -> float:
    return (assignment_cost(costs, materials) + statistics.outside) / (3 * statistics.pixels)


def _pixels_of_blocks(visible: VisibleFaces, statistics: FaceStatistics) -> torch.Tensor:
    return statistics.count.new_zeros(len(visible.blocks)).index_add_(0, visible.block, statistics.count)


def views_with_target(scene: BlockScene) -> list[View]:
    """Returns the views that can be optimised against.

    Raises:
        SceneError: there is no block or no such view.
    """
    if len(scene.grid) == 0:
        raise SceneError("scene: has no blocks; add some before optimising")
    views = [view for view in scene.views if view.target is not None]
    if not views:
        raise SceneError("scene: no camera has a target picture; give at least one camera a background image")
    return views


def _look(
    scene: BlockScene,
    views: list[View],
    rasterizer: str,
    device: torch.device,
    cancelled: Callable[[], bool] | None,
) -> VisibleFaces:
    faces = scene.grid.exposed_faces
    seen = []
    for view in views:
        if cancelled is not None and cancelled():
            raise Cancelled("optimisation cancelled")
        (visibility,) = rasterize(faces, [view.camera], rasterizer)
        seen.append(_unmasked(visibility, view))
    return visible_faces(faces, [view.camera for view in views], seen, scene.palette, device)


def _unmasked(visibility: Visibility, view: View) -> Visibility:
    """Takes away what the target's mask hides: a block that shows nowhere else is as good as unseen."""
    if view.target is None or view.target.shape[2] == 3:
        return visibility
    hidden = torch.as_tensor(view.target[..., 3] == 0)
    ids = torch.as_tensor(visibility.triangle_id)
    return Visibility(torch.where(hidden.to(ids.device), 0, ids))
