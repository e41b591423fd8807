# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine is: Blender's own Python or one with torch, what that is good for, and the button that checks it."""

import queue
import threading
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import AddonPreferences, Operator

from blockcore.errors import BackendError
from bridge.engine.interpreter import EngineInfo, check_engine, find_engine, install_command

from . import engine, layouts

_POLL = 0.2  # seconds
_BUILT_IN = (
    "Left empty, the engine is Blender's own Python with what comes with this add-on: nothing to install, "
    "and enough for everything that is found directly, on the processor."
)
_WITH_TORCH = (
    "Gradual and Thorough, losses of whole pictures (SSIM, LPIPS, Seen from Afar), prompts and NVIDIA GPUs "
    "need PyTorch, some gigabytes. Install it with the command below, then choose that Python above."
)


class BlocksPreferences(AddonPreferences):
    """The add-on's preferences."""

    bl_idname = __package__

    engine_python: StringProperty(
        name="Engine",
        description="A Python program that has blockcore and PyTorch; leave empty for the engine of this add-on",
        subtype="FILE_PATH",
        update=lambda self, context: engine.forget_modules(),
    )

    def draw(self, context):
        """Draws the preferences."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "engine_python")
        layouts.text(context, layout, _BUILT_IN, "INFO")
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
        command: what installs the engine with torch, where something is wrong or it has none.
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
        engine.forget_modules()
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
        _answers.put((str(error), install_command(python or None, _wheel())))


def _wheel() -> Path | None:
    """Returns the wheel of blockcore that this add-on brings."""
    return next(Path(__file__).parent.glob("wheels/blockcore-*.whl"), None)


def _collect() -> float | None:
    try:
        answer = _answers.get_nowait()
    except queue.Empty:
        return _POLL
    check.is_running = False
    if isinstance(answer, EngineInfo):
        check.info = answer
        check.command = "" if answer.torch else install_command(package=_wheel())
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
    return f"{_versions(info)}, {info.device}, rasterizer {info.rasterizer}"


def _versions(info: EngineInfo) -> str:
    return f"blockcore {info.version}, {f'torch {info.torch}' if info.torch else 'without torch'}"


def draw_check(context, layout) -> None:
    """Draws the button and what it found."""
    row = layout.row()
    row.operator(BLOCKS_OT_check_engine.bl_idname, icon="VIEWZOOM")
    if check.is_running:
        layout.label(text="Checking…", icon="TIME")
    elif check.problem:
        layouts.text(context, layout, check.problem, "ERROR")
        _draw_command(context, layout)
    elif check.info is not None:
        facts = layout.box().column(align=True)
        for name, value in (
            ("Version", _versions(check.info)),
            ("Python", check.info.python),
            ("Device", f"{check.info.device} ({check.info.why_device})"),
            ("Rasterizer", f"{check.info.rasterizer} ({check.info.why_rasterizer})"),
        ):
            layouts.fact(facts, name, value)
        if check.command:
            layouts.text(context, layout, _WITH_TORCH, "INFO")
            _draw_command(context, layout)


def _draw_command(context, layout) -> None:
    box = layout.box()
    layouts.text(context, box, check.command)
    box.operator(BLOCKS_OT_copy_install_command.bl_idname, icon="COPYDOWN")


class BLOCKS_OT_show_preferences(Operator):
    """Shows the preferences."""

    bl_idname = "blocks.show_preferences"
    bl_label = "Show Preferences"
    bl_description = "Show the preferences of this add-on, which say how to add PyTorch"

    def execute(self, context):
        """Shows them."""
        bpy.ops.preferences.addon_show(module=__package__)
        return {"FINISHED"}


CLASSES = (BlocksPreferences, BLOCKS_OT_check_engine, BLOCKS_OT_copy_install_command, BLOCKS_OT_show_preferences)
