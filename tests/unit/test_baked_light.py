"""Baked light: every path shows the same of it, materials come back, and files keep it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.display import SRGB, Display, linear_to_srgb
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.ops import display_numba
from blockcore.optimize import optimize_materials
from blockcore.shading.frames import draw, frame_colors
from blockcore.shading.radiance import displayed
from blockcore.visibility import parts, rasterize
from blockcore.visibility.faces import visible_faces
from blockcore.visibility.parts import merged
from blockcore.webgpu_live.mesh import finished_surfaces
from blockcore.world import DifferentiableBlockWorld


def a_cube_display() -> Display:
    """A transform whose channels mix, as AgX's do."""
    levels = np.concatenate([[0.0], np.geomspace(0.001, 8.0, 23)])
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    mixed = 0.8 * cube + 0.2 * cube.mean(axis=-1, keepdims=True)
    return Display(levels, mixed / (1.0 + mixed))


def lit_scene(side: int = 2, display: Display = SRGB, tiles: bool = False) -> BlockScene:
    draws = np.random.default_rng(0)
    cells = np.array([(x, y, z) for x in range(5) for z in range(5) for y in range(1 + (x * z) % 3)])
    grid = BlockGrid((5, 4, 5), 1.0, cells)
    palette = Palette(("Air", *"ABCDEF"), draws.uniform(0.05, 1.0, (7, 3, 3)).astype(np.float32))
    if tiles:
        palette = palette.with_tiles({(2, 2): draws.integers(0, 256, (3, 3, 4), dtype=np.uint8)})
    received = draws.uniform(0.2, 1.1, (len(grid.exposed_faces), side, side, 1)) * (1.0, 0.9, 0.7)
    light = BakedLight(received, display, (0.5, 0.6, 0.7))
    materials = draws.integers(1, 7, len(grid)).astype(np.int32)
    cameras = [
        Camera(look_at((7 * s, 9, 8 * t), (0, 1, 0)), perspective(0.7, 1.0, 0.1, 40.0), 96, 96, f"{s}{t}")
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    scene = BlockScene(grid, materials, palette, (), light)
    return replace(scene, views=tuple(View(camera, drawn(scene, camera)) for camera in cameras))


def drawn(scene: BlockScene, camera: Camera):
    (seen,) = rasterize(scene.grid.exposed_faces, [camera], "cpu")
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    return np.ascontiguousarray(draw(seen, camera, colors)[..., :3])


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("display", [SRGB, a_cube_display()], ids=["curve", "cube"])
@pytest.mark.parametrize("side", [1, 3])
def test_planted_materials_come_back(side, display, tiles):
    scene = lit_scene(side, display, tiles)
    scrambled = scene.with_materials(np.ones(len(scene.grid), np.int32))
    found = optimize_materials(scrambled, OptimizeSettings(device="cpu"))
    assert (found.materials == scene.materials)[found.visible_blocks].all()
    # What the solver shows is what frames show: the loss is that of rounding to 8 bits and of sharing looks.
    assert found.loss < (1.0 / 255.0) ** 2


def test_light_of_frames_is_that_of_each_face_and_place():
    scene = lit_scene(2)
    light, faces = scene.lighting, scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, light)
    start, width, height = colors.tile[7]
    assert (width, height) == (2, 2)
    texels = colors.table[start : start + 4].view(np.uint8).reshape(2, 2, 4)[..., :3]
    slot = (2, 2, 0, 1, 2, 2)[faces.direction[7]]
    surface = scene.palette.colors[scene.materials[faces.block[7]], slot].astype(np.float64)
    linear = np.where(surface <= 0.04045, surface / 12.92, ((surface + 0.055) / 1.055) ** 2.4)
    wanted = np.clip(linear_to_srgb(linear * light.received[7]), 0.0, 1.0)
    assert np.abs(texels / 255.0 - wanted).max() < 0.51 / 255.0


def test_finished_surfaces_are_the_faces_tiles():
    scene = lit_scene(3, tiles=True)
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    number, surfaces, texels = finished_surfaces(colors)
    assert (number % 6 == scene.grid.exposed_faces.direction).all() and len(np.unique(number)) == len(number)
    assert (surfaces["first_texel"][number] == colors.tile[:, 0]).all()
    assert (texels[colors.tile[0, 0]] == colors.table[colors.tile[0, 0] : colors.tile[0, 0] + 1].view(np.uint8)).all()


@pytest.mark.parametrize("display", [SRGB, a_cube_display()], ids=["curve", "cube"])
def test_files_keep_it(tmp_path, display):
    scene = lit_scene(2, display)
    scene.write(tmp_path / "scene")
    assert BlockScene.read(tmp_path / "scene") == scene


def test_a_scene_is_read_by_its_faces():
    scene = lit_scene(1)
    with pytest.raises(SceneError, match="bake it again"):
        replace(scene, lighting=BakedLight(scene.lighting.received[1:]))
    with pytest.raises(SceneError, match="bake it again"):
        BakedLight(np.full((3, 1, 1, 3), np.nan))


def test_other_lightings_go_before_it():
    scene = lit_scene(2)
    found = optimize_materials(scene, OptimizeSettings(device="cpu", lighting="unlit"))
    assert found.lighting.face_light().tolist() == np.ones((6, 3)).tolist()
    assert optimize_materials(scene, OptimizeSettings(device="cpu", lighting="fitted")).loss < 0.05


