# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes to measure quality with: models in lights of many kinds, turned into blocks, seen by Cycles as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector

from blockcore.io.folders import scratch_folder
from blockcore.io.pictures import read_picture
from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, Source, View
from blockcore.voxelize.outline import fit_blocks
from bridge.blender.display import read_display
from bridge.blender.extract import read_camera
from bridge.blender.fitting import fitting, surfaces
from bridge.blender.light import unmeasured
from bridge.blender.models import MODELS, look_from
from bridge.blender.triangles import read_model
from bridge.convert import TO_BLENDER

Rgb = tuple[float, float, float]
Colors = npt.NDArray[np.float64]

_ACROSS = 36  # blocks along the longest side of a model
_SIZE = (200, 150)
_SAMPLES = 64
_POINTS = 400_000  # on a model's surface, to average its texture over
_PLAIN = "1c1c20 3d3d44 66666c 8e8e92 b9b9bb ededf0 3a2a1e 7d5a3c c9a878 3c6a28 8db552 16305f 2a5fa3 9cc7e6 2f8f8c"
_PLAIN += " a8322a e8923a f0c84b 5a2f6e c77fa8"
_CAPPED = {  # top, bottom, side
    "Turf": "5c8f35 5b4230 7d5a3c",
    "Dark Turf": "24421f 3a2a1e 5b4230",
    "Snowy Earth": "ededf0 5b4230 8a7a6c",
    "Sandy Rock": "e5d3a3 66666c a09a8e",
    "Oak Log": "c9a878 c9a878 4a3424",
    "Birch Log": "d8bf8f d8bf8f e4e2da",
    "Roof Tile": "d9603f 6e1c1a a8322a",
    "Slate": "4f5660 3d3d44 2b3038",
    "Plaster": "c8bda6 b9ab90 e5d3a3",
    "Sea": "4f93cc 16305f 2f6aa8",
    "Leaves": "5c8f35 24421f 3c6a28",
    "Petals": "f0c6c4 5a2f6e 8f4f93",
}


def palette_of_32() -> Palette:
    """Returns 32 materials such as builders have: 20 plain ones, and 12 with another top and bottom than sides."""
    slots = [(code, code, code) for code in _PLAIN.split()] + [tuple(codes.split()) for codes in _CAPPED.values()]
    colors = [[[int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)] for code in codes] for codes in slots]
    names = ("Air", *(f"Plain {n:02d}" for n in range(1, len(_PLAIN.split()) + 1)), *_CAPPED)
    return Palette(names, np.concatenate([np.zeros((1, 3, 3)), colors]))


@dataclass(frozen=True)
class Setting:
    """What is looked at, and how it is lit and shown.

    Attributes:
        model: name of one of ``models.MODELS``.
        light: name of one of ``LIGHTS``.
        transform: Blender's name of the view transform.
    """

    model: str
    light: str
    transform: str


