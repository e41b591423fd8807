"""From what each material costs in each visible block to the material of every block, within what a builder asks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from blockcore.assignment.constraints import Constraints, seam_factors
from blockcore.assignment.inventory import assign_within, choose_kinds
from blockcore.assignment.neighbours import among, fill_from_neighbours, neighbour_table
from blockcore.assignment.smoothing import Neighbourhood, lower_bound, smooth
from blockcore.assignment.solve import assignment_cost, cheapest_materials, least_cost
from blockcore.assignment.symmetry import Mirror
from blockcore.model.palette import AIR
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.arrays import Array, host

Costs = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Decision:
    """An assignment and how good it is.

    Attributes:
        materials: (N,) int32, of all blocks.
        energy: summed costs of the visible blocks, and of the seams between them where seams cost.
        bound: an energy that no assignment with the same constraints can go below.
    """

    materials: npt.NDArray[np.int32]
    energy: float
    bound: float


def decide(
    scene: BlockScene, settings: OptimizeSettings, blocks: npt.NDArray[np.int64], pixels: float, costs: Array
) -> Decision:
    """Chooses materials.

    Args:
        scene: the blocks; their materials are what unseen and locked blocks keep.
        settings: smoothing and constraints.
        blocks: (V,) the visible blocks, ascending.
        pixels: how many pixels show a block; the cost of a seam is in pixels of an average block.
        costs: (V, M) float64, what each material costs in each visible block.

    Returns:
        The assignment: the best one, or with seams or few kinds out of many one that is near it, as ``bound`` tells.

    Raises:
        SettingsError: the constraints contradict each other or the scene.
    """
    constraints = Constraints.of(settings.rules, scene) if settings.constrained else None
    mirror = Mirror.of(scene.grid, settings.symmetry) if settings.symmetry != "none" else None
    if mirror is not None:
        costs = mirror.shared(host(costs), blocks)
        constraints = mirror.constrained(constraints) if constraints is not None else None
    if constraints is None and settings.smoothness == 0.0:
        best = cheapest_materials(costs)
        energy, bound = assignment_cost(costs, best), least_cost(costs)
        labels = host(best)
    else:
        labels, energy, bound, constraints = _constrained(scene, settings, blocks, pixels, host(costs), constraints)
    materials = _everywhere(scene, settings, blocks, labels, constraints)
    if mirror is not None:
        materials = mirror.alike(materials, blocks, constraints)
    return Decision(materials, energy, bound)


def _constrained(
    scene: BlockScene,
    settings: OptimizeSettings,
    blocks: npt.NDArray[np.int64],
    pixels: float,
    costs: Costs,
    constraints: Constraints | None,
) -> tuple[Labels, float, float, Constraints | None]:
    """Returns labels of the visible blocks, their energy, its bound, and the constraints with the kinds chosen."""
    if constraints is None:
        model = seams_between(scene, settings, blocks, pixels, costs)
        labels = smooth(model, settings.smoother, _cheapest(model.costs))
        return labels, model.energy(labels), lower_bound(model), None
    unary = np.where(constraints.allowed[blocks], costs, np.inf)
    if settings.max_kinds:
        kinds = choose_kinds(unary, constraints.allowed, constraints.limits, constraints.max_kinds)
        constraints = Constraints(constraints.allowed & kinds, constraints.limits, constraints.max_kinds)
    # With the kinds chosen the bound must still hold for all choices of kinds.
    free_bound = float(unary.min(axis=1).sum())
    model = seams_between(scene, settings, blocks, pixels, np.where(constraints.allowed[blocks], costs, np.inf))
    if not constraints.limited:
        labels = _cheapest(model.costs)
        bound = free_bound
        if settings.smoothness:
            labels = smooth(model, settings.smoother, labels)
            bound = max(bound, lower_bound(model)) if not settings.max_kinds else bound
        return labels, model.energy(labels), bound, constraints
    labels, bound = _limited(settings, model, _unseen_groups(blocks, constraints), constraints)
    return labels, model.energy(labels), free_bound if settings.max_kinds else bound, constraints


def _limited(
    settings: OptimizeSettings, model: Neighbourhood, unseen: _Groups, constraints: Constraints
) -> tuple[Labels, float]:
    """Returns labels of the visible blocks that leave enough for the unseen ones, and the bound of their energy."""
    labels, bound, prices = _within_limits(model.costs, unseen, constraints)
    if not settings.smoothness:
        return labels, bound
    # At these prices hardly any material is asked for more than there is; what still is, is put right at least cost.
    priced = replace(model, costs=model.costs + prices)
    candidates = [labels]
    for some in (priced, model):
        smoothed = smooth(some, settings.smoother, _cheapest(some.costs))
        candidates.append(_within_limits(model.conditional(smoothed, np.arange(len(smoothed))), unseen, constraints)[0])
    # Lagrangian relaxation: limits that cost their price instead of holding can only allow a lower energy.
    hidden = (np.where(unseen.allowed, prices, np.inf).min(axis=1) * unseen.count).sum()
    relaxed = lower_bound(priced) + float(hidden - (prices * constraints.limits).sum())
    return min(candidates, key=model.energy), max(bound, relaxed)


def _cheapest(costs: Costs) -> Labels:
    return np.asarray(cheapest_materials(costs))


def seams_between(
    scene: BlockScene,
    settings: OptimizeSettings,
    blocks: npt.NDArray[np.int64],
    pixels: float,
    costs: Costs | None = None,
) -> Neighbourhood:
    """Returns the visible blocks' neighbourhood, with the costs of seams that the settings ask for; see ``decide``."""
    unit = settings.smoothness * pixels / max(1, len(blocks))
    costs = np.zeros((len(blocks), len(scene.palette))) if costs is None else costs.copy()
    costs[:, AIR] = np.inf
    return Neighbourhood(
        costs=costs,
        table=among(neighbour_table(scene.grid), blocks),
        odd=scene.grid.positions[blocks].sum(axis=1) % 2 == 1,
        seams=unit * seam_factors(settings.rules.seams, scene.palette),
    )


