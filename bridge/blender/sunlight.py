# SPDX-License-Identifier: GPL-3.0-or-later
"""A sun and a sky that was found with the materials, put into Blender, so that the scene shows what was matched."""

from __future__ import annotations

import itertools
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector

from blockcore.model.display import srgb_to_linear
from blockcore.model.grid import FACE_NORMALS
from blockcore.model.lighting import Lighting

NAME = "Fitted Light"
Colors = npt.NDArray[np.float64]


def add_light(lighting: Lighting, grid_to_source: Colors) -> Any:
    """Lights the open scene by a sun and a world; its own lights no longer render, and its world is kept beside.

    A white matt face shows in Blender's Standard view what it shows in ``lighting``, as nearly as a sun and a world of
    one colour above the horizon and one below can; palette colours follow, but for the bend of the sRGB curve.

    Args:
        lighting: the light, in the blocks' grid.
        grid_to_source: (4, 4), blockcore's world to Blender's.

    Returns:
        The sun object. An earlier one is replaced.
    """
    scene = bpy.context.scene
    sun, below, above = physical(lighting)
    for obj in [obj for obj in scene.objects if obj.type == "LIGHT"]:
        if obj.name.startswith(NAME):
            bpy.data.lights.remove(obj.data)
        else:
            obj.hide_render = obj.hide_viewport = True
    light = bpy.data.objects.new(NAME, bpy.data.lights.new(NAME, "SUN"))
    light.data.energy = strength = max(float(sun.max()), 1e-9)
    light.data.color, light.data.angle = (sun / strength).tolist(), 0.0
    towards = Vector(grid_to_source[:3, :3] @ np.asarray(lighting.sun_direction))
    light.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(light)
    earlier = scene.world
    if earlier is not None and not earlier.name.startswith(NAME):
        earlier.use_fake_user = True
    scene.world = _world(below, above)
    if earlier is not None and earlier.name.startswith(NAME):
        bpy.data.worlds.remove(earlier)
    return light


def physical(lighting: Lighting) -> tuple[Colors, Colors, Colors]:
    """Returns the sun's strength (W/m²) and the world's radiance below and above, linear RGB, that fit a light best.

    A world of one colour above the horizon, a, and one below, b, gives a face whose normal rises by n, as the
    hemisphere does, ``a (1/2 + n/2) + b (1/2 - n/2)``.
    """
    towards = np.asarray(lighting.sun_direction) / np.linalg.norm(lighting.sun_direction)
    rise, facing = FACE_NORMALS[:, 1] / 2.0, np.maximum(FACE_NORMALS @ towards, 0.0) / np.pi
    parts = np.stack([facing, 0.5 - rise, 0.5 + rise], axis=1)
    shown = np.maximum(lighting.face_light(), 1e-3)
    wanted = srgb_to_linear(shown)
    steep = shown / wanted  # how much more a screen shows of a difference in the dark
    found = [_least_squares(parts * steep[:, [c]], shown[:, c]) for c in range(3)]
    sun, below, above = np.stack(found, axis=1)
    return sun, below, above


def _least_squares(parts: Colors, wanted: Colors) -> Colors:
    """Returns the factors (n,) of parts (m, n), none below 0, whose sum comes nearest: of every choice the best."""
    tried = []
    for used in itertools.product((False, True), repeat=parts.shape[1]):
        factors = np.zeros(parts.shape[1])
        factors[list(used)] = np.linalg.lstsq(parts[:, used], wanted, rcond=None)[0]
        if (factors >= 0.0).all():
            tried.append((float(((parts @ factors - wanted) ** 2).sum()), factors))
    return min(tried, key=lambda one: one[0])[1]


def _world(below: Colors, above: Colors) -> Any:
    world = bpy.data.worlds.new(NAME)
    if world.node_tree is None:  # Blender 5 makes it by itself
        world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    place, parts, height, fade, background, out = (
        nodes.new(f"ShaderNode{kind}")
        for kind in ("TexCoord", "SeparateXYZ", "Math", "Mix", "Background", "OutputWorld")
    )
    height.operation, height.inputs[1].default_value = "GREATER_THAN", 0.0
    fade.data_type = "RGBA"
    for name, color in (("A", below), ("B", above)):
        socket = next(one for one in fade.inputs if one.name == name and one.type == "RGBA")
        socket.default_value = (*color.tolist(), 1.0)
    shade = next(one for one in fade.outputs if one.type == "RGBA")
    for one, other in (
        (place.outputs["Generated"], parts.inputs[0]),
        (parts.outputs["Z"], height.inputs[0]),
        (height.outputs[0], fade.inputs["Factor"]),
        (shade, background.inputs["Color"]),
        (background.outputs[0], out.inputs["Surface"]),
    ):
        links.new(one, other)
    return world
