# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting targets for cameras: rendered of a model, from a folder of pictures, or one by hand."""

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy.types import Operator
from bpy_extras.io_utils import ImportHelper

from blockcore.errors import SceneError
from bridge.blender import marks
from bridge.blender.load_targets import load_target, load_targets
from bridge.blender.render_targets import framing, take_picture
from bridge.blender.targets import background_image

from . import properties, status
from .reporting import Conditional, reporting
from .running import RunsBeside
from .targets_run import TargetsRun


class BLOCKS_OT_render_targets(RunsBeside, Operator):
    """Renders a model from each ticked camera."""

    bl_idname = "blocks.render_targets"
    bl_label = "Render Targets"
    bl_description = "Render the model from each ticked camera, beside your work, and make the pictures the targets"
    doing = "Rendering targets"
    keeps_outcome = True

    @classmethod
    def obstacle(cls, context):
        """Why there is no model, or not now."""
        chosen = context.scene.optimize_materials.target_model
        return super().obstacle(context) or ("" if chosen else "Choose the model to render first")

    def begin(self, context, is_shown):
        """Starts rendering as the panel says."""
        group = context.scene.optimize_materials
        cameras = properties.cameras_of(context.scene)
        if not group.replace_targets:
            cameras = [camera for camera in cameras if background_image(camera) is None]
        if not cameras:
            raise SceneError("every ticked camera has a target; tick Replace Targets to render them anew")
        moved = framing(group.target_model, cameras) if group.frame_model else {}
        return TargetsRun(group.target_model, cameras, moved)

    def put(self, context, outcome):
        """Makes the pictures the targets."""
        model, cameras, moved = self._run.found()
        for camera, place in moved.items():
            camera.location = place
        clear = []
        for camera, pixels in zip(cameras, outcome, strict=True):
            take_picture(camera, pixels, model)
            if pixels.shape[2] == 4 and not np.any(pixels[..., 3]):
                clear.append(camera.name)
        said = f"Rendered {len(cameras)} targets"
        if moved:
            said += f"; moved to see the model: {', '.join(camera.name for camera in moved)}"
        return f"{said}; nothing of the model is in {', '.join(clear)}" if clear else said


class BLOCKS_OT_load_targets(Operator):
    """Loads targets."""

    bl_idname = "blocks.load_targets"
    bl_label = "Load Folder…"
    bl_description = "Load targets from a folder: a dataset, or pictures that are called like the cameras"
    bl_options = {"UNDO"}

    directory: StringProperty(name="Folder", description="The folder with the pictures", subtype="DIR_PATH")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    by: EnumProperty(
        name="Match",
        description="Which picture is whose",
        items=[
            ("NAME", "By Name", "Pictures are called like the cameras"),
            ("ORDER", "By Order", "The first picture is the first ticked camera's, and so on"),
        ],
    )
    replace: BoolProperty(
        name="Replace Targets", description="Also load pictures for cameras that have one already", default=False
    )

    def invoke(self, context, event):
        """Asks for the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    @reporting
    def execute(self, context):
        """Loads the targets."""
        views = [view for view in context.scene.optimize_materials.views if view.camera]
        ticked = [view.camera for view in views if view.use]
        cameras = ticked if self.by == "ORDER" and ticked else [view.camera for view in views]
        names = load_targets(bpy.path.abspath(self.directory), cameras, self.by == "ORDER", self.replace)
        for view in views:
            view.use = view.use or view.camera.name in names
        status.refresh(context.scene)
        self.report({"INFO"}, f"Loaded {len(names)} of {len(cameras)} targets")
        return {"FINISHED"}


class _OnActiveView(Conditional):
    """Mix-in of operators on the camera that is chosen in the list."""

    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        """That none is chosen."""
        return "" if _active_view(context.scene) else "Choose a camera in the list first"


class BLOCKS_OT_load_target(_OnActiveView, Operator, ImportHelper):
    """Loads one target."""

    bl_idname = "blocks.load_target"
    bl_label = "Load Picture…"
    bl_description = "Load the picture that the camera chosen in the list should show"

    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    filter_glob: StringProperty(options={"HIDDEN"})

    @reporting
    def execute(self, context):
        """Loads it."""
        view = _active_view(context.scene)
        load_target(self.filepath, view.camera)
        view.use = True
        status.refresh(context.scene)
        return {"FINISHED"}


class BLOCKS_OT_frame_by_picture(_OnActiveView, Operator):
    """Takes a picture of another shape as a camera's frame."""

    bl_idname = "blocks.frame_by_picture"
    bl_label = "Frame by Picture"
    bl_description = "Let the camera chosen in the list have the shape of its picture, whatever the scene renders"

    def execute(self, context):
        """Notes it on the camera."""
        marks.keep_frame(_active_view(context.scene).camera)
        status.refresh(context.scene)
        return {"FINISHED"}


def _active_view(scene):
    """Returns the view that is chosen in the list, or None."""
    group = scene.optimize_materials
    view = group.views[group.active_view] if group.active_view < len(group.views) else None
    return view if view is not None and view.camera is not None else None


CLASSES = (
    BLOCKS_OT_render_targets,
    BLOCKS_OT_load_targets,
    BLOCKS_OT_load_target,
    BLOCKS_OT_frame_by_picture,
)
