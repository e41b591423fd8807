"""The second Blender: it measures, the engine chooses, in turn; cancelled or refused, nothing of it stays."""

from __future__ import annotations

import os
import time

import bpy
import numpy as np
import pytest

from blockcore.errors import BackendError
from blockcore.model.settings import OptimizeSettings
from blockcore.report.events import Baking, Stopped
from bridge.blender.extract import extract
from bridge.blender.files import save_file
from bridge.engine.baker import start_lit
from bridge.engine.optimize import find_materials, start
from tests.bpy.test_light import LIGHTS, lit, photograph, plant


@pytest.fixture
def planted(tmp_path):
    scene = lit(**LIGHTS["evening"])
    plant(scene)
    photograph(scene, tmp_path)
    truth = extract(scene.collection, bake=False)
    for index, obj in enumerate(obj for obj in scene.objects if obj.type == "MESH"):
        obj.material_slots[0].link = "OBJECT"
        obj.material_slots[0].material = bpy.data.materials[f"Wool {chr(65 + index * 5 % 8)}"]
    save_file(tmp_path / "copy.blend")
    return truth, extract(scene.collection, bake=False)


def test_materials_are_found_in_measured_light(planted, tmp_path):
    truth, scene = planted
    events = []
    materials, done = find_materials(
        scene,
        OptimizeSettings(),
        watch=events.append,
        out=tmp_path / "result",
        begin=lambda folder, out: start_lit("", tmp_path / "copy.blend", folder, out, choosing(out)),
    )
    seen = np.load(tmp_path / "result" / "visible_blocks.npy")
    true, found, given = (
        np.array(palette.names)[chosen][seen]
        for palette, chosen in (
            (truth.palette, truth.materials),
            (scene.palette, materials),
            (scene.palette, scene.materials),
        )
    )
    assert (found == true).all() and (given != true).any()
    assert any(isinstance(event, Baking) for event in events) and done.result.lighting["baked"]


def choosing(out):
    return lambda lit: start(lit, out, OptimizeSettings())


def test_a_cancelled_measuring_leaves_nothing(planted, tmp_path):
    _, scene = planted
    scene.write(tmp_path / "run" / "scene")
    pids: list[int] = []
    arguments = (tmp_path / "copy.blend", tmp_path / "run", tmp_path / "out", choosing(tmp_path / "out"))
    with start_lit("", *arguments, started=pids.append) as run:
        time.sleep(0.3)
        began = time.monotonic()
        run.cancel()
        assert [type(event) for event in run.events()] == [Stopped]
        assert time.monotonic() - began < 1.0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_measured_is_one_line(planted, tmp_path):
    _, scene = planted
    (tmp_path / "copy.blend").write_bytes(b"no blend")
    with pytest.raises(BackendError, match=r"copy\.blend") as told:
        find_materials(
            scene,
            OptimizeSettings(),
            begin=lambda folder, out: start_lit("", tmp_path / "copy.blend", folder, out, choosing(out)),
        )
    assert "\n" not in str(told.value)
