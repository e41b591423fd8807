"""Triangles to blocks: the same cells as a plain reference finds, filled where a model is solid, and no part lost."""

from __future__ import annotations

import numpy as np
import pytest

from blockcore.errors import BlockcoreError, MapError, SettingsError
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.voxelize import reference
from blockcore.voxelize.blocks import size_for_budget, voxelize, voxels_of
from blockcore.voxelize.cells import cells_of, count, neighbours, positions_of
from blockcore.voxelize.coverage import covered_areas
from blockcore.voxelize.outline import best_fit, block_triangles, outline_match, outlines
from blockcore.voxelize.solid import eighths_inside, enclosed, outside, voted_inside
from blockcore.voxelize.surface import surface_cells


def box(low, high) -> np.ndarray:
    """Twelve triangles that face outwards."""
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    ends = (low, high)
    points = np.array([[ends[i][0], ends[j][1], ends[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return np.array([points[[q[a], q[b], q[c]]] for q in quads for a, b, c in ((0, 1, 2), (0, 2, 3))], dtype=float)


def ball(center, radius, rows=24, columns=48) -> np.ndarray:
    polar, turn = np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, columns + 1)[:-1]
    points = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(turn),
            np.sin(polar)[:, None] * np.sin(turn),
            np.cos(polar)[:, None] * np.ones(columns),
        ],
        axis=-1,
    )
    points[0], points[-1] = (0, 0, 1), (0, 0, -1)
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    a, b, c, d = points[i, j], points[i + 1, j], points[i + 1, (j + 1) % columns], points[i, (j + 1) % columns]
    triangles = np.concatenate([np.stack(t, axis=-2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])
    has_area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    return triangles[has_area > 0] * radius + center


def cells(grid) -> set[tuple[int, ...]]:
    return set(map(tuple, grid.positions.tolist()))


@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_surface_is_the_reference_cell_by_cell(seed, thin):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(6, 40, 3).tolist())
    around = rng.random((rng.integers(5, 60), 1, 3)) * size
    triangles = around + rng.normal(size=(len(around), 3, 3)) * rng.choice([0.1, 1, 5, 20])
    triangles = np.clip(triangles, 0, np.array(size) - 1e-3)
    if seed % 2:  # corners on borders, edges and corners of cells
        triangles = np.floor(triangles * 2) / 2
    found = positions_of(surface_cells(triangles, size, thin))
    np.testing.assert_array_equal(found, reference.surface_positions(triangles, size, thin))


def test_a_face_on_a_border_is_in_the_upper_layer():
    wall = np.array([[[2, 0.5, 0.5], [2, 3.5, 0.5], [2, 0.5, 3.5]]], dtype=float)
    for axis in range(3):
        turned = np.roll(wall, axis, axis=2)
        assert set(positions_of(surface_cells(turned, (5, 5, 5)))[:, axis].tolist()) == {2}


@pytest.mark.parametrize("thin", [False, True])
def test_a_closed_surface_parts_inside_from_outside(thin):
    size = (40, 40, 70)
    surface = surface_cells(ball((20, 20, 35), 17.3), size, thin)
    inner = enclosed(surface, size)
    assert count(inner) > 10_000
    assert count(inner) + count(outside(surface, size)) + count(surface) == 40 * 40 * 70


def test_thin_surfaces_have_fewer_cells():
    triangles = ball((20, 20, 20), 17.3)
    full, thin = (surface_cells(triangles, (40, 40, 40), mode) for mode in (False, True))
    assert count(thin) < count(full)
    assert count(thin & ~full) == 0


def test_fill_is_where_the_surface_winds_around():
    triangles, size = ball((17, 16, 40), 15.2), (34, 33, 80)
    surface = surface_cells(triangles, size)
    every = np.argwhere(np.ones(size, dtype=bool))
    centers = every[::7] + 0.5
    is_inside = reference.winding_number(triangles, centers) > 0.5
    for found in (enclosed(surface, size) | surface, voted_inside(triangles, size)):
        filled = np.zeros(size, dtype=bool)
        filled[tuple(positions_of(found).T)] = True
        on_surface = np.zeros(size, dtype=bool)
        on_surface[tuple(positions_of(surface).T)] = True
        at = tuple(every[::7].T)
        off = ~on_surface[at]
        np.testing.assert_array_equal(filled[at][off], is_inside[off])


def test_eighths_measure_the_volume():
    triangles, size = ball((16.3, 16.1, 15.8), 12.7, 60, 120), (33, 33, 33)
    every = np.argwhere(np.ones(size, dtype=bool)).astype(np.int32)
    volume = eighths_inside(triangles, every, size).sum() / 8
    assert volume == pytest.approx(4 / 3 * np.pi * 12.7**3, rel=0.01)


def test_areas_sum_to_the_surface():
    triangles, size = ball((16.3, 16.1, 15.8), 12.7), (33, 33, 33)
    positions = positions_of(surface_cells(triangles, size))
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    assert covered_areas(triangles, positions, size).sum() == pytest.approx(area.sum() / 2, rel=1e-9)


def test_sets_of_cells_know_their_neighbours():
    rng = np.random.default_rng(5)
    size = (5, 6, 130)
    dense = rng.random(size) < 0.3
    of = cells_of(np.argwhere(dense), size)
    np.testing.assert_array_equal(positions_of(of), np.argwhere(dense))
    padded = np.pad(dense, 1)
    steps = ((2, 1, 1), (0, 1, 1), (1, 2, 1), (1, 0, 1), (1, 1, 2), (1, 1, 0))
    for direction, (x, y, z) in enumerate(steps):
        wanted = padded[x : x + size[0], y : y + size[1], z : z + size[2]]
        np.testing.assert_array_equal(positions_of(neighbours(of, direction, size)), np.argwhere(wanted))


@pytest.mark.parametrize("fill", ["shell", "solid"])
def test_a_box_as_wide_as_its_blocks_is_just_these(fill):
    grid = voxelize(box((-3.0, 7.0, 0.5), (3.0, 10.0, 2.5)), across=6, fill=fill)
    wanted = np.ones((6, 3, 2), dtype=bool)
    assert grid.size == (6, 3, 2)
    assert cells(grid) == set(map(tuple, np.argwhere(wanted).tolist()))


def test_a_shell_lacks_what_nobody_sees():
    triangles = box((0, 0, 0), (6, 6, 6))
    shell, solid = voxelize(triangles, 6), voxelize(triangles, 6, fill="solid")
    assert (len(solid), len(shell)) == (216, 216 - 64)
    assert len(shell.exposed_faces) == len(solid.exposed_faces) + 6 * 16


def test_blocks_are_where_the_model_is():
    triangles = box((10.0, -4.0, 20.0), (14.0, 4.0, 23.0))
    voxels = voxels_of(triangles, 1.0)
    shown = block_triangles(voxels).reshape(-1, 3)
    np.testing.assert_allclose(shown.min(axis=0), (10, -4, 20), atol=1e-5)
    np.testing.assert_allclose(shown.max(axis=0), (14, 4, 23), atol=1e-5)


def test_a_hole_is_told_and_filled_by_votes():
    whole = ball((0, 0, 0), 1.0, 24, 48)
    broken = whole[whole.mean(axis=1)[:, 2] < 0.8]
    assert voxels_of(whole, 2 / 30, "solid").leaked == 0
    filled = voxels_of(broken, 2 / 30, "solid")
    assert filled.leaked > 1000
    assert len(filled.grid) > 0.9 * len(voxels_of(whole, 2 / 30, "solid").grid)


def test_thin_parts_stay_in_one_piece():
    mast = box((4.96, 0.0, 4.96), (5.04, 30.0, 5.04))
    plate = box((0.0, 0.0, 0.0), (10.0, 1.0, 10.0))
    sail = np.array([[[5, 28, 5], [5, 6, 5], [9.3, 7, 9.1]]], dtype=float)
    grid = voxelize(np.concatenate([mast, plate, sail]), across=30)
    assert grid.positions[:, 1].max() == 29
    assert _pieces(grid) == 1


def test_places_of_the_grid_are_chosen_by_outline():
    triangles = box((0.3, 0.4, 0.2), (9.9, 6.0, 7.0))
    matrices = [look_at(eye, (5.0, 3.0, 3.5)) for eye in ((30, 3, 3.5), (5, 3, 40), (30, 30, 30))]
    proj = perspective(0.7, 1.0, 0.1, 500.0)
    cameras = [Camera(view, proj, 96, 96) for view in matrices]
    fit = best_fit(triangles, 1.0, cameras)
    voxels, match = fit.voxels, fit.match
    plain = voxels_of(triangles, 1.0)
    wanted = outlines(triangles, cameras)
    assert match == outline_match(wanted, outlines(block_triangles(voxels), cameras))
    assert match >= outline_match(wanted, outlines(block_triangles(plain), cameras))
    assert match > 0.9
    assert 0.0 < wanted[0].mean() < 0.5


def test_budgets_are_kept_and_used():
    triangles = ball((0, 0, 0), 3.0)
    for budget in (100, 2000):
        blocks = len(voxels_of(triangles, size_for_budget(triangles, budget)).grid)
        assert 0.7 * budget < blocks <= budget


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_model_of_any_size_is_the_same_blocks(scale):
    triangles = ball((3, 4, 5), 1.0) * scale
    assert cells(voxelize(triangles, 20)) == cells(voxelize(ball((3, 4, 5), 1.0), 20))


def test_a_flat_plane_is_one_layer():
    plane = np.array([[[0, 1, 0], [8, 1, 0], [8, 1, 8]], [[0, 1, 0], [8, 1, 8], [0, 1, 8]]], dtype=float)
    for axes in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        grid = voxelize(plane[..., axes], 8)
        assert min(grid.size) == 1
        assert len(grid) >= 64


@pytest.mark.parametrize(
    ("triangles", "options", "error", "message"),
    [
        (np.zeros((0, 3, 3)), {}, MapError, "no face"),
        (np.full((2, 3, 3), np.nan), {}, MapError, "2 of 2 triangles"),
        (np.ones((2, 3, 3)), {}, MapError, "in one place"),
        (np.ones((2, 3)), {}, MapError, "shape"),
        (ball((0, 0, 0), 1), {"across": 100_000}, SettingsError, "too fine"),
        (ball((0, 0, 0), 1, 8, 16), {"across": 250, "fill": "solid"}, SettingsError, "at most"),
        (ball((0, 0, 0), 1), {"across": 0}, SettingsError, "none"),
        (ball((0, 0, 0), 1), {"block_size": -1.0}, SettingsError, "above 0"),
        (ball((0, 0, 0), 1), {"fill": "jelly"}, SettingsError, "shell, solid"),
        (ball((0, 0, 0), 1), {"coverage": np.nan}, SettingsError, "coverage"),
    ],
)
def test_bad_models_are_refused_in_one_line(triangles, options, error, message):
    with pytest.raises(error, match=message) as caught:
        voxelize(triangles, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, BlockcoreError)


def _pieces(grid) -> int:
    from scipy import ndimage

    dense = np.zeros(grid.size, dtype=bool)
    dense[tuple(grid.positions.T)] = True
    return ndimage.label(dense, np.ones((3, 3, 3)))[1]
