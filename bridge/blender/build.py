# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender scene made from a BlockScene: its blocks as one object, its cameras with their targets, its light.

blockcore lights display values and knows no shadows; Blender lights scene-linear ones. The sun and the background added
here come as near to blockcore's pictures as one sun and one gradient can, seen through the Standard view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix, Vector

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.display import srgb_to_linear
from blockcore.model.grid import FACE_NORMALS
from blockcore.model.lighting import Lighting
from blockcore.model.scene import BlockScene, View
from bridge.blender import marks
from bridge.blender.extract import BLOCKS_NAME
from bridge.blender.targets import set_background_image
from bridge.blender.world import add_world
from bridge.convert import TO_BLENDER, Frame, Lens, camera_pose, lens_of

CAMERAS_NAME = "Cameras"


def build(scene: BlockScene, name: str = BLOCKS_NAME) -> Any:
    """Adds a scene's blocks, cameras and light to the open Blender scene, and sets its picture size and view.

    Args:
        scene: what to build.
        name: of the object that shows the blocks, and of its collection.

    Returns:
        The object that shows the blocks.

    Raises:
        BlockcoreError: the light was measured on faces, which no lamp gives back; the cameras have several picture
            sizes, or one is none that Blender can have.
    """
    light = scene.lighting
    if isinstance(light, BakedLight):
        raise SceneError(
            "scene: its light was measured on its faces, and no lamp gives it back; "
            "apply the materials in the Blender file that it was taken from"
        )
    to_blender = TO_BLENDER if scene.source is None else scene.source.grid_to_source
    posed = [_pose(view, to_blender) for view in scene.views]
    for one in [one for one in posed if one.frame != posed[0].frame]:
        if one.view.target is None or one.frame.pixel_stretch != posed[0].frame.pixel_stretch:
            raise SceneError(
                f"cameras {posed[0].view.camera.name!r} and {one.view.camera.name!r} have pictures of different size; "
                f"a Blender scene has one where there is no target: build two scenes"
            )
    world = add_world(scene, name, _collection(name))
    collection = _collection(CAMERAS_NAME) if posed else None
    cameras = [_add_camera(one, collection) for one in posed]
    for camera, one in zip(cameras, posed, strict=True):
        if one.frame != posed[0].frame:
            marks.keep_frame(camera)
    if cameras:
        _set_frame(posed[0].frame)
        bpy.context.scene.camera = cameras[0]
    _set_standard_view()
    _add_light(light, to_blender)
    bpy.context.view_layer.update()
    return world


@dataclass(frozen=True)
class _Posed:
    view: View
    lens: Lens
    frame: Frame
    matrix_world: npt.NDArray[np.float64]


def _pose(view: View, to_blender: npt.NDArray[np.float64]) -> _Posed:
    lens, frame, back = lens_of(view.camera)
    return _Posed(view, lens, frame, camera_pose(view.camera, to_blender, back))


def _collection(name: str) -> Any:
    """Returns the scene's own collection of that name, made if need be."""
    children = bpy.context.scene.collection.children
    if name not in children:
        children.link(bpy.data.collections.new(name))
    return next(child for child in reversed(children[:]) if child.name == name or child.name.startswith(f"{name}."))


def add_camera(view: View, to_blender: npt.NDArray[np.float64], collection: Any) -> Any:
    """Adds a view's camera, with its target, and returns the object.

    Args:
        view: the view.
        to_blender: (4, 4), blockcore's world to Blender's.
        collection: where it is linked.

    Raises:
        CameraError: it is none that Blender can have.
    """
    return _add_camera(_pose(view, to_blender), collection)


def _add_camera(posed: _Posed, collection: Any) -> Any:
    name, lens = posed.view.camera.name, posed.lens
    data = bpy.data.cameras.new(name)
    data.type = lens.type
    data.sensor_width, data.sensor_height, data.sensor_fit = lens.sensor_width, lens.sensor_height, lens.sensor_fit
    data.lens, data.ortho_scale = lens.lens, lens.ortho_scale
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    data.clip_start, data.clip_end = lens.clip_start, lens.clip_end
    camera = bpy.data.objects.new(name, data)
    camera.rotation_mode = "QUATERNION"  # exact in every direction, unlike Euler angles
    camera.matrix_world = Matrix(posed.matrix_world)
    collection.objects.link(camera)
    marks.write_weight(camera, posed.view.weight)
    if posed.view.target is not None:
        set_background_image(camera, f"{name} target", posed.view.target)
    return camera


