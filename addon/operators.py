# SPDX-License-Identifier: GPL-3.0-or-later
"""The big button and the small ones around it."""

from pathlib import Path

from bpy.props import StringProperty
from bpy.types import Operator
from bpy_extras.io_utils import ExportHelper, ImportHelper

from bridge.blender.targets import background_image
from bridge.job import Job

from . import engine, preferences, properties, status
from .outcome import put
from .reporting import Conditional, reporting
from .run import Run
from .running import RunsBeside
from .session import session


class FindsMaterials(RunsBeside):
    """Mix-in of an operator that finds the materials of the blocks chosen in the panel."""

    _blind = ()

    @classmethod
    def obstacle(cls, context):
        """Why there is nothing to work on, or not now."""
        no_source = context.scene.optimize_materials.source is None
        return super().obstacle(context) or (
            "Choose the collection or object that holds the blocks first" if no_source else ""
        )

    def put(self, context, outcome):
        """Shows the materials found."""
        put(outcome)
        session.outcome = outcome
        said = f"{outcome.changed:,} of {outcome.summary.blocks:,} blocks changed"
        return f"{said}; without a target, and left out: {', '.join(self._blind)}" if self._blind else said


class BLOCKS_OT_optimize_materials(FindsMaterials, Operator):
    """Runs the engine: beside the window as a modal operator, or to the end where there is no window."""

    bl_idname = "blocks.optimize_materials"
    bl_label = "Optimize Materials"
    bl_description = "Find the materials with which the blocks look most like the pictures"
    doing = "Optimizing materials"

    def begin(self, context, is_shown):
        """Starts the engine on what the panel says."""
        job = properties.job_of(context.scene)
        self._blind = properties.blind_cameras(context.scene)
        engine.make_room()
        return Run(job, preferences.engine_python(context), is_shown)


class BLOCKS_OT_cancel(Conditional, Operator):
    """Cancels the run."""

    bl_idname = "blocks.cancel"
    bl_label = "Cancel"
    bl_description = "Stop the run and leave the blocks as they were"

    @classmethod
    def obstacle(cls, context):
        """That there is no run."""
        return "No run is under way" if session.run is None else ""

    def execute(self, context):
        """Asks the run to stop."""
        session.run.cancel()
        status.redraw()
        return {"FINISHED"}


class BLOCKS_OT_refresh(Operator):
    """Looks again."""

    bl_idname = "blocks.refresh"
    bl_label = "Refresh"
    bl_description = "Look at the blocks, cameras and materials again"

    def execute(self, context):
        """Looks."""
        status.refresh(context.scene)
        status.redraw()
        return {"FINISHED"}


class BLOCKS_OT_use_background_images(Operator):
    """Ticks the cameras that have a target."""

    bl_idname = "blocks.use_background_images"
    bl_label = "Use Background Images"
    bl_description = "Tick exactly those cameras that have a background image; it is their target"
    bl_options = {"UNDO"}

    def execute(self, context):
        """Ticks."""
        status.refresh(context.scene)
        views = context.scene.optimize_materials.views
        for view in views:
            view.use = view.camera is not None and background_image(view.camera) is not None
        self.report({"INFO"}, f"{sum(view.use for view in views)} of {len(views)} cameras have a background image")
        return {"FINISHED"}


class BLOCKS_OT_reset_quality(Operator):
    """Resets the quality."""

    bl_idname = "blocks.reset_quality"
    bl_label = "Reset"
    bl_description = "Give the settings under Advanced the values that the quality stands for"
    bl_options = {"UNDO"}

    def execute(self, context):
        """Resets it."""
        settings = context.scene.optimize_materials.settings
        settings.quality = settings.quality
        return {"FINISHED"}


class BLOCKS_OT_save_job(Operator, ExportHelper):
    """Saves the job."""

    bl_idname = "blocks.save_job"
    bl_label = "Save Job…"
    bl_description = "Save all of this as a job that runs without a window, too"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @reporting
    def execute(self, context):
        """Saves it."""
        properties.job_of(context.scene).write(Path(self.filepath))
        self.report({"INFO"}, f"Saved {self.filepath}")
        return {"FINISHED"}


class BLOCKS_OT_load_job(Operator, ImportHelper):
    """Loads a job."""

    bl_idname = "blocks.load_job"
    bl_label = "Load Job…"
    bl_description = "Set all of this to what a saved job says"
    bl_options = {"UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @reporting
    def execute(self, context):
        """Loads it."""
        properties.show_job(Job.read(Path(self.filepath)), context.scene)
        return {"FINISHED"}


CLASSES = (
    BLOCKS_OT_optimize_materials,
    BLOCKS_OT_cancel,
    BLOCKS_OT_refresh,
    BLOCKS_OT_use_background_images,
    BLOCKS_OT_reset_quality,
    BLOCKS_OT_save_job,
    BLOCKS_OT_load_job,
)
