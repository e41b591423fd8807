"""The shared format: what is written is read back equal, and damage is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blockcore.errors import BlockcoreError, SceneError
from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import Lighting
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, Source, View
from tests.captures import captured


def small_scene() -> BlockScene:
    rng = np.random.default_rng(0)
    camera = Camera(look_at((3, 4, 5), (0, 0, 0)), perspective(1.0, 1.5, 0.1, 50.0), 12, 8, "Kamera ü")
    ortho = Camera(look_at((3, 4, 5), (0, 0, 0)), orthographic(4.0, 4.0, 0.1, 50.0), 5, 5, "top")
    return BlockScene(
        grid=BlockGrid((2, 3, 4), 0.5, [[0, 0, 0], [1, 2, 3]]),
        materials=np.array([2, 1]),
        palette=Palette(("Air", "Röt", "B"), rng.random((3, 3, 3), dtype=np.float32)),
        views=(
            View(camera, rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)),
            View(ortho, rng.integers(0, 250, (5, 5, 4), dtype=np.uint8)),
            View(ortho),
        ),
        lighting=Lighting(sun_direction=(0.1, 1.0, 0.2), ambient_strength=0.3),
        source=Source("a file.blend", ("Würfel", ""), np.diag([1.0, 2.0, 3.0, 1.0])),
    )


@pytest.mark.parametrize("make", [small_scene, lambda: captured(1), lambda: captured(2)])
def test_read_of_write_is_equal(make, tmp_path):
    scene = make()
    scene.write(tmp_path / "scene")
    assert BlockScene.read(tmp_path / "scene") == scene


def test_scene_without_blocks_and_views_survives(tmp_path):
    scene = BlockScene(BlockGrid((1, 1, 1), 2.0, []), np.zeros(0, dtype=np.int32))
    scene.write(tmp_path / "s")
    assert BlockScene.read(tmp_path / "s") == scene


def test_any_difference_is_noticed():
    scene = small_scene()
    assert scene != scene.with_materials([1, 1])
    assert scene != captured(1)


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        small_scene().materials[0] = 1


def test_writing_replaces_an_older_scene_but_nothing_else(tmp_path):
    scene = small_scene()
    scene.write(tmp_path / "s")
    scene.with_materials([1, 1]).write(tmp_path / "s")
    assert BlockScene.read(tmp_path / "s").materials.tolist() == [1, 1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("keep")
    with pytest.raises(BlockcoreError, match="other"):
        scene.write(tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "s"]
    assert (tmp_path / "other" / "precious.txt").read_text() == "keep"


def test_a_failed_write_leaves_the_older_scene(tmp_path, monkeypatch):
    scene = small_scene()
    scene.write(tmp_path / "s")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("blockcore.model.scene.write_json", broken)
    with pytest.raises(BlockcoreError, match="No space left"):
        scene.with_materials([1, 1]).write(tmp_path / "s")
    assert BlockScene.read(tmp_path / "s") == scene
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def damage_header(folder, **changes):
    path = folder / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "scene.json").unlink(), "scene.json"),
        (lambda f: (f / "scene.json").write_text("{"), "not valid JSON"),
        (lambda f: damage_header(f, format="else"), "not a blockcore scene"),
        (lambda f: damage_header(f, version=99), "version 99"),
        (lambda f: damage_header(f, views=[]) or (f / "arrays.npz").unlink(), "arrays.npz"),
        (lambda f: damage_header(f, grid={}), "damaged"),
        (lambda f: (f / "arrays.npz").write_bytes(b"PK nonsense"), "arrays.npz"),
        (lambda f: (f / "targets" / "000.png").unlink(), "000.png"),
        (lambda f: (f / "targets" / "000.png").write_bytes(b"no picture"), "000.png"),
        (lambda f: (f / "targets" / "001.png").rename(f / "targets" / "000.png"), "000.png"),
    ],
)
def test_damage_is_named(damage, words, tmp_path):
    small_scene().write(tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(BlockcoreError, match=words) as error:
        BlockScene.read(tmp_path / "s")
    assert "\n" not in str(error.value)


def test_targets_cannot_lead_out_of_the_folder(tmp_path):
    small_scene().write(tmp_path / "s")
    header = json.loads((tmp_path / "s" / "scene.json").read_text())
    header["views"][0]["target"] = "../../secret.png"
    damage_header(tmp_path / "s", views=header["views"])
    with pytest.raises(SceneError, match="out of the scene"):
        BlockScene.read(tmp_path / "s")


@pytest.mark.parametrize("materials", [[0, 1], [1, 3], [1], [1.5, 1.0]])
def test_materials_must_be_in_the_palette(materials):
    scene = small_scene()
    with pytest.raises(SceneError):
        scene.with_materials(materials)