@pytest.mark.parametrize("most", [12, 100, 4096])
def test_lights_are_merged_within_bounds(most):
    draws = np.random.default_rng(1)
    values, groups = draws.uniform(0.0, 4.0, (5000, 1)) * (1.0, 0.8, 0.6), draws.integers(0, 3, 5000)
    lights, of, index = merged(values, groups, most)
    assert len(lights) <= most and (of[index] == groups).all()
    off = np.abs(lights[index] ** (1 / 2.4) - values ** (1 / 2.4)).max()
    assert off < 2.0 * 3 / most * 4.0 ** (1 / 2.4) * 1.5


@pytest.mark.parametrize(
    "display",
    [SRGB, a_cube_display(), Display(np.array([-1.0, -0.5, 0.25, 2.0]), np.random.default_rng(5).random((4, 3)))],
    ids=["curve", "cube", "few levels"],
)
def test_compiled_display_is_the_plain_one(display):
    draws = np.random.default_rng(6)
    albedo, received, surface = draws.random((3, 4, 3)), draws.uniform(0.0, 4.0, (500, 3)), draws.integers(0, 4, 500)
    received[:2] = [[0.0, 1e30, 1e-310], [0.25, 0.5, 1.0]]
    wanted = np.clip(display.show(albedo[:, surface] * received), 0.0, 1.0)
    assert np.abs(display_numba.show(display, albedo, received, surface) - wanted).max() < 1e-12


def test_more_codes_than_are_numbered_at_once_are_numbered_alike(monkeypatch):
    scene = lit_scene(3)
    whole = visible(scene)
    monkeypatch.setattr(parts, "_CODES", 100)
    cut = visible(scene)
    assert len(whole.block) > 200 and (whole.block == cut.block).all() and (whole.look == cut.look).all()
    assert all((one == other).all() for one, other in zip(whole.views, cut.views, strict=True))


def visible(scene: BlockScene):
    cameras, faces = [view.camera for view in scene.views], scene.grid.exposed_faces
    seen = rasterize(faces, cameras, "cpu")
    return visible_faces(faces, cameras, seen, scene.palette, None, lighting=scene.lighting)


def test_a_curve_is_srgb_and_a_cube_is_exact_at_its_levels():
    values = np.linspace(0.0, 1.0, 1001)[:, None].repeat(3, axis=1)
    assert np.abs(SRGB.show(values) - linear_to_srgb(values)).max() < 1e-5
    cube = a_cube_display()
    some = cube.levels[np.random.default_rng(0).integers(0, len(cube.levels), (50, 3))]
    mixed = 0.8 * some + 0.2 * some.mean(axis=1, keepdims=True)
    assert np.abs(cube.show(some) - mixed / (1.0 + mixed)).max() < 1e-6


@pytest.mark.parametrize("display", [SRGB, a_cube_display()], ids=["curve", "cube"])
@pytest.mark.parametrize("tiles", [False, True])
def test_rendering_in_a_light_shows_what_frames_show(display, tiles):
    scene = lit_scene(2, display, tiles)
    world, camera = world_of(scene), scene.views[0].camera
    picture = shown(world, camera, torch.from_numpy(scene.lighting.received.copy()), display)
    assert (picture[3] > 0).any()
    off = (
        picture[:3].movedim(0, -1).detach() * 255.0 - torch.from_numpy(scene.views[0].target.astype(np.float32))
    ).abs()
    assert off[picture[3] > 0].max() < 0.51


@pytest.mark.parametrize("display", [SRGB, a_cube_display()], ids=["curve", "cube"])
def test_gradients_to_light_and_display_are_those_of_float64(display):
    scene = lit_scene(2, display)
    camera, found = scene.views[0].camera, []
    weights = torch.from_numpy(np.random.default_rng(3).normal(size=(3, camera.height, camera.width)))
    for dtype in (torch.float32, torch.float64):
        world = world_of(scene, dtype)
        light = torch.tensor(scene.lighting.received, dtype=dtype, requires_grad=True)
        table = torch.tensor(display.table, dtype=dtype, requires_grad=True)
        picture = shown(world, camera, light, display, table)
        (picture[:3] * weights.to(dtype)).sum().backward()
        found.append((light.grad.double(), table.grad.double()))
    for narrow, wide in zip(*found, strict=True):
        assert wide.norm() > 0 and (narrow - wide).norm() / wide.norm() <= 1e-5


@pytest.mark.parametrize("display", [SRGB, a_cube_display()], ids=["curve", "cube"])
def test_the_gradient_is_the_slope(display):
    levels, table = torch.from_numpy(display.levels.copy()), torch.from_numpy(display.table.astype(np.float64))
    colors = torch.from_numpy(np.random.default_rng(4).uniform(0.05, 0.9, (40, 3))).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: displayed(c, levels, table), (colors,), eps=1e-8, atol=1e-5, rtol=1e-4)
    wanted = display.show(colors.detach().numpy())
    assert np.abs(displayed(colors, levels, table).detach().numpy() - wanted).max() < 1e-6


def world_of(scene: BlockScene, dtype: torch.dtype = torch.float32) -> DifferentiableBlockWorld:
    logits = 50.0 * torch.nn.functional.one_hot(torch.tensor(scene.materials).long(), len(scene.palette)).to(dtype)
    size, scale = scene.grid.size, scene.grid.world_scale
    return DifferentiableBlockWorld.from_arrays(scene.grid.positions, None, logits, size, scale, palette=scene.palette)


def shown(world, camera, light, display, table=None) -> torch.Tensor:
    view, proj = torch.from_numpy(camera.view.copy()), torch.from_numpy(camera.proj.copy())
    size = camera.height, camera.width
    return world.render(view, proj, *size, light=light, display=display, display_table=table)[0]
