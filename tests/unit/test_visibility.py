"""The rasterisers: the CPU's against the reference, bit for bit, and both against what is known beforehand."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from blockcore.errors import BackendError, SettingsError
from blockcore.machine.triton_here import triton_problem
from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import FACE_NORMALS, RUN, BlockGrid, ExposedFaces
from blockcore.model.settings import RASTERIZERS
from blockcore.visibility import Visibility, choose_rasterizer, cpu, rasterize, reference
from tests.captures import captured

DRAWN_BY = [cpu.rasterize, reference.rasterize]


def random_faces(rng: np.random.Generator) -> ExposedFaces:
    size = rng.integers(1, 7, 3)
    cells = np.argwhere(rng.random(tuple(size)) < rng.choice([0.1, 0.4, 1.0]))
    return BlockGrid(tuple(size.tolist()), float(rng.choice([0.3, 0.5, 1.0, 2.0])), cells).exposed_faces


def random_camera(rng: np.random.Generator, faces: ExposedFaces) -> Camera:
    """A camera that may be far off, among the blocks or inside one; perspective, orthographic or shifted."""
    width, height = (int(n) for n in rng.integers(1, 70, 2))
    extent = np.array(faces.grid_size) * faces.world_scale
    middle = np.array([0.0, extent[1] / 2, 0.0])
    eye = middle + rng.normal(size=3) * extent * rng.choice([0.2, 0.6, 2.0])
    if rng.random() < 0.2:  # on the lattice, where faces are seen edge-on
        eye = np.round(eye / faces.world_scale) * faces.world_scale
    center = middle + rng.normal(size=3) * extent * 0.2
    aspect = width / height * rng.choice([0.5, 1.0])
    if rng.random() < 0.3:
        tall = float(extent.max() * rng.choice([0.3, 1.0, 3.0]))
        proj = orthographic(tall * aspect, tall, -0.3 * tall, 2.0 * tall)
    else:
        near, far = rng.choice([0.01, 0.1, 1.0]), rng.choice([5.0, 500.0])
        proj = perspective(float(rng.uniform(0.1, 2.8)), aspect, float(near), float(far))
    if rng.random() < 0.3:
        shift = np.eye(4)
        shift[:2, 3] = rng.normal(size=2)
        proj = shift @ proj
    return Camera(look_at(eye, center, (0.01, 1.0, 0.02)), proj, width, height)


def assert_same(faces: ExposedFaces, cameras: list[Camera], subpixel_bits: int = 8) -> list[Visibility]:
    actual = cpu.rasterize(faces, cameras, subpixel_bits)
    for camera, a, e in zip(cameras, actual, reference.rasterize(faces, cameras, subpixel_bits), strict=True):
        assert a.triangle_id.dtype == e.triangle_id.dtype == np.int32
        np.testing.assert_array_equal(a.triangle_id, e.triangle_id, err_msg=str(camera))
    return actual


@pytest.mark.parametrize("subpixel_bits", [8, 4, 0])
@pytest.mark.parametrize("seed", range(10))
def test_cpu_is_the_reference_bit_for_bit(seed: int, subpixel_bits: int) -> None:
    rng = np.random.default_rng(seed)
    covered = 0
    for _ in range(10):
        faces = random_faces(rng)
        drawn = assert_same(faces, [random_camera(rng, faces) for _ in range(2)], subpixel_bits)
        covered += sum(np.count_nonzero(v.triangle_id) for v in drawn)
    assert covered > 1000


@pytest.mark.parametrize("seed", range(5))
def test_numbers_out_of_all_proportion(seed: int) -> None:
    """Worlds and lenses so large or so small that float32 overflows: the same picture still, and no crash."""
    rng = np.random.default_rng(seed)
    for _ in range(10):
        faces = random_faces(rng)
        cameras = [random_camera(rng, faces) for _ in range(2)]
        c = cameras[0]
        cameras.append(Camera(c.view, np.diag([1e30, 1e-20, 1.0, 1.0]) @ c.proj, c.width, c.height))
        cameras.append(Camera(c.view, 1e25 * c.proj, c.width, c.height))
        for scale in (1e-30, 1e-6, 1.0, 1e6, 1e18, 1e30):
            assert_same(replace(faces, world_scale=scale), cameras)


def test_the_largest_picture_and_the_smallest() -> None:
    faces = BlockGrid((3, 2, 3), 2.0, np.argwhere(np.ones((3, 2, 3), bool))).exposed_faces
    view = look_at((5.0, 6.0, 7.0), (0.0, 2.0, 0.0))
    large = Camera(view, perspective(1.0, 1.0, 0.1, 500.0), 4096, 4096)
    small = Camera(view, perspective(1.0, 1.0, 0.1, 500.0), 1, 1)
    assert_same(faces, [large, small])


def test_a_wall_leaves_no_gap_and_is_drawn_once() -> None:
    """Two layers of blocks seen through a picture of three pixels a block, edges exactly on pixel centres or not."""
    grid = BlockGrid((8, 8, 2), 1.0, np.argwhere(np.ones((8, 8, 2), bool)))
    for shift in (0.0, 0.5, 0.123):
        view = look_at((shift / 3, 4.0 + shift / 3, 9.0), (shift / 3, 4.0 + shift / 3, 0.0))
        camera = Camera(view, orthographic(6.0, 6.0, 0.0, 20.0), 18, 18)
        (drawn,) = assert_same(grid.exposed_faces, [camera])
        face = drawn.face
        assert face.min() >= 0
        assert set(grid.exposed_faces.direction[face].ravel().tolist()) == {4}  # south alone, towards the camera
        shown, pixels = np.unique(face, return_counts=True)
        inner = np.isin(shown, face[3:-3, 3:-3])
        assert np.count_nonzero(inner) >= 16
        if shift != 0.5:
            assert (pixels[inner & (pixels > 3)] == 9).sum() >= 16


@pytest.mark.parametrize("draw", DRAWN_BY)
def test_where_one_block_is_seen(draw) -> None:
    """A block of 2 units over the middle 8 × 8 pixels; row 0 is on top, triangle 0 has the lower right corner."""
    faces = BlockGrid((1, 1, 1), 2.0, np.array([[0, 0, 0]])).exposed_faces
    camera = Camera(look_at((0.0, 1.5, 5.0), (0.0, 1.5, 0.0)), orthographic(4.0, 4.0, 0.0, 10.0), 16, 16)
    (seen,) = draw(faces, [camera])
    south = int(np.flatnonzero(faces.direction == 4)[0])
    expected = np.full((16, 16), -1)
    expected[6:14, 4:12] = south
    np.testing.assert_array_equal(seen.face, expected)
    half = seen.triangle_id[6:14, 4:12] - 1 - 2 * south
    np.testing.assert_array_equal(half, np.add.outer(np.arange(8), np.arange(8)) < 7)  # the diagonal is 0's left edge


@pytest.mark.parametrize("draw", DRAWN_BY)
def test_back_faces_are_culled_and_the_inside_of_a_block_sees_through_it(draw) -> None:
    faces = BlockGrid((3, 1, 1), 2.0, np.array([[0, 0, 0], [2, 0, 0]])).exposed_faces
    inside = Camera(look_at((-2.0, 1.0, 0.0), (2.0, 1.0, 0.0)), perspective(1.0, 1.0, 0.01, 50.0), 9, 9)
    (seen,) = draw(faces, [inside])
    shown = seen.face[4, 4]
    assert faces.block[shown] == 1 and faces.direction[shown] == 1  # the west of the other block
    mirrored = Camera(inside.view, np.diag([-1.0, 1, 1, 1]) @ inside.proj, 9, 9)
    (seen,) = draw(faces, [mirrored])  # turns fronts into backs, as on a GPU: the block around the camera is seen
    shown = seen.face[4, 4]
    assert faces.block[shown] == 0 and faces.direction[shown] == 0


def test_rays_see_the_same() -> None:
    """Lines of sight through pixel centres meet the faces that are drawn, but where an edge is within 1/100 pixel."""
    rng = np.random.default_rng(7)
    compared = 0
    for _ in range(20):
        faces = random_faces(rng)
        camera = random_camera(rng, faces)
        expected, clear = cast_rays(faces, camera)
        (seen,) = cpu.rasterize(faces, [camera])
        np.testing.assert_array_equal(seen.face[clear], expected[clear])
        compared += np.count_nonzero(clear & (expected >= 0))
    assert compared > 2000


def cast_rays(faces: ExposedFaces, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Returns the face that each pixel's line of sight meets first, and whether its neighbourhood agrees."""
    inverse = np.linalg.inv(camera.proj @ camera.view)
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    shown = [hits(faces, camera, inverse, x + dx, y + dy) for dx in (-0.01, 0, 0.01) for dy in (-0.01, 0, 0.01)]
    return shown[4], np.all([s == shown[4] for s in shown], axis=0)


