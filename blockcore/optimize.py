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

from blockcore.assignment.constraints import Constraints
from blockcore.assignment.decide import Decision, decide, seams_between
from blockcore.assignment.problem import Problem, look, pose
from blockcore.assignment.solve import optimality_gap
from blockcore.descent.descent import BARRED, Descent, Progress, lean_towards, starting_logits
from blockcore.descent.losses import Objective, PixelObjective, SeamsObjective, StatisticsObjective
from blockcore.descent.picture_losses import PictureLoss, picture_loss, picture_objective
from blockcore.device import choose_device
from blockcore.errors import SceneError, SettingsError
from blockcore.lighting import Lighting
from blockcore.palette import AIR
from blockcore.scene import BlockScene, View
from blockcore.settings import SEPARABLE_LOSSES, OptimizeSettings
from blockcore.shading import best_materials
from blockcore.visibility import choose_rasterizer
from blockcore.visible import VisibleFaces

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
        loss: of the assignment found, the mean per pixel and channel, of values in 0…1.
        optimality_gap: how far that, seams included, is above what is known to be the least possible, relative to it;
            see ``solve.optimality_gap``. None for losses of whole pictures.
        lighting: the light, fitted if so asked.
        gains: (views, 3) the exposure and white balance of each view with a target.
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
    optimality_gap: float | None
    lighting: Lighting
    gains: npt.NDArray[np.float64]
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
    loss: PictureLoss | None = None,
    start: npt.NDArray[np.float32] | None = None,
) -> OptimizeResult:
    """Finds the material of every block that some view with a target shows.

    Args:
        scene: blocks, palette, light and views; views without a target are left out.
        settings: how to look; the defaults if None.
        progress: called every few steps.
        cancelled: asked at every step; true stops the optimisation.
        loss: compares pictures instead of the loss that the settings name; see ``picture_losses``.
        start: (N, M) logits to descend from, instead of what ``settings.init`` says.

    Returns:
        The assignment found, and how.

    Raises:
        SceneError: there is no block, no view with a target, or no pixel of a target that counts.
        SettingsError: constraints contradict each other or the scene, or a loss is not a finite number.
        BackendError: the device, rasteriser or library asked for is not to be had.
        Cancelled: ``cancelled`` said so.
    """
    settings = settings or OptimizeSettings()
    began = time.perf_counter()
    device, _ = choose_device(settings.device)
    rasterizer, _ = choose_rasterizer(settings.rasterizer, device.type)
    views = views_with_target(scene)
    if loss is None and settings.loss not in SEPARABLE_LOSSES:
        loss = picture_loss(settings)
    gradient = settings.method == "gradient" or loss is not None
    visible = look(scene, views, settings.samples, rasterizer, device, cancelled)
    seen_at = time.perf_counter()
    problem = pose(scene, settings, views, visible)
    summed_at = time.perf_counter()
    solution = _solve(scene, settings, problem)
    logits = _starting_logits(scene, settings, problem, solution, start)
    initial = best_materials(logits)
    materials, temperatures = solution.materials, [0.0]
    losses: list[float] = []
    if gradient:
        objective = _objective(scene, settings, problem, loss)
        descent = Descent(scene, settings, visible, objective, began, logits)
        losses, temperatures = descent.run(progress, cancelled)
        # What the logits do not favour costs; so limits and kinds move the blocks that mind least.
        eased = replace(settings, smoothness=0.0)
        materials = decide(scene, eased, problem.blocks, problem.pixels, _reluctance(descent.logits)).materials
    found_at = time.perf_counter()
    chosen = torch.from_numpy(materials[problem.blocks]).long().to(device)
    mean = problem.mean_loss(chosen) if loss is None else picture_objective(settings, problem, loss).hard(chosen)
    result = OptimizeResult(
        initial=_everywhere(scene, visible, initial),
        materials=materials,
        visible_blocks=problem.blocks,
        margins=problem.margins(chosen),
        method="gradient" if gradient else "solve",
        loss=mean,
        optimality_gap=None if loss is not None else _gap(scene, settings, problem, solution, chosen),
        lighting=problem.lighting,
        gains=problem.gains,
        steps=max(1, len(losses)),
        seconds=found_at - began,
        timings={
            "visibility": seen_at - began,
            "sums over pixels": summed_at - seen_at,
            "search": found_at - summed_at,
        },
        losses=tuple(losses or [mean]),
        temperatures=tuple(temperatures),
        device=str(device),
        rasterizer=rasterizer,
    )
    if progress is not None and not gradient:
        changed = int((chosen != initial).sum())
        progress(Progress(1, 1, result.loss, 0.0, result.seconds, changed, result.materials))
    return result


