"""Processes that share one optimisation find what one process finds."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from blockcore.formats.webgpu import read_map
from blockcore.machine.workers import ALONE, Workers, current, joined
from tests.captures import dataset_path, map_path
from tests.parts import lack, need

DESCEND = """
import sys, numpy, torch
from dataclasses import replace
from blockcore.descent.descent import Descent, temperature_schedule
from blockcore.descent.objectives import PixelObjective, StatisticsObjective
from blockcore.descent.fast_steps import FastSteps
from blockcore.assignment.problem import look, pose
from blockcore.model.settings import OptimizeSettings
from blockcore.machine.workers import joined
from tests.captures import captured

scene, out, kind = captured(4), sys.argv[1], sys.argv[2]
results = {}
with joined(kind) as workers:
    device, rasterizer = torch.device(kind), "triton" if kind == "cuda" else "cpu"
    for name in ("pixels", "statistics"):
        settings = OptimizeSettings(method="gradient", objective=name, commitment=0.5, steps=20)
        visible = look(scene, scene.views, 1, rasterizer, device, None)
        problem = pose(scene, settings, scene.views, visible)
        parts = (visible, problem.statistics, problem.radiance)
        targets = (problem.targets,) if name == "pixels" else ()
        objective = (PixelObjective if name == "pixels" else StatisticsObjective)(*parts, *targets, 0.5)
        descent = Descent(scene, settings, visible, objective, 0.0)
        temperatures = temperature_schedule(settings)
        fast = FastSteps(descent.logits, objective, settings, temperatures)
        for temperature in temperatures:
            descent.step(temperature)
        fast.take(len(temperatures))
        results[name] = descent.logits.detach().cpu().numpy()
        results[name + " fast"] = fast.logits.cpu().numpy()
        results[name + " count"] = problem.statistics.count.cpu().numpy()
    if workers.rank == 0:
        numpy.savez(out, **results)
"""


def torchrun(processes: int, *command: str) -> None:
    """Runs a Python command in so many processes that work together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    shared |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        said = [process.communicate(timeout=240) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, errors) in zip(running, said, strict=True):
        assert process.returncode == 0, errors


def two_of(device: str) -> None:
    if device == "cuda":
        need("cuda")
        if torch.cuda.device_count() < 2:
            lack("two-gpus", "there are not two GPUs")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_two_processes_take_the_steps_of_one(tmp_path: Path, device: str) -> None:
    two_of(device)
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.npz"
        torchrun(processes, "-c", DESCEND, str(out), device)
        found.append(np.load(out))
    alone, together = found
    for name in alone.files:
        np.testing.assert_allclose(together[name], alone[name], rtol=0.0, atol=1e-5, err_msg=name)
        if not name.endswith("count"):
            np.testing.assert_array_equal(together[name].argmax(axis=1), alone[name].argmax(axis=1))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_the_command_shares_its_views(tmp_path: Path, device: str) -> None:
    two_of(device)
    results = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        files = ("--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--out", str(out))
        way = ("--method", "gradient", "--objective", "pixels", "--device", device, "--progress", "jsonl")
        torchrun(processes, "-m", "blockcore", "optimize", *files, *way)
        result = json.loads((out / "result.json").read_text())
        results.append((read_map(out / "map.json").materials, result["visible_blocks"]))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_one_process_is_alone() -> None:
    assert current() == ALONE
    with joined("cpu") as workers:
        assert workers == ALONE
    sums = torch.ones(3)
    assert ALONE.add_up(sums) is sums
    cpu = torch.device("cpu")
    assert ALONE.exchange({0: "a", 1: "b"}, [(1, 1)] * 2, cpu, cpu) == ["a", "b"]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_view_is_somebodys(count: int) -> None:
    shares = [Workers(rank, count).mine([100] * 5) for rank in range(count)]
    assert sorted(view for share in shares for view in share) == list(range(5))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_views_are_shared_out_by_pixels() -> None:
    pixels = [100, 4000, 100, 2000, 1900, 100, 100, 100]
    shares = [Workers(rank, 2).mine(pixels) for rank in range(2)]
    assert [sum(pixels[view] for view in share) for share in shares] == [4200, 4200]
    assert all(share == sorted(share) for share in shares)
    assert [Workers(0, 2).owners(pixels)[view] for view in shares[1]] == [1] * len(shares[1])
