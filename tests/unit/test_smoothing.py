"""Neighbourhood terms: each method against every assignment of small worlds, and against its bound."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockcore.assignment.neighbours import among, fill_from_neighbours, neighbour_table, touching_pairs
from blockcore.assignment.smoothing import Neighbourhood, expand, icm, lower_bound, relax, smooth
from blockcore.model.grid import BlockGrid
from tests.parts import need

MATERIALS = 3


def model(seed: int, metric: bool = True, barred: bool = False) -> Neighbourhood:
    draw = np.random.default_rng(seed)
    cells = np.argwhere(draw.random((2, 2, 3)) < 0.7)[:7]
    cells = cells if len(cells) else np.zeros((1, 3), np.int64)
    costs = draw.random((len(cells), MATERIALS))
    if barred:
        costs[draw.random(costs.shape) < 0.3] = np.inf
        costs[:, 1] = np.where(np.isfinite(costs).any(axis=1), costs[:, 1], 0.5)
    seams = draw.random((MATERIALS, MATERIALS))
    seams = 0.4 * (seams + seams.T) if not metric else np.full_like(seams, 0.6 * draw.random())
    np.fill_diagonal(seams, 0.0)
    grid = BlockGrid((2, 2, 3), 1.0, cells)
    return Neighbourhood(costs, neighbour_table(grid), cells.sum(axis=1) % 2 == 1, seams)


def least_energy(some: Neighbourhood) -> float:
    every = itertools.product(range(MATERIALS), repeat=len(some.costs))
    return min(some.energy(np.array(labels)) for labels in every)


def cheapest(some: Neighbourhood):
    return some.costs.argmin(axis=1)


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_bound_lies_below_and_expansion_near_the_least_energy(seed, metric, barred):
    some = model(seed, metric, barred)
    least = least_energy(some)
    assert lower_bound(some) <= least + 1e-9
    reached = some.energy(expand(some, cheapest(some)))
    assert least - 1e-9 <= reached <= 2.0 * least + 1e-9
    assert reached <= some.energy(icm(some, cheapest(some))) + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_expansion_finds_the_least_energy_of_small_potts_models(seed):
    some = model(seed)
    assert some.energy(expand(some, cheapest(some))) == pytest.approx(least_energy(some), abs=1e-6)


@pytest.mark.parametrize("method", ["icm", "relaxed", "expansion", "auto"])
def test_no_method_raises_the_energy(method):
    if method == "relaxed":
        need("torch")
    for seed in range(3):
        some = model(seed, metric=seed % 2 == 0, barred=seed % 3 == 0)
        assert some.energy(smooth(some, method, cheapest(some))) <= some.energy(cheapest(some)) + 1e-12


def test_a_seam_that_costs_nothing_changes_nothing():
    need("torch")
    some = model(3)
    free = Neighbourhood(some.costs, some.table, some.odd, np.zeros_like(some.seams))
    for method in (icm, expand, relax):
        assert np.array_equal(method(free, cheapest(free)), cheapest(free))
    assert lower_bound(free) == pytest.approx(free.costs.min(axis=1).sum())


def test_a_dear_seam_makes_all_one_material():
    some = model(5)
    dear = Neighbourhood(some.costs, some.table, some.odd, 1e3 * (1 - np.eye(MATERIALS)))
    assert len(set(expand(dear, cheapest(dear)).tolist())) == 1


def test_conditional_costs_are_energies_of_single_changes():
    some = model(7, metric=False)
    labels = cheapest(some)
    conditional = some.conditional(labels, np.arange(len(labels)))
    for block, material in itertools.product(range(len(labels)), range(MATERIALS)):
        changed = labels.copy()
        changed[block] = material
        difference = conditional[block, material] - conditional[block, labels[block]]
        assert some.energy(changed) - some.energy(labels) == pytest.approx(difference, abs=1e-9)


def test_neighbours_are_the_blocks_beyond_the_faces():
    grid = BlockGrid((3, 3, 3), 1.0, np.array([[1, 1, 1], [2, 1, 1], [1, 2, 1], [0, 0, 0]]))
    assert neighbour_table(grid).tolist() == [
        [1, -1, 2, -1, -1, -1],
        [-1, 0, -1, -1, -1, -1],
        [-1, -1, -1, 0, -1, -1],
        [-1, -1, -1, -1, -1, -1],
    ]
    assert sorted(map(tuple, touching_pairs(neighbour_table(grid)).tolist())) == [(0, 1), (0, 2)]
    assert among(neighbour_table(grid), np.array([0, 2])).tolist() == [[-1, -1, 1, -1, -1, -1], [-1, -1, -1, 0, -1, -1]]


def test_filling_takes_the_commonest_neighbour_layer_by_layer():
    grid = BlockGrid((7, 1, 1), 1.0, np.array([[x, 0, 0] for x in (0, 1, 2, 3, 4, 6)]))
    known = np.array([True, False, False, False, True, False])
    allowed = np.ones((6, 4), np.bool_)
    allowed[3, 2] = False
    filled = fill_from_neighbours(neighbour_table(grid), np.array([1, 3, 3, 3, 2, 3], np.int32), known, allowed)
    # From the left 1 spreads; 2 may not enter the fourth block; the last touches nobody and keeps its own.
    assert filled.tolist() == [1, 1, 1, 1, 2, 3]
