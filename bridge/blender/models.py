# SPDX-License-Identifier: GPL-3.0-or-later
"""Models made by script, to see how well blocks can look like something that is not made of blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

Rgb = tuple[float, float, float]


def cottage() -> Any:
    """A house with a gable roof, chimney, door and windows on a lawn with a path; returns its collection."""
    model = _collection("Cottage")
    _disk(model, "lawn", 5.0, 0.25, (0.13, 0.33, 0.06))
    _box(model, "path", (0.0, -3.4, 0.27), (0.9, 3.0, 0.1), (0.42, 0.33, 0.2))
    _box(model, "walls", (0.0, 0.0, 1.5), (4.4, 3.4, 2.6), (0.75, 0.66, 0.48))
    _prism(model, "roof", (0.0, 0.0, 2.8), (5.2, 4.2, 2.0), (0.5, 0.08, 0.04))
    _box(model, "chimney", (1.3, 0.8, 4.2), (0.7, 0.7, 1.9), (0.18, 0.1, 0.08))
    _box(model, "door", (0.0, -1.75, 1.05), (0.95, 0.4, 1.8), (0.09, 0.16, 0.35))
    for x in (-1.45, 1.45):
        _box(model, "window", (x, -1.75, 1.75), (0.85, 0.4, 0.8), (0.35, 0.62, 0.75))
        _box(model, "window", (x, 1.75, 1.75), (0.85, 0.4, 0.8), (0.35, 0.62, 0.75))
    _ball(model, "bush", (-3.3, -1.9, 0.6), (0.9, 0.9, 0.75), (0.05, 0.17, 0.04))
    _ball(model, "bush", (3.4, 1.2, 0.6), (0.9, 1.2, 0.75), (0.32, 0.1, 0.25))
    return model


def island() -> Any:
    """A hill in water with sand, meadow, rock and trees; returns its collection."""
    model = _collection("Island")
    _disk(model, "sea", 5.2, 0.5, (0.03, 0.16, 0.33))
    _ball(model, "beach", (0.0, 0.0, 0.3), (4.1, 3.6, 0.9), (0.72, 0.55, 0.28))
    _ball(model, "meadow", (0.2, 0.1, 0.6), (3.1, 2.7, 1.2), (0.16, 0.38, 0.05))
    _ball(model, "rock", (1.1, 0.9, 1.3), (1.4, 1.1, 1.9), (0.24, 0.23, 0.25))
    _ball(model, "snow", (1.1, 0.9, 2.75), (0.85, 0.7, 0.75), (0.86, 0.88, 0.92))
    for x, y, height, leaves in ((-1.5, -0.4, 1.9, (0.06, 0.24, 0.04)), (-0.4, -1.5, 1.6, (0.6, 0.24, 0.03))):
        _box(model, "trunk", (x, y, 1.2 + height / 2), (0.45, 0.45, height), (0.16, 0.08, 0.03))
        _ball(model, "leaves", (x, y, 1.5 + height), (1.0, 1.0, 0.9), leaves)
    return model


def bust() -> Any:
    """A monkey's head, painted smoothly from cold to warm, on a plinth; returns its collection."""
    model = _collection("Bust")
    _box(model, "plinth", (0.0, 0.0, 0.5), (3.2, 3.2, 1.0), (0.3, 0.3, 0.32))
    _box(model, "plinth", (0.0, 0.0, 1.2), (2.4, 2.4, 0.5), (0.5, 0.46, 0.4))
    bpy.ops.mesh.primitive_monkey_add(size=4.6, location=(0.0, -0.1, 3.4))
    head = _adopt(model, "head", None)
    points = np.array([vertex.co for vertex in head.data.vertices])
    height = (points[:, 2] - points[:, 2].min()) / np.ptp(points[:, 2])
    side = (points[:, 0] - points[:, 0].min()) / np.ptp(points[:, 0])
    paint = np.stack([0.1 + 0.75 * side, 0.15 + 0.35 * height, 0.75 - 0.6 * side, np.ones(len(points))], axis=1)
    head.data.color_attributes.new("paint", "FLOAT_COLOR", "POINT").data.foreach_set("color", paint.ravel())
    head.data.materials.append(_matt("paint", None))
    return model


