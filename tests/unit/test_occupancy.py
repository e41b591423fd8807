"""Cells that may hold a block: against the definition, finite differences, the exact rasteriser, and a hut."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from blockcore import BlockField, Camera, DifferentiableBlockWorld, View, find_shape
from blockcore.bench import shape
from blockcore.commands.cli import main
from blockcore.errors import MapError, SceneError, SettingsError
from blockcore.formats.webgpu import read_map, write_dataset
from blockcore.model.camera import look_at, orthographic, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene
from blockcore.model.shape_settings import ShapeSettings
from blockcore.occupancy.hull import visual_hull
from blockcore.occupancy.reference import seen_through
from blockcore.occupancy.sight import sight
from blockcore.occupancy.walk import walk
from blockcore.optimize import optimize_materials
from blockcore.visibility import rasterize
from tests.parts import need

SIZE = (5, 4, 6)
CAMERAS = [
    Camera(look_at((9.0, 11.0, 8.0), (0.0, 3.0, 0.0)), perspective(0.9, 1.0, 0.1, 100.0), 13, 11),
    Camera(look_at((-7.0, 5.0, 9.0), (0.0, 3.0, 0.0)), perspective(0.9, 1.0, 0.1, 100.0), 13, 11),
    Camera(look_at((0.5, 4.2, 0.7), (3.0, 4.0, 3.0)), perspective(1.2, 1.0, 0.1, 100.0), 13, 11),  # from within
    Camera(look_at((9.0, 11.0, 8.0), (0.0, 3.0, 0.0)), orthographic(16.0, 16.0, 0.1, 60.0), 13, 11),
    Camera(look_at((0.0, 20.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, -1.0)), perspective(0.6, 1.0, 0.1, 50.0), 13, 11),
]


def fog(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns what faces of 70 of the 120 cells show, numbers, and backgrounds."""
    rng = np.random.default_rng(seed)
    number = np.full(SIZE, -1, np.int32)
    number.reshape(-1)[rng.choice(120, 70, replace=False)] = np.arange(70)
    alpha = np.broadcast_to(rng.uniform(0.05, 0.9, (70, 1, 1)), (70, 6, 1))
    faces = np.concatenate([alpha * rng.random((70, 6, 3)), alpha], axis=2)
    background = torch.tensor(rng.random((len(CAMERAS), 11, 13, 3)), requires_grad=True)
    return torch.tensor(faces, requires_grad=True), torch.from_numpy(number), background


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_walks_see_what_sorted_cuts_do(seed):
    faces, number, background = fog(seed)
    ours = walk(faces, number, CAMERAS, 2.0, background, 0.0)
    each = zip(CAMERAS, background, strict=True)
    plain = torch.stack([seen_through(faces, number, c, 2.0, b) for c, b in each])
    torch.testing.assert_close(ours, plain, rtol=0.0, atol=1e-13)
    assert (ours[:, 3] > 0.1).any(dim=2).any(dim=1).all()
    cotangent = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    inputs = faces, background
    for a, b in zip(
        torch.autograd.grad(ours, inputs, cotangent), torch.autograd.grad(plain, inputs, cotangent), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0.0, atol=1e-12)


INTERPRETED = """
import torch
from blockcore.occupancy import rays_triton, walk_triton
from blockcore.occupancy.rays import RING, rays_of
from blockcore.occupancy.walk import walk
from tests.unit.test_occupancy import CAMERAS, SIZE, fog

faces, number, background = fog(4)
rays = rays_triton.table(rays_of(CAMERAS, SIZE, 2.0), faces.device)
padded = torch.nn.functional.pad(number, (RING,) * 6, value=-1)
for kind, off, stop in ((torch.float64, 1e-12, 0.0), (torch.float32, 2e-5, 1e-3)):
    given = [t.detach().to(kind).requires_grad_() for t in (faces, background)]
    expected = walk(given[0], number, CAMERAS, 2.0, given[1], stop)
    f, b = (t.detach() for t in given)
    found = walk_triton.forward(f, padded, rays, b, stop)
    torch.testing.assert_close(found, expected.detach(), rtol=0.0, atol=off)
    cotangent = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).to(kind)
    ours = walk_triton.backward(cotangent, found, f, padded, rays, stop)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, given[0], cotangent)[0], rtol=0.0, atol=50 * off)
"""


