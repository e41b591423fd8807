"""How long solving takes and what memory it needs. Run these alone: other load on the machine would be measured too."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

from blockcore.model.baked_light import BakedLight
from blockcore.model.palette import Palette
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from tests.captures import captured

LARGE = """
import json, resource, time, torch
from blockcore.assignment.solve import cheapest_materials
from blockcore.assignment.statistics import FaceStatistics, cost_table
from blockcore.visibility.texels import WHOLE_FACES
from blockcore.visibility.faces import VisibleFaces

draw = torch.Generator().manual_seed(0)
blocks, per = 100_000, 3
direction = torch.rand(blocks, 6, generator=draw).argsort(dim=1)[:, :per].reshape(-1)
block = torch.arange(blocks).repeat_interleave(per)
count = torch.randint(1, 50, (len(block),), generator=draw).double()
total = torch.rand(len(block), 3, generator=draw).double() * count[:, None]
statistics = FaceStatistics(count, total, total.square() / count[:, None], 0.0, int(count.sum()))
radiance = torch.rand(257, 6, 3, generator=draw).double()
began = time.perf_counter()
visible = VisibleFaces(torch.arange(blocks), block, direction, WHOLE_FACES, ())
cheapest_materials(cost_table(visible, statistics, radiance))
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def test_hills_are_solved_at_once():
    scene, settings = captured(2), OptimizeSettings(method="solve", device="cpu")
    optimize_materials(scene, settings)
    began = time.perf_counter()
    optimize_materials(scene, settings)
    assert time.perf_counter() - began <= 1.5


def test_a_light_per_face_takes_little_longer():
    """At most 1.5 times as long as the six directions' light, with 32 materials; in turn, so that load slows both."""
    draws, scene = np.random.default_rng(0), captured(2)
    palette = Palette(("Air", *(f"M{m}" for m in range(32))), draws.random((33, 3, 3)).astype(np.float32))
    plain, settings = replace(scene, palette=palette), OptimizeSettings(method="solve", device="cpu")
    lit = replace(plain, lighting=BakedLight(draws.random((len(scene.grid.exposed_faces), 1, 1, 3), np.float32)))
    seconds: list[list[float]] = [[], []]
    for _ in range(9):
        for each, times in zip((plain, lit), seconds, strict=True):
            began = time.perf_counter()
            optimize_materials(each, settings)
            times.append(time.perf_counter() - began)
    assert np.median(seconds[1][2:]) <= 1.5 * np.median(seconds[0][2:])


def test_a_large_palette_and_many_blocks():
    done = subprocess.run([sys.executable, "-c", LARGE], check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    assert figures["seconds"] <= 5.0
    assert figures["bytes"] <= 2e9