# Light, palette and settings may be chosen with the first half in view, never with the second.
SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    "tuning": (
        Setting("cottage", "evening sun", "Standard"),
        Setting("island", "noon", "AgX"),
        Setting("bust", "two lamps", "Standard"),
        Setting("stall", "sky", "Standard"),
        Setting("globe", "evening sun", "AgX"),
    ),
    "report": (
        Setting("castle", "evening sun", "Standard"),
        Setting("still life", "two lamps", "Standard"),
        Setting("bust", "noon", "AgX"),
        Setting("lighthouse", "evening sun", "Filmic"),
        Setting("boat", "sky", "AgX"),
        Setting("crates", "noon", "Standard"),
        Setting("globe", "two lamps", "Khronos PBR Neutral"),
    ),
}


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene made ready in the open file, whose model is hidden.

    Attributes:
        scene: blocks of the first material, and the views to choose materials by; its light is not measured yet.
        held: views kept back.
        cameras: the camera objects of those.
        points: (P, 3) on the model's surface, in the grid's world space.
        colors: (P, 3) display colour of its texture there, unlit.
    """

    scene: BlockScene
    held: tuple[View, ...]
    cameras: tuple[Any, ...]
    points: Colors
    colors: Colors


def set_stage(setting: Setting, samples: int = _SAMPLES) -> Stage:
    """Makes a model in an empty file, lights it, renders its views with Cycles, and turns it into blocks."""
    _set_up(setting, samples)
    model = MODELS[setting.model]()
    lowest, highest = _bounds(model)
    center = tuple(((lowest + highest) / 2).tolist())
    distance = 1.2 * float(np.linalg.norm(highest - lowest))
    # Every third view lies between the others and is held out.
    cameras = [look_from(f"view {k}", 30.0 * k, (22, 48, 33)[k % 3], distance, center) for k in range(12)]
    grid, to_source = _blocks(model, cameras)
    views = [_photographed(camera, to_source) for camera in cameras]
    points, colors = _texture(model)
    for obj in model.objects:
        obj.hide_render = obj.hide_viewport = True
    trees = surfaces(model)
    scene = BlockScene(
        grid,
        np.ones(len(grid), np.int32),
        palette_of_32(),
        tuple(fitting(view, grid, to_source, trees) for k, view in enumerate(views) if k % 3 != 2),
        unmeasured(grid, read_display()),
        Source("", ("",) * len(grid), to_source),
    )
    inside = (points - to_source[:3, 3]) @ to_source[:3, :3]
    return Stage(scene, tuple(views[2::3]), tuple(cameras[2::3]), inside, colors)


def _set_up(setting: Setting, samples: int) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", samples, 0
    scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling, scene.cycles.max_bounces = False, False, 4
    scene.render.resolution_x, scene.render.resolution_y = _SIZE
    scene.render.resolution_percentage = 100
    scene.render.film_transparent, scene.render.dither_intensity = True, 0.0
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.view_settings.view_transform = setting.transform
    LIGHTS[setting.light]()


def _evening_sun() -> None:
    _sun((0.8, -0.5, 0.28), 4.5, (1.0, 0.62, 0.35))
    _world((0.1, 0.14, 0.26))


def _noon() -> None:
    _sun((0.45, -0.55, 0.75), 3.2, (1.0, 1.0, 1.0))
    _world((0.32, 0.36, 0.42))


def _two_lamps() -> None:
    _lamp((5.0, -6.0, 7.0), 1100.0, (1.0, 0.75, 0.45))
    _lamp((-6.0, -2.0, 4.0), 600.0, (0.45, 0.6, 1.0))
    _world((0.03, 0.03, 0.04))


def _sky() -> None:
    """A world like a photographed one: bright towards one side, blue above, brown below."""
    tree = _world((1.0, 1.0, 1.0))
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    place, parts = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeSeparateXYZ")
    height, side, both = (tree.nodes.new(kind) for kind in ("ShaderNodeValToRGB",) * 2 + ("ShaderNodeMixRGB",))
    both.blend_type, both.inputs["Fac"].default_value = "ADD", 1.0
    for ramp, stops in (
        (height, ((0.0, (0.12, 0.08, 0.05)), (0.45, (0.5, 0.45, 0.4)), (1.0, (0.35, 0.55, 1.0)))),
        (side, ((0.7, (0.0, 0.0, 0.0)), (0.98, (3.0, 2.3, 1.5)))),
    ):
        while len(ramp.color_ramp.elements) < len(stops):
            ramp.color_ramp.elements.new(0.5)
        for element, (position, color) in zip(ramp.color_ramp.elements, stops, strict=True):
            element.position, element.color = position, (*color, 1.0)
    tree.links.new(place.outputs["Generated"], parts.inputs[0])
    for axis, ramp in (("Z", height), ("X", side)):
        scaled = tree.nodes.new("ShaderNodeMath")
        scaled.operation = "MULTIPLY_ADD"
        scaled.inputs[1].default_value = scaled.inputs[2].default_value = 0.5
        tree.links.new(parts.outputs[axis], scaled.inputs[0])
        tree.links.new(scaled.outputs[0], ramp.inputs[0])
    tree.links.new(height.outputs[0], both.inputs["Color1"])
    tree.links.new(side.outputs[0], both.inputs["Color2"])
    tree.links.new(both.outputs[0], background.inputs["Color"])


LIGHTS: Mapping[str, Callable[[], None]] = {
    "evening sun": _evening_sun,
    "noon": _noon,
    "two lamps": _two_lamps,
    "sky": _sky,
}


def _sun(towards: Rgb, strength: float, color: Rgb) -> None:
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle, sun.data.color = strength, math.radians(1.0), color
    sun.rotation_euler = Vector(towards).to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(sun)


def _lamp(place: Rgb, power: float, color: Rgb) -> None:
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "AREA"))
    lamp.data.energy, lamp.data.size, lamp.data.color, lamp.location = power, 3.0, color, place
    lamp.rotation_euler = (Vector((0.0, 0.0, 2.0)) - lamp.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(lamp)


def _world(color: Rgb) -> Any:
    world = bpy.data.worlds.new("World")
    if world.node_tree is None:  # Blender 5 makes it by itself
        world.use_nodes = True
    bpy.context.scene.world = world
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (*color, 1.0)
    return world.node_tree


def _photographed(camera: Any, to_source: Colors) -> View:
    """Renders a view; the mask of its target leaves out the pixels that the model covers only partly."""
    scene = bpy.context.scene
    with scratch_folder() as folder:
        scene.camera, scene.render.filepath = camera, str(folder / "view.png")
        bpy.ops.render.render(write_still=True)
        picture = read_picture(Path(scene.render.filepath))
    mask = np.where(picture[..., 3] == 255, 255, 0).astype(np.uint8)
    return View(read_camera(camera, to_source), np.dstack([picture[..., :3], mask]))


def _texture(model: Any) -> tuple[Colors, Colors]:
    """Returns points evenly spread over a model's surface, in Blender's world, and its unlit display colour there."""
    draws, points, colors = np.random.default_rng(0), [], []
    triangles = [_triangles(obj) for obj in model.objects]
    total = sum(float(area.sum()) for _, _, area in triangles)
    for obj, (corners, loops, area) in zip(model.objects, triangles, strict=True):
        count = max(200, round(_POINTS * float(area.sum()) / total))
        picked = draws.choice(len(area), count, p=area / area.sum())
        pair = draws.random((count, 2))
        pair = np.where(pair.sum(axis=1, keepdims=True) > 1.0, 1.0 - pair, pair)
        share = np.column_stack([1.0 - pair.sum(axis=1), pair])[..., None]
        points.append((corners[picked] * share).sum(axis=1))
        colors.append(_paint(obj.data, loops[picked], share))
    return np.concatenate(points), np.asarray(linear_to_srgb(np.concatenate(colors)))


def _triangles(obj: Any) -> tuple[Colors, npt.NDArray[np.int32], Colors]:
    """Returns the corners (T, 3, 3) of a mesh's triangles in Blender's world, their loops (T, 3), their areas (T,)."""
    mesh = obj.data
    mesh.calc_loop_triangles()
    loops, vertices = (np.empty(3 * len(mesh.loop_triangles), np.int32) for _ in range(2))
    mesh.loop_triangles.foreach_get("loops", loops)
    mesh.loop_triangles.foreach_get("vertices", vertices)
    place = np.array(obj.matrix_world)
    points = np.array([vertex.co for vertex in mesh.vertices]) @ place[:3, :3].T + place[:3, 3]
    corners = points[vertices.reshape(-1, 3)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners, loops.reshape(-1, 3), np.linalg.norm(normal, axis=1) / 2.0


def _paint(mesh: Any, loops: npt.NDArray[np.int32], share: Colors) -> Colors:
    """Returns the linear colour of a model's material at points within triangles, (P, 3)."""
    nodes = {node.type: node for node in mesh.materials[0].node_tree.nodes}
    if "TEX_IMAGE" in nodes:
        image = nodes["TEX_IMAGE"].image
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        width, height = image.size
        uv = np.empty(2 * len(mesh.loops), np.float32)
        mesh.uv_layers.active.data.foreach_get("uv", uv)
        at = (uv.reshape(-1, 2)[loops] * share).sum(axis=1) % 1.0
        column, row = np.minimum((at * (width, height)).astype(int), (width - 1, height - 1)).T
        return np.asarray(pixels.reshape(height, width, -1)[row, column, :3], dtype=np.float64)
    if "VERTEX_COLOR" in nodes:
        paint = np.empty(4 * len(mesh.vertices), np.float32)
        mesh.color_attributes["paint"].data.foreach_get("color", paint)
        vertex = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", vertex)
        return np.asarray((paint.reshape(-1, 4)[vertex[loops], :3] * share).sum(axis=1), dtype=np.float64)
    return np.tile(np.array(nodes["BSDF_DIFFUSE"].inputs["Color"].default_value[:3]), (len(loops), 1))


def _bounds(model: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    bpy.context.view_layer.update()
    corners = np.array([obj.matrix_world @ Vector(corner) for obj in model.objects for corner in obj.bound_box])
    return corners.min(axis=0), corners.max(axis=0)


def _blocks(model: Any, cameras: Sequence[Any] = ()) -> tuple[BlockGrid, npt.NDArray[np.float64]]:
    """Returns the blocks of a model where their outline fits best in the cameras, and the way to Blender's axes."""
    triangles = read_model(model.objects).triangles @ TO_BLENDER[:3, :3]
    voxels = fit_blocks(triangles, [read_camera(camera, TO_BLENDER) for camera in cameras], _ACROSS).voxels
    away = np.eye(4)
    away[:3, 3] = voxels.offset
    return voxels.grid, TO_BLENDER @ away
