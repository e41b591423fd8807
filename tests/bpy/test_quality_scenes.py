"""The stages that measure quality: masked views, some held out, blocks where the model is, and its own texture."""

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from blockcore.model.baked_light import BakedLight  # noqa: E402
from blockcore.visibility import rasterize  # noqa: E402
from bridge.blender import models, quality, quality_scenes  # noqa: E402


def cottage(samples):
    return quality_scenes.set_stage(quality_scenes.Setting("cottage", "evening sun", "AgX"), samples)


@pytest.fixture(scope="module")
def stage():
    return cottage(2)


def test_views_are_masked_and_some_held_out(stage):
    assert len(stage.scene.views) == 8 and len(stage.held) == len(stage.cameras) == 4
    assert not {view.camera.name for view in stage.held} & {view.camera.name for view in stage.scene.views}
    for view in stage.held:
        assert view.target.shape == (150, 200, 4)
        assert 0.1 < (view.target[..., 3] == 255).mean() < 0.9


def test_pixels_far_from_the_blocks_do_not_count(stage):
    for view in stage.scene.views:
        (seen,) = rasterize(stage.scene.grid.exposed_faces, [view.camera], "cpu")
        counts, blocks = view.target[..., 3] > 0, np.asarray(seen.face) >= 0
        assert 0.3 * blocks.sum() < (counts & blocks).sum() < 0.99 * blocks.sum()


def test_the_palette_has_32_materials():
    palette = quality_scenes.palette_of_32()
    assert len(palette) == 33
    assert len(np.unique(palette.colors[1:].reshape(32, -1), axis=0)) == 32


def test_blocks_cover_what_the_model_covers(stage):
    for view in stage.held:
        (seen,) = rasterize(stage.scene.grid.exposed_faces, [view.camera], "cpu")
        model, blocks = view.target[..., 3] == 255, seen.face >= 0
        assert (model & blocks).sum() > 0.97 * model.sum()
        assert (model & blocks).sum() > 0.7 * blocks.sum()


def test_points_lie_on_the_model_and_know_its_colour(stage):
    assert len(stage.points) == len(stage.colors) > 100_000
    chimney = stage.points[:, 1] > 4.95
    assert chimney.any() and np.abs(stage.colors[chimney] - stage.colors[chimney][0]).max() < 1e-6
    assert stage.colors.min() >= 0.0 and stage.colors.max() <= 1.0


def test_figures_of_a_stage(monkeypatch):
    stage = cottage(16)  # each test begins with an empty Blender
    monkeypatch.setattr(quality, "_EXACT_SAMPLES", 16)
    monkeypatch.setattr(quality, "_BAKED_SAMPLES", 16)
    found, sheet = quality.measure(stage)
    assert isinstance(stage.scene.lighting, BakedLight)
    assert found["gain"] > 0.8 and found["predicted"] > 30.0
    assert found["blockcore"]["ciede2000"] < min(found[peer]["ciede2000"] for peer in quality.PEERS)
    assert sheet.shape == (150, 200 * (1 + len(quality.METHODS)), 3)
    assert not [obj for obj in bpy.context.scene.objects if obj.name.startswith(("Quality", "blockcore"))]


def test_every_setting_has_its_model_and_light_and_halves_differ():
    halves = [set(settings) for settings in quality_scenes.SETTINGS.values()]
    assert not halves[0] & halves[1] and sum(map(len, halves)) >= 10
    for setting in set().union(*halves):
        assert setting.model in models.MODELS and setting.light in quality_scenes.LIGHTS


def test_every_model_becomes_blocks():
    for name, build in models.MODELS.items():
        bpy.ops.wm.read_factory_settings(use_empty=True)
        grid, to_source = quality_scenes._blocks(build())
        assert 1000 < len(grid) < 20000, name
        assert np.linalg.det(to_source[:3, :3]) == pytest.approx(1.0)
