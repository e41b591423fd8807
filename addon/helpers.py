# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user needs to get there: cameras around the blocks, and a scene to try it all with."""

import math

import bpy
import numpy as np
from bpy.props import FloatProperty, IntProperty
from bpy.types import Operator
from mathutils import Matrix

from bridge.blender.cubes import find_cubes
from bridge.blender.demo_scene import build_demo
from bridge.cameras import orbit

from . import properties, status
from .reporting import reporting


class BLOCKS_OT_demo_scene(Operator):
    """Adds the demo."""

    bl_idname = "blocks.demo_scene"
    bl_label = "Demo Scene"
    bl_description = "Add a scene to try it with: a village with scrambled materials, and eight cameras with pictures"
    bl_options = {"UNDO"}

    @reporting
    def execute(self, context):
        """Adds the scene and shows it."""
        scene = bpy.data.scenes.new("Block Demo")
        context.window.scene = scene
        world = build_demo()
        properties.choose_blocks(scene, world)
        scene.optimize_materials.settings.unseen = "fill"  # what no picture shows was scrambled, too
        _look_at(context, world)
        status.forget()
        return {"FINISHED"}


def _elevation(name: str, description: str, degrees: float):
    """An angle above the horizon, short of straight up and down, where cameras would have no upright."""
    return FloatProperty(
        name=name,
        description=description,
        subtype="ANGLE",
        default=math.radians(degrees),
        min=math.radians(-89),
        max=math.radians(89),
    )


class BLOCKS_OT_orbit_cameras(Operator):
    """Adds cameras."""

    bl_idname = "blocks.orbit_cameras"
    bl_label = "Add Orbit Cameras"
    bl_description = "Add cameras around the blocks, each of which sees all of them"
    bl_options = {"REGISTER", "UNDO"}

    count: IntProperty(name="Cameras", description="How many cameras to add", default=8, min=1, max=256, soft_max=32)
    rings: IntProperty(
        name="Rings", description="How many heights the cameras are spread over", default=2, min=1, max=8
    )
    lowest: _elevation("Lowest", "Angle of the lowest ring above the horizon", 20)
    highest: _elevation("Highest", "Angle of the highest ring above the horizon", 50)
    lens: FloatProperty(
        name="Focal Length",
        description="Of each camera, in millimeters",
        default=50.0,
        min=1.0,
        max=5000.0,
        soft_max=200.0,
    )

    def invoke(self, context, event):
        """Asks for the numbers."""
        return context.window_manager.invoke_props_dialog(self)

    @reporting
    def execute(self, context):
        """Adds the cameras."""
        scene = context.scene
        source = properties.source_of(scene)
        centers = find_cubes(source, as_boxes=scene.optimize_materials.as_boxes).matrices
        half = np.abs(centers[:, :3, :3]).sum(axis=2) / 2.0
        low = (centers[:, :3, 3] - half).min(axis=0)
        high = (centers[:, :3, 3] + half).max(axis=0)
        data = bpy.data.cameras.new("Orbit")
        data.lens = self.lens
        frame = [point / -point.z for point in data.view_frame(scene=scene)]
        fov_x, fov_y = (2.0 * math.atan(max(abs(point[axis]) for point in frame)) for axis in (0, 1))
        elevations = np.linspace(self.lowest, self.highest, self.rings).tolist()
        poses = orbit(low, high, self.count, elevations, fov_x, fov_y)
        away = float(np.linalg.norm(poses[:, :3, 3] - (low + high) / 2.0, axis=1).max())
        data.clip_end = max(data.clip_end, 2.0 * away)
        added = _orbit_collection(scene)
        fresh = set()
        for pose in poses:
            camera = bpy.data.objects.new("Orbit", data.copy())
            camera.matrix_world = Matrix(pose.tolist())
            added.objects.link(camera)
            fresh.add(camera)
        bpy.data.cameras.remove(data)
        status.refresh(scene)
        for view in scene.optimize_materials.views:
            view.use = view.use or view.camera in fresh  # they are there to be used
        return {"FINISHED"}


def _orbit_collection(scene):
    """Returns the scene's collection of orbit cameras, which can be hidden or removed as one."""
    name = "Orbit Cameras"
    found = next((one for one in scene.collection.children if one.name.split(".")[0] == name), None)
    if found is None:
        found = bpy.data.collections.new(name)
        scene.collection.children.link(found)
    return found


def _look_at(context, world):
    """Turns the 3D views to an object."""
    world.select_set(True)
    context.view_layer.objects.active = world
    for area in context.window.screen.areas:
        if area.type == "VIEW_3D":
            region = next(region for region in area.regions if region.type == "WINDOW")
            with context.temp_override(area=area, region=region):
                bpy.ops.view3d.view_selected()
    world.select_set(False)


CLASSES = (BLOCKS_OT_demo_scene, BLOCKS_OT_orbit_cameras)
