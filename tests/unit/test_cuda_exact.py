"""The repair that makes nvdiffrast's pictures exact, and what surrounds it; all of it runs without a GPU.

The CPU rasteriser, told to snap to 1/16 pixel, stands for nvdiffrast: it errs where nvdiffrast errs.
"""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from blockcore.errors import BackendError
from blockcore.formats.webgpu import read_scene
from blockcore.machine.memory import cuda_errors
from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import BlockGrid, ExposedFaces
from blockcore.visibility import choose_rasterizer, cpu, cuda, exact, nvdiffrast
from blockcore.visibility.reference import facing_point
from tests.parts import need
from tests.unit.test_visibility import random_camera, random_faces

DATA = Path(__file__).parents[1] / "data"
CPU = torch.device("cpu")
COARSE, FINE = 4, 8


def coarse(faces: ExposedFaces, cameras: Sequence[Camera]) -> torch.Tensor:
    drawn = [torch.from_numpy(v.triangle_id) for v in cpu.rasterize(faces, cameras, COARSE)]
    return exact.encode_ids(torch.stack(drawn))


def fine(faces: ExposedFaces, cameras: Sequence[Camera]) -> np.ndarray:
    return np.stack([v.triangle_id for v in cpu.rasterize(faces, cameras, FINE)])


def random_world(seed: int) -> tuple[ExposedFaces, list[Camera]]:
    """Blocks seen from afar, from among them and through an orthographic lens."""
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(3, 24, 3))
    cells = np.argwhere(rng.random(size) < rng.choice([0.02, 0.2, 0.6]))
    faces = BlockGrid(size, float(rng.choice([0.5, 2.0])), cells).exposed_faces
    extent = np.array(size) * faces.world_scale
    middle = np.array([0.0, extent[1] / 2, 0.0])
    lens = perspective(float(rng.uniform(0.4, 1.6)), 1.5, 0.1, 500.0)
    cameras = [
        Camera(look_at(middle + extent * rng.normal(size=3) * reach, middle + 0.01), lens, 96, 64)
        for reach in (0.3, 1.0, 3.0)
    ]
    tall = float(extent.max())
    view = look_at(middle + extent * rng.normal(size=3), middle + 0.01)
    return faces, [*cameras, Camera(view, orthographic(1.5 * tall, tall, -2.0 * tall, 9.0 * tall), 96, 64)]


@pytest.mark.parametrize("number", [1, 2, 4])
def test_captures_are_repaired(number: int) -> None:
    scene = read_scene(DATA / f"maps/{number}/map.json", DATA / f"datasets/{number}")
    faces, cameras = scene.grid.exposed_faces, [view.camera for view in scene.views]
    raw, expected = coarse(faces, cameras), fine(faces, cameras)
    repaired = exact.Drawing(exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras)).redraw(raw).numpy()
    wrong_before = (exact.decode_ids(raw).numpy() != expected).sum(axis=(1, 2))
    wrong_after = (repaired != expected).sum(axis=(1, 2))
    assert wrong_before.min() > 30, "the stand-in for nvdiffrast should err"
    assert wrong_after.max() == 0, wrong_after


@pytest.mark.parametrize("seed", range(12))
def test_random_worlds_are_repaired(seed: int) -> None:
    faces, cameras = random_world(seed)
    raw, expected = coarse(faces, cameras), fine(faces, cameras)
    repaired = exact.Drawing(exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras)).redraw(raw).numpy()
    wrong = (repaired != expected).sum(axis=(1, 2))
    assert wrong.max() == 0, wrong


@pytest.mark.parametrize("seed", range(12))
def test_random_worlds_are_drawn_without_a_coarse_picture(seed: int) -> None:
    faces, cameras = random_world(seed)
    drawn = exact.Drawing(exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras)).draw().numpy()
    wrong = (drawn != fine(faces, cameras)).sum(axis=(1, 2))
    assert wrong.max() == 0, wrong


@pytest.mark.parametrize("seed", range(40))
def test_whatever_camera_draws_what_the_cpu_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces = random_faces(rng)
    camera = random_camera(rng, faces)
    (drawn,) = exact.Drawing(exact.FaceCorners.of(faces, CPU), exact.Views.of([camera])).draw().numpy()
    np.testing.assert_array_equal(drawn, fine(faces, [camera])[0])


