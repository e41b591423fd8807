"""A capture into a .blend and out of it again, from the command line, with the real engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore import formats
from blockcore.formats.exchange import as_states
from blockcore.formats.webgpu import read_map, write_map
from blockcore.model.scene import BlockScene
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from bridge import cli
from tests.captures import captured, dataset_path, map_path
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.files import open_file, save_file  # noqa: E402
from bridge.blender.targets import set_background_image  # noqa: E402
from tests.bpy import scenes  # noqa: E402


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_capture_comes_back_from_a_blend(number: int, tmp_path: Path) -> None:
    wanted = captured(number)
    arguments = ["import-map", str(map_path(number)), "--dataset", str(dataset_path(number))]
    assert cli.main([*arguments, "--out", str(tmp_path / "a.blend")]) == 0
    assert cli.main(["export", str(tmp_path / "a.blend"), "--out", str(tmp_path / "scene")]) == 0
    found = BlockScene.read(tmp_path / "scene")
    assert found.grid == wanted.grid
    assert np.array_equal(found.materials, wanted.materials)
    assert found.palette == wanted.palette
    assert found.lighting == wanted.lighting
    assert len(found.views) == len(wanted.views)
    for mine, theirs in zip(found.views, wanted.views, strict=True):
        assert mine.camera.name == theirs.camera.name
        np.testing.assert_allclose(mine.camera.view, theirs.camera.view, atol=1e-5)
        np.testing.assert_allclose(mine.camera.proj, theirs.camera.proj, atol=1e-5)
        assert np.array_equal(mine.target, theirs.target)
    assert min(_equal_pixels(found)) >= 0.999
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.blend", "scene"]


def test_scrambled_materials_are_found_again(tmp_path: Path) -> None:
    scrambled, optimized = tmp_path / "in ü.blend", tmp_path / "out.blend"
    arguments = ["import-map", str(map_path(1)), "--dataset", str(dataset_path(1)), "--scramble", "5"]
    assert cli.main([*arguments, "--out", str(scrambled)]) == 0
    open_file(scrambled)
    before = extract()
    truth = captured(1).materials
    assert 0.05 < np.mean(before.materials == truth) < 0.25
    arguments = ["optimize", str(scrambled), "--report", str(tmp_path / "report"), "--seed", "3"]
    assert cli.main([*arguments, "--out", str(optimized), "--export", str(tmp_path / "out.schem")]) == 0
    assert (tmp_path / "report" / "report.html").is_file()
    open_file(optimized)
    after = extract()
    exported, _ = formats.read(tmp_path / "out.schem")
    blocks, _ = as_states(after, None)
    assert exported.states == blocks.states and np.array_equal(exported.cells, blocks.cells)
    assert after.grid == before.grid
    assert after.views == before.views
    seen = _visible_blocks(after)
    assert np.array_equal(after.materials[seen], truth[seen])
    assert min(_equal_pixels(after)) >= 0.999
    unseen = np.setdiff1d(np.arange(len(truth)), seen)
    assert np.array_equal(after.materials[unseen], before.materials[unseen])
    arguments, mesh = ["apply", str(scrambled), str(tmp_path / "report")], tmp_path / "mesh.blend"
    assert cli.main([*arguments, "--out", str(tmp_path / "applied.blend")]) == 0
    open_file(tmp_path / "applied.blend")
    assert np.array_equal(extract().materials, read_map(tmp_path / "report" / "map.json").materials)
    assert "Blocks" in bpy.data.objects
    assert not bpy.data.objects["Blocks"].visible_get()
    assert _cubes_shown() == len(truth)
    assert cli.main([*arguments, "--mesh", "--out", str(mesh)]) == 0
    open_file(mesh)
    assert _cubes_shown() == 1


def _cubes_shown() -> int:
    """How many meshes with faces the open file shows, each instance for itself."""
    shown = [one.object for one in bpy.context.evaluated_depsgraph_get().object_instances]
    return sum(one.type == "MESH" and len(one.data.polygons) > 0 for one in shown)


def _equal_pixels(scene: BlockScene) -> list[float]:
    """The part of each view's pixels in which the scene, drawn by blockcore, equals the target to 1/255."""
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    cameras = [view.camera for view in scene.views]
    pictures = [draw(*one, colors)[..., :3] for one in zip(rasterize(faces, cameras), cameras, strict=True)]
    pairs = zip(pictures, scene.views, strict=True)
    return [float((np.abs(own.astype(int) - view.target[..., :3]) <= 1).all(axis=2).mean()) for own, view in pairs]


def _visible_blocks(scene: BlockScene) -> np.ndarray:
    faces = scene.grid.exposed_faces
    seen = [np.unique(v.face[v.face >= 0]) for v in rasterize(faces, [view.camera for view in scene.views])]
    return np.unique(faces.block[np.concatenate(seen)])


