"""Finds each block's material from posed pictures: outright where the loss allows it, else by gradient descent.

Visibility is found once per view. A loss that is a sum over pixels then comes down to a table of what each material
costs in each visible block, whose best assignment is its row-wise minimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from blockcore.errors import SettingsError
from blockcore.model.baked_light import Light
from blockcore.model.palette import AIR
from blockcore.model.scene import BlockScene
from blockcore.model.settings import SEPARABLE_LOSSES, OptimizeSettings
from blockcore.plan import Plan
from blockcore.shading.radiance import best_materials

__all__ = ["Descent", "OptimizeResult", "Progress", "optimize", "optimize_materials"]


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
    lighting: Light
    gains: npt.NDArray[np.float64]
    steps: int
    seconds: float
    timings: dict[str, float]
    losses: tuple[float, ...]
    temperatures: tuple[float, ...]
    device: str
    rasterizer: str


@dataclass(frozen=True, eq=False)
class _Task:
    """What the search is given.

    Attributes:
        plan: what was decided.
        loss: compares whole pictures; None where the loss is a sum over pixels.
        device: where tensors live.
        problem: what is seen, and what each choice costs.
    """

    plan: Plan
    loss: PictureLoss | None
    device: torch.device
    problem: Problem

    @property
    def scene(self) -> BlockScene:
        """Blocks and palette."""
        return self.plan.scene

    @property
    def settings(self) -> OptimizeSettings:
        """How to search."""
        return self.plan.settings

    @property
    def descends(self) -> bool:
        """Whether materials are found by gradient descent."""
        return self.plan.decided.method == "gradient"


@dataclass(frozen=True, eq=False)
class _Found:
    """What the search came to.

    Attributes:
        solution: what solving alone finds.
        initial: (V,) int64, the materials that the visible blocks started from.
        materials: (N,) int32, the materials found.
        losses: loss of each step of a descent.
        temperatures: temperature of each step.
    """

    solution: Decision
    initial: torch.Tensor
    materials: npt.NDArray[np.int32]
    losses: Sequence[float] = ()
    temperatures: Sequence[float] = (0.0,)


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
        progress: called every few steps, or once where materials are solved for.
        cancelled: asked at every view and every step; true stops the optimisation.
        loss: compares pictures instead of the loss that the settings name; see ``picture_losses``.
        start: (N, M) logits to descend from, instead of what ``settings.init`` says.

    Returns:
        The assignment found, and how.

    Raises:
        SceneError: there is no block, no view with a target, or no pixel of a target that counts.
        SettingsError: constraints contradict each other or the scene, a loss cannot be found or is not a finite number,
            or ``start`` has another shape or numbers that are not finite.
        BackendError: the device, rasteriser or library asked for is not to be had.
        Cancelled: ``cancelled`` said so.
    """
    return optimize(Plan.of(scene, settings, loss), progress, cancelled, start)


def optimize(
    plan: Plan,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    start: npt.NDArray[np.float32] | None = None,
) -> OptimizeResult:
    """Runs a plan; arguments, result and errors as of ``optimize_materials``."""
    scene, settings, views, decided = plan.scene, plan.settings, plan.views, plan.decided
    began = time.perf_counter()
    device = torch.device(decided.device)
    loss: PictureLoss | None = plan.loss
    if loss is None and settings.comparison.loss not in SEPARABLE_LOSSES:
        loss = picture_loss(settings)
    visible = look(scene, views, settings.comparison.samples, decided.rasterizer, device, cancelled)
    seen_at = time.perf_counter()
    problem = pose(scene, settings, views, visible)
    summed_at = time.perf_counter()
    task = _Task(plan, loss, device, problem)
    found = _search(task, start, began, progress, cancelled)
    found_at = time.perf_counter()
    timings = {
        "visibility": seen_at - began,
        "sums over pixels": summed_at - seen_at,
        "search": found_at - summed_at,
    }
    result = _result(task, found, found_at - began, timings)
    if progress is not None and not task.descends:
        progress(_all_done(result))
    return result