def hits(faces: ExposedFaces, camera: Camera, inverse: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ndc = np.stack([2 * x / camera.width - 1, 1 - 2 * y / camera.height], axis=-1)

    def unproject(z: float) -> np.ndarray:
        point = np.concatenate([ndc, np.full_like(ndc[..., :1], z), np.ones_like(ndc[..., :1])], axis=-1) @ inverse.T
        return point[..., :3] / point[..., 3:]

    corners = faces.corners().astype(np.float64)
    low, high, axis = corners.min(axis=1), corners.max(axis=1), faces.direction // 2
    start, end = unproject(0.0), unproject(1.0)
    ray = end - start
    each = np.arange(len(faces))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (low[each, axis] - start[..., axis]) / ray[..., axis]
        point = start[..., None, :] + t[..., None] * ray[..., None, :]
    towards = np.where(faces.direction % 2 == 0, 1, -1) * ray[..., axis] < 0
    within = (point >= low - 1e-9) & (point <= high + 1e-9)
    within[..., each, axis] = True
    t = np.where(within.all(axis=-1) & towards & (t > 0) & (t < 1), t, np.inf)
    return np.where(np.isfinite(t.min(axis=-1)), t.argmin(axis=-1), -1)


@pytest.mark.parametrize("draw", DRAWN_BY)
def test_nothing_to_see(draw) -> None:
    camera = Camera(look_at((0.0, 1.0, 9.0), (0.0, 1.0, 0.0)), perspective(1.0, 1.5, 0.1, 50.0), 30, 20)
    empty = BlockGrid((4, 4, 4), 2.0, np.zeros((0, 3))).exposed_faces
    one = BlockGrid((1, 1, 1), 2.0, np.array([[0, 0, 0]])).exposed_faces
    away = Camera(look_at((0.0, 1.0, 9.0), (0.0, 1.0, 20.0)), camera.proj, 30, 20)
    for faces, c in ((empty, camera), (one, away)):
        (seen,) = draw(faces, [c])
        assert seen.triangle_id.shape == (20, 30)
        assert not seen.triangle_id.any()
        assert (seen.face == -1).all()
    assert draw(one, []) == []


def test_as_many_threads_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = captured(2)
    faces, cameras = scene.grid.exposed_faces, [view.camera for view in scene.views[:2]]
    drawn = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(cpu, "thread_count", lambda threads=threads: threads)
        drawn.append([v.triangle_id for v in cpu.rasterize(faces, cameras)])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    with ThreadPoolExecutor(4) as pool:  # callers of their own
        for other in pool.map(lambda _: [v.triangle_id for v in cpu.rasterize(faces, cameras)], range(8)):
            np.testing.assert_array_equal(drawn[0], other)


@pytest.mark.parametrize("seed", range(3))
def test_runs_of_faces_that_are_left_out_show_nowhere(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    x, z = np.indices((160, 160))
    cells = np.stack([x, rng.integers(0, 40, x.shape), z], axis=-1).reshape(-1, 3)
    faces = BlockGrid((160, 40, 160), 0.5, cells).exposed_faces
    cameras = [random_camera(rng, faces) for _ in range(12)]
    cameras += [Camera(c.view, 1e25 * c.proj, c.width, c.height) for c in cameras[:2]]
    left_out = [-(-len(faces) // RUN) - len(cpu._runs_in_sight(faces, camera.view_proj)) for camera in cameras]
    assert max(left_out) > 50
    some = cpu.rasterize(faces, cameras)
    monkeypatch.setattr(cpu, "_MANY_RUNS", 1 << 30)
    for a, e in zip(some, cpu.rasterize(faces, cameras), strict=True):
        np.testing.assert_array_equal(a.triangle_id, e.triangle_id)


def test_writable_or_wider_arrays_of_faces_are_as_good() -> None:
    faces = captured(4).grid.exposed_faces
    cameras = [view.camera for view in captured(4).views[:1]]
    loose = ExposedFaces(
        faces.block.copy(), faces.direction.astype(np.int64), faces.cell.copy(), faces.grid_size, faces.world_scale
    )
    np.testing.assert_array_equal(
        cpu.rasterize(loose, cameras)[0].triangle_id, cpu.rasterize(faces, cameras)[0].triangle_id
    )


def test_face_of_a_triangle() -> None:
    ids = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    np.testing.assert_array_equal(Visibility(ids).face, [[-1, 0, 0], [1, 1, 2]])


def test_subpixel_bits_matter_and_are_checked() -> None:
    scene = captured(1)
    faces, camera = scene.grid.exposed_faces, scene.views[0].camera
    fine, coarse = (rasterize(faces, [camera], "cpu", bits)[0].triangle_id for bits in (8, 4))
    assert 0 < np.count_nonzero(fine != coarse) < 0.01 * fine.size
    for wrong in (-1, 9, 8.0, True):
        with pytest.raises(SettingsError, match="subpixel_bits"):
            rasterize(faces, [camera], "cpu", wrong)  # type: ignore[arg-type]


def test_choosing_a_rasterizer(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = {"triton": "", "nvdiffrast": ""}
    for name in problems:
        monkeypatch.setattr(RASTERIZERS[name], "problem", lambda name=name: problems[name])
    assert choose_rasterizer("auto", "cpu")[0] == "cpu"
    assert choose_rasterizer("auto", "cuda") == ("triton", "the device is cuda and triton is installed")
    assert choose_rasterizer("cpu", "cuda") == ("cpu", "asked for")
    for name in problems:
        assert choose_rasterizer(name, "cuda") == (name, "asked for")
        with pytest.raises(BackendError, match=f"{name}' needs a CUDA device"):
            choose_rasterizer(name, "cpu")
    with pytest.raises(BackendError, match="'gpu' is not one of auto, cpu"):
        choose_rasterizer("gpu", "cpu")
    problems["triton"] = "no compiler"
    assert choose_rasterizer("auto", "cuda") == ("nvdiffrast", "the device is cuda and nvdiffrast is installed")
    problems["nvdiffrast"] = "it is not there"
    assert choose_rasterizer("auto", "cuda") == ("cpu", "no compiler; it is not there")
    for name, problem in problems.items():
        with pytest.raises(BackendError, match=f"{name}': {problem}; or use --rasterizer cpu"):
            choose_rasterizer(name, "cuda")


@pytest.mark.usefixtures("unasked")
def test_missing_triton_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert triton_problem() == "Triton is not installed; pip install triton"
    triton_problem.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "install gcc" in triton_problem()


@pytest.mark.usefixtures("unasked")
def test_triton_that_cannot_build_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Active:
        def get_current_target(self) -> None:
            raise subprocess.CalledProcessError(1, ["gcc", "-I/nowhere"])

    runtime = types.ModuleType("triton.runtime")
    runtime.driver = types.SimpleNamespace(active=Active())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton", types.ModuleType("triton"))
    monkeypatch.setitem(sys.modules, "triton.runtime", runtime)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.6.0")
    monkeypatch.setenv("CC", "gcc")
    assert triton_problem().startswith("Triton 3.6.0 does not work here (the C compiler fails); install a C compiler")


@pytest.fixture
def unasked() -> Iterator[None]:
    """Forgets what is known of Triton, before and after."""
    triton_problem.cache_clear()
    yield
    triton_problem.cache_clear()


def test_importing_visibility_loads_neither_numba_nor_torch() -> None:
    code = "import sys, blockcore.visibility; print([m for m in ('numba', 'torch', 'nvdiffrast') if m in sys.modules])"
    assert in_a_process(code) == "[]"


def test_a_machine_where_nothing_can_be_cached_compiles_for_itself() -> None:
    code = """
import tempfile
def refuse(*args, **kwargs):
    raise OSError(30, "Read-only file system")
tempfile.TemporaryFile = refuse
from blockcore.visibility import cpu
print(cpu._pixel(257, 8))"""
    assert in_a_process(code) == "2"


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_normals_point_at_the_camera() -> None:
    """Every face a pixel shows is turned towards the eye."""
    scene = captured(4)
    faces = scene.grid.exposed_faces
    for view in scene.views:
        (seen,) = cpu.rasterize(faces, [view.camera])
        shown = np.unique(seen.face[seen.face >= 0])
        away = view.camera.position - faces.corners()[shown, 0]
        assert ((away * FACE_NORMALS[faces.direction[shown]]).sum(axis=1) > 0).all()


def test_a_forked_process_draws_too() -> None:
    """Threads do not survive a fork; what waits for them would wait for ever."""
    code = """
import os, signal
from tests.captures import captured
from blockcore.visibility import cpu
cpu._thread_count = lambda: 3
faces, cameras = captured(1).grid.exposed_faces, [view.camera for view in captured(1).views]
def draw():
    return b"".join(v.triangle_id.tobytes() for v in cpu.rasterize(faces, cameras))
expected = draw()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if draw() == expected else 1)
print(os.waitpid(child, 0)[1])"""
    assert in_a_process(code) == "0"
