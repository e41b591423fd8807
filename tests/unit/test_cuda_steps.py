"""Fast steps and pixel kernels against autograd and the CPU's loops; all of it runs without a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from blockcore.assignment.statistics import face_statistics
from blockcore.descent.descent import Descent, temperature_schedule
from blockcore.descent.fast_steps import FastSteps, Segments, fits
from blockcore.descent.objectives import Objective, objective_of
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.shading.radiance import radiance_of
from blockcore.visibility import rasterize
from blockcore.visibility.faces import visible_faces
from tests.parts import need

CPU = torch.device("cpu")
WAYS = [
    {"objective": objective, "commitment": commitment, "hard": hard}
    for objective in ("statistics", "pixels")
    for commitment in (1.0, 0.3, 0.0)
    for hard in (False, True)
]


def problem(width: int = 60, height: int = 40) -> tuple[BlockScene, dict]:
    """A small world, two views, and targets of noise, one with a mask: nothing fits, so that gradients are large."""
    rng = np.random.default_rng(0)
    cells = np.argwhere(rng.random((5, 4, 5)) < 0.5)
    grid = BlockGrid((5, 4, 5), 2.0, cells)
    lens = perspective(1.0, width / height, 0.1, 100.0)
    cameras = [
        Camera(look_at(eye, (0.0, 4.0, 0.0)), lens, width, height) for eye in ((9.0, 9.0, 7.0), (-3.0, 12.0, -9.0))
    ]
    seen = rasterize(grid.exposed_faces, cameras, "cpu")
    visible = visible_faces(grid.exposed_faces, cameras, seen, WEBGPU_PALETTE, CPU)
    targets = [rng.integers(0, 256, (height, width, channels)).astype(np.uint8) for channels in (3, 4)]
    targets[1][..., 3] = np.where(rng.random((height, width)) < 0.2, 0, 255)
    scene = BlockScene(grid, rng.integers(1, 8, len(cells)))
    statistics = face_statistics(visible, targets, scene.lighting.background)
    radiance = radiance_of(scene.palette, scene.lighting, CPU, torch.float64, visible.looks)
    return scene, {"visible": visible, "statistics": statistics, "radiance": radiance, "targets": targets}


def settings_of(way: dict) -> OptimizeSettings:
    return OptimizeSettings(method="gradient", steps=30, device="cpu", **way)


def fast_and_slow(way: dict) -> tuple[FastSteps, Descent, Objective, list[float]]:
    scene, parts = problem()
    settings = settings_of(way)
    objective = objective_of(settings.objective, settings.commitment, **parts)
    assert fits(objective, settings)
    descent = Descent(scene, settings, parts["visible"], objective, 0.0)
    temperatures = temperature_schedule(settings)
    return FastSteps(descent.logits, objective, settings, temperatures), descent, objective, temperatures


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_fast_steps_are_autograds(way: dict) -> None:
    fast, slow, objective, temperatures = fast_and_slow(way)
    expected = [slow.step(temperatures[0])]
    losses = [objective.mean(fast.take(1))]
    gradient, exact = fast.first_moment / (1.0 - fast.betas[0]), slow.logits.grad
    assert (gradient - exact).norm() <= 1e-5 * exact.norm()
    expected += [slow.step(t) for t in temperatures[1:14]]
    losses.append(objective.mean(fast.take(13)))
    torch.testing.assert_close(torch.cat(losses), torch.stack(expected), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(fast.logits, slow.logits.detach(), rtol=0.0, atol=2e-3)
    assert torch.equal(fast.logits.argmax(dim=1), slow.logits.argmax(dim=1))


def test_gumbel_noise_takes_the_general_way() -> None:
    _, parts = problem()
    settings = OptimizeSettings(method="gradient", relaxation="gumbel")
    assert not fits(objective_of("statistics", 1.0, **parts), settings)


def test_segments_hold_every_pixel_that_counts_once() -> None:
    rng = np.random.default_rng(1)
    face = torch.from_numpy(rng.integers(-1, 3, 60_000).astype(np.int32))
    target = torch.from_numpy(rng.integers(0, 256, (60_000, 4)).astype(np.uint8))
    target[::5, 3] = 0
    segments = Segments.of(face, target)
    counts = (face >= 0) & (target[:, 3] > 0)
    assert len(segments.target) == counts.sum()
    lengths = segments.last - segments.first
    assert lengths.min() > 0
    assert lengths.max() == 1024
    of_pixel = segments.face.repeat_interleave(lengths.long())
    for index in range(3):
        chosen = counts & (face == index)
        red = (segments.target[of_pixel == index] & 255).sort()[0]
        assert torch.equal(red, target[chosen][:, 0].int().sort()[0])


INTERPRETED_STEPS = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from test_cuda_steps import WAYS, fast_and_slow
from blockcore.descent.fast_steps import _TritonStages
for way in WAYS:
    kernels, descent, _, _ = fast_and_slow(way)
    plain = fast_and_slow(way)[0]
    kernels.stages = _TritonStages(kernels)
    torch.testing.assert_close(kernels.take(2), plain.take(2), rtol=1e-6, atol=0.0)
    gap = (kernels.first_moment - plain.first_moment).norm() / plain.first_moment.norm()
    assert gap < 1e-5, (way, gap)
"""