def lighthouse() -> Any:
    """A banded tower with gallery and lantern on a rock, and a hut beside it; returns its collection."""
    model = _collection("Lighthouse")
    _ball(model, "rock", (0.0, 0.0, 0.2), (3.7, 3.2, 1.5), (0.27, 0.2, 0.15))
    _ball(model, "boulder", (-2.7, -1.6, 0.3), (1.2, 1.0, 0.9), (0.19, 0.15, 0.13))
    _ball(model, "heather", (1.5, -1.5, 0.9), (1.5, 1.2, 0.7), (0.3, 0.17, 0.22))
    bands = ((0.78, 0.75, 0.68), (0.55, 0.05, 0.05), (0.78, 0.75, 0.68), (0.55, 0.05, 0.05), (0.78, 0.75, 0.68))
    for step, paint in enumerate(bands):
        lower, upper = 1.35 - 0.1 * step, 1.25 - 0.1 * step
        _cone(model, "tower", (-0.6, 0.4, 1.2 + 1.1 * step), (lower, upper, 1.1), paint)
    _cone(model, "gallery", (-0.6, 0.4, 6.7), (1.3, 1.3, 0.3), (0.08, 0.08, 0.09))
    _cone(model, "lantern", (-0.6, 0.4, 7.0), (0.75, 0.75, 0.9), (0.85, 0.62, 0.2))
    _cone(model, "cap", (-0.6, 0.4, 7.9), (1.0, 0.1, 0.9), (0.07, 0.22, 0.19))
    _box(model, "hut", (1.7, 0.7, 1.6), (1.7, 1.5, 1.5), (0.62, 0.58, 0.5))
    _prism(model, "hut roof", (1.7, 0.7, 2.35), (2.1, 1.9, 0.9), (0.14, 0.16, 0.2))
    return model


def boat() -> Any:
    """A small boat with deck, cabin, mast and two sails on a round of green water; returns its collection."""
    model = _collection("Boat")
    _disk(model, "water", 5.0, 0.5, (0.05, 0.21, 0.19))
    _cone(model, "hull", (0.0, 0.0, 0.4), (0.7, 1.0, 1.2), (0.05, 0.11, 0.2), (3.4, 1.35))
    _cone(model, "rail", (0.0, 0.0, 1.6), (1.0, 1.02, 0.2), (0.74, 0.7, 0.6), (3.4, 1.35))
    _cone(model, "deck", (0.0, 0.0, 1.8), (0.9, 0.9, 0.05), (0.47, 0.27, 0.12), (3.4, 1.35))
    _box(model, "cabin", (-0.9, 0.0, 2.05), (1.7, 1.3, 0.8), (0.8, 0.77, 0.7))
    _box(model, "hatch", (-0.9, 0.0, 2.5), (1.3, 0.9, 0.2), (0.33, 0.15, 0.06))
    _box(model, "mast", (0.5, 0.0, 4.2), (0.3, 0.3, 5.0), (0.36, 0.22, 0.11))
    _sheet(model, "mainsail", ((0.3, 0.0, 6.4), (0.3, 0.0, 2.8), (-2.9, -0.9, 3.0)), (0.52, 0.18, 0.09))
    _sheet(model, "jib", ((0.7, 0.0, 6.0), (0.8, -0.5, 2.4), (3.2, 0.0, 1.9)), (0.8, 0.71, 0.52))
    _ball(model, "buoy", (1.6, -2.9, 0.7), (0.55, 0.55, 0.6), (0.83, 0.3, 0.03))
    return model