def _set_frame(frame: Frame) -> None:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = frame.width, frame.height, 100
    render.pixel_aspect_x, render.pixel_aspect_y = frame.pixel_aspect_x, frame.pixel_aspect_y


def _set_standard_view() -> None:
    settings = bpy.context.scene.view_settings
    settings.view_transform = "Standard"
    settings.look = "None"
    settings.exposure, settings.gamma = 0.0, 1.0


def _add_light(lighting: Lighting, to_blender: npt.NDArray[np.float64]) -> None:
    turn = to_blender[:3, :3]
    direction = turn @ lighting.sun_direction / np.linalg.norm(lighting.sun_direction)
    data = bpy.data.lights.new("Sun", "SUN")
    strength = _linear_sun(lighting)
    data.energy = math.pi * strength.max()
    data.color = (strength / strength.max()).tolist() if strength.max() else (1.0, 1.0, 1.0)
    data.angle = 0.0
    data.use_shadow = False
    sun = bpy.data.objects.new("Sun", data)
    sun.rotation_mode = "QUATERNION"
    sun.rotation_quaternion = Vector(direction).to_track_quat("Z", "Y")
    sun.location = (turn @ (0.0, 50.0, 0.0)).tolist()
    bpy.context.scene.collection.objects.link(sun)
    bpy.context.scene.world = _background(lighting)


def _linear_sun(lighting: Lighting) -> npt.NDArray[np.float64]:
    """Returns the linear RGB of a sun that, with the ambient light, lights the block faces as ``lighting`` does.

    The least squares fit over the faces that the sun reaches, since display values do not add up linearly.
    """
    sun = np.asarray(lighting.sun_direction) / np.linalg.norm(lighting.sun_direction)
    cosine = np.maximum(FACE_NORMALS @ sun, 0.0)
    ambient = replace(lighting, sun_color=(0.0, 0.0, 0.0))
    wanted = srgb_to_linear(lighting.face_light()) - srgb_to_linear(ambient.face_light())
    return np.asarray(np.maximum(cosine @ wanted / (cosine @ cosine), 0.0))


def _background(lighting: Lighting) -> Any:
    """Makes a world that lights like the hemisphere, and shows cameras the plain background colour.

    A surface gathers light from half of the directions, which flattens a gradient to two thirds: it is made steeper.
    """
    below, above = (
        srgb_to_linear(lighting.ambient_strength * np.asarray(color))
        for color in (lighting.ground_color, lighting.sky_color)
    )
    middle, half = (above + below) / 2, 1.5 * (above - below) / 2
    world = bpy.data.worlds.new("Sky")
    if world.node_tree is None:  # Blender 5 makes it by itself
        world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    seen, lit, mix, output, rays, place, split, remap, ramp = (
        nodes.new(f"ShaderNode{kind}")
        for kind in (
            "Background", "Background", "MixShader", "OutputWorld", "LightPath", "TexCoord", "SeparateXYZ", "MapRange",
            "ValToRGB",
        )
    )  # fmt: skip
    for column, node in enumerate((place, split, remap, ramp, lit, seen, rays, mix, output)):
        node.location = (column * 200.0, 0.0)
    seen.inputs["Color"].default_value = (*srgb_to_linear(lighting.background).tolist(), 1.0)
    remap.inputs["From Min"].default_value = -1.0
    for element, color in zip(ramp.color_ramp.elements, (middle - half, middle + half), strict=True):
        element.color = (*np.maximum(color, 0.0).tolist(), 1.0)
    links.new(place.outputs["Generated"], split.inputs["Vector"])
    links.new(split.outputs["Z"], remap.inputs["Value"])
    links.new(remap.outputs["Result"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], lit.inputs["Color"])
    links.new(rays.outputs["Is Camera Ray"], mix.inputs["Fac"])
    links.new(lit.outputs["Background"], mix.inputs[1])
    links.new(seen.outputs["Background"], mix.inputs[2])
    links.new(mix.outputs["Shader"], output.inputs["Surface"])
    return world