def planned_steps(settings: OptimizeSettings) -> int:
    """Returns the most steps that these settings take."""
    gradient = settings.method == "gradient" or settings.loss not in SEPARABLE_LOSSES
    return settings.steps if gradient else 1


def _solve(scene: BlockScene, settings: OptimizeSettings, problem: Problem) -> Decision:
    decision = decide(scene, settings, problem.blocks, problem.pixels, problem.costs)
    if problem.mixed is None or problem.alone is None or settings.constrained or settings.smoothness:
        return decision
    labels = decision.materials[problem.blocks].astype(np.int64)
    alone = problem.alone.cpu().numpy().copy()
    alone[:, AIR] = np.inf
    settled = problem.mixed.settle(alone, problem.radiance.cpu().numpy(), labels)
    # The unseen blocks follow the visible ones.
    return decide(scene, settings, problem.blocks, problem.pixels, _only(settled, len(scene.palette)))


def _only(labels: npt.NDArray[np.int64], materials: int) -> torch.Tensor:
    """Returns costs that leave no choice."""
    return 1.0 - torch.nn.functional.one_hot(torch.from_numpy(labels), materials).double()


def _starting_logits(
    scene: BlockScene,
    settings: OptimizeSettings,
    problem: Problem,
    solution: Decision,
    start: npt.NDArray[np.float32] | None,
) -> torch.Tensor:
    device, blocks = problem.visible.device, problem.blocks
    if start is not None:
        if start.shape != (len(scene.grid), len(scene.palette)) or not np.isfinite(start).all():
            raise SettingsError(f"start: logits must be finite and ({len(scene.grid)}, {len(scene.palette)})")
        logits = torch.from_numpy(start[blocks].astype(np.float32)).to(device)
    elif settings.init == "solve":
        solved = torch.from_numpy(solution.materials[blocks]).long()
        logits = lean_towards(solved, len(scene.palette)).to(device)
    else:
        logits = starting_logits(scene, settings, problem.visible, torch.Generator().manual_seed(settings.seed))
    if settings.constrained:
        barred = ~Constraints.of(settings, scene).allowed[blocks]
        logits[torch.from_numpy(barred).to(device)] = BARRED
    return logits


def _objective(scene: BlockScene, settings: OptimizeSettings, problem: Problem, loss: PictureLoss | None) -> Objective:
    squared = loss is None and settings.loss == "l2" and problem.plain
    objective: Objective
    if squared and (settings.objective != "pixels" or not problem.alike):
        objective = StatisticsObjective(problem.visible, problem.statistics, problem.radiance, settings.commitment)
    elif squared:
        objective = PixelObjective(
            problem.visible, problem.statistics, problem.radiance, problem.targets, settings.commitment
        )
    elif loss is None and problem.mixed is None and settings.objective != "pixels" and settings.commitment == 1.0:
        objective = StatisticsObjective(
            problem.visible, problem.statistics, problem.radiance, 1.0, (problem.costs, problem.outside)
        )
    else:
        objective = picture_objective(settings, problem, loss or picture_loss(settings))
    if settings.smoothness:
        seams = seams_between(scene, settings, problem.blocks, problem.pixels)
        objective = SeamsObjective(objective, seams, problem.visible.device)
    return objective


def _gap(
    scene: BlockScene, settings: OptimizeSettings, problem: Problem, solution: Decision, materials: torch.Tensor
) -> float:
    if not settings.smoothness and not settings.constrained:
        return optimality_gap(problem.loss(materials), problem.least_loss(), problem.statistics.pixels)
    model = seams_between(scene, settings, problem.blocks, problem.pixels, problem.costs.cpu().numpy())
    energy = model.energy(materials.cpu().numpy()) + problem.outside
    return optimality_gap(energy, solution.bound + problem.outside, problem.statistics.pixels)


def _everywhere(scene: BlockScene, visible: VisibleFaces, materials: torch.Tensor) -> npt.NDArray[np.int32]:
    """Returns materials (V,) of visible blocks as those of all blocks, (N,); the others keep the scene's."""
    every = scene.materials.copy()
    every[visible.blocks.cpu().numpy()] = materials.cpu().numpy()
    return every


def _reluctance(logits: torch.Tensor) -> torch.Tensor:
    values = logits.detach().double()
    return values.amax(dim=1, keepdim=True) - values


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
