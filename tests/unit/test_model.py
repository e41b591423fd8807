"""From a model to its blocks as far as Blender has no part in it: wishes, the engine's part, edits carried over."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
import pytest

from blockcore.commands import cli
from blockcore.commands.voxelize import read_cameras, write_cameras
from blockcore.errors import BlockcoreError, CameraError, MapError, SettingsError
from blockcore.io.files import write_array
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, Source
from blockcore.report.events import Made, Working, line_of, parse
from blockcore.report.summary import ModelSummary
from blockcore.voxelize.blocks import voxelize
from blockcore.voxelize.estimate import estimated_blocks, sample
from blockcore.voxelize.voxels import Fit
from bridge.model.edits import HAND, Edits, carry
from bridge.model.engine import fit
from bridge.model.wish import Wish, add_wish, wish_of

TETRAHEDRON = np.array(
    [[[0, 0, 0], [0, 4, 0], [4, 0, 0]], [[0, 0, 0], [4, 0, 0], [0, 0, 4]],
     [[0, 0, 0], [0, 0, 4], [0, 4, 0]], [[4, 0, 0], [0, 4, 0], [0, 0, 4]]], dtype=np.float64,
)  # fmt: skip


def camera() -> Camera:
    view = look_at((9, 7, 8), (1, 1, 1))
    return Camera(view, perspective(0.7, 1.0, 0.1, 500.0), 64, 64)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(),
        Wish(across=12.5, fill="solid", axes="object", views=3, beside=True),
        Wish(block_size=0.25),
        Wish(budget=9),
    ],
)
def test_a_wish_is_the_same_in_words_and_in_json(wish):
    parser = argparse.ArgumentParser()
    add_wish(parser)
    assert wish_of(parser.parse_args(wish.words())) == wish
    assert Wish.from_dict(wish.to_dict()) == wish


@pytest.mark.parametrize(("part", "value"), [("views", 0), ("views", 257), ("fill", "jelly"), ("axes", "moon")])
def test_a_wish_out_of_range_is_refused(part, value):
    with pytest.raises(SettingsError, match=str(value)):
        Wish(**{part: value})


@pytest.mark.parametrize("wish", [Wish(across=8), Wish(block_size=0.5, fill="solid"), Wish(budget=60)])
def test_the_engine_makes_the_same_blocks_here_and_in_its_own_process(wish):
    here = fit(TETRAHEDRON, [camera()], wish)
    there = fit(TETRAHEDRON, [camera()], wish, sys.executable)
    assert (there.match, there.voxels) == (here.match, here.voxels)
    assert len(here.voxels.grid) > 20


def test_what_the_engine_refuses_is_one_line():
    with pytest.raises(BlockcoreError, match="model: has no face") as caught:
        fit(np.zeros((0, 3, 3)), [camera()], Wish(), sys.executable)
    assert "\n" not in str(caught.value)


def test_the_command_writes_blocks_and_refuses_what_is_damaged(tmp_path, capsys):
    model, cameras, out = tmp_path / "model.npy", tmp_path / "cameras.npz", tmp_path / "blocks.npz"
    write_array(model, TETRAHEDRON)
    write_cameras(cameras, [camera()])
    assert read_cameras(cameras)[0] == replace(camera(), name=read_cameras(cameras)[0].name)
    words = ["voxelize", str(model), "--cameras", str(cameras), "--across", "8", "--out", str(out)]
    assert cli.main(words) == 0
    found = Fit.read(out)
    assert f"{len(found.voxels.grid)} blocks, outline match {found.match:.3f}" in capsys.readouterr().out
    cameras.write_bytes(b"no cameras")
    assert cli.main([*words[:-1], str(tmp_path / "other.npz")]) == 2
    assert "cameras.npz" in capsys.readouterr().err
    assert not (tmp_path / "other.npz").exists()
    out.write_bytes(b"no blocks")
    with pytest.raises(MapError, match="make the blocks again"):
        Fit.read(out)
    with pytest.raises(CameraError):
        read_cameras(out)


def scene_at(origin, positions, size=(4, 4, 4)) -> BlockScene:
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]], origin
    source = Source("", ("Model",) * len(positions), frame)
    return BlockScene(BlockGrid(size, 0.5, positions), np.ones(len(positions), np.int32), WEBGPU_PALETTE, source=source)


def places(scene: BlockScene) -> np.ndarray:
    grid, frame = scene.grid, scene.source.grid_to_source
    inside = (grid.positions + 0.5 - (grid.size[0] / 2, 0, grid.size[2] / 2)) * grid.world_scale
    return inside @ frame[:3, :3].T + frame[:3, 3]


def test_edits_go_to_the_blocks_that_are_where_they_were():
    old = scene_at((1, 2, 3), [(0, 0, 0), (1, 0, 0), (3, 3, 3)])
    new = scene_at((1, 2, 3), [(3, 3, 3), (0, 0, 0), (2, 0, 0)])
    edits = Edits(places(old), np.array([4, 5, 6], np.int32), np.array([1, 2], np.int32), {"roof": np.array([0, 1])})
    carried = carry(edits, new)
    assert carried.scene.materials.tolist() == [6, 1, 1]
    assert (carried.kept, carried.lost) == (1, 1)
    assert {name: blocks.tolist() for name, blocks in carried.scene.regions.items()} == {"roof": [1], HAND: [0]}


@pytest.mark.parametrize(("x", "materials"), [(1.2, [1, 5]), (1.4, [5, 1]), (3.0, [1, 1])])
def test_edits_find_their_place_in_a_grid_that_was_shifted(x, materials):
    old = scene_at((1, 2, 3), [(0, 0, 0), (1, 0, 0)])
    new = scene_at((x, 2, 3), [(0, 0, 0), (1, 0, 0)])
    edits = Edits(places(old), np.array([4, 5], np.int32), np.array([1], np.int32), {})
    assert carry(edits, new).scene.materials.tolist() == materials


def test_without_paint_nothing_is_locked():
    old = scene_at((0, 0, 0), [(0, 0, 0)])
    carried = carry(Edits(places(old), np.array([4], np.int32), np.zeros(0, np.int32), {}), old)
    assert HAND not in carried.scene.regions
    assert carried.scene.materials.tolist() == [1]


def test_events_of_a_model_come_through():
    summary = ModelSummary(9, 8, (1, 2, 3), 0.5, 0.9, None, 1.5, {"blocks": 1.0}, 0, ("Fog",), {"Stone": 9})
    for event in (Working("Rendering", 0.5, 2.0), Made("out", 1.0, summary)):
        assert parse(line_of(event).encode()) == event


def ball(rings=24, around=48) -> np.ndarray:
    up, turn = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, around + 1), indexing="ij")
    points = np.stack([np.sin(up) * np.cos(turn), np.cos(up), np.sin(up) * np.sin(turn)], axis=2)
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)], axis=2)
    return faces.reshape(-1, 3, 3)


@pytest.mark.parametrize("fill", ["shell", "solid"])
@pytest.mark.parametrize("across", [24, 48, 100])
def test_estimates_come_near_the_number_of_blocks(across, fill):
    blocks = len(voxelize(ball(), across, fill=fill))
    assert estimated_blocks(sample(ball()), 2.0 / across, fill) == pytest.approx(blocks, rel=0.25)


def test_estimates_of_a_plane_and_of_one_block():
    plane = np.array([[[0, 0, 0], [8, 0, 0], [8, 0, 8]], [[0, 0, 0], [8, 0, 8], [0, 0, 8]]], dtype=float)
    assert estimated_blocks(sample(plane), 1.0) == pytest.approx(64, abs=2)
    assert estimated_blocks(sample(plane), 100.0) == 1