def test_kernels_walk_the_same_way_under_tritons_interpreter():
    need("interpreter")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-W", "ignore", "-c", INTERPRETED], check=True, env=environment, cwd=root)


def test_gradients_are_finite_differences():
    faces, number, background = fog(3)
    cotangent = torch.randn(2, 4, 11, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def loss(shown: torch.Tensor) -> torch.Tensor:
        return (walk(shown, number, CAMERAS[:2], 2.0, background[:2].detach(), 0.0) * cotangent).sum()

    gradient, step = torch.autograd.grad(loss(faces), faces)[0].reshape(-1), 1e-5
    with torch.no_grad():
        for at in torch.randperm(faces.numel(), generator=torch.Generator().manual_seed(0))[:80].tolist():
            shift = torch.zeros_like(faces)
            shift.view(-1)[at] = step
            assert abs(float(loss(faces + shift) - loss(faces - shift)) / (2 * step) - float(gradient[at])) <= 1e-7


def test_a_field_is_differentiated_to_its_logits():
    field = BlockField((3, 2, 3)).double()
    with torch.no_grad():
        field.logits.add_(torch.randn(field.logits.shape, generator=torch.Generator().manual_seed(1)))
    camera = Camera(CAMERAS[0].view, CAMERAS[0].proj, 6, 5)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(field, {"logits": logits}, ([camera],), {"stop": 0.0})

    assert torch.autograd.gradcheck(loss, (field.logits.detach().clone().requires_grad_(),))


def settled(seed: int) -> tuple[BlockField, np.ndarray]:
    """Returns a field that is sure, and its blocks."""
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(6, 20, 3).tolist())
    cells = np.argwhere(rng.random(size) < rng.uniform(0.05, 0.6))
    field = BlockField(size)
    x, y, z = cells.T
    with torch.no_grad():
        field.logits.fill_(0.0)[..., 0] = 60.0
        field.logits[x, y, z, 0] = 0.0
        field.logits[x, y, z, rng.integers(1, 8, len(cells))] = 60.0
    return field, cells


def all_around(field: BlockField) -> list[Camera]:
    """Returns cameras of several kinds, among them those whose pixels' centres lie on edges, and along axes."""
    far, middle = max(field.grid_size) * 2.2, np.array([0.0, field.grid_size[1], 0.0])
    sides = [np.array(side) * far for side in ((0.8, 0.6, 0.5), (-0.3, -0.7, 0.9), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))]
    lenses = perspective(0.9, 1.0, 0.1, 400.0), orthographic(32.0, 32.0, 0.1, 400.0)
    ups = [(0.0, 1.0, 0.0)] * 3 + [(0.0, 0.0, 1.0)]
    eyes = [(look_at(middle + side, middle, up), lens) for side, up in zip(sides, ups, strict=True) for lens in lenses]
    return [Camera(view, lens, 128, 128) for view, lens in eyes]


def test_what_is_there_or_not_is_the_exact_picture():
    """Faces are where the rasteriser draws them, which snaps their corners; edges that leave the picture it cuts."""
    differing = []
    for seed in range(10):
        field, cells = settled(seed)
        poses = all_around(field)
        world = DifferentiableBlockWorld.from_arrays(
            cells, logits=field.logits[tuple(cells.T)], grid_size=field.grid_size
        )
        with torch.no_grad():
            ours = field.render(poses)
            view, proj = (torch.tensor(np.stack([getattr(pose, m) for pose in poses])) for m in ("view", "proj"))
            exact = world.render(view, proj, 128, 128)
        differing.append(float(((ours - exact).abs().amax(dim=1) > 1 / 255).float().mean()))
        assert (exact[:, 3].mean(dim=(1, 2)) > 0.05).all()
        hardened = field.hardened()
        assert np.array_equal(hardened.cells, cells)
    assert max(differing) <= 1e-5 and np.count_nonzero(differing) <= 2