def stall() -> Any:
    """A market stall: heaps of fruit on a counter, barrel, sack and pumpkin under an awning; returns its collection."""
    model = _collection("Stall")
    _disk(model, "paving", 4.4, 0.3, (0.34, 0.29, 0.25))
    _box(model, "counter", (0.0, -0.9, 1.0), (5.8, 2.2, 1.4), (0.31, 0.17, 0.08))
    _box(model, "cloth", (0.0, -0.9, 1.8), (6.0, 2.4, 0.2), (0.7, 0.64, 0.52))
    fruits = ((0.8, 0.29, 0.03), (0.5, 0.03, 0.03), (0.36, 0.46, 0.07), (0.85, 0.65, 0.08), (0.14, 0.04, 0.13))
    for place, fruit in enumerate(fruits):
        _ball(model, "fruit", (-2.3 + 1.15 * place, -0.9, 1.95), (0.56, 1.0, 0.65), fruit)
    for x, y in ((-2.8, -2.0), (2.8, -2.0), (-2.8, 1.8), (2.8, 1.8)):
        _box(model, "post", (x, y, 2.1), (0.3, 0.3, 3.7), (0.42, 0.31, 0.2))
    for stripe in range(7):
        paint = (0.06, 0.28, 0.24) if stripe % 2 == 0 else (0.81, 0.76, 0.66)
        _prism(model, "awning", (-3.0 + stripe, -0.1, 3.9), (1.0, 5.0, 1.2), paint)
    _cone(model, "barrel", (-2.0, 1.5, 0.3), (0.7, 0.7, 1.5), (0.25, 0.13, 0.06))
    _ball(model, "sack", (1.4, 1.6, 0.9), (0.8, 0.7, 0.9), (0.5, 0.4, 0.25))
    _ball(model, "pumpkin", (2.9, -2.3, 0.75), (0.6, 0.55, 0.5), (0.68, 0.22, 0.02))
    return model


def castle() -> Any:
    """A castle with a keep, four towers, battlements and a gate on a green rise; returns its collection."""
    model = _collection("Castle")
    _ball(model, "rise", (0.0, 0.0, 0.0), (5.2, 5.2, 1.2), (0.17, 0.3, 0.07))
    for x, y, w, d in ((0.0, -3.0, 6.0, 0.6), (0.0, 3.0, 6.0, 0.6), (-3.0, 0.0, 0.6, 6.0), (3.0, 0.0, 0.6, 6.0)):
        _box(model, "wall", (x, y, 1.9), (w, d, 2.0), (0.42, 0.36, 0.29))
    for x in (-3.0, 3.0):
        for y in (-3.0, 3.0):
            _cone(model, "tower", (x, y, 0.8), (0.9, 0.85, 3.4), (0.5, 0.44, 0.36))
            _cone(model, "tower roof", (x, y, 4.2), (1.1, 0.05, 1.7), (0.32, 0.07, 0.05))
    _box(model, "keep", (0.4, 0.6, 2.6), (2.4, 2.4, 4.0), (0.6, 0.55, 0.47))
    _prism(model, "keep roof", (0.4, 0.6, 4.6), (2.8, 2.8, 1.4), (0.1, 0.13, 0.2))
    for step in range(7):
        _box(model, "merlon", (-2.4 + 0.8 * step, -3.0, 3.1), (0.4, 0.6, 0.4), (0.42, 0.36, 0.29))
    _box(model, "gate", (0.0, -3.15, 1.6), (1.2, 0.6, 1.4), (0.12, 0.06, 0.03))
    _box(model, "banner", (0.4, -0.7, 3.4), (0.8, 0.25, 1.4), (0.55, 0.42, 0.05))
    return model


def still_life() -> Any:
    """A jug, a bowl of fruit, a bottle and a loaf on a table with a cloth; returns its collection."""
    model = _collection("Still Life")
    _cone(model, "table", (0.0, 0.0, 0.0), (4.6, 4.6, 0.5), (0.26, 0.13, 0.06))
    _cone(model, "cloth", (-0.4, 0.0, 0.5), (3.4, 3.4, 0.2), (0.74, 0.72, 0.66))
    _cone(model, "jug", (-1.8, 0.9, 0.6), (0.8, 1.2, 1.3), (0.1, 0.2, 0.42))
    _cone(model, "jug", (-1.8, 0.9, 1.9), (1.2, 0.55, 1.2), (0.1, 0.2, 0.42))
    _cone(model, "bowl", (0.9, -0.8, 0.6), (0.8, 1.7, 0.9), (0.6, 0.5, 0.38))
    for x, y, z, fruit in (
        (0.4, -0.9, 1.8, (0.6, 0.05, 0.03)),
        (1.5, -0.6, 1.8, (0.85, 0.4, 0.03)),
        (0.9, -1.4, 1.85, (0.75, 0.65, 0.06)),
        (1.0, -0.5, 2.4, (0.3, 0.45, 0.05)),
    ):
        _ball(model, "fruit", (x, y, z), (0.62, 0.62, 0.58), fruit)
    _cone(model, "bottle", (1.9, 1.5, 0.6), (0.6, 0.6, 2.2), (0.03, 0.12, 0.05))
    _cone(model, "neck", (1.9, 1.5, 2.8), (0.6, 0.22, 1.3), (0.03, 0.12, 0.05))
    _ball(model, "loaf", (-1.5, -1.9, 0.9), (1.3, 0.7, 0.6), (0.5, 0.26, 0.08))
    return model


