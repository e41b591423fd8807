"""The world and renderer among other modules: mixed precision, torch.func, compilation, threads, loading, previews."""

from __future__ import annotations

import copy
import io
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from blockcore import (
    DifferentiableBlockRenderer,
    DifferentiableBlockWorld,
    create_look_at_matrix,
    create_perspective_matrix,
)
from blockcore.errors import CameraError, MapError, SettingsError

CELLS = [(x, 1 + x * z % 2, z) for x in range(4) for z in range(4)]
VIEW = create_look_at_matrix((10.0, 14.0, 12.0), (0.0, 4.0, 0.0))
PROJ = create_perspective_matrix(1.0, 1.0)
HALVES = [torch.bfloat16, torch.float16]


def logits(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(16, 8, generator=torch.Generator().manual_seed(1)).to(dtype)


def world(dtype: torch.dtype = torch.float32, **how: Any) -> DifferentiableBlockWorld:
    return DifferentiableBlockWorld.from_arrays(CELLS, logits=logits(dtype), grid_size=(8, 8, 8), **how)


def picture(one: DifferentiableBlockWorld, **how: Any) -> torch.Tensor:
    return one.render(VIEW, PROJ, 24, 20, **how)


def loss(values: torch.Tensor) -> torch.Tensor:
    renderer = DifferentiableBlockRenderer((8, 8, 8))
    return renderer.render(CELLS, values, VIEW, PROJ, 16, 16)[:, :3].square().mean()


class System(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.world = world()
        self.world.place_block((7, 7, 7), "Sand")
        self.background = nn.Parameter(torch.zeros(3))


def test_a_larger_module_sees_every_block():
    system = System()
    assert {name for name, _ in system.named_parameters()} == {"background", "world.logits", "world.placed.7_7_7"}
    assert system.double().world.logits.dtype == torch.float64
    assert picture(system.world).dtype == torch.float64


def test_a_state_makes_any_world_the_one_saved():
    saved = System()
    saved.world.remove_block(CELLS[3])
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    other = System()
    other.world.place_block((5, 5, 5))
    held = other.world.logits
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(picture(other.world), picture(saved.world)) and len(other.world) == 16
    assert other.world.logits is held
    with pytest.raises(MapError, match="another grid size"):
        DifferentiableBlockWorld().load_state_dict(saved.world.state_dict())


def test_copies_are_worlds_of_their_own():
    one = world()
    before = picture(one)
    two = copy.deepcopy(one)
    with torch.no_grad():
        two.logits.zero_()
    assert torch.equal(picture(one), before) and not torch.equal(picture(two), before)


@pytest.mark.parametrize("way", ["whole", "other cells", "single"])
def test_an_optimiser_goes_on_with_what_was_loaded(way):
    one = world()
    if way == "single":
        one = DifferentiableBlockWorld(grid_size=(8, 8, 8))
        for cell in CELLS:
            one.place_block(cell)
    optimiser = torch.optim.SGD(one.parameters(), 1.0)
    held = [id(p) for p in one.parameters()]
    state = world().state_dict_blocks()
    if way == "other cells":
        state["positions"], state["logits"] = state["positions"][:9], state["logits"][:9]
    one.load_state_dict_blocks(state)
    assert [id(p) for p in one.parameters()] == held
    before = one.state_dict_blocks()["logits"]
    picture(one)[:, :3].square().mean().backward()
    optimiser.step()
    assert not torch.equal(one.state_dict_blocks()["logits"], before)


def test_placing_on_a_taken_cell_changes_its_values():
    one = world()
    single = one.place_block((7, 7, 7))
    assert one.place_block((7, 7, 7), "Stone") is single and single[3] == 10.0
    row = one.place_block(CELLS[2], "Sand")
    assert torch.equal(row, one.logits[2]) and one.logits[2, 6] == 10.0 and len(one) == 17
    one.remove_block(CELLS[2])
    assert isinstance(one.place_block(CELLS[2], "Snow"), nn.Parameter) and len(one) == 17


def test_blocks_of_a_large_world_are_made_when_asked_for():
    side = torch.arange(100)
    cells = torch.cartesian_prod(side, side[:90], side)
    many = DifferentiableBlockWorld.from_arrays(cells, logits=torch.zeros(900_000, 8), grid_size=(100, 90, 100))
    blocks = many.blocks
    assert len(blocks) == 900_000 and len(list(many.parameters())) == 1
    assert blocks[-1][0] == (99, 89, 99) and blocks[5][1].shape == (8,)
    assert [cell for cell, _ in blocks[1:3]] == [(0, 0, 1), (0, 0, 2)]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("backwards_inside", [False, True])
def test_autocast_changes_nothing(dtype, backwards_inside):
    plain, cast = world(), world()
    expected = picture(plain)
    expected[:, :3].square().mean().backward()
    with torch.autocast("cpu", dtype=dtype):
        got = picture(cast)
        if backwards_inside:
            got[:, :3].square().mean().backward()
    if not backwards_inside:
        got[:, :3].square().mean().backward()
    assert torch.equal(got, expected)
    torch.testing.assert_close(cast.logits.grad, plain.logits.grad, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_logits_are_worked_with_in_full(dtype):
    half = world(dtype)
    full = DifferentiableBlockWorld.from_arrays(CELLS, logits=half.logits.detach().float(), grid_size=(8, 8, 8))
    got = picture(half)
    assert got.dtype == dtype and torch.equal(got, picture(full).to(dtype))
    got.float().sum().backward()
    assert half.logits.grad.dtype == dtype and half.logits.grad.abs().sum() > 0


@pytest.mark.parametrize("preview", [torch.inference_mode, torch.no_grad])
def test_previews_never_stand_in_the_way_of_training(preview):
    one = world()
    light = torch.ones(len(one.renderer._grid(CELLS).exposed_faces), 1, 1, 3)
    with preview():
        seen = picture(one), picture(one, light=light), one.geometry(VIEW, PROJ, 24, 20)
    trained = picture(one)
    trained.sum().backward()
    assert torch.equal(trained, seen[0]) and one.logits.grad is not None
    assert torch.equal(picture(one, light=light.requires_grad_()), seen[1])


def test_torch_func_differentiates():
    values = logits(torch.float64)
    plain = values.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(plain), plain)
    tangent = torch.randn(16, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(torch.func.grad(loss)(values), expected)
    torch.testing.assert_close(torch.func.jvp(loss, (values,), (tangent,))[1], (expected * tangent).sum())
    hessian = torch.func.hessian(lambda row: loss(torch.cat([values[:5], row[None], values[6:]])))(values[5])
    torch.testing.assert_close(
        hessian,
        torch.autograd.functional.hessian(lambda row: loss(torch.cat([values[:5], row[None], values[6:]])), values[5]),
    )


def test_torch_func_takes_batches():
    values = torch.stack([logits(), logits() * 2, -logits()])
    torch.testing.assert_close(torch.func.vmap(loss)(values), torch.stack([loss(one) for one in values]))
    each = torch.stack([torch.func.grad(loss)(one) for one in values])
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(values), each)
    with pytest.raises(SettingsError, match="vmap"):
        one = world()
        torch.func.vmap(lambda view: one.render(view, PROJ, 8, 8))(torch.stack([VIEW, VIEW]))


def test_what_transforms_see_is_remembered_plainly():
    one = world()
    (gradient,) = torch.func.grad(
        lambda params: torch.func.functional_call(one, params, (VIEW, PROJ, 24, 20))[:, :3].square().mean()
    )(dict(one.named_parameters())).values()
    picture(one)[:, :3].square().mean().backward()
    torch.testing.assert_close(one.logits.grad, gradient)


def test_loops_compile_around_the_render():
    one = world()
    step = torch.compile(
        lambda o, view: o.render(view, PROJ, 16, 16)[:, :3].square().mean(), fullgraph=True, backend="aot_eager"
    )
    step(one, VIEW).backward()
    compiled, one.logits.grad = one.logits.grad, None
    one.render(VIEW, PROJ, 16, 16)[:, :3].square().mean().backward()
    torch.testing.assert_close(compiled, one.logits.grad)
    arguments = (logits(), torch.tensor(CELLS), VIEW, PROJ, one.renderer._number, 16, 16, 0.5, False)
    torch.library.opcheck(torch.ops.blockcore.render.default, arguments)


def test_threads_share_a_world():
    one, failures = world(remembered_views=4), []
    switching = sys.getswitchinterval()

    def job(start: int) -> None:
        try:
            for step in range(60):
                view = create_look_at_matrix((10.0 + step % 9 * 0.1 + start, 14.0, 12.0), (0.0, 4.0, 0.0))
                one.render(view, PROJ, 8, 8).sum().backward()
                one.geometry(view, PROJ, 8, 8)
        except BaseException as error:
            failures.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=job, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert not failures


@pytest.mark.parametrize(
    ("most", "held"), [({"remembered_views": 0}, 0), ({"remembered_views": 3}, 3), ({"remembered_pixels": 1200}, 2)]
)
def test_memory_is_as_large_as_asked_for(most, held):
    one = world(**most)
    for step in range(6):
        view = create_look_at_matrix((10.0 + step, 14.0, 12.0), (0.0, 4.0, 0.0))
        one.render(view, PROJ, 24, 20)
    assert len(one.renderer._seen) == held
    assert all(not seen.sight.visible.views for seen in one.renderer._seen.values())


def test_one_view_goes_with_many_projections():
    projs = torch.stack([create_perspective_matrix(fov, 1.0) for fov in (0.8, 1.0, 1.2)])
    one = world()
    batch = one.render(VIEW, projs, 24, 20)
    assert torch.equal(batch, torch.cat([one.render(VIEW, proj, 24, 20) for proj in projs]))
    views = torch.stack([VIEW, VIEW + 0.1, VIEW])
    assert torch.equal(one.render(views, PROJ, 24, 20)[:1], one.render(VIEW, PROJ, 24, 20))
    with pytest.raises(CameraError, match="must both be"):
        one.render(views[:2], projs, 24, 20)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperatures_that_cannot_be_meant_are_refused(temperature):
    with pytest.raises(SettingsError, match="temperature"):
        picture(world(), temperature=temperature)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda w: w.render(VIEW.clone().requires_grad_(), PROJ, 8, 8), CameraError, "camera_view asks for a gradient"),
        (lambda w: w.render(VIEW, PROJ.clone().requires_grad_(), 8, 8), CameraError, "camera_proj asks for a gradient"),
        (lambda w: picture(w, temperature=torch.tensor(1.0, requires_grad=True)), SettingsError, "gets no"),
        (lambda w: picture(w, relaxation="sigmoid"), SettingsError, "relaxation 'sigmoid' is not one of"),
        (lambda w: w.renderer.render(CELLS, torch.zeros(16, 8, dtype=torch.int64), VIEW, PROJ, 8, 8), MapError, "64"),
        (lambda w: w.render(VIEW[None, None], PROJ, 8, 8), CameraError, "must both be"),
    ],
)  # fmt: skip
def test_values_that_would_be_silent_are_refused(act, error, words):
    with pytest.raises(error) as raised:
        act(world())
    assert words in str(raised.value)