def test_worlds_with_occupancy_are_worlds():
    world = DifferentiableBlockWorld((6, 5, 6), occupancy=True)
    camera = Camera(look_at((14.0, 12.0, 9.0), (0.0, 4.0, 0.0)), perspective(0.8, 1.0, 0.1, 100.0), 20, 20)
    view, proj = (torch.tensor(m) for m in (camera.view, camera.proj))
    assert [name for name, _ in world.named_parameters()] == ["field.logits"]
    foggy = world.render(view, proj, 20, 20)
    assert foggy.shape == (1, 4, 20, 20) and 0.1 < float(foggy[0, 3].detach().max()) < 1.0
    foggy.square().mean().backward()
    assert world.field.logits.grad[..., 0].abs().sum() > 0
    with torch.no_grad():
        world.field.logits[2, 1, 2, 3] = 30.0
    hard = world.harden()
    assert [(cell, int(logits.argmax())) for cell, logits in hard.blocks] == [((2, 1, 2), 3)]
    other = DifferentiableBlockWorld((6, 5, 6), occupancy=True)
    other.load_state_dict(world.state_dict())
    assert torch.equal(other.render(view, proj, 20, 20), world.render(view, proj, 20, 20))


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda w: w.place_block((0, 0, 0)), MapError, "harden() it first"),
        (lambda w: w.to_scene(), MapError, "harden() it first"),
        (lambda w: w.render(torch.eye(4), torch.eye(4), 4, 4, samples=2), SettingsError, "samples needs blocks"),
        (lambda w: w.render(torch.eye(4), torch.eye(4), 4, 4, temperature=0.0), SettingsError, "temperature"),
        (lambda w: w.render(torch.eye(4), torch.eye(4), 4, 4, background=torch.zeros(5)), SettingsError, "background"),
        (lambda w: DifferentiableBlockWorld().harden(), MapError, "occupancy=True"),
        (lambda w: BlockField((2, 2, 2), opacity=1.0), SettingsError, "opacity"),
        (lambda w: w.field.clear(np.ones((1, 1, 1), bool)), MapError, "expected (2, 2, 2)"),
        (lambda w: find_shape([], (2, 2, 2)), SceneError, "two views or more"),
    ],
)  # fmt: skip
def test_misuse_is_named(act, error, words):
    with pytest.raises(error) as raised:
        act(DifferentiableBlockWorld((2, 2, 2), occupancy=True))
    assert words in str(raised.value)


def test_regularisers_are_least_where_cells_are_sure_alike_and_gone():
    field = BlockField((4, 4, 4), opacity=0.5)
    assert abs(float(field.entropy().detach()) - 1.0) < 1e-6 and abs(float(field.sparsity().detach()) - 0.5) < 1e-6
    assert float(field.variation().detach()) == 0.0
    with torch.no_grad():
        field.logits[..., 0] = 40.0
        field.logits[:2, ..., 0] = -40.0
    assert float(field.entropy().detach()) < 1e-6 and abs(float(field.sparsity().detach()) - 0.5) < 1e-6
    assert abs(float(field.variation().detach()) - 1 / 9) < 1e-6  # one of three steps along one of three axes
    (field.entropy() + field.sparsity() + field.variation()).backward()
    assert field.logits.grad.isfinite().all()


