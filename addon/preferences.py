# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine is: the Python that has blockcore and torch, and the button that checks it."""

import queue
import threading

import bpy
from bpy.props import StringProperty
from bpy.types import AddonPreferences, Operator

from blockcore.errors import BackendError
from bridge.engine.interpreter import EngineInfo, check_engine, find_engine, install_command

from . import layouts

_POLL = 0.2  # seconds


class BlocksPreferences(AddonPreferences):
    """The add-on's preferences."""

    bl_idname = __package__

    engine_python: StringProperty(
        name="Engine",
        description="The Python program that has the engine installed; leave empty to find it automatically",
        subtype="FILE_PATH",
    )

    def draw(self, context):
        """Draws the preferences."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "engine_python")
        draw_check(context, layout)


def engine_python(context) -> str:
    """Returns the interpreter set in the preferences, or ""."""
    addon = context.preferences.addons.get(__package__)
    return bpy.path.abspath(addon.preferences.engine_python) if addon else ""


class Check:
    """The last check of the engine.

    Attributes:
        info: what was found, or None.
        problem: what is wrong, or "".
        command: what installs the engine, where something is wrong.
        is_running: whether the check is under way.
    """

    info: EngineInfo | None = None
    problem = command = ""
    is_running = False


check = Check()
_answers: queue.SimpleQueue = queue.SimpleQueue()


class BLOCKS_OT_check_engine(Operator):
    """Checks the engine."""

    bl_idname = "blocks.check_engine"
    bl_label = "Check Engine"
    bl_description = "Show the engine's version and what it computes with, or how to install it"

    def execute(self, context):
        """Checks: with a window beside the user's work, without one to the end."""
        if check.is_running:
            return {"CANCELLED"}
        python = engine_python(context)
        check.info, check.problem, check.command, check.is_running = None, "", "", True
        worker = threading.Thread(target=_ask, args=(python,), daemon=True)
        worker.start()
        if bpy.app.background:
            worker.join()
            _collect()
            self.report({"ERROR"} if check.problem else {"INFO"}, check.problem or _describe(check.info))
            return {"CANCELLED"} if check.problem else {"FINISHED"}
        bpy.app.timers.register(_collect, first_interval=_POLL)
        return {"FINISHED"}


def _ask(python: str) -> None:
    try:
        _answers.put(check_engine(python or find_engine()))
    except BackendError as error:
        _answers.put((str(error), install_command(python or None)))


def _collect() -> float | None:
    try:
        answer = _answers.get_nowait()
    except queue.Empty:
        return _POLL
    check.is_running = False
    if isinstance(answer, EngineInfo):
        check.info = answer
    else:
        check.problem, check.command = answer
    layouts.redraw({"PREFERENCES", "VIEW_3D"})
    return None


class BLOCKS_OT_copy_install_command(Operator):
    """Copies the command."""

    bl_idname = "blocks.copy_install_command"
    bl_label = "Copy Install Command"
    bl_description = "Copy the command that installs the engine, to paste it into a terminal"

    def execute(self, context):
        """Copies it."""
        context.window_manager.clipboard = check.command
        self.report({"INFO"}, "Copied")
        return {"FINISHED"}


def _describe(info: EngineInfo) -> str:
    return f"blockcore {info.version}, torch {info.torch}, {info.device}, rasterizer {info.rasterizer}"


def draw_check(context, layout) -> None:
    """Draws the button and what it found."""
    row = layout.row()
    row.operator(BLOCKS_OT_check_engine.bl_idname, icon="VIEWZOOM")
    if check.is_running:
        layout.label(text="Checking…", icon="TIME")
    elif check.problem:
        layouts.text(context, layout, check.problem, "ERROR")
        box = layout.box()
        layouts.text(context, box, check.command)
        box.operator(BLOCKS_OT_copy_install_command.bl_idname, icon="COPYDOWN")
    elif check.info is not None:
        facts = layout.box().column(align=True)
        for name, value in (
            ("Version", f"blockcore {check.info.version}, torch {check.info.torch}"),
            ("Python", check.info.python),
            ("Device", f"{check.info.device} ({check.info.why_device})"),
            ("Rasterizer", f"{check.info.rasterizer} ({check.info.why_rasterizer})"),
        ):
            layouts.fact(facts, name, value)


CLASSES = (BlocksPreferences, BLOCKS_OT_check_engine, BLOCKS_OT_copy_install_command)
