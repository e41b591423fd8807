# SPDX-License-Identifier: GPL-3.0-or-later
"""The big button and the small ones around it."""

import time
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import Operator
from bpy_extras.io_utils import ExportHelper, ImportHelper

from blockcore.errors import BlockcoreError, Cancelled
from bridge.blender.targets import background_image
from bridge.job import Job

from . import engine, preferences, properties, status
from .outcome import put
from .reporting import Conditional, reporting
from .run import Run
from .session import session

_TICK = 0.05  # seconds
_REDRAW = 0.2  # seconds between two drawings of the panel


class BLOCKS_OT_optimize_materials(Conditional, Operator):
    """Runs the engine: beside the window as a modal operator, or to the end where there is no window."""

    bl_idname = "blocks.optimize_materials"
    bl_label = "Optimize Materials"
    bl_description = "Find the materials with which the blocks look most like the pictures"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        """Why there is nothing to work on, or not now."""
        if session.run is not None:
            return "A run is under way; wait for it, or cancel it"
        if context.mode != "OBJECT":
            return "Leave this mode first; the materials are optimized in Object Mode"
        if context.scene.optimize_materials.source is None:
            return "Choose the collection or object that holds the blocks first"
        return ""

    def invoke(self, context, event):
        """Starts the run and goes on beside the user's work."""
        if bpy.app.background:
            return self.execute(context)
        if not self._start(context, is_shown=True):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(_TICK, window=context.window)
        manager.modal_handler_add(self)
        self._drawn, self._drawn_at = None, 0.0
        context.workspace.status_text_set("Optimizing materials    Esc: Cancel")
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Looks at what the engine did, and leaves everything else to the user."""
        if self._run is not session.run:  # another file was opened
            return self._leave(context, {"CANCELLED"})
        if event.type == "ESC" and event.value == "PRESS":
            self._run.cancel()
            status.redraw()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            is_done = self._run.tick()
        except BlockcoreError as error:
            return self._leave(context, self._fail(error))
        if is_done:
            return self._leave(context, self._finish())
        if self._run.text != self._drawn and time.monotonic() - self._drawn_at > _REDRAW:
            self._drawn, self._drawn_at = self._run.text, time.monotonic()
            status.redraw()
        return {"PASS_THROUGH"}

    def execute(self, context):
        """Runs to the end, with the window standing still if there is one."""
        if not self._start(context, is_shown=False):
            return {"CANCELLED"}
        try:
            while not self._run.tick():
                time.sleep(_TICK)
        except BlockcoreError as error:
            return self._fail(error)
        except BaseException:
            self._close()
            raise
        return self._finish()

    def _start(self, context, is_shown):
        session.say("", is_problem=False)
        try:
            job = properties.job_of(context.scene)
            self._blind = properties.blind_cameras(context.scene)
            engine.make_room()
            self._run = session.run = Run(job, preferences.engine_python(context), is_shown)
        except BlockcoreError as error:
            self._tell(error)
            return False
        session.outcome = None
        return True

    def _finish(self):
        outcome = self._run.outcome()
        self._close()
        try:
            with self._run.where():
                put(outcome)
                session.outcome = outcome
        except BlockcoreError as error:
            return self._fail(error)
        status.forget()
        said = f"{outcome.changed:,} of {outcome.summary.blocks:,} blocks changed"
        if self._blind:
            said += f"; without a target, and left out: {', '.join(self._blind)}"
        self.report({"INFO"}, said)
        return {"FINISHED"}

    def _fail(self, error):
        self._close()
        self._tell(error)
        return {"CANCELLED"}

    def _tell(self, error):
        session.say(str(error), is_problem=not isinstance(error, Cancelled))
        self.report({"ERROR" if session.is_problem else "INFO"}, session.message)

    def _close(self):
        self._run.close()
        if session.run is self._run:
            session.run = None

    def _leave(self, context, how):
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        status.redraw()
        return how


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
    BLOCKS_OT_save_job,
    BLOCKS_OT_load_job,
)