INTERPRETED_PAINTING = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from test_cuda_steps import problem
from blockcore.shading.painting import Painting
from blockcore.shading.radiance import Sight, shaded_picture
_, parts = problem()
visible, generator = parts["visible"], torch.Generator().manual_seed(0)
face = torch.stack(visible.views)[:, ::3, ::3].contiguous()
sight = Sight(visible, face, parts["radiance"], torch.tensor([0.1, 0.5, 0.9]))
logits = torch.randn(len(visible.blocks), len(sight.radiance), generator=generator, requires_grad=True)
cotangent = torch.randn(len(face), 4, *face.shape[1:], generator=generator)
for how in ((0.7, False), (1.3, True)):
    found = []
    for way in (Painting.apply, shaded_picture):
        picture = way(logits, sight, *how)
        (alone,) = torch.autograd.grad(picture, logits, cotangent, retain_graph=True)
        (first,) = torch.autograd.grad(picture, logits, cotangent, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), logits)
        found.append((picture, alone, first, second))
    for ours, plain in zip(*found, strict=True):
        assert (ours - plain).norm() <= 1e-5 * plain.norm()
"""

INTERPRETED_PIXELS = """
import numpy as np, torch
from blockcore.ops import pixels_numba, pixels_triton
rng = np.random.default_rng(0)
face = np.repeat(rng.integers(-1, 37, 700), rng.integers(1, 9, 700)).astype(np.int32)
values, pixels = (rng.normal(size=s).astype(np.float32) for s in ((37, 4), (4, len(face))))
t = torch.from_numpy
outside = values[0].copy()
gathered = pixels_triton.gather(t(values), t(face), t(outside)).numpy()
assert np.array_equal(gathered, pixels_numba.gather(values, face, outside))
sums = pixels_numba.sum_over(pixels, face, 37)
for given in (t(pixels), t(pixels.T.copy()).T):
    np.testing.assert_allclose(pixels_triton.sum_over(given, t(face), 37), sums, rtol=1e-6)
for channels in (3, 4):
    target = rng.integers(0, 256, (len(face), channels)).astype(np.uint8)
    target[::3, -1] = 0
    colors = rng.random((37, 3)).astype(np.float32)
    loss, gradient = pixels_triton.squared_error(t(colors), t(face), t(target))
    expected_loss, expected = pixels_numba.squared_error(colors, face, target)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-4)
    sums = np.zeros((38, 7))
    pixels_numba.add_target_sums(sums, target, face)
    assert np.array_equal(pixels_triton.target_sums(t(target), t(face), 37), sums)
"""


@pytest.mark.parametrize(
    "program", [INTERPRETED_STEPS, INTERPRETED_PIXELS, INTERPRETED_PAINTING], ids=["steps", "pixels", "painting"]
)
def test_kernels_compute_the_same_under_tritons_interpreter(program: str) -> None:
    need("interpreter")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-W", "ignore", "-c", program, str(Path(__file__).parent)]
    subprocess.run(command, check=True, env=environment)
