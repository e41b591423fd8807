"""The plan: what it decides and why, that what runs is what it says, and how it is shown."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore.commands.cli import main
from blockcore.errors import BackendError, SceneError
from blockcore.machine import device as device_room
from blockcore.machine import memory
from blockcore.model.baked_light import BakedLight
from blockcore.model.lighting import Lighting
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize, optimize_materials
from blockcore.plan import Plan, reason_for_torch
from tests.captures import captured, dataset_path, map_path


def decided(scene=None, **settings):
    return Plan.of(scene or captured(4), OptimizeSettings(device="cpu", **settings)).decided


@pytest.mark.parametrize(
    ("settings", "method", "objective"),
    [
        ({}, "solve", "costs"),
        ({"loss": "l1"}, "solve", "costs"),
        ({"loss": "ssim"}, "gradient", "pictures"),
        ({"method": "gradient"}, "gradient", "statistics"),
        ({"method": "gradient", "objective": "pixels"}, "gradient", "pixels"),
        ({"method": "gradient", "loss": "l1"}, "gradient", "costs"),
        ({"method": "gradient", "loss": "l1", "commitment": 0.5}, "gradient", "pictures"),
        ({"method": "gradient", "loss": "huber", "objective": "pixels"}, "gradient", "pictures"),
        ({"method": "gradient", "exposure": "exposure"}, "gradient", "costs"),
        ({"method": "gradient", "samples": 2}, "gradient", "pictures"),
    ],
    ids=str,
)
def test_method_and_objective(settings, method, objective):
    plan = decided(**settings)
    assert (plan.method, plan.objective) == (method, objective)
    assert plan.steps == (300 if method == "gradient" else 1)
    assert all(plan.why[name] for name in ("views", "method", "objective", "device", "rasterizer", "memory"))


def test_the_light_is_said_with_its_reason():
    scene = captured(4)
    own = replace(scene, lighting=BakedLight(np.ones((len(scene.grid.exposed_faces), 1, 1, 3), np.float32)))
    sunny = replace(scene, lighting=Lighting(sun_color=(2.0, 1.0, 1.0)))
    for found, light, why in (
        (decided(scene), "the block editor's sun and sky", "no other light came with the blocks"),
        (decided(sunny), "a sun and a sky", "they came with the blocks"),
        (decided(own), "the scene's own, as Cycles measures it on every face", "the scene has lights or a world"),
        (decided(own, lighting="fitted"), "a sun and a sky found with the materials", "asked for"),
        (decided(own, lighting="unlit"), "none: materials show their own colours", "asked for"),
    ):
        assert (found.light, found.why["light"]) == (light, why)
        assert f"light       {light}: {why}" in found.lines()


def test_views_that_weigh_differently_are_summed():
    scene = captured(4)
    views = (replace(scene.views[0], weight=2.0), *scene.views[1:])
    plan = decided(replace(scene, views=views), method="gradient", objective="pixels")
    assert plan.objective == "statistics"


@pytest.mark.parametrize(
    ("settings", "compared"),
    [
        ({"method": "gradient", "loss": "l1", "commitment": 0.5}, True),
        ({"method": "gradient", "loss": "l1"}, False),
        ({"method": "gradient", "objective": "pixels"}, True),
        ({"loss": "ssim"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_memory_counts_pictures_where_they_are_compared(settings, compared, monkeypatch):
    """Also where a loss is a sum over pixels, but blends of it are not."""
    monkeypatch.setattr(device_room, "choose_device", lambda name: (torch.device("cuda"), "pretended"))
    scene = captured(4)
    plan = Plan.of(scene, OptimizeSettings(rasterizer="cpu", **settings)).decided
    pictures = [(view.camera.width, view.camera.height) for view in scene.views]
    world = len(scene.grid.exposed_faces), len(scene.grid), len(scene.palette), pictures, "cpu"
    assert plan.memory == memory.estimate(*world, compared)
    assert plan.least_memory == memory.estimate(*world, compared, kept=compared)


def test_what_runs_is_the_plan():
    settings = OptimizeSettings(device="cpu", method="gradient", steps=20)
    plan = Plan.of(captured(4), settings)
    by_plan, by_settings = optimize(plan), optimize_materials(captured(4), settings)
    assert by_plan.losses == by_settings.losses and (by_plan.materials == by_settings.materials).all()
    assert (by_plan.method, by_plan.rasterizer) == (plan.decided.method, plan.decided.rasterizer)


def test_a_scene_without_pictures_is_refused():
    with pytest.raises(SceneError, match="target"):
        Plan.of(replace(captured(4), views=()))


def test_a_dry_run_says_the_plan_and_writes_nothing(capsys, tmp_path):
    where = ["optimize", "--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--out", str(tmp_path / "out")]
    how = ["--device", "cpu", "--loss", "ssim"]
    assert main([*where, *how, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "gradient, up to 300 steps: the loss ssim is one of whole pictures" in text
    assert main([*where, *how, "--dry-run=json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads(json.dumps(decided(loss="ssim").to_dict()))
    assert not (tmp_path / "out").exists()


def test_without_a_folder_nothing_is_optimised(capsys):
    assert main(["optimize", "--map", str(map_path(4)), "--dataset", str(dataset_path(4))]) == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, ""),
        ({"loss": "l1", "samples": 4, "lighting": "fitted", "exposure": "white_balance"}, ""),
        ({"limits": "Stone = 10", "smoothness": 0.1, "device": "cpu"}, ""),
        ({"method": "gradient"}, "gradient descent"),
        ({"loss": "ssim"}, "gradient descent"),
        ({"device": "cuda"}, "the device cuda"),
        ({"rasterizer": "triton"}, "the rasterizer triton"),
    ],
)
def test_what_needs_torch_is_known_from_the_settings(settings, why):
    assert reason_for_torch(OptimizeSettings(**settings)) == why


def test_importing_the_plan_imports_no_torch():
    code = "import sys, blockcore.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_gpu_is_chosen_by_its_number(monkeypatch):
    taken = []
    monkeypatch.setattr(device_room, "_driver_problem", lambda: "")
    monkeypatch.setattr(torch.version, "cuda", "12")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    assert device_room.choose_device("cuda:1") == (device_room.Device("cuda", 1), "asked for")
    assert device_room.choose_device("cuda") == (device_room.Device("cuda"), "asked for")
    assert taken == [1]
    with pytest.raises(BackendError, match="device 'cuda:2': there are 2 GPUs here, counted from 0"):
        device_room.choose_device("cuda:2")
    for name in ("cuda:", "cuda:x", "gpu", "cpu:0"):
        with pytest.raises(BackendError, match="is not one of auto, cpu, cuda"):
            device_room.choose_device(name)
    assert OptimizeSettings(device="cuda:1").machine.device == "cuda:1"
