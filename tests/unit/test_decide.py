"""Constraints: what they ask is kept, what contradicts is refused, and the cost is the least that is left."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore.assignment.constraints import Constraints, seam_factors
from blockcore.assignment.decide import decide
from blockcore.assignment.inventory import assign_within, choose_kinds
from blockcore.errors import SettingsError
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from tests.captures import captured

M = len(WEBGPU_PALETTE)


def wall(regions=None) -> BlockScene:
    cells = np.array([[x, y, 0] for x in range(4) for y in range(3)])
    return BlockScene(BlockGrid((4, 3, 1), 2.0, cells), np.full(12, 3), regions=regions or {})


def costs_of(blocks: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(blocks, M, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decided(scene, blocks, costs, **settings):
    return decide(scene, OptimizeSettings(**settings), np.asarray(blocks), 10.0 * len(blocks), costs)


def test_without_constraints_each_block_takes_its_cheapest():
    costs = costs_of(8)
    found = decided(wall(), range(8), costs)
    assert found.materials[:8].tolist() == (costs[:, 1:].argmin(dim=1) + 1).tolist()
    assert found.energy == pytest.approx(found.bound)
    assert (found.materials[8:] == 3).all()


def test_allowed_materials_by_scene_and_region():
    scene = wall({"roof": np.array([2, 5, 8, 11])})
    found = decided(scene, range(12), costs_of(12), allowed="Stone, Plank, Snow; roof: Snow")
    assert set(found.materials[[2, 5, 8, 11]]) == {5}
    assert set(found.materials) <= {3, 4, 5} and len(set(found.materials)) == 3
    assert found.energy == pytest.approx(found.bound)


def test_locked_blocks_keep_their_material():
    scene = wall({"floor": np.array([0, 3, 6, 9])})
    found = decided(scene, range(12), costs_of(12), locked="floor", allowed="Water, Sand, Stone")
    assert (found.materials[[0, 3, 6, 9]] == 3).all()
    assert (decided(scene, range(12), costs_of(12), locked="all").materials == 3).all()


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_the_best_few_kinds_are_found(kinds):
    costs = costs_of(12)
    found = decided(wall(), range(12), costs, max_kinds=kinds)
    least = min(costs[:, list(some)].amin(dim=1).sum().item() for some in itertools.combinations(range(1, M), kinds))
    assert len(set(found.materials)) <= kinds
    assert found.energy == pytest.approx(least) and found.bound <= least + 1e-12


def test_unseen_blocks_obey_the_number_of_kinds():
    found = decided(wall(), range(4), costs_of(4), max_kinds=1)
    assert len(set(found.materials)) == 1


def test_many_kinds_are_chosen_by_swaps_about_as_well():
    draw = np.random.default_rng(0)
    costs = np.concatenate([np.full((300, 1), np.inf), draw.random((300, 30))], axis=1)
    allowed = np.isfinite(costs)
    chosen = choose_kinds(costs, allowed, np.full(31, 300), 5)
    assert chosen.sum() == 5
    least = min(costs[:, list(some)].min(axis=1).sum() for some in itertools.combinations(range(1, 31), 3))
    assert costs[:, chosen].min(axis=1).sum() < least


def test_limits_are_kept_and_the_cost_is_the_bound():
    costs = costs_of(12, seed=4)
    costs[:, 1] *= 0.01
    found = decided(
        wall(), range(12), costs, limits="Grass = 3, Dirt = 2, Stone = 2, Plank = 2, Snow=2, Sand=2, Water=1"
    )
    assert (np.bincount(found.materials, minlength=M) <= [0, 3, 2, 2, 2, 2, 2, 1]).all()
    assert found.energy <= 1.01 * found.bound
    assert found.energy == pytest.approx(least_within(costs.numpy(), [0, 3, 2, 2, 2, 2, 2, 1]), rel=1e-6)


def least_within(costs, limits):
    from scipy.optimize import linear_sum_assignment

    slots = np.repeat(np.arange(M), limits)
    rows, columns = linear_sum_assignment(costs[:, slots])
    return costs[:, slots][rows, columns].sum()


@pytest.mark.parametrize("seed", range(5))
def test_limits_count_unseen_blocks_too(seed):
    limits = {"Stone": 5, "Grass": 4, "Water": 3}
    text = ", ".join(f"{name} = {most}" for name, most in limits.items())
    for unseen in ("keep", "fill"):
        found = decided(wall(), range(6), costs_of(6, seed), limits=text, allowed="Stone, Grass, Water", unseen=unseen)
        counts = np.bincount(found.materials, minlength=M)
        assert counts[3] == 5 and counts[1] == 4 and counts[7] == 3
        # The unseen ones are stone, and get what stone the visible ones leave.
        assert (found.materials[6:] == 3).sum() == 5 - (found.materials[:6] == 3).sum()


def test_smoothing_within_limits_never_exceeds_them():
    for seed in range(4):
        found = decided(wall(), range(12), costs_of(12, seed), limits="Grass=2,Dirt=3,Stone=2,Plank=2", smoothness=0.05)
        assert (np.bincount(found.materials, minlength=M)[1:5] <= [2, 3, 2, 2]).all()
        assert found.energy >= found.bound - 1e-9


def test_smoothing_reports_an_energy_near_its_bound():
    found = decided(wall(), range(12), costs_of(12), smoothness=0.02)
    assert found.bound - 1e-9 <= found.energy <= 1.01 * found.bound


def test_seams_that_cost_nothing_between_two_materials():
    rules = OptimizeSettings(seams="Grass/Dirt = 0, Sand/Water=2.5").rules
    factors = seam_factors(rules.seams, WEBGPU_PALETTE)
    assert factors[1, 2] == factors[2, 1] == 0.0 and factors[6, 7] == 2.5 and factors[3, 4] == 1.0
    assert (np.diag(factors) == 0).all()


def test_unseen_blocks_are_filled_from_their_neighbours():
    costs = costs_of(4)
    costs[:, 7] = -1.0
    assert (decided(wall(), range(4), costs, unseen="fill").materials == 7).all()
    assert (decided(wall(), range(4), costs, unseen="keep").materials[4:] == 3).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"allowed": "Granite"}, "no material 'Granite'"),
        ({"allowed": "Air"}, "no material 'Air'"),
        ({"allowed": "tower: Stone"}, "no region 'tower'"),
        ({"allowed": "roof:"}, "allows no material"),
        ({"allowed": "Stone; roof: Snow"}, "without any material"),
        ({"limits": "Stone"}, "NAME = NUMBER"),
        ({"limits": "Stone = -1"}, "whole number"),
        ({"limits": "Stone = 3", "allowed": "Stone"}, "not enough material"),
        ({"locked": "tower"}, "no region 'tower'"),
        ({"locked": "all", "limits": "Stone = 3"}, "not enough material"),
        ({"locked": "roof", "max_kinds": 1, "allowed": "Stone; walls: Snow"}, "max_kinds"),
        ({"smoothness": 1.0, "seams": "Grass = 3"}, "not two materials"),
        ({"smoothness": 1.0, "seams": "Grass/Dirt = often"}, "must be a number"),
    ],
    ids=str,
)
def test_contradictions_are_refused_in_one_line(settings, words):
    scene = wall({"roof": np.array([2, 5]), "walls": np.array([0, 1])})
    if "walls" in str(settings):
        settings = {**settings, "allowed": "walls: Snow"}
    with pytest.raises(SettingsError, match=words) as caught:
        decided(scene, range(6), costs_of(6), **settings)
    assert "\n" not in str(caught.value)


def test_bad_values_are_refused():
    for wrong in ({"smoothness": -1.0}, {"max_kinds": 1.5}, {"unseen": "forget"}, {"allowed": None}):
        with pytest.raises(SettingsError):
            OptimizeSettings(**wrong)


def test_transport_gives_whole_numbers_for_like_blocks():
    costs = np.array([[np.inf, 0.0, 1.0], [np.inf, 2.0, 2.5]])
    amounts, bound, prices = assign_within(costs, np.array([5, 5]), np.array([0, 4, 9]))
    assert amounts.tolist() == [[0, 4, 1], [0, 0, 5]] and bound == pytest.approx(1 + 12.5)
    assert prices.tolist() == pytest.approx([0.0, 1.0, 0.0])


def test_constraints_of_plain_settings_allow_all_but_air():
    allowed = Constraints.of(OptimizeSettings().rules, wall()).allowed
    assert allowed[:, 1:].all() and not allowed[:, 0].any()


def test_limits_of_the_hills_cost_no_more_than_the_bound():
    scene = captured(2)
    change = np.array([0, -2000, 600, 10_000, 0, -65, 0, 0])
    limits = np.bincount(scene.materials, minlength=M) + change
    text = ", ".join(f"{name} = {most}" for name, most in zip(scene.palette.names[1:], limits[1:], strict=True))
    found = optimize_materials(scene, OptimizeSettings(device="cpu", limits=text))
    assert (np.bincount(found.materials, minlength=M) <= limits).all()
    assert found.optimality_gap <= 0.01
    smoothed = optimize_materials(scene, OptimizeSettings(device="cpu", limits=text, smoothness=0.02))
    assert (np.bincount(smoothed.materials, minlength=M) <= limits).all()


@pytest.mark.parametrize("method", ["solve", "gradient"])
def test_a_whole_run_within_constraints(method):
    scene = captured(4)
    count = np.bincount(scene.materials, minlength=M)
    scene = replace(scene, regions={"odd": np.arange(1, len(scene.grid), 2)})
    settings = OptimizeSettings(
        method=method,
        device="cpu",
        allowed="odd: Grass, Dirt, Stone, Water",
        limits=f"Grass = {count[1] // 2 + 40}, Water = 30",
        smoothness=0.01,
        steps=60,
    )
    found = optimize_materials(scene, settings)
    counts = np.bincount(found.materials, minlength=M)
    assert counts[1] <= count[1] // 2 + 40 and counts[7] <= 30
    assert set(found.materials[1::2]) <= {1, 2, 3, 7}
    assert found.optimality_gap >= 0.0


@pytest.mark.parametrize("axis", ["x", "z"])
@pytest.mark.parametrize("smoothness", [0.0, 0.3])
def test_blocks_that_mirror_each_other_are_alike(axis, smoothness):
    rng = np.random.default_rng(3)
    cells = rng.integers(0, 5, (60, 3))
    cells = np.unique(np.concatenate([cells, _mirrored(cells, axis)]), axis=0)
    scene = BlockScene(BlockGrid((5, 5, 5), 1.0, cells), np.full(len(cells), 3))
    seen = np.sort(rng.permutation(len(cells))[: len(cells) // 2])
    found = decided(scene, seen, costs_of(len(seen)), symmetry=axis, smoothness=smoothness).materials.tolist()
    of = dict(zip(map(tuple, cells.tolist()), found, strict=True))
    assert [of[tuple(cell)] for cell in _mirrored(cells, axis).tolist()] == found
    assert len(set(found)) > (1 if smoothness else 3)


def _mirrored(cells, axis):
    other = cells.copy()
    other[:, "xyz".index(axis)] = 4 - other[:, "xyz".index(axis)]
    return other


def test_a_pair_takes_what_costs_least_in_both():
    costs = costs_of(12)
    found = decided(wall(), range(12), costs, symmetry="x")
    pairs = [(3 * x + y, 3 * (3 - x) + y) for x in range(2) for y in range(3)]
    for a, b in pairs:
        assert found.materials[a] == found.materials[b] == int((costs[a, 1:] + costs[b, 1:]).argmin()) + 1
    least = sum(float((costs[a, 1:] + costs[b, 1:]).min()) for a, b in pairs)
    assert found.energy == pytest.approx(least)
    assert found.bound == pytest.approx(least)


def test_one_that_no_view_shows_follows_its_mirrored_one():
    found = decided(wall(), range(6), costs_of(6), symmetry="x").materials
    assert found.reshape(4, 3)[2:].tolist() == found.reshape(4, 3)[1::-1].tolist()


def test_rules_come_before_symmetry():
    scene = wall({"left": np.array([0, 1, 2])})
    found = decided(scene, range(12), costs_of(12), symmetry="x", locked="left").materials.reshape(4, 3)
    assert (found[[0, 3]] == 3).all()
    only = decided(scene, range(12), costs_of(12), symmetry="x", allowed="Stone; left: Snow, Stone")
    assert (only.materials == 3).all()
    with pytest.raises(SettingsError, match="limits"):
        OptimizeSettings(symmetry="x", limits="Stone = 3")
    with pytest.raises(SettingsError, match="gradient"):
        optimize_materials(captured(1), OptimizeSettings(symmetry="x", method="gradient"))


def test_a_block_without_a_mirrored_one_decides_alone():
    cells = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0]])
    scene = BlockScene(BlockGrid((4, 1, 1), 1.0, cells), np.full(3, 3))
    costs = costs_of(3)
    found = decided(scene, range(3), costs, symmetry="x").materials
    assert found[1] == int(costs[1, 1:].argmin()) + 1
    assert found[0] == found[2]