def test_the_same_command_inside_blender(tmp_path: Path) -> None:
    assert cli.main(["import-map", str(map_path(4)), "--out", str(tmp_path / "a.blend")]) == 0
    code = f"import bpy; bpy.ops.wm.open_mainfile(filepath={str(tmp_path / 'a.blend')!r})\n"
    code += "import sys, bridge.cli; sys.exit(bridge.cli.main())"
    command = [sys.executable, "-c", code, "--", "optimize", "--out", str(tmp_path / "b.blend")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1] == (
        "bridge: there is no camera; add one and give it the picture it should show as a background image"
    )
    answer = subprocess.run([*command[:-1], str(tmp_path / "a.blend")], capture_output=True, text=True, check=False)
    assert answer.returncode == 2 and "a.blend: is read and would be overwritten" in answer.stderr
    command = [sys.executable, "-c", code, "--", "import-map", str(map_path(4)), "--out", str(tmp_path / "c.blend")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_block_map_can_have_materials_in_place(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "2")):
        assert cli.main(["import-map", str(map_path(4)), "--scramble", seed, "--out", str(tmp_path / name)]) == 0
    open_file(tmp_path / "b")
    wanted = extract(need_targets=False)
    (tmp_path / "result").mkdir()
    write_map(tmp_path / "result" / "map.json", wanted.grid, wanted.materials, wanted.palette, "b")
    arguments = ["apply", str(tmp_path / "a"), str(tmp_path / "result"), "--in-place", "--out", str(tmp_path / "c")]
    assert cli.main(arguments) == 0
    open_file(tmp_path / "c")
    assert np.array_equal(extract(need_targets=False).materials, wanted.materials)
    assert [obj.name for obj in bpy.data.objects if obj.visible_get() and obj.type == "MESH"] == ["Blocks"]


def test_scrambling_is_deterministic(tmp_path: Path) -> None:
    materials = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert cli.main(["import-map", str(map_path(4)), "--scramble", seed, "--out", str(tmp_path / name)]) == 0
        open_file(tmp_path / name)
        materials.append(extract(need_targets=False).materials)
    assert np.array_equal(materials[0], materials[1])
    assert not np.array_equal(materials[0], materials[2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import-map", "none.json", "--out", "y.blend"], "none.json: cannot be read"),
        (["import-map", "bad.json", "--out", "y.blend"], "bad.json: is not valid JSON"),
        (["export", "none.blend", "--out", "y"], "none.blend: there is no such file"),
        (["export", "bad.json", "--out", "y"], "bad.json: Blender cannot read it"),
        (["export", "--out", "y"], "no .blend is open"),
        (["export", "good.blend", "--out", "y"], "there is no camera"),
        (["export", "good.blend", "--blocks", "Nix", "--out", "y"], "no collection or object called 'Nix'"),
        (["export", "good.blend", "--camera", "Nix", "--out", "y"], "there is no camera called 'Nix'"),
        (["optimize", "good.blend", "--steps", "0", "--out", "y.blend"], "steps 0 must be"),
        (["optimize", "good.blend", "--out", "y.blend"], "there is no camera"),
        (["optimize", "shot.blend", "--engine", "nix/python", "--out", "y.blend"], "nix/python: cannot be started"),
        (["apply", "good.blend", "nowhere", "--out", "y.blend"], "map.json: cannot be read"),
        (["apply", "good.blend", "other", "--out", "y.blend"], "its blocks are not those of this scene"),
        (["import-map", "same/map.json", "--scramble", "-1", "--out", "y.blend"], "seed -1"),
        (["import-map", "same/map.json", "--out", "bad.json/y.blend"], "y.blend: cannot be written"),
    ],
)
def test_bad_input_gives_one_line_and_leaves_nothing(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    for folder, number in (("same", 4), ("other", 1)):
        Path(folder).mkdir()
        (Path(folder) / "map.json").write_bytes(map_path(number).read_bytes())
    assert cli.main(["import-map", "same/map.json", "--out", "good.blend"]) == 0
    assert cli.main(["import-map", "same/map.json", "--dataset", str(dataset_path(4)), "--out", "shot.blend"]) == 0
    bpy.ops.wm.read_factory_settings(use_empty=True)
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    assert cli.main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("bridge: ")
    assert words in line
    assert sorted(tmp_path.rglob("*")) == before


def _move(cube: Any) -> None:
    cube.location.x += 0.6


def _turn(cube: Any) -> None:
    cube.rotation_euler.z = 0.4


def _grow(cube: Any) -> None:
    cube.scale = (2.0, 2.0, 2.0)


def _cover(cube: Any) -> None:
    cube.location = bpy.data.objects["Block 0"].location


def _replace(cube: Any) -> None:
    cube.data = bpy.data.meshes.new("Triangle")
    cube.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])


@pytest.mark.parametrize("spoil", [_move, _turn, _grow, _cover, _replace])
def test_a_spoilt_block_is_named_and_nothing_is_written(
    spoil: Callable[[Any], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scenes.linked_cubes()
    scenes.picture_size(8, 8)
    set_background_image(scenes.camera(), "target", np.zeros((8, 8, 3), np.uint8))
    save_file(tmp_path / "a.blend")
    assert cli.main(["export", str(tmp_path / "a.blend"), "--out", str(tmp_path / "good")]) == 0
    spoil(bpy.data.objects["Block 4"])
    save_file(tmp_path / "a.blend")
    capfd.readouterr()
    for command in ("export", "optimize"):
        assert cli.main([command, str(tmp_path / "a.blend"), "--out", str(tmp_path / "out")]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert "object 'Block 4'" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.blend", "good"]
