"""What Blender's own renderer makes of the materials, seen through the Standard view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blockcore.io.pictures import read_picture
from blockcore.model.camera import Camera, look_at, orthographic
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import SIDE, TOP, WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, View
from tests.captures import captured
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.build import build  # noqa: E402

MATERIALS = np.arange(1, len(WEBGPU_PALETTE))


def render(path: Path, samples: int = 1) -> np.ndarray:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", samples, False
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.filepath, scene.render.dither_intensity = str(path), 0.0
    bpy.ops.render.render(write_still=True)
    return read_picture(path)[..., :3]


@pytest.mark.parametrize(("eye", "up", "slot"), [((0, 9, 0), (0, 0, -1), TOP), ((0, 0.5, 9), (0, 1, 0), SIDE)])
def test_white_light_shows_the_palettes_colours(
    eye: tuple[float, ...], up: tuple[float, ...], slot: int, tmp_path: Path
) -> None:
    count = len(MATERIALS)
    grid = BlockGrid((count, 1, 1), 1.0, np.stack([MATERIALS - 1, MATERIALS * 0, MATERIALS * 0], axis=1))
    camera = Camera(look_at(eye, (0, 0.5 * (slot == SIDE), 0), up), orthographic(count, 1, 0.1, 20), 8 * count, 8)
    build(BlockScene(grid, MATERIALS, views=(View(camera),)))
    white = bpy.data.worlds.new("White")
    if white.node_tree is None:
        white.use_nodes = True
    white.node_tree.nodes["Background"].inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    bpy.context.scene.world = white
    bpy.data.objects.remove(bpy.data.objects["Sun"])
    bpy.context.scene.cycles.max_bounces = 0
    picture = render(tmp_path / "row.png", 4)
    centers = picture[4, 4::8].astype(float)
    np.testing.assert_allclose(centers, WEBGPU_PALETTE.colors[1:, slot] * 255.0, atol=1.0)


def test_a_built_scene_resembles_its_capture(tmp_path: Path) -> None:
    village = captured(3)  # with tiles
    build(village)
    target = village.views[0].target
    assert target is not None
    bpy.context.scene.render.resolution_percentage = 25
    picture = render(tmp_path / "village.png", 8).astype(float)
    small = target[..., :3].reshape(96, 4, 96, 4, 3).mean(axis=(1, 3))
    sky = (np.abs(target[::4, ::4, :3].astype(int) - (135, 207, 235)) <= 1).all(axis=2)
    assert np.abs(picture[sky] - small[sky])[1:-1].mean() < 2.0
    assert np.abs(picture - small).mean() < 20.0  # light bounces in Blender; a mirrored or turned picture is 40 off
    assert np.abs(picture[:, ::-1] - small).mean() > 30.0
