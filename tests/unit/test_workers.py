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

from blockcore.assignment.statistics import cost_table
from blockcore.descent.objectives import Objective, objective_of
from blockcore.formats.webgpu import read_map
from blockcore.machine.workers import ALONE, Share, Workers, current, joined
from tests.captures import dataset_path, map_path
from tests.parts import lack, need
from tests.unit.test_cuda_steps import problem

DESCEND = """
import sys, numpy, torch
from dataclasses import replace
from blockcore.descent.descent import Descent, temperature_schedule
from blockcore.descent.objectives import objective_of
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
        parts = (visible, problem.statistics, problem.radiance, problem.targets)
        share = workers.share(torch.ones(len(visible.blocks), dtype=torch.float64, device=device))
        objective = objective_of(name, 0.5, *parts, share=share)
        descent = Descent(scene, settings, visible, objective, 0.0, share=share)
        temperatures = temperature_schedule(settings)
        fast = FastSteps(descent.logits, objective, settings, temperatures)
        for temperature in temperatures:
            descent.step(temperature)
        losses = workers.add_up(fast.take(len(temperatures)))
        results[name] = share.every(descent.logits.detach()).cpu().numpy()
        results[name + " fast"] = share.every(fast.logits).cpu().numpy()
        results[name + " losses"] = losses.cpu().numpy()[:, None] / losses[0].item()
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
        if not name.endswith(("count", "losses")):
            np.testing.assert_array_equal(together[name].argmax(axis=1), alone[name].argmax(axis=1))


PIXELS = ("--objective", "pixels")
NOISY = (
    "--objective",
    "statistics",
    "--relaxation",
    "gumbel",
    "--commitment",
    "0.5",
    "--steps",
    "80",
    "--patience",
    "20",
)


@pytest.mark.parametrize(
    ("device", "way"), [("cpu", PIXELS), ("cpu", NOISY), pytest.param("cuda", PIXELS, marks=pytest.mark.cuda)]
)
def test_the_command_shares_its_work(tmp_path: Path, device: str, way: tuple[str, ...]) -> None:
    two_of(device)
    results = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        files = ("--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--out", str(out))
        how = ("--method", "gradient", *way, "--device", device, "--progress", "jsonl")
        torchrun(processes, "-m", "blockcore", "optimize", *files, *how)
        result = json.loads((out / "result.json").read_text())
        results.append((read_map(out / "map.json").materials, result))
    (alone, one), (together, two) = results
    np.testing.assert_array_equal(alone, together)
    assert [one[name] for name in ("visible_blocks", "steps")] == [two[name] for name in ("visible_blocks", "steps")]
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-9)


@pytest.mark.parametrize("kind", ["pixels", "statistics", "costs"])
@pytest.mark.parametrize("count", [2, 3, 100])
def test_what_shares_minimise_adds_up_to_all(kind: str, count: int) -> None:
    _, parts = problem()
    visible, statistics = parts["visible"], parts["statistics"]
    costs = cost_table(visible, statistics, parts["radiance"])
    parts |= {"costs_and_outside": (costs, statistics.outside)}
    work = torch.rand(len(costs), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    owned = [Workers(rank, count).share(work) for rank in range(count)]
    assert [share.first for share in owned[1:]] == [share.last for share in owned[:-1]]
    assert (owned[0].first, owned[-1].last) == (0, len(work))
    assert max(float(work[share.rows].sum()) for share in owned) <= float(work.sum()) / count + 1.0

    def slope(objective: Objective, logits: torch.Tensor) -> tuple[float, torch.Tensor]:
        moved = logits.clone().requires_grad_()
        loss = objective.mean(objective(torch.softmax(moved, dim=1)))
        return float(loss.detach()), torch.autograd.grad(loss, moved)[0]

    logits = torch.randn(costs.shape, generator=torch.Generator().manual_seed(1))
    loss, gradient = slope(objective_of(kind, 0.5, **parts), logits)
    found = [slope(objective_of(kind, 0.5, **parts, share=share), logits[share.rows]) for share in owned]
    assert sum(of_share for of_share, _ in found) == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(torch.cat([of_share for _, of_share in found]), gradient, rtol=1e-5, atol=1e-9)


def test_one_process_is_alone() -> None:
    assert current() == ALONE
    with joined("cpu") as workers:
        assert workers == ALONE
    sums = torch.ones(3)
    assert ALONE.add_up(sums) is sums
    cpu = torch.device("cpu")
    assert Share(0, 3, 3).every(sums) is sums
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
