"""What only a GPU can show: faces drawn exactly, nvdiffrast repaired, steps replayed from a graph."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from blockcore.descent.fast_steps import FastSteps
from blockcore.errors import BackendError
from blockcore.model.grid import BlockGrid
from blockcore.model.settings import RASTERIZERS, OptimizeSettings
from blockcore.occupancy.field import BlockField
from blockcore.optimize import optimize_materials
from blockcore.shading.painting import paint
from blockcore.shading.radiance import Sight, shaded_picture
from blockcore.visibility import ON_GPU, choose_rasterizer, cpu, cuda, exact, nvdiffrast
from blockcore.world import DifferentiableBlockWorld
from tests.captures import captured
from tests.parts import lack, need
from tests.unit.test_cuda_exact import coarse, random_world
from tests.unit.test_cuda_steps import WAYS, fast_and_slow, problem, settings_of
from tests.unit.test_occupancy import CAMERAS, all_around, settled
from tests.unit.test_visibility import random_camera, random_faces

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def on_a_gpu() -> None:
    need("cuda")


@pytest.mark.parametrize("rasterizer", ON_GPU)
@pytest.mark.parametrize("number", [1, 2, 4])
def test_captures_show_the_triangles_of_the_cpu(number: int, rasterizer: str) -> None:
    scene = captured(number)
    faces, cameras = scene.grid.exposed_faces, [view.camera for view in scene.views]
    for ours, theirs in zip(cuda.rasterize(faces, cameras, rasterizer), cpu.rasterize(faces, cameras), strict=True):
        assert ours.triangle_id.is_cuda
        assert ours.triangle_id.dtype == torch.int32
        np.testing.assert_array_equal(ours.triangle_id.cpu().numpy(), theirs.triangle_id)


@pytest.mark.parametrize("rasterizer", ON_GPU)
@pytest.mark.parametrize("seed", range(8))
def test_random_worlds_show_the_triangles_of_the_cpu(seed: int, rasterizer: str) -> None:
    faces, cameras = random_world(seed)
    for ours, theirs in zip(cuda.rasterize(faces, cameras, rasterizer), cpu.rasterize(faces, cameras), strict=True):
        np.testing.assert_array_equal(ours.triangle_id.cpu().numpy(), theirs.triangle_id)


def test_whatever_camera_draws_what_the_cpu_draws() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        faces = random_faces(rng)
        camera = random_camera(rng, faces)
        (ours,), (theirs,) = cuda.rasterize(faces, [camera], "triton"), cpu.rasterize(faces, [camera])
        np.testing.assert_array_equal(ours.triangle_id.cpu().numpy(), theirs.triangle_id, err_msg=f"seed {seed}")


@pytest.mark.parametrize("seed", range(4))
def test_kernels_redraw_as_torch_does(seed: int) -> None:
    from blockcore.visibility import exact_triton

    faces, cameras = random_world(seed)
    device = torch.device("cuda", 0)
    corners, views, raw = (
        exact.FaceCorners.of(faces, device),
        exact.Views.of(cameras).to(device),
        coarse(faces, cameras),
    )
    raw = raw.to(device)
    plain, kernels = exact.Drawing(corners, views), exact_triton.Drawing(corners, views)
    assert torch.equal(plain.positions(), kernels.positions())
    assert torch.equal(plain.redraw(raw), kernels.redraw(raw))
    assert torch.equal(plain.draw(), kernels.draw())


@pytest.mark.parametrize("rasterizer", ON_GPU)
def test_drawing_again_from_elsewhere_shows_what_is_there(rasterizer: str) -> None:
    faces, cameras = random_world(5)
    for camera in [*cameras, *cameras]:
        (ours,), (theirs,) = cuda.rasterize(faces, [camera], rasterizer), cpu.rasterize(faces, [camera])
        np.testing.assert_array_equal(ours.triangle_id.cpu().numpy(), theirs.triangle_id)
    assert cuda._repeated[torch.device("cuda", 0)][1] is not None


def test_layers_of_faces_show_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    faces, cameras = random_world(5)
    whole = [v.triangle_id for v in cuda.rasterize(faces, cameras, "nvdiffrast")]
    monkeypatch.setattr(nvdiffrast, "MOST_FACES", len(faces) // 3)
    for layered, expected in zip(cuda.rasterize(faces, cameras, "nvdiffrast"), whole, strict=True):
        assert torch.equal(layered.triangle_id, expected)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_steps_replayed_from_a_graph_are_those_of_the_cpu(way: dict) -> None:
    on_cpu, _, objective, temperatures = fast_and_slow(way)
    on_gpu = _moved(on_cpu, objective, settings_of(way), temperatures)
    on_cpu.take(1)
    on_gpu.take(1)
    gap = (on_gpu.first_moment.cpu() - on_cpu.first_moment).norm() / on_cpu.first_moment.norm()
    assert gap < 1e-5
    torch.testing.assert_close(on_gpu.take(23).cpu(), on_cpu.take(23), rtol=1e-4, atol=0.0)
    assert torch.equal(on_gpu.logits.cpu().argmax(dim=1), on_cpu.logits.argmax(dim=1))


def _moved(steps: FastSteps, objective, settings: OptimizeSettings, temperatures: list[float]) -> FastSteps:
    """Builds the same steps on the GPU."""
    moved = copy.copy(objective)
    moved.__dict__ = {name: _over(value) for name, value in objective.__dict__.items()}
    return FastSteps(steps.logits.cuda(), moved, settings, temperatures)


def _over(value):
    """Returns the same with all its tensors on the GPU."""
    if isinstance(value, torch.Tensor):
        return value.cuda()
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **{f.name: _over(getattr(value, f.name)) for f in dataclasses.fields(value)})
    return tuple(_over(v) for v in value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("objective", ["statistics", "pixels"])
@pytest.mark.parametrize("rasterizer", [*ON_GPU, "cpu"])
def test_village_materials_are_found(objective: str, rasterizer: str) -> None:
    scene = captured(1)
    settings = OptimizeSettings(method="gradient", objective=objective, device="cuda", rasterizer=rasterizer)
    result = optimize_materials(scene, settings)
    assert result.rasterizer == rasterizer
    assert result.device.startswith("cuda")
    np.testing.assert_array_equal(result.materials[result.visible_blocks], scene.materials[result.visible_blocks])


def test_without_triton_and_nvdiffrast_the_cpu_rasterises_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ON_GPU:
        monkeypatch.setattr(RASTERIZERS[name], "problem", lambda name=name: f"{name} is not installed; install it")
    why = "triton is not installed; install it; nvdiffrast is not installed; install it"
    assert choose_rasterizer("auto", "cuda") == ("cpu", why)
    with pytest.raises(BackendError, match="not installed"):
        choose_rasterizer("nvdiffrast", "cuda")
    assert optimize_materials(captured(1), OptimizeSettings(device="cuda")).rasterizer == "cpu"


@pytest.fixture
def without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("machine.triton_here", "visibility.rasterizers"):
        monkeypatch.setattr(f"blockcore.{module}.triton_problem", lambda: "Triton is not installed; install it")


@pytest.mark.usefixtures("without_triton")
def test_without_triton_nvdiffrast_is_repaired_by_torch() -> None:
    assert choose_rasterizer("auto", "cuda")[0] == "nvdiffrast"
    faces, cameras = random_world(5)
    for camera in [cameras[0]] * 3:
        (ours,), (theirs,) = cuda.rasterize(faces, [camera], "nvdiffrast"), cpu.rasterize(faces, [camera])
        np.testing.assert_array_equal(ours.triangle_id.cpu().numpy(), theirs.triangle_id)


@pytest.mark.usefixtures("without_triton")
@pytest.mark.parametrize("objective", ["statistics", "pixels"])
def test_without_triton_materials_are_found(objective: str) -> None:
    scene = captured(1)
    result = optimize_materials(scene, OptimizeSettings(method="gradient", objective=objective, device="cuda"))
    assert result.rasterizer == "nvdiffrast"
    np.testing.assert_array_equal(result.materials[result.visible_blocks], scene.materials[result.visible_blocks])


SETTINGS = [
    {"exposure": "exposure"},
    {"exposure": "white_balance", "lighting": "fitted"},
    {"samples": 2},
    {"loss": "l1"},
    {"loss": "huber", "smoothness": 0.01},
    {"limits": "Grass = 40", "max_kinds": 5},
    {"method": "gradient", "objective": "pixels", "commitment": 0.5, "steps": 30},
    {"method": "gradient", "smoothness": 0.01, "steps": 30},
    {"method": "gradient", "relaxation": "gumbel", "steps": 30},
    {"loss": "ssim", "steps": 5},
    {"loss": "lowpass", "steps": 5},
]


@pytest.mark.parametrize("way", SETTINGS, ids=lambda way: "-".join(map(str, way.values())))
def test_whatever_is_asked_for_the_gpu_finds_what_the_cpu_finds(way: dict) -> None:
    scene = captured(4)
    on_cpu, on_gpu = (optimize_materials(scene, OptimizeSettings(device=device, **way)) for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(on_gpu.visible_blocks, on_cpu.visible_blocks)
    assert np.mean(on_gpu.materials == on_cpu.materials) > 0.995
    np.testing.assert_allclose(on_gpu.gains, on_cpu.gains, rtol=1e-3)
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=0.02, abs=1e-6)


@pytest.mark.parametrize(
    "way",
    [{}, {"method": "gradient", "objective": "pixels"}, {"samples": 2}, {"exposure": "exposure"}, {"loss": "ssim"}],
)
def test_views_that_do_not_fit_are_kept_on_the_host(way: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = captured(4)
    settings = OptimizeSettings(device="cuda", steps=10, **way)
    expected = optimize_materials(scene, settings)
    kept = []

    def to_the_cpu(device: torch.device, needed: int) -> torch.device:
        kept.append(needed)
        return torch.device("cpu")

    monkeypatch.setattr("blockcore.machine.memory.where_to_keep", to_the_cpu)
    result = optimize_materials(scene, settings)
    assert kept
    np.testing.assert_array_equal(result.materials, expected.materials)
    assert result.loss == pytest.approx(expected.loss, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("rasterizer", [*ON_GPU, "cpu"])
def test_pictures_and_their_gradients_are_those_of_the_cpu(rasterizer: str) -> None:
    scene = captured(1)
    camera = scene.views[0].camera
    view, proj = (torch.tensor(m, dtype=torch.float32) for m in (camera.view, camera.proj))
    cotangent = torch.randn(1, 4, 128, 128, generator=torch.Generator().manual_seed(0))
    logits = torch.randn(len(scene.grid), len(scene.palette), generator=torch.Generator().manual_seed(1))
    gradients, pictures = [], []
    for device, how in (("cpu", "cpu"), ("cuda", rasterizer)):
        world = DifferentiableBlockWorld.from_arrays(
            scene.grid.positions, logits=logits, grid_size=scene.grid.size, device=device, rasterizer=how
        )
        world.render(view.to(device) + 0.001, proj.to(device), 128, 128)  # the second look reuses what the first found
        picture = world.render(view.to(device), proj.to(device), 128, 128)
        picture.backward(cotangent.to(device))
        pictures.append(picture.detach().cpu())
        gradients.append(torch.cat([p.grad.reshape(-1).cpu() for p in world.parameters()]))
    torch.testing.assert_close(pictures[1], pictures[0], rtol=0.0, atol=2e-6)
    assert (gradients[1] - gradients[0]).norm() <= 1e-4 * gradients[0].norm()


@pytest.mark.parametrize("hard", [False, True])
def test_pictures_are_painted_as_they_are_shaded(hard: bool) -> None:
    parts = {k: _over(v) for k, v in problem()[1].items() if k != "targets"}
    visible, radiance = parts["visible"], parts["radiance"]
    face, sky = torch.stack(visible.views), torch.tensor([0.1, 0.5, 0.9], device="cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    sight = Sight(visible, face, radiance, sky)
    logits = torch.randn(len(visible.blocks), len(radiance), generator=generator, device="cuda", requires_grad=True)
    cotangent = torch.randn(len(face), 4, *face.shape[1:], generator=generator, device="cuda")
    found = []
    for way in (paint, shaded_picture):
        picture = way(logits, sight, 0.7, hard)
        (first,) = torch.autograd.grad(picture, logits, cotangent, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), logits)
        (alone,) = torch.autograd.grad(way(logits, sight, 0.7, hard), logits, cotangent)
        found.append((picture, first, second, alone))
    for ours, plain in zip(*found, strict=True):
        assert (ours - plain).norm() <= 1e-5 * plain.norm()


def test_released_memory_is_given_back() -> None:
    rng = np.random.default_rng(0)
    faces = BlockGrid((64, 64, 64), 1.0, np.argwhere(rng.random((64, 64, 64)) < 0.3)).exposed_faces
    cameras = random_world(0)[1]
    cuda.release()
    torch.cuda.empty_cache()
    before = torch.cuda.mem_get_info()[0]
    cuda.rasterize(faces, cameras, "nvdiffrast")
    assert torch.cuda.mem_get_info()[0] < before
    cuda.release()
    torch.cuda.empty_cache()
    assert before - torch.cuda.mem_get_info()[0] < 64 << 20


def test_the_second_gpu_is_taken_where_it_is_asked_for() -> None:
    if torch.cuda.device_count() < 2:
        lack("two-gpus", "there are not two GPUs")
    before, scene = torch.cuda.current_device(), captured(1)
    try:
        torch.cuda.reset_peak_memory_stats(1)
        found = optimize_materials(scene, OptimizeSettings(device="cuda:1"))
        assert torch.cuda.max_memory_allocated(1) > 0
        wanted = optimize_materials(scene, OptimizeSettings(device="cpu"))
        assert np.array_equal(found.materials, wanted.materials)
    finally:
        torch.cuda.set_device(before)


def test_fog_looks_on_the_gpu_as_on_the_cpu() -> None:
    rng = torch.Generator().manual_seed(0)
    field = BlockField((12, 9, 14))
    with torch.no_grad():
        field.logits += torch.randn(field.logits.shape, generator=rng)
    cameras = [camera for camera in CAMERAS if camera.width == CAMERAS[0].width]
    for kind, off in ((torch.float64, 1e-11), (torch.float32, 2e-4)):
        pictures, gradients = [], []
        for device in ("cpu", "cuda"):
            moved = copy.deepcopy(field).to(device, kind)
            rgba = moved.render(cameras, stop=0.0)
            weights = torch.randn(rgba.shape, generator=rng.manual_seed(1), dtype=torch.float64).to(rgba)
            (rgba * weights).sum().backward()
            assert rgba.device.type == device and moved.logits.grad is not None
            pictures.append(rgba.detach().cpu())
            gradients.append(moved.logits.grad.cpu())
        torch.testing.assert_close(*pictures, rtol=0.0, atol=off)
        torch.testing.assert_close(*gradients, rtol=0.0, atol=50 * off)


def test_sure_cells_are_met_on_the_gpu_where_the_rasteriser_draws_them() -> None:
    for seed in range(4):
        field, _ = settled(seed)
        poses = all_around(field)
        with torch.no_grad():
            on_cpu = field.render(poses)
            on_gpu = field.to("cuda").render(poses)
        torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0.0, atol=1e-5)
