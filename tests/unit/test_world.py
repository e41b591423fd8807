"""The world and renderer as their users call them."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from blockcore import (
    DifferentiableBlockRenderer,
    DifferentiableBlockWorld,
    Palette,
    build_block_mesh,
    create_look_at_matrix,
    create_perspective_matrix,
)
from blockcore.errors import BlockcoreError, CameraError, MapError, PaletteError
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.captures import captured

VIEW = create_look_at_matrix((0.0, 20.0, 30.0), (0.0, 5.0, 0.0), (0.0, 1.0, 0.0))
PROJ = create_perspective_matrix(1.047, 1.0, 0.1, 500.0)


def three_blocks() -> DifferentiableBlockWorld:
    world = DifferentiableBlockWorld(grid_size=(64, 48, 64))
    world.place_block((32, 5, 32), material="Stone")
    world.place_block((33, 5, 32), material=1)
    world.place_block((32, 6, 32))
    return world


def test_world_renders_what_the_renderer_renders():
    world = three_blocks()
    cells, logits = zip(*world.blocks, strict=True)
    ours = world.render(VIEW, PROJ, 64, 48)
    theirs = DifferentiableBlockRenderer().render(list(cells), torch.stack(list(logits)), VIEW, PROJ, 64, 48)
    assert ours.shape == (1, 4, 64, 48)
    assert torch.equal(ours, theirs)
    assert 0 < ours[0, 3].sum() < 64 * 48


def test_every_visible_block_gets_a_gradient():
    world = three_blocks()
    world.render(VIEW, PROJ, 64, 64).square().sum().backward()
    assert all(p.grad is not None and p.grad[1:].abs().sum() > 0 for p in world.parameters())


def test_removing_and_replacing_blocks():
    world = three_blocks()
    before = world.render(VIEW, PROJ, 64, 64)[0, 3].sum()
    world.remove_block((32, 6, 32))
    assert len(world) == 2
    assert world.render(VIEW, PROJ, 64, 64)[0, 3].sum() < before
    again = world.place_block((33, 5, 32), material="Snow")
    assert len(world) == 2 and dict(world.blocks)[33, 5, 32] is again
    with pytest.raises(MapError, match="no block"):
        world.remove_block((0, 0, 0))


@pytest.mark.parametrize("bulk", [False, True])
def test_state_survives_saving(bulk, tmp_path):
    world = three_blocks()
    if bulk:
        state = world.state_dict_blocks()
        world = DifferentiableBlockWorld.from_arrays(state["positions"], logits=state["logits"])
        world.place_block((30, 5, 30))
        world.remove_block((33, 5, 32))
    torch.save(world.state_dict_blocks(), tmp_path / "blocks.pt")
    other = three_blocks()
    other.place_block((1, 1, 1))
    other.load_state_dict_blocks(torch.load(tmp_path / "blocks.pt", weights_only=True))
    assert len(other) == len(world) == 3
    assert torch.equal(other.render(VIEW, PROJ, 32, 32), world.render(VIEW, PROJ, 32, 32))
    assert all(isinstance(logits, torch.nn.Parameter) for _, logits in other.blocks)


def test_state_of_another_world_is_refused():
    with pytest.raises(MapError, match="another grid size"):
        DifferentiableBlockWorld(grid_size=(8, 8, 8)).load_state_dict_blocks(three_blocks().state_dict_blocks())


@pytest.mark.alone
def test_large_worlds_come_from_arrays_at_once():
    scene = captured(2)
    began = time.perf_counter()
    world = DifferentiableBlockWorld.from_arrays(scene.grid.positions, materials=scene.materials)
    seconds = time.perf_counter() - began
    (parameter,) = world.parameters()
    assert parameter.shape == (88767, 8)
    assert seconds < 0.5  # 0.02 s on a quiet machine; the promise is 0.1
    camera = scene.views[0].camera
    rgba = world.render(torch.tensor(camera.view), torch.tensor(camera.proj), 400, 640, hard_materials=True)
    picture = (rgba[0, :3].detach() * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(picture - scene.views[0].target).max() <= 1


def test_batches_of_cameras_equal_single_ones():
    world, scene = three_blocks(), captured(1)
    views = torch.stack([torch.tensor(v.camera.view, dtype=torch.float32) for v in scene.views])
    projs = torch.stack([torch.tensor(v.camera.proj, dtype=torch.float32) for v in scene.views])
    batch = world.render(views, projs, 40, 40)
    assert batch.shape == (8, 4, 40, 40)
    for i in range(8):
        assert torch.equal(batch[i : i + 1], world.render(views[i], projs[i], 40, 40))
    assert torch.equal(world.render(views, projs[0], 40, 40)[0], batch[0])


def test_palettes_of_any_size():
    colors = np.random.default_rng(0).random((40, 3, 3), dtype=np.float32)
    palette = Palette(("Air", *(f"m{i}" for i in range(1, 40))), colors)
    world = DifferentiableBlockWorld(palette=palette)
    assert world.place_block((32, 5, 32), material="m39").shape == (40,)
    assert world.render(VIEW, PROJ, 32, 32)[0, 3].sum() > 0


def test_depth_and_normals():
    scene = captured(1)
    camera = scene.views[0].camera
    renderer = DifferentiableBlockRenderer(scene.grid.size)
    (buffers,) = renderer.geometry(
        scene.grid.positions, torch.tensor(camera.view), torch.tensor(camera.proj), camera.height, camera.width
    )
    (seen,) = rasterize(scene.grid.exposed_faces, [camera])
    covered = np.asarray(seen.face) >= 0
    assert ((buffers.depth > 0) == covered).all() and ((buffers.block >= 0) == covered).all()
    assert (np.abs(buffers.normal).sum(axis=2) == covered).all()
    # Depth is along the viewing axis: a block's distance lies within half a block's diagonal of its centre's.
    center = (scene.grid.positions + 0.5 - np.array([12, 0, 12])) * 2.0
    expected = -(center @ camera.view[2, :3] + camera.view[2, 3])
    assert np.abs(buffers.depth - expected[buffers.block])[covered].max() <= np.sqrt(3) + 1e-4


def test_mesh_has_the_contracts_layout():
    logits = torch.zeros(2, 8, requires_grad=True)
    vertices, faces, attributes = build_block_mesh([(0, 0, 0), (0, 1, 0)], logits, (1, 2, 1), 2.0)
    assert vertices.shape == (40, 3) and faces.shape == (20, 3)
    assert [attributes[k].shape for k in ("normals", "colors", "uvs")] == [(40, 3), (40, 3), (40, 2)]
    a, b, c = (vertices[faces[:, k].long()] for k in range(3))
    outward = torch.linalg.cross(b - a, c - a) / 4.0
    assert torch.allclose(outward, attributes["normals"][faces[:, 0].long()])
    attributes["colors"].sum().backward()
    assert logits.grad[:, 1:].abs().sum() > 0
    assert vertices.min(dim=0).values.tolist() == [-1.0, 0.0, -1.0]


def test_frames_are_what_hard_materials_render():
    scene = captured(4)
    camera = scene.views[0].camera
    (seen,) = rasterize(scene.grid.exposed_faces, [camera])
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    frame = draw(seen, camera, colors)
    world = DifferentiableBlockWorld.from_arrays(scene.grid.positions, scene.materials, grid_size=scene.grid.size)
    view, proj = (torch.tensor(m) for m in (camera.view, camera.proj))
    rgba = world.render(view, proj, camera.height, camera.width, hard_materials=True)[0, :3]
    assert np.abs((rgba.detach() * 255).round().permute(1, 2, 0).numpy() - frame[..., :3]).max() == 0


def test_worlds_without_blocks_are_sky():
    rgba = DifferentiableBlockWorld().render(VIEW, PROJ, 8, 8)
    assert rgba[0, 3].sum() == 0
    assert torch.allclose(rgba[0, :3, 0, 0], torch.tensor([0.53, 0.81, 0.92]))


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda w: w.place_block((64, 0, 0)), MapError, "outside"),
        (lambda w: w.place_block((0.5, 0, 0)), MapError, "whole numbers"),
        (lambda w: w.place_block((0, 0, 0), material="Lava"), PaletteError, "Lava"),
        (lambda w: w.place_block((0, 0, 0), material="Air"), MapError, "Air"),
        (lambda w: w.place_block((0, 0, 0), material=8), MapError, "8"),
        (lambda w: w.place_block((0, 0, 0), logits=torch.zeros(3)), MapError, "logits"),
        (lambda w: w.render(torch.zeros(4, 4), PROJ, 8, 8), CameraError, "singular"),
        (lambda w: w.render(torch.full((4, 4), float("nan")), PROJ, 8, 8), CameraError, "finite"),
        (lambda w: w.render(VIEW[:3], PROJ, 8, 8), CameraError, "(4, 4)"),
        (lambda w: w.render(VIEW, PROJ, 0, 8), CameraError, "size"),
        (lambda w: w.renderer.render([(0, 0, 0)], torch.zeros(2, 8), VIEW, PROJ, 8, 8), MapError, "logits"),
        (lambda w: DifferentiableBlockWorld.from_arrays([(0, 0, 0)], materials=[0]), MapError, "materials"),
    ],
)
def test_misuse_is_named(act, error, words):
    with pytest.raises(error) as raised:
        act(three_blocks())
    assert words in str(raised.value) and isinstance(raised.value, BlockcoreError)