def shares_drawn(temperature: float, draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws one block's material many times: as many blocks with the same logits."""
    row = torch.tensor([9.0, 0.0, 1.0, 2.0, -1.0, 0.5, -3.0, 1.5])
    side = math.isqrt(draws)
    cells = torch.cartesian_prod(torch.arange(side), torch.tensor([0]), torch.arange(side))
    flat = DifferentiableBlockWorld.from_arrays(
        cells, logits=row.repeat(side**2, 1), grid_size=(side, 1, side), world_scale=1.0
    )
    view = create_look_at_matrix((0.0, 10.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    proj = torch.diag(torch.tensor([2.0 / side, 2.0 / side, -0.05, 1.0]))
    seeded = torch.Generator().manual_seed(4)
    drawn = flat.render(view, proj, side, side, temperature, relaxation="gumbel", hard=True, generator=seeded)
    colors = torch.stack([flat_color(flat, material) for material in range(1, 8)])
    found = torch.cdist(drawn[0, :3].detach().reshape(3, -1).T, colors).argmin(dim=1)
    return torch.bincount(found, minlength=7) / found.numel(), torch.softmax(row[1:], dim=0)


def flat_color(flat: DifferentiableBlockWorld, material: int) -> torch.Tensor:
    light = torch.tensor(flat.renderer.lighting.face_light()[2])
    return (torch.tensor(flat.palette.colors[material, 0]).double() * light).clamp(0, 1).float()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_gumbel_draws_materials_as_often_as_they_are_likely(temperature):
    found, expected = shares_drawn(temperature, 40_000)
    assert (found - expected).abs().max() < 4 * (0.25 / 40_000) ** 0.5  # four standard deviations


def test_draws_are_seeded_and_carry_gradients():
    one = world()
    seeded = [picture(one, relaxation="gumbel", generator=torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    assert torch.equal(seeded[0], seeded[1]) and not torch.equal(seeded[0], seeded[2])
    hard = picture(one, relaxation="gumbel", hard=True, generator=torch.Generator().manual_seed(5))
    cotangent = torch.randn(hard.shape)
    gradients = [torch.autograd.grad(each, one.logits, cotangent)[0] for each in (hard, seeded[0])]
    torch.testing.assert_close(*gradients)  # straight through: that of the blend
    assert not torch.equal(hard, seeded[0])


def test_of_equally_likely_materials_one_is_drawn():
    level = DifferentiableBlockWorld.from_arrays(CELLS, logits=torch.zeros(16, 8), grid_size=(8, 8, 8))
    seeded = [picture(level, hard=True, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(seeded[0], seeded[1]) and not torch.equal(seeded[0], seeded[2])
    assert torch.equal(picture(world(), hard=True), picture(world(), hard_materials=True))


SHARED = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from blockcore import DifferentiableBlockWorld, create_look_at_matrix, create_perspective_matrix

rank = int(sys.argv[1])
dist.init_process_group('gloo', store=dist.FileStore(sys.argv[2], 2), rank=rank, world_size=2)
proj = create_perspective_matrix(1.0, 1.0)
views = [create_look_at_matrix((x, 16.0, 9.0), (0.0, 2.0, 0.0)) for x in (-7.0, 7.0)]
cells = [(x, y, z) for x in range(4) for y in range(2) for z in range(4)]
for make in (
    lambda: DifferentiableBlockWorld.from_arrays(cells, logits=torch.zeros(32, 8), grid_size=(4, 3, 4)),
    lambda: DifferentiableBlockWorld((4, 3, 4), occupancy=True),
):
    shared, alone = DistributedDataParallel(make()), make()
    shared(views[rank], proj, 24, 24).square().mean().backward()
    (sum(alone(view, proj, 24, 24).square().mean() for view in views) / 2).backward()
    for ours, theirs in zip(shared.module.parameters(), alone.parameters(), strict=True):
        assert theirs.grad.abs().max() > 1e-6
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-8)
dist.destroy_process_group()
"""


def test_two_processes_share_the_gradient(tmp_path):
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", SHARED]
    both = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store")], env=environment, cwd=Path(__file__).parents[2])
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=100) for process in both] == [0, 0]
