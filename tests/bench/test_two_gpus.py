"""Two GPUs against one: a million blocks in 64 views, compared pixel by pixel; compiling is left out."""

import json

import numpy as np
import pytest
import torch

from tests.parts import lack, need
from tests.unit.test_workers import torchrun

DESCEND = """
import json, sys, numpy, torch
from blockcore.bench.landscape import landscape
from blockcore.machine.workers import joined
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize
from blockcore.plan import Plan

kind, side, views, size, steps, out = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
with joined(kind) as workers:
    scene = landscape(side, views, size, "triton" if kind == "cuda" else "cpu")
    settings = OptimizeSettings(method="gradient", objective="pixels", device=kind, steps=steps, patience=0)
    for _ in range(3):
        result = optimize(Plan.of(scene, settings))
    if workers.rank == 0:
        numpy.save(out + ".npy", result.materials)
        open(out + ".json", "w").write(json.dumps({"seconds": result.seconds, **result.timings}))
"""


def figures(device: str, processes: int, size: tuple[int, ...], tmp_path) -> tuple[dict, np.ndarray]:
    out = str(tmp_path / str(processes))
    torchrun(processes, "-c", DESCEND, device, *map(str, size), out)
    with open(f"{out}.json") as file:  # noqa: PTH123
        return json.load(file), np.load(f"{out}.npy")


def told(device: str, size: tuple[int, ...], tmp_path) -> float:
    """Runs with one process and with two; returns how many times as fast the search is by two."""
    (one, alone), (two, together) = (figures(device, count, size, tmp_path) for count in (1, 2))
    for count, each in ((1, one), (2, two)):
        print(f"{count} on {device}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in each.items()))
    print(f"search {one['search'] / two['search']:.2f} times as fast, all {one['seconds'] / two['seconds']:.2f} times")
    np.testing.assert_array_equal(alone, together)
    return one["search"] / two["search"]


def test_two_processes_find_the_same(tmp_path):
    told("cpu", (60, 4, 64, 20), tmp_path)


@pytest.mark.cuda
def test_two_gpus_are_faster(tmp_path):
    need("cuda")
    if torch.cuda.device_count() < 2:
        lack("two-gpus", "there are not two GPUs")
    assert told("cuda", (1000, 64, 1024, 300), tmp_path) >= 1.7