def globe() -> Any:
    """A globe with a painted map on a wooden stand; returns its collection."""
    model = _collection("Globe")
    _cone(model, "foot", (0.0, 0.0, 0.0), (2.4, 1.6, 0.6), (0.25, 0.12, 0.05))
    _cone(model, "stem", (0.0, 0.0, 0.6), (0.45, 0.45, 1.2), (0.25, 0.12, 0.05))
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, radius=3.0, location=(0.0, 0.0, 4.4))
    ball = _adopt(model, "globe", None)
    turn, lift = np.meshgrid(np.linspace(-np.pi, np.pi, 256), np.linspace(-np.pi / 2, np.pi / 2, 128))
    height = np.sin(2.1 * turn + 1.3 * np.sin(2 * lift)) * np.cos(2.7 * lift) + 0.6 * np.sin(5 * turn) * np.sin(
        3 * lift
    )
    land = np.array([(0.05, 0.16, 0.42), (0.68, 0.58, 0.35), (0.14, 0.36, 0.1), (0.42, 0.3, 0.18), (0.85, 0.87, 0.9)])
    kind = np.select([np.abs(lift) > 1.25, height < 0.1, height < 0.25, height < 0.8], [4, 0, 1, 2], 3)
    ball.data.materials.append(_matt("map", None, land[kind]))
    return model


def crates() -> Any:
    """A heap of crates and a barrel, all with wood or labels painted on; returns its collection."""
    model = _collection("Crates")
    _disk(model, "quay", 4.8, 0.4, (0.3, 0.3, 0.31))
    across, down = np.meshgrid(np.linspace(0.0, 1.0, 128), np.linspace(0.0, 1.0, 128))
    plank = 0.75 + 0.25 * np.sign(np.sin(8 * np.pi * down)) * 0.5 + 0.1 * np.sin(40 * across + 9 * np.sin(6 * down))
    edge = (np.minimum(across, 1 - across) < 0.12) | (np.minimum(down, 1 - down) < 0.12)
    disc = (across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.06
    for place, (wood, rim, label) in {
        (-1.7, -0.8, 1.5, 2.2): ((0.55, 0.33, 0.14), (0.25, 0.13, 0.05), (0.6, 0.06, 0.05)),
        (1.2, -1.2, 1.3, 1.8): ((0.62, 0.48, 0.28), (0.3, 0.2, 0.1), (0.06, 0.17, 0.45)),
        (0.9, 1.5, 1.7, 2.6): ((0.45, 0.4, 0.34), (0.1, 0.1, 0.11), (0.75, 0.6, 0.08)),
        (-1.6, -0.7, 3.4, 1.6): ((0.3, 0.45, 0.3), (0.08, 0.2, 0.1), (0.8, 0.78, 0.7)),
    }.items():
        paint = np.where(edge[..., None], rim, np.asarray(wood) * plank[..., None])
        paint = np.where(disc[..., None], label, paint)
        bpy.ops.mesh.primitive_cube_add(size=place[3], location=place[:3])
        _adopt(model, "crate", None).data.materials.append(_matt("crate", None, paint))
    _cone(model, "barrel", (-2.2, 2.2, 0.4), (0.8, 0.8, 2.0), (0.4, 0.16, 0.06))
    return model


MODELS: Mapping[str, Callable[[], Any]] = {
    build.__name__.replace("_", " "): build
    for build in (cottage, island, bust, lighthouse, boat, stall, castle, still_life, globe, crates)
}


def _collection(name: str) -> Any:
    made = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(made)
    return made


def _box(model: Any, name: str, center: Rgb, size: Rgb, color: Rgb) -> None:
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=center, scale=size)
    _adopt(model, name, color)


