"""Face tiles in Blender: every texel of every face is where WebGPU shows it, in the colour that WebGPU shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blockcore.io.pictures import read_picture
from blockcore.model.camera import Camera, look_at, orthographic
from blockcore.model.grid import FACE_NAMES, FACE_NORMALS, BlockGrid
from blockcore.model.lighting import Lighting
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.packs import turned_world
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.build import build  # noqa: E402

STONE = WEBGPU_PALETTE.index("Stone")
WHITE = Lighting(sun_color=(0, 0, 0), ambient_strength=1.0, ground_color=(1, 1, 1), sky_color=(1, 1, 1))


def test_tiles_show_texel_by_texel(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tiles = {(STONE, d): rng.integers(0, 256, (4, 8, 4), np.uint8) for d in range(6)}
    tiles[STONE, 2][..., 3] = 255
    grid = BlockGrid((1, 1, 1), 1.0, np.zeros((1, 3), int))
    center = np.array([0.0, 0.5, 0.0])
    cameras = []
    for direction, normal in enumerate(FACE_NORMALS.astype(float)):
        up = (0.0, 1.0, 0.0) if normal[1] == 0.0 else (0.0, 0.0, -1.0)
        view = look_at(center + 4.0 * normal, center, up)
        cameras.append(Camera(view, orthographic(1.25, 1.25, 0.1, 20.0), 40, 40, FACE_NAMES[direction]))
    scene = BlockScene(
        grid, np.array([STONE]), WEBGPU_PALETTE.with_tiles(tiles), tuple(View(camera) for camera in cameras), WHITE
    )
    build(scene)
    white_light()
    colors = frame_colors(grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    for camera in cameras:
        (seen,) = rasterize(grid.exposed_faces, [camera], "cpu")
        ours = draw(seen, camera, colors)[..., :3].astype(int)
        bpy.context.scene.camera = bpy.data.objects[camera.name]
        theirs = render(tmp_path / f"{camera.name}.png")
        shown = seen.face >= 0
        assert shown.sum() == 32 * 32
        assert np.abs(ours - theirs)[shown].max() <= 2, camera.name


def test_a_packs_blocks_show_texel_by_texel_in_all_turns(tmp_path: Path) -> None:
    scene = turned_world(tmp_path / "pack.zip")
    build(scene)
    white_light()
    glow()
    check_texels(scene, tmp_path)


def check_texels(scene: BlockScene, folder: Path) -> None:
    """Holds what Blender renders from each camera to our own pictures: the same texel in every place."""
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    for view in scene.views:
        (seen,) = rasterize(scene.grid.exposed_faces, [view.camera], "cpu")
        ours = draw(seen, view.camera, colors)[..., :3].astype(int)
        bpy.context.scene.camera = bpy.data.objects[view.camera.name]
        theirs = render(folder / f"{view.camera.name}.png")
        shown = seen.face >= 0
        assert shown.sum() == 64 * len(scene.grid)
        assert np.abs(ours - theirs)[shown].max() <= 2, view.camera.name


def white_light() -> None:
    """Lights everything alike, so that pictures show surface colours."""
    world = bpy.data.worlds.new("White")
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    bpy.context.scene.world = world
    bpy.data.objects.remove(bpy.data.objects["Sun"])


def glow() -> None:
    """Has tiles shine by themselves, so that no block shades another."""
    bpy.context.scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
    for material in bpy.data.materials:
        shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        for link in shader.inputs["Base Color"].links:
            material.node_tree.links.new(link.from_socket, shader.inputs["Emission Color"])
            shader.inputs["Emission Strength"].default_value = 1.0
            material.node_tree.links.remove(link)
        shader.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
        shader.inputs["Specular IOR Level"].default_value = 0.0


def render(path: Path) -> np.ndarray:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 4, False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width, scene.cycles.max_bounces = "GAUSSIAN", 0.01, 0
    scene.render.filepath, scene.render.dither_intensity = str(path), 0.0
    bpy.ops.render.render(write_still=True)
    return read_picture(path)[..., :3].astype(int)
