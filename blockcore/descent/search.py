"""The search by gradient descent: where it starts, what it minimises, and the assignment that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.constraints import Constraints
from blockcore.assignment.decide import Decision, decide, seams_between
from blockcore.assignment.losses import PictureLoss, chosen_loss
from blockcore.assignment.problem import Problem
from blockcore.descent.descent import BARRED, Descent, lean_towards, starting_logits
from blockcore.descent.objectives import Objective, SeamsObjective, objective_of
from blockcore.descent.picture_objective import PictureObjective
from blockcore.descent.progress import Progress
from blockcore.machine import workers
from blockcore.machine.workers import Share
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.arrays import sum_by
from blockcore.shading.radiance import best_materials
from blockcore.visibility.faces import VisibleFaces

_BLOCK = 64  # pixels that take a step as long as a block does by itself


@dataclass(frozen=True, eq=False)
class Descended:
    """What a descent came to.

    Attributes:
        initial: (N,) int32, the assignment it started from.
        materials: (N,) int32, the assignment found.
        losses: loss of each step.
        temperatures: temperature of each step.
        picture_loss: of the assignment found, where the loss is one of whole pictures; else None.
    """

    initial: npt.NDArray[np.int32]
    materials: npt.NDArray[np.int32]
    losses: Sequence[float]
    temperatures: Sequence[float]
    picture_loss: float | None


def descend(
    scene: BlockScene,
    settings: OptimizeSettings,
    objective: str,
    loss: PictureLoss | None,
    problem: Problem,
    solve: Callable[[], Decision],
    drawn: Future[torch.Tensor],
    generator: torch.Generator,
    start: npt.NDArray[np.float32] | None,
    began: float,
    progress: Callable[[Progress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Descended:
    """Finds materials by gradient descent.

    Args:
        scene: blocks and palette.
        settings: how to search.
        objective: what is minimised, as ``plan.Decided`` names it.
        loss: compares pictures instead of the loss that the settings name, or None.
        problem: what is seen, and what each choice costs.
        solve: tells what solving finds.
        drawn: the logits that ``init`` asks for, (V, M) float32; see ``drawn_ahead``.
        generator: drew them, and draws what is random after them.
        start: (N, M) finite logits to begin from, or None.
        began: when the optimisation began, by ``time.perf_counter``.
        progress: called every few steps.
        cancelled: asked at every step.

    Raises:
        SettingsError: the loss is not to be had.
        Cancelled: ``cancelled`` said so.
    """
    named = chosen_loss(settings.comparison)
    whole: PictureObjective | None = None
    if objective == "pictures":
        compare = loss or named.of_pictures(settings.comparison)
        whole = PictureObjective(problem, compare, settings.comparison, settings.search.commitment)
    share = _share(objective, settings, problem)
    goal: Objective = whole or objective_of(
        objective,
        settings.search.commitment,
        problem.visible,
        problem.statistics,
        problem.radiance,
        problem.targets,
        (problem.costs, problem.outside),
        share,
    )
    if settings.smoothness:
        seams = seams_between(scene, settings, problem.blocks, problem.pixels)
        goal = SeamsObjective(goal, seams, problem.visible.device)
    logits = _starting_logits(scene, settings, problem, solve, drawn, start)[share.rows].to(problem.visible.device)
    initial = share.every(best_materials(logits).int())
    descent = Descent(scene, settings, problem.visible, goal, began, logits, generator, share)
    losses, temperatures = descent.run(progress, cancelled)
    materials = _likeliest(scene, settings, problem, share.every(descent.logits.detach()))
    hard = None
    if whole is not None and (loss is not None or not named.is_sum):
        chosen = torch.from_numpy(materials[problem.blocks]).long().to(problem.visible.device)
        hard = whole.hard(chosen)
    every = scene.materials.copy()
    every[problem.blocks] = initial.cpu().numpy()
    return Descended(every, materials, losses, temperatures, hard)


def drawn_ahead(
    scene: BlockScene, settings: OptimizeSettings, visible: VisibleFaces
) -> tuple[Future[torch.Tensor], torch.Generator]:
    """Begins to draw the logits that ``init`` asks for: numbers of one stream, by one core, while others are busy.

    Returns:
        The (V, M) float32 logits to be, on the CPU, and the generator that goes on after them.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    aside = ThreadPoolExecutor(1)
    drawn = aside.submit(starting_logits, scene, settings, visible, generator)
    aside.shutdown(wait=False)  # what was begun ends
    return drawn, generator


def _starting_logits(
    scene: BlockScene,
    settings: OptimizeSettings,
    problem: Problem,
    solve: Callable[[], Decision],
    drawn: Future[torch.Tensor],
    start: npt.NDArray[np.float32] | None,
) -> torch.Tensor:
    blocks = problem.blocks
    logits = drawn.result()  # waited for in any case: what is drawn next follows it
    if start is not None:
        logits = torch.from_numpy(start[blocks].astype(np.float32))
    elif settings.init == "solve":
        logits = lean_towards(torch.from_numpy(solve().materials[blocks]).long(), len(scene.palette))
    if settings.constrained:
        logits[torch.from_numpy(~Constraints.of(settings.rules, scene).allowed[blocks])] = BARRED
    return logits


def _share(objective: str, settings: OptimizeSettings, problem: Problem) -> Share:
    """Returns the blocks this process descends on: all of them, where the loss is one of several blocks together."""
    team, count = workers.current(), len(problem.blocks)
    if team.count == 1 or objective == "pictures" or settings.smoothness:
        return Share(0, count, count)
    work = torch.full((count,), float(_BLOCK), dtype=torch.float64, device=problem.visible.device)
    if objective == "pixels":
        work += sum_by(problem.statistics.count, problem.visible.block, count)
    return team.share(work)


def _likeliest(
    scene: BlockScene, settings: OptimizeSettings, problem: Problem, logits: torch.Tensor
) -> npt.NDArray[np.int32]:
    """Returns the materials of all blocks that logits (V, M) favour, within what a builder asks."""
    # What the logits do not favour costs; so limits and kinds move the blocks that mind least.
    values = logits.double()
    reluctance = values.amax(dim=1, keepdim=True) - values
    # The descent has seen to the seams already.
    eased = replace(settings, rules=replace(settings.rules, smoothness=0.0))
    return decide(scene, eased, problem.blocks, problem.pixels, reluctance).materials
