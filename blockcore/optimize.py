"""Finds each block's material from posed pictures: outright where the loss allows it, else by gradient descent.

Visibility is found once per view. A loss that is a sum over pixels then comes down to a table of what each material
costs in each visible block, whose best assignment is its row-wise minimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.assignment.constraints import Constraints
from blockcore.assignment.decide import Decision, decide, seams_between
from blockcore.assignment.outlines import without_background
from blockcore.assignment.problem import Problem, look, pose
from blockcore.assignment.solve import optimality_gap
from blockcore.descent.progress import Progress
from blockcore.errors import SettingsError
from blockcore.machine import workers
from blockcore.machine.device import require_torch
from blockcore.model.baked_light import Light
from blockcore.model.palette import AIR
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.arrays import host, placed
from blockcore.plan import Plan

if TYPE_CHECKING:
    from blockcore.assignment.losses import PictureLoss
    from blockcore.descent.search import Descended

__all__ = ["OptimizeResult", "Progress", "optimize", "optimize_materials"]


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """What an optimisation found.

    Attributes:
        initial: (N,) int32, the assignment it started from; where materials are solved for, the one that ``init``
            asks for, to compare with.
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
        loss: compares pictures instead of the loss that the settings name; see ``assignment.losses.PictureLoss``.
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
    scene, settings, decided = plan.scene, plan.settings, plan.decided
    shape = len(scene.grid), len(scene.palette)
    if start is not None and (start.shape != shape or not np.isfinite(start).all()):
        raise SettingsError(f"start: logits must be finite and ({shape[0]}, {shape[1]})")
    began = time.perf_counter()
    device = _place(plan)
    outline = settings.comparison.outline
    views = without_background(plan.views, scene.grid.exposed_faces, outline, decided.rasterizer)
    visible = look(scene, views, settings.comparison.samples, decided.rasterizer, device, cancelled)
    seen_at = time.perf_counter()
    gradient = decided.method == "gradient"
    if gradient:
        from blockcore.descent.search import descend, drawn_ahead

        drawn, generator = drawn_ahead(scene, settings, visible)
    problem = pose(scene, settings, views, visible)
    summed_at = time.perf_counter()
    solve = cache(lambda: _solve(plan, problem))
    if not gradient or settings.constrained or settings.smoothness:
        solve()  # rules that contradict each other are told of before a descent
    descended = None
    if gradient:
        how = (scene, settings, decided.objective, plan.loss, problem, solve, drawn, generator, start)
        descended = descend(*how, began, progress, cancelled)
    found_at = time.perf_counter()
    timings = {
        "visibility": seen_at - began,
        "sums over pixels": summed_at - seen_at,
        "search": found_at - summed_at,
    }
    result = _result(plan, problem, solve, descended, start, found_at - began, timings)
    if progress is not None and descended is None:
        progress(_all_done(result))
    return result


def _place(plan: Plan) -> Any:
    """Returns the device of tensors; None for numpy arrays, which do where nothing is differentiated or shared out."""
    decided = plan.decided
    if decided.method == "gradient":
        require_torch("gradient descent")
    if decided.method == "solve" and decided.device == "cpu" and workers.current().count == 1:
        return None
    import torch

    return torch.device(decided.device)


def _solve(plan: Plan, problem: Problem) -> Decision:
    scene, settings = plan.scene, plan.settings
    decision = decide(scene, settings, problem.blocks, problem.pixels, problem.costs)
    ruled = settings.constrained or settings.smoothness or settings.symmetry != "none"
    if problem.mixed is None or problem.alone is None or ruled:
        return decision
    labels = decision.materials[problem.blocks].astype(np.int64)
    alone = host(problem.alone).copy()
    alone[:, AIR] = np.inf
    settled = problem.mixed.settle(alone, host(problem.radiance), labels)
    # The unseen blocks follow the visible ones, which are left no choice.
    only = 1.0 - np.eye(len(scene.palette))[settled]
    return decide(scene, settings, problem.blocks, problem.pixels, only)


def _result(
    plan: Plan,
    problem: Problem,
    solve: Callable[[], Decision],
    descended: Descended | None,
    start: npt.NDArray[np.float32] | None,
    seconds: float,
    timings: dict[str, float],
) -> OptimizeResult:
    materials = solve().materials if descended is None else descended.materials
    chosen = placed(materials[problem.blocks].astype(np.int64), problem.visible.device)
    pictures = None if descended is None else descended.picture_loss
    loss = problem.mean_loss(chosen) if pictures is None else pictures
    return OptimizeResult(
        initial=_start(plan, solve(), problem.blocks, start) if descended is None else descended.initial,
        materials=materials,
        visible_blocks=problem.blocks,
        margins=problem.margins(chosen),
        method=plan.decided.method,
        loss=loss,
        optimality_gap=_gap(plan, problem, solve, chosen) if pictures is None else None,
        lighting=problem.lighting,
        gains=problem.gains,
        steps=1 if descended is None else max(1, len(descended.losses)),
        seconds=seconds,
        timings=timings,
        losses=(loss,) if descended is None else tuple(descended.losses or [loss]),
        temperatures=(0.0,) if descended is None else tuple(descended.temperatures),
        device=plan.decided.device,
        rasterizer=plan.decided.rasterizer,
    )


def _start(
    plan: Plan, solution: Decision, blocks: npt.NDArray[np.int64], logits: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.int32]:
    """Returns the materials (N,) asked for as a start: what a solution, which starts nowhere, is compared with."""
    scene, settings = plan.scene, plan.settings
    if logits is None and settings.init == "map":
        return scene.materials.copy()
    if logits is None and settings.init == "solve":
        return solution.materials.copy()
    scores = np.zeros((len(blocks), len(scene.palette))) if logits is None else logits[blocks].astype(np.float64)
    if logits is None and settings.init == "random":
        scores = np.random.default_rng(settings.seed).random(scores.shape)
    allowed = np.arange(len(scene.palette)) > AIR
    if settings.constrained:
        allowed = Constraints.of(settings.rules, scene).allowed[blocks]
    start = scene.materials.copy()
    scores[~np.broadcast_to(allowed, scores.shape)] = -np.inf
    start[blocks] = scores.argmax(axis=1)
    return start


def _gap(plan: Plan, problem: Problem, solve: Callable[[], Decision], chosen: Any) -> float:
    scene, settings = plan.scene, plan.settings
    if not settings.smoothness and not settings.constrained:
        return optimality_gap(problem.loss(chosen), problem.least_loss(), problem.statistics.pixels)
    model = seams_between(scene, settings, problem.blocks, problem.pixels, host(problem.costs))
    energy = model.energy(host(chosen)) + problem.outside
    return optimality_gap(energy, solve().bound + problem.outside, problem.statistics.pixels)


def _all_done(result: OptimizeResult) -> Progress:
    """Returns what there is to tell of a solution, which takes one step."""
    changed = int((result.materials != result.initial)[result.visible_blocks].sum())
    return Progress(1, 1, result.loss, 0.0, result.seconds, changed, result.materials)