def hut(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns cells and materials of a hut on a lawn."""
    blocks = {(x, 0, z): 1 for x in range(side) for z in range(side)}
    low, high = side // 4, side - side // 4
    for y in range(1, 1 + side // 3):
        for x in range(low, high):
            for z in range(low, high):
                if x in (low, high - 1) or z in (low, high - 1):
                    blocks[x, y, z] = 3 if y == 1 else 4
    for x in range(low, high):
        for z in range(low, high):
            blocks[x, 1 + side // 3, z] = 2
    return np.array(list(blocks)), np.array(list(blocks.values()))


def posed(
    world: DifferentiableBlockWorld, side: int, views: int, pixels: int, middle: float = 2.0
) -> tuple[list[View], list[np.ndarray]]:
    """Returns pictures of a world from all around, and their masks."""
    every, masks = [], []
    for k in range(views):
        turn, lift = 2.4 * k, 0.2 + 0.8 * (k % 5) / 5
        eye = side * 2.8 * np.array([np.cos(turn) * np.cos(lift), np.sin(lift), np.sin(turn) * np.cos(lift)])
        camera = Camera(
            look_at(eye + np.array([0.0, middle, 0.0]), (0.0, middle, 0.0)),
            perspective(0.75, 1.0, 0.1, 500.0),
            pixels,
            pixels,
        )
        with torch.no_grad():
            rgba = world.render(torch.tensor(camera.view), torch.tensor(camera.proj), pixels, pixels, hard=True)[0]
        every.append(View(camera, (rgba[:3].permute(1, 2, 0) * 255).round().byte().numpy()))
        masks.append(rgba[3].numpy() > 0)
    return every, masks


def test_hulls_hold_all_blocks_and_little_else():
    cells = np.argwhere(np.ones((4, 4, 4))) + 4
    world = DifferentiableBlockWorld.from_arrays(cells, np.full(64, 3), grid_size=(12, 12, 12))
    views, masks = posed(world, 12, 20, 96, middle=12.0)
    hull = visual_hull((12, 12, 12), 2.0, [view.camera for view in views], masks)
    assert hull[tuple(cells.T)].all() and hull.sum() <= 7**3  # of 1,728: at most about a cell around on each side


def test_shapes_are_found_from_pictures():
    cells, materials = hut(8)
    world = DifferentiableBlockWorld.from_arrays(cells, materials, grid_size=(8, 8, 8))
    views, masks = posed(world, 8, 12, 40)
    errors: list[float] = []
    found = find_shape(
        views, (8, 8, 8), masks=masks, settings=ShapeSettings(steps=60), progress=lambda _, e: errors.append(e)
    )
    true = dict(zip(map(tuple, cells.tolist()), materials.tolist(), strict=True))
    got = dict(zip(map(tuple, found.grid.positions.tolist()), found.materials.tolist(), strict=True))
    shown = world.render(
        *(torch.tensor(np.stack([getattr(v.camera, m) for v in views])) for m in ("view", "proj")),
        40,
        40,
        outputs=["block"],
    )["block"]
    visible = [tuple(cells[n].tolist()) for n in shown.unique().tolist() if n >= 0]
    assert np.mean([got.get(cell) == true[cell] for cell in visible]) >= 0.99
    assert sum(cell not in true for cell in got) <= 0.03 * len(true)
    assert errors[-1] < 1e-6


def test_lines_of_sight_end_where_the_rasteriser_draws():
    """Corners are snapped before faces are drawn; a line of sight takes that side of an edge that is drawn there."""
    for seed in range(4):
        field, cells = settled(seed)
        far, turn = max(field.grid_size) * 2.2, float(seed)
        eye = far * np.cos(turn), far * 0.8, far * np.sin(turn)
        camera = Camera(look_at(eye, (0.0, field.grid_size[1], 0.0)), perspective(0.9, 1.0, 0.1, 400.0), 256, 256)
        faces = BlockGrid(field.grid_size, 2.0, cells.astype(np.int32)).exposed_faces
        solid = np.zeros(field.grid_size, np.bool_)
        solid[tuple(cells.T)] = True
        seen = sight([camera], solid, 2.0, np.ones((1, 256, 256), np.bool_))
        first = np.append(seen.entry, -1)[np.where(np.diff(seen.first) > 0, seen.first[:-1], -1)]
        number = np.ravel_multi_index(tuple(faces.cell.T), field.grid_size) * 6 + faces.direction
        drawn = np.append(number, -1)[np.asarray(rasterize(faces, [camera])[0].face).ravel()]
        assert np.array_equal(first, drawn)


def explained(world: np.ndarray, views: list[View], settings: ShapeSettings | None = None) -> tuple[float, float]:
    """Returns which share of the blocks that pictures show is found and right, and how many too many, of as many."""
    seen = BlockScene(BlockGrid(world.shape, 2.0, np.argwhere(world)), world[world > 0], WEBGPU_PALETTE, tuple(views))
    visible = seen.grid.positions[optimize_materials(seen).visible_blocks]
    found = find_shape(views, world.shape, settings=settings)
    again = np.zeros_like(world)
    again[tuple(found.grid.positions.T)] = found.materials
    right = again[tuple(visible.T)] == world[tuple(visible.T)]
    return float(right.mean()), float(((again > 0) & (world == 0)).sum() / len(visible))


@pytest.mark.parametrize(
    ("world", "most"),
    [
        (shape.hut(16), 0.015),
        (shape.hut(28), 0.01),
        (shape.arch(20), 0.01),
        (shape.arch(28), 0.01),
        (shape.tree(24), 0.01),
    ],
    ids=["hut 16", "hut 28", "arch 20", "arch 28", "tree 24"],
)
def test_modelled_worlds_are_carved_out_of_pictures_without_masks(world, most):
    """Rooms are not left filled though what fills them explains the pictures, nor are blocks taken out of a vault."""
    found = shape.measured(world, masked=False)
    assert found["right"] >= 0.995 and found["too_many"] <= most


def hut_in_views() -> tuple[np.ndarray, list[View]]:
    """A hut's materials in all 8³ cells, and twelve pictures of it."""
    cells, materials = hut(8)
    world = np.zeros((8, 8, 8), np.int32)
    world[tuple(cells.T)] = materials
    views, _ = posed(DifferentiableBlockWorld.from_arrays(cells, materials, grid_size=(8, 8, 8)), 8, 12, 40)
    return world, views


def test_noise_hides_no_shape_and_calls_for_the_fog():
    world, views = hut_in_views()
    noise = np.random.default_rng(0)
    noisy = [
        replace(view, target=np.clip(view.target + noise.normal(0.0, 4.0, view.target.shape), 0, 255).astype(np.uint8))
        for view in views
    ]
    steps: list[int] = []
    find_shape(noisy, (8, 8, 8), settings=ShapeSettings(steps=25), progress=lambda step, _: steps.append(step))
    assert steps == list(range(len(steps))) and len(steps) > 25
    right, too_many = explained(world, noisy, ShapeSettings(steps=5))
    assert right >= 0.99 and too_many <= 0.02


def test_pixels_that_do_not_count_say_nothing_of_the_shape():
    world, views = hut_in_views()
    spoiled = []
    for view in views:
        target = np.dstack([view.target, np.full((40, 40), 255, np.uint8)])
        target[10:18, 20:28] = (255, 0, 255, 0)
        spoiled.append(replace(view, target=target))
    right, too_many = explained(world, spoiled)
    assert right >= 0.98 and too_many <= 0.03


def test_the_command_line_finds_blocks_in_a_dataset(tmp_path, capsys):
    cells, materials = hut(8)
    world = DifferentiableBlockWorld.from_arrays(cells, materials, grid_size=(8, 8, 8))
    views, _ = posed(world, 8, 12, 40)
    write_dataset(tmp_path / "captured", views)
    asked = ["optimize", "--dataset", str(tmp_path / "captured"), "--shape", "8,8,8", "--shape-steps", "60"]
    assert main([*asked, "--dry-run"]) == 0
    assert "8 × 8 × 8 cells of 2" in capsys.readouterr().out
    assert main([*asked, "--out", str(tmp_path / "out")]) == 0
    found = read_map(tmp_path / "out" / "map.json")
    true = dict(zip(map(tuple, cells.tolist()), materials.tolist(), strict=True))
    got = dict(zip(map(tuple, found.grid.positions.tolist()), found.materials.tolist(), strict=True))
    assert len(got) > 80 and np.mean([true.get(cell) == material for cell, material in got.items()]) > 0.97
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--shape", "8,8"], "three whole numbers"),
        (["--shape", "8,8,8", "--shape-steps", "0"], "steps 0 must be a whole number from 1"),
        (["--shape", "8,8,8", "--alpha-is-mask"], "has no fourth channel"),
        (["--shape", "8,8,8", "--block-size", "nan"], "must be a positive number"),
    ],
)  # fmt: skip
def test_a_shape_that_cannot_be_looked_for_is_one_line(more, words, tmp_path, capsys):
    camera = Camera(CAMERAS[0].view, CAMERAS[0].proj, 8, 8)
    picture = np.zeros((8, 8, 3), np.uint8)
    write_dataset(tmp_path / "captured", [View(camera, picture), View(camera, picture + 1)])
    with pytest.raises(SystemExit) if "8,8" in more else nullcontext():
        assert main(["optimize", "--dataset", str(tmp_path / "captured"), *more, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "Traceback" not in said
