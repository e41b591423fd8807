"""The modelled scenes: they are block scenes with masked targets, some held out, and blocks where the model is."""

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from blockcore.model.settings import OptimizeSettings  # noqa: E402
from blockcore.optimize import optimize_materials  # noqa: E402
from bridge.blender import models, quality_scenes  # noqa: E402


@pytest.fixture(scope="module")
def scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    quality_scenes._set_up()
    bpy.context.scene.cycles.samples = 2
    return quality_scenes._scene_of(models.cottage())


def test_views_are_masked_and_some_held_out(scene):
    names = [view.camera.name for view in scene.views]
    assert len(names) == 12 and sum(name.startswith(quality_scenes.HELD_OUT) for name in names) == 4
    for view in scene.views:
        assert view.target.shape == (150, 200, 4)
        assert 0.1 < (view.target[..., 3] == 255).mean() < 0.9


def test_the_palette_has_32_materials():
    palette = quality_scenes.palette_of_32()
    assert len(palette) == 33
    assert len(np.unique(palette.colors[1:].reshape(32, -1), axis=0)) == 32


def test_blocks_cover_what_the_model_covers(scene):
    from blockcore.visibility import rasterize

    for view in scene.views:
        (seen,) = rasterize(scene.grid.exposed_faces, [view.camera], "cpu")
        model, blocks = view.target[..., 3] == 255, seen.face >= 0
        assert (model & blocks).sum() > 0.97 * model.sum()
        assert (model & blocks).sum() > 0.7 * blocks.sum()


def test_materials_can_be_found(scene):
    settings = OptimizeSettings(device="cpu", lighting="fitted")
    result = optimize_materials(scene, settings)
    roof = scene.palette.colors[result.materials[scene.grid.positions[:, 1].argmax()]].mean(axis=0)
    assert roof[0] > roof[2]  # chimney and ridge are red and brown
    assert result.loss < 0.02


def test_every_model_becomes_blocks():
    builds = [model for group in models.MODELS.values() for model in group.items()]
    assert len(dict(builds)) == len(builds) == 6
    for name, build in builds:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        grid, to_source = quality_scenes._blocks(build())
        assert 2000 < len(grid) < 20000, name
        assert np.linalg.det(to_source[:3, :3]) == pytest.approx(1.0)


def test_scenes_are_written_group_by_group(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(quality_scenes, "_scene_of", lambda model: scene)
    built = list(quality_scenes.write_quality_scenes(tmp_path / "scenes"))
    groups = {path.name: {inner.name for inner in path.iterdir()} for path in (tmp_path / "scenes").glob("*/")}
    assert groups == {group: set(names) for group, names in models.MODELS.items()}
    assert set(built) == set().union(*groups.values())