def _search(
    task: _Task,
    start: npt.NDArray[np.float32] | None,
    began: float,
    progress: Callable[[Progress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> _Found:
    solution = _solve(task)
    logits = _starting_logits(task, solution, start)
    initial = best_materials(logits)
    if not task.descends:
        return _Found(solution, initial, solution.materials)
    descent = Descent(task.scene, task.settings, task.problem.visible, _objective(task), began, logits)
    losses, temperatures = descent.run(progress, cancelled)
    return _Found(solution, initial, _likeliest(task, descent.logits), losses, temperatures)


def _solve(task: _Task) -> Decision:
    scene, settings, problem = task.scene, task.settings, task.problem
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


def _starting_logits(task: _Task, solution: Decision, start: npt.NDArray[np.float32] | None) -> torch.Tensor:
    scene, settings, visible, blocks = task.scene, task.settings, task.problem.visible, task.problem.blocks
    if start is not None:
        if start.shape != (len(scene.grid), len(scene.palette)) or not np.isfinite(start).all():
            raise SettingsError(f"start: logits must be finite and ({len(scene.grid)}, {len(scene.palette)})")
        logits = torch.from_numpy(start[blocks].astype(np.float32)).to(visible.device)
    elif settings.init == "solve":
        solved = torch.from_numpy(solution.materials[blocks]).long()
        logits = lean_towards(solved, len(scene.palette)).to(visible.device)
    else:
        logits = starting_logits(scene, settings, visible, torch.Generator().manual_seed(settings.seed))
    if settings.constrained:
        barred = ~Constraints.of(settings.rules, scene).allowed[blocks]
        logits[torch.from_numpy(barred).to(visible.device)] = BARRED
    return logits


def _objective(task: _Task) -> Objective:
    scene, settings, loss, problem = task.scene, task.settings, task.loss, task.problem
    kind, seen = task.plan.decided.objective, (problem.visible, problem.statistics, problem.radiance)
    objective: Objective
    if kind == "statistics":
        objective = StatisticsObjective(*seen, settings.search.commitment)
    elif kind == "pixels":
        objective = PixelObjective(*seen, problem.targets, settings.search.commitment)
    elif kind == "costs":
        objective = StatisticsObjective(*seen, 1.0, (problem.costs, problem.outside))
    else:
        objective = picture_objective(settings, problem, loss or picture_loss(settings))
    if settings.smoothness:
        seams = seams_between(scene, settings, problem.blocks, problem.pixels)
        objective = SeamsObjective(objective, seams, problem.visible.device)
    return objective


def _likeliest(task: _Task, logits: torch.Tensor) -> npt.NDArray[np.int32]:
    """Returns the materials of all blocks that logits (V, M) favour, within what a builder asks."""
    # What the logits do not favour costs; so limits and kinds move the blocks that mind least.
    values = logits.detach().double()
    reluctance = values.amax(dim=1, keepdim=True) - values
    # The descent has seen to the seams already.
    eased = replace(task.settings, rules=replace(task.settings.rules, smoothness=0.0))
    return decide(task.scene, eased, task.problem.blocks, task.problem.pixels, reluctance).materials


def _result(task: _Task, found: _Found, seconds: float, timings: dict[str, float]) -> OptimizeResult:
    problem = task.problem
    chosen = torch.from_numpy(found.materials[problem.blocks]).long().to(task.device)
    loss = _mean_loss(task, chosen)
    return OptimizeResult(
        initial=_everywhere(task.scene, problem.blocks, found.initial),
        materials=found.materials,
        visible_blocks=problem.blocks,
        margins=problem.margins(chosen),
        method=task.plan.decided.method,
        loss=loss,
        optimality_gap=None if task.loss is not None else _gap(task, found.solution, chosen),
        lighting=problem.lighting,
        gains=problem.gains,
        steps=max(1, len(found.losses)),
        seconds=seconds,
        timings=timings,
        losses=tuple(found.losses or [loss]),
        temperatures=tuple(found.temperatures),
        device=str(task.device),
        rasterizer=task.plan.decided.rasterizer,
    )


def _mean_loss(task: _Task, materials: torch.Tensor) -> float:
    if task.loss is None:
        return task.problem.mean_loss(materials)
    return picture_objective(task.settings, task.problem, task.loss).hard(materials)


def _gap(task: _Task, solution: Decision, materials: torch.Tensor) -> float:
    scene, settings, problem = task.scene, task.settings, task.problem
    if not settings.smoothness and not settings.constrained:
        return optimality_gap(problem.loss(materials), problem.least_loss(), problem.statistics.pixels)
    model = seams_between(scene, settings, problem.blocks, problem.pixels, problem.costs.cpu().numpy())
    energy = model.energy(materials.cpu().numpy()) + problem.outside
    return optimality_gap(energy, solution.bound + problem.outside, problem.statistics.pixels)


def _everywhere(scene: BlockScene, blocks: npt.NDArray[np.int64], materials: torch.Tensor) -> npt.NDArray[np.int32]:
    """Returns materials (V,) of some blocks, (V,), as those of all, (N,); the others keep the scene's."""
    every = scene.materials.copy()
    every[blocks] = materials.cpu().numpy()
    return every


def _all_done(result: OptimizeResult) -> Progress:
    """Returns what there is to tell of a solution, which takes one step."""
    changed = int((result.materials != result.initial)[result.visible_blocks].sum())
    return Progress(1, 1, result.loss, 0.0, result.seconds, changed, result.materials)