def test_untouched_where_the_picture_does_not_change() -> None:
    faces, cameras = random_world(1)
    raw = exact.encode_ids(torch.full((len(cameras), 64, 96), 12345, dtype=torch.int32))
    repaired = exact.Drawing(exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras)).redraw(raw)
    assert (repaired == 12345).all()


def test_corners_are_those_of_the_faces_bit_for_bit() -> None:
    for seed in range(4):
        faces, _ = random_world(seed)
        np.testing.assert_array_equal(exact.FaceCorners.of(faces, CPU).corners.numpy(), faces.corners())


def test_positions_flip_rows_remap_depth_and_drop_faces_turned_away() -> None:
    faces, cameras = random_world(3)
    corners, views = exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras)
    quads = exact.Drawing(corners, views).positions().reshape(len(cameras), len(faces), 4, 4).double().numpy()
    world = np.concatenate([faces.corners(), np.ones((len(faces), 4, 1))], axis=2)
    for camera, drawn in zip(cameras, quads, strict=True):
        clip = world @ camera.view_proj.T.astype(np.float64)
        front = corners.front(torch.from_numpy(facing_point(camera.view_proj))).numpy()
        assert 0 < front.sum() < len(faces)
        x, y, z, w = np.moveaxis(clip[front], 2, 0)
        np.testing.assert_allclose(drawn[front], np.stack([x, -y, 2 * z - w, w], axis=2), rtol=1e-4, atol=1e-3)
        assert (drawn[~front][..., 0] > drawn[~front][..., 3]).all(), "outside the clip volume"


def test_triangle_ids_survive_nvdiffrasts_floats() -> None:
    ids = torch.tensor([0, 1, 2, 2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2, 40_000_001, 889_192_447], dtype=torch.int32)
    encoded = exact.encode_ids(ids)
    assert torch.isfinite(encoded).all()
    assert torch.equal(exact.decode_ids(encoded), ids)
    assert len(torch.unique(encoded)) == len(ids)


@pytest.mark.parametrize("faces", [1, 15_678, 3_000_000, 50_000_000])
@pytest.mark.parametrize("pixels", [1, 512 * 512, 16384 * 16384])
def test_views_drawn_at_once_stay_below_32_bits(faces: int, pixels: int) -> None:
    views = cuda.views_at_once(faces, pixels)
    layer = min(faces, 6_000_000)
    assert views >= 1
    assert views * 4 * layer < 2**31, "vertices"
    assert views * (2 * layer + 4096) * 33 < 2**31 * 33, "triangle buffers"
    assert 2 * layer < 2**24, "sub-triangles"
    assert views == 1 or views * pixels <= 2**23, "pixels"


def test_layers_show_the_nearest() -> None:
    def picture(ids: list[int], depth: list[float]) -> torch.Tensor:
        encoded = exact.encode_ids(torch.tensor(ids, dtype=torch.int32))
        zero = torch.zeros(len(ids))
        return torch.stack([zero, zero, torch.tensor(depth), encoded], dim=1)[None, None]

    layers = [picture([1, 2, 0, 0], [0.5, -0.5, 0.0, 0.0]), picture([3, 3, 3, 0], [0.4, 0.4, 0.9, 0.0])]
    merged = exact.decode_ids(nvdiffrast.merge_layers(layers, 10_000_000))
    assert merged.flatten().tolist() == [20_000_003, 2, 20_000_003, 0]


class Stand:
    """Stands for nvdiffrast's context: the CPU rasteriser at 1/16 pixel, telling cameras by matrix and size."""

    def __init__(self, faces: ExposedFaces, cameras: Sequence[Camera]) -> None:
        self.faces, self.cameras, self.calls = faces, cameras, []

    def draw(self, positions: torch.Tensor, views: exact.Views) -> torch.Tensor:
        assert positions.shape == (len(views), 4 * len(self.faces), 4)
        self.calls.append(len(views))
        known = {c.view_proj.tobytes(): c for c in self.cameras if c.width == views.width}
        ids = coarse(self.faces, [known[m.numpy().tobytes()] for m in views.matrices])
        return torch.stack([torch.zeros_like(ids)] * 3 + [ids], dim=-1)


def test_views_of_all_sizes_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    faces, cameras = random_world(5)
    small = [Camera(c.view, c.proj, 40, 30, c.name) for c in cameras[:2]]
    mixed = [cameras[0], small[0], *cameras[1:3], small[1]]
    stand = Stand(faces, mixed)
    monkeypatch.setattr(nvdiffrast, "context", lambda device: stand)
    monkeypatch.setattr(cuda, "_kernels", lambda: exact)
    monkeypatch.setattr(cuda, "_MOST_PIXELS", 2 * 96 * 64)
    drawn = cuda._rasterize(faces, mixed, "nvdiffrast", FINE, CPU)
    assert stand.calls == [2, 1, 2]
    for camera, visibility in zip(mixed, drawn, strict=True):
        np.testing.assert_array_equal(visibility.triangle_id.numpy(), fine(faces, [camera])[0])


