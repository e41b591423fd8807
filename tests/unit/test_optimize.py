"""The optimiser: it finds planted materials, reproducibly, and both ways to compute the loss agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore.assignment.statistics import cost_table, face_statistics
from blockcore.descent.objectives import objective_of
from blockcore.errors import Cancelled, SceneError, SettingsError
from blockcore.model.scene import View
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.shading.radiance import material_probabilities, radiance_of
from blockcore.visibility import rasterize
from blockcore.visibility.faces import visible_faces
from tests.captures import captured

GRADIENT = OptimizeSettings(method="gradient", device="cpu")


def found(scene, settings):
    result = optimize_materials(scene, settings)
    seen = result.visible_blocks
    return result, float((result.materials == scene.materials)[seen].mean())


@pytest.mark.parametrize("seed", range(5))
def test_village_materials_are_found_from_random(seed):
    result, share = found(captured(1), replace(GRADIENT, seed=seed))
    assert share == 1.0
    assert len(result.visible_blocks) == 735
    assert (result.initial != result.materials)[result.visible_blocks].mean() > 0.5
    assert result.losses[-1] < result.losses[0] / 1000


def test_hills_materials_are_found_from_random():
    assert found(captured(2), GRADIENT)[1] == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "pixels"},
        {"relaxation": "gumbel", "temperature_end": 0.5},
        {"hard": True},
        {"relaxation": "gumbel", "temperature_end": 0.5, "hard": True},
        {"init": "uniform"},
        {"commitment": 0.3},
    ],
    ids=str,
)
def test_every_way_to_relax_finds_the_materials(changes):
    assert found(captured(4), replace(GRADIENT, **changes))[1] == 1.0


def test_the_same_seed_gives_the_same_result():
    settings = replace(GRADIENT, seed=7, relaxation="gumbel", steps=40)
    first, second = (optimize_materials(captured(4), settings) for _ in range(2))
    assert first.losses == second.losses
    assert np.array_equal(first.materials, second.materials)
    other = optimize_materials(captured(4), replace(settings, seed=8))
    assert not np.array_equal(first.initial, other.initial)


def test_unseen_blocks_keep_their_material():
    scene = captured(1)
    scrambled = scene.with_materials(np.random.default_rng(1).integers(1, 8, len(scene.grid)))
    result = optimize_materials(scrambled, GRADIENT)
    unseen = np.setdiff1d(np.arange(len(scene.grid)), result.visible_blocks)
    assert len(unseen) == 1408 - 735
    assert np.array_equal(result.materials[unseen], scrambled.materials[unseen])


def test_starting_from_the_truth_stops_early():
    result = optimize_materials(captured(4), replace(GRADIENT, init="map", patience=30))
    assert result.steps < 150
    assert np.array_equal(result.initial, captured(4).materials)


def test_progress_is_told_and_the_run_can_be_stopped():
    seen = []
    with pytest.raises(Cancelled):
        optimize_materials(captured(4), GRADIENT, seen.append, lambda: len(seen) >= 3)
    assert [p.step for p in seen] == [10, 20, 30]
    assert seen[0].loss > seen[-1].loss and seen[0].temperature > seen[-1].temperature
    assert seen[-1].materials.shape == (627,) and seen[-1].materials.min() > 0


def test_masked_pixels_do_not_count():
    scene = captured(4)
    view = scene.views[0]
    mask = np.zeros((*view.target.shape[:2], 1), dtype=np.uint8)
    mask[:, :200] = 255
    half = View(view.camera, np.concatenate([view.target, mask], axis=2))
    noise = np.random.default_rng(0).integers(0, 256, view.target.shape, dtype=np.uint8)
    spoiled = half.target.copy()
    spoiled[:, 200:, :3] = noise[:, 200:]
    ours, theirs = (
        optimize_materials(replace(scene, views=(View(view.camera, target),)), replace(GRADIENT, steps=30))
        for target in (half.target, spoiled)
    )
    assert ours.losses == theirs.losses


def objectives(scene, commitment):
    faces = scene.grid.exposed_faces
    cameras = [v.camera for v in scene.views]
    visible = visible_faces(faces, cameras, rasterize(faces, cameras), scene.palette, torch.device("cpu"))
    targets = [view.target for view in scene.views]
    sums = face_statistics(visible, targets, scene.lighting.background)
    radiance = radiance_of(scene.palette, scene.lighting, torch.device("cpu"), torch.float64, visible.looks)
    both = [objective_of(name, commitment, visible, sums, radiance, targets) for name in ("statistics", "pixels")]
    return visible, sums, radiance, both


@pytest.mark.parametrize("commitment", [0.0, 0.4, 1.0])
def test_statistics_and_pixels_give_the_same_loss_and_gradient(commitment):
    visible, _, _, both = objectives(captured(4), commitment)
    torch.manual_seed(0)
    shares = material_probabilities(torch.randn(len(visible.blocks), 8))
    losses, gradients = [], []
    for objective in both:
        leaf = shares.clone().requires_grad_()
        loss = objective(leaf)
        loss.backward()
        losses.append(objective.mean(loss.detach()).item())
        # Shares sum to a constant, so only differences within a block mean anything.
        gradients.append(leaf.grad[:, 1:] - leaf.grad[:, 1:].mean(dim=1, keepdim=True))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3 * gradients[1].abs().max().item())


def test_the_cost_table_is_the_loss_of_pictures():
    from blockcore.shading.frames import draw, frame_colors

    scene = captured(4)
    visible, sums, radiance, _ = objectives(scene, 1.0)
    costs = cost_table(visible, sums, radiance)
    rng = np.random.default_rng(0)
    materials = rng.integers(1, 8, len(scene.grid)).astype(np.int32)
    colors = frame_colors(scene.grid.exposed_faces, materials, scene.palette, scene.lighting)
    squared = 0.0
    for view in scene.views:
        (seen,) = rasterize(scene.grid.exposed_faces, [view.camera])
        picture = draw(seen, view.camera, colors)[..., :3].astype(np.float64)
        squared += float((((picture - view.target) / 255.0) ** 2).sum())
    picked = costs[torch.arange(len(costs)), torch.from_numpy(materials)[visible.blocks].long()].sum().item()
    assert picked + sums.outside == pytest.approx(squared, rel=2e-3)  # pictures are rounded to 8 bits


def test_scenes_that_cannot_be_optimised_are_named():
    scene = captured(4)
    blind = replace(scene, views=tuple(View(view.camera) for view in scene.views))
    with pytest.raises(SceneError, match="no camera has a target"):
        optimize_materials(blind)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"learning_rate": float("nan")},
        {"relaxation": "gauss"},
        {"hard": 1},
        {"stepz": 3},
        {"temperature_end": 0},
        {"seed": -1},
        {"commitment": 2},
    ],
)
def test_settings_out_of_range_are_named(values):
    with pytest.raises(SettingsError) as error:
        OptimizeSettings.from_dict(values)
    assert next(iter(values)) in str(error.value)


def test_settings_survive_json():
    settings = OptimizeSettings(steps=7, hard=True, seed=3)
    assert OptimizeSettings.from_dict(settings.to_dict()) == settings