def _ball(model: Any, name: str, center: Rgb, radii: Rgb, color: Rgb) -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=16, radius=1.0, location=center, scale=radii)
    _adopt(model, name, color)


def _disk(model: Any, name: str, radius: float, height: float, color: Rgb) -> None:
    bpy.ops.mesh.primitive_cylinder_add(vertices=48, radius=radius, depth=height, location=(0.0, 0.0, height / 2))
    _adopt(model, name, color)


def _cone(model: Any, name: str, base: Rgb, form: Rgb, color: Rgb, stretch: tuple[float, float] = (1.0, 1.0)) -> None:
    """Adds an upright cone with its tip cut off; ``form`` is the lower radius, the upper one and the height."""
    (x, y, z), (lower, upper, height) = base, form
    middle, scale = (x, y, z + height / 2), (*stretch, 1.0)
    bpy.ops.mesh.primitive_cone_add(
        vertices=48, radius1=lower, radius2=upper, depth=height, location=middle, scale=scale
    )
    _adopt(model, name, color)


def _sheet(model: Any, name: str, corners: Sequence[Rgb], color: Rgb) -> None:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], [range(len(corners))])
    mesh.materials.append(_matt(name, color))
    model.objects.link(bpy.data.objects.new(name, mesh))


def _prism(model: Any, name: str, base: Rgb, size: Rgb, color: Rgb) -> None:
    (x, y, z), (w, d, h) = base, size
    ends = [(x + s * w / 2, y + t * d / 2, z) for s in (-1, 1) for t in (-1, 1)]
    ridge = [(x - w / 2, y, z + h), (x + w / 2, y, z + h)]
    faces = [(0, 1, 3, 2), (0, 2, 5, 4), (3, 1, 4, 5), (1, 0, 4), (2, 3, 5)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([*ends, *ridge], [], faces)
    mesh.materials.append(_matt(name, color))
    model.objects.link(bpy.data.objects.new(name, mesh))


def _adopt(model: Any, name: str, color: Rgb | None) -> Any:
    """Moves the object just added to the model."""
    made = bpy.context.object
    made.name = name
    for collection in made.users_collection:
        collection.objects.unlink(made)
    model.objects.link(made)
    if color is not None:
        made.data.materials.append(_matt(name, color))
    return made


def _matt(name: str, color: Rgb | None, picture: npt.NDArray[np.float64] | None = None) -> Any:
    """A matt material of a linear colour, of a linear picture (H, W, 3) by UV, or of the colour attribute "paint"."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    surface, out = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeOutputMaterial")
    links.new(surface.outputs["BSDF"], out.inputs["Surface"])
    if picture is not None:
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = bpy.data.images.new(name, picture.shape[1], picture.shape[0], alpha=False, float_buffer=True)
        opaque = np.dstack([np.clip(picture, 0.0, 1.0), np.ones(picture.shape[:2])])[::-1]
        texture.image.pixels.foreach_set(opaque.astype(np.float32).ravel())
        texture.image.pack()
        links.new(texture.outputs["Color"], surface.inputs["Color"])
    elif color is not None:
        surface.inputs["Color"].default_value = (*color, 1.0)
    else:
        paint = nodes.new("ShaderNodeVertexColor")
        paint.layer_name = "paint"
        links.new(paint.outputs["Color"], surface.inputs["Color"])
    return material


def look_from(name: str, azimuth: float, elevation: float, distance: float, center: Rgb) -> Any:
    """Adds a camera that looks at ``center``; angles in degrees."""
    data = bpy.data.cameras.new(name)
    data.lens, data.clip_start, data.clip_end = 42.0, 0.1, 100.0
    camera = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(camera)
    turn, lift = math.radians(azimuth), math.radians(elevation)
    offset = (math.sin(turn) * math.cos(lift), -math.cos(turn) * math.cos(lift), math.sin(lift))
    camera.location = [c + distance * o for c, o in zip(center, offset, strict=True)]
    camera.rotation_euler = (math.pi / 2 - lift, 0.0, turn)
    return camera