@pytest.mark.parametrize(("faces", "stays"), [(10_000, True), (2_000_000, False)])
def test_what_a_large_world_took_is_given_back(monkeypatch: pytest.MonkeyPatch, faces: int, stays: bool) -> None:
    nothing = torch.empty(1, dtype=torch.float32).expand(faces, 4, 3)
    corners = exact.FaceCorners(nothing, torch.empty(1, dtype=torch.int32).expand(faces))
    monkeypatch.setattr(cuda, "_uploaded", {CPU: (lambda: None, corners)})
    cuda.release_large()
    assert bool(cuda._uploaded) == stays


def test_no_faces_no_picture() -> None:
    faces = BlockGrid((2, 2, 2), 1.0, np.zeros((0, 3))).exposed_faces
    camera = random_world(0)[1][0]
    (drawn,) = cuda._rasterize(faces, [camera], "triton", FINE, CPU)
    assert drawn.triangle_id.shape == (64, 96)
    assert not drawn.triangle_id.any()


@pytest.fixture
def unasked() -> Iterator[None]:
    """Forgets what is known of nvdiffrast, before and after."""
    nvdiffrast.problem.cache_clear()
    yield
    nvdiffrast.problem.cache_clear()


@pytest.mark.usefixtures("unasked")
def test_missing_nvdiffrast_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(BackendError, match=r"not installed; pip install .*--rasterizer cpu$") as raised:
        choose_rasterizer("nvdiffrast", "cuda")
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("unasked")
def test_old_nvdiffrast_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.3.3")
    assert "nvdiffrast 0.3.3 is too old" in nvdiffrast.problem()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"),
            "memory is too small for x; y",
        ),
        (RuntimeError("Cuda error: 2[cudaMalloc(&m_gpuPtr, bytes);] out of memory"), "memory is too small for x; y"),
        (RuntimeError("CUDA error: no kernel image\nmore"), "CUDA failed at x (CUDA error: no kernel image)"),
        (RuntimeError("subtriangle count overflow"), "CUDA failed at x (subtriangle count overflow)"),
    ],
)
def test_gpu_errors_become_one_line(error: RuntimeError, line: str) -> None:
    with pytest.raises(BackendError) as raised, cuda_errors("x", "y"):
        raise error
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), cuda_errors("x", "y"):
        raise RuntimeError("shape mismatch")


INTERPRETED = """
import sys, numpy, torch
sys.path.insert(0, sys.argv[1])
from tests.unit.test_cuda_exact import CPU, BlockGrid, coarse, fine, random_world
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.visibility import exact, exact_triton
exact_triton._PROGRAMS, exact_triton._STRETCH = 8, 1
cells = numpy.argwhere(numpy.random.default_rng(0).random((5, 5, 5)) < 0.25)
faces, lens = BlockGrid((5, 5, 5), 2.0, cells).exposed_faces, perspective(1.2, 1.5, 0.1, 500.0)
eyes = (0.3, 5.1, -0.4), (1.1, 4.2, 1.9), (9.0, 12.0, 15.0)
cameras = [Camera(look_at(eye, (0.0, 5.0, 0.0)), lens, 24, 16) for eye in eyes]
orthographic = random_world(0)[1][3]
cameras.append(Camera(orthographic.view, orthographic.proj, 24, 16))
corners, views, raw = exact.FaceCorners.of(faces, CPU), exact.Views.of(cameras), coarse(faces, cameras)
plain, kernels = exact.Drawing(corners, views), exact_triton.Drawing(corners, views)
assert torch.equal(plain.positions(), kernels.positions()), "positions"
assert torch.equal(plain.redraw(raw), kernels.redraw(raw)), "ids"
assert kernels.counts.min() > 0, "small and large faces"
assert numpy.array_equal(fine(faces, cameras), kernels.draw().numpy()), "all pixels"
"""


def test_kernels_compute_the_same_as_torch_under_tritons_interpreter() -> None:
    need("interpreter")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-W", "ignore", "-c", INTERPRETED, str(Path(__file__).parents[2])]
    subprocess.run(command, check=True, env=environment)