@dataclass(frozen=True, eq=False)
class _Groups:
    """Unseen blocks that may have the same materials: (G, M) which, and (G,) how many there are."""

    allowed: npt.NDArray[np.bool_]
    count: npt.NDArray[np.int64]


def _wishes(
    scene: BlockScene, known: npt.NDArray[np.bool_], materials: npt.NDArray[np.int32], allowed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Fills what is not known from its neighbours; what they do not reach takes the first material that it may have."""
    filled = fill_from_neighbours(neighbour_table(scene.grid), materials, known, allowed)
    fits = np.take_along_axis(allowed, filled[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(fits, filled, allowed.argmax(axis=1)).astype(np.int32)


def _unseen_groups(blocks: npt.NDArray[np.int64], constraints: Constraints) -> _Groups:
    unseen = np.ones(len(constraints.allowed), dtype=np.bool_)
    unseen[blocks] = False
    allowed, count = np.unique(constraints.allowed[unseen], axis=0, return_counts=True)
    return _Groups(allowed, count)


def _keeps(scene: BlockScene, constraints: Constraints) -> npt.NDArray[np.bool_]:
    own = scene.materials[:, None].astype(np.int64)
    return np.asarray(np.take_along_axis(constraints.allowed, own, axis=1)[:, 0])


def _within_limits(
    costs: Costs, unseen: _Groups, constraints: Constraints
) -> tuple[Labels, float, npt.NDArray[np.float64]]:
    """Returns the visible blocks' best labels that leave enough for the unseen ones, the bound, and the prices."""
    groups = np.where(unseen.allowed, 0.0, np.inf)
    supply = np.concatenate([np.ones(len(costs), dtype=np.int64), unseen.count])
    amounts, bound, prices = assign_within(np.concatenate([costs, groups]), supply, constraints.limits)
    return amounts[: len(costs)].argmax(axis=1), bound, prices


def _everywhere(
    scene: BlockScene,
    settings: OptimizeSettings,
    blocks: npt.NDArray[np.int64],
    labels: Labels,
    constraints: Constraints | None,
) -> npt.NDArray[np.int32]:
    """Gives the unseen blocks theirs too: kept, or filled from their neighbours, within the constraints."""
    materials = scene.materials.copy()
    materials[blocks] = labels
    seen = np.zeros(len(materials), dtype=np.bool_)
    seen[blocks] = True
    if constraints is None:
        if settings.unseen == "keep" or seen.all():
            return materials
        everything = np.ones((1, len(scene.palette)), dtype=np.bool_)
        every = np.broadcast_to(everything, (len(materials), len(scene.palette)))
        return fill_from_neighbours(neighbour_table(scene.grid), materials, seen, every)
    keeps = _keeps(scene, constraints) & ~seen
    if settings.unseen == "fill":
        keeps &= constraints.allowed.sum(axis=1) == 1
    wishes = _wishes(scene, seen | keeps, materials, constraints.allowed)
    return _ration(wishes, seen, constraints) if constraints.limited else wishes


def _ration(
    materials: npt.NDArray[np.int32], seen: npt.NDArray[np.bool_], constraints: Constraints
) -> npt.NDArray[np.int32]:
    """Gives unseen blocks the materials they would have as long as there is enough, and others where there is not."""
    left = constraints.limits - np.bincount(materials[seen], minlength=len(constraints.limits))
    unseen = np.flatnonzero(~seen)
    rows = np.concatenate([constraints.allowed[unseen], materials[unseen, None]], axis=1).astype(np.int64)
    groups, group, count = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    costs = np.where(groups[:, :-1] > 0, 1.0, np.inf)
    costs[np.arange(len(groups)), groups[:, -1]] = 0.0
    amounts, _, _ = assign_within(costs, count, left)
    rationed = materials.copy()
    for index, row in enumerate(amounts.astype(np.int64)):
        # What the group would have comes first, so that most of its blocks keep it.
        order = np.argsort(costs[index], kind="stable")
        rationed[unseen[group == index]] = np.repeat(order, row[order])
    return rationed
