# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a run: putting it into the scene, taking it back, and what the panel tells about it."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy.types import Operator

from blockcore.formats.bill import STACK, bill
from blockcore.formats.block_facts import short_name
from blockcore.model.baked_light import light_from
from bridge.blender import apply
from bridge.blender.sunlight import add_light

from . import layouts, menus
from . import outcome as outcomes
from .judgement import warnings_of
from .outcome import Outcome
from .reporting import Conditional, reporting
from .session import session


class _OnOutcome(Conditional):
    """Mix-in of the operators that need a result, one that the scene shows or does not."""

    bl_options = {"UNDO"}
    needs_put = True

    @classmethod
    def obstacle(cls, context):
        """Why there is no such result."""
        if session.run is not None:
            return "Wait for the run to end, or cancel it"
        if session.outcome is None:
            return "There is no result yet; optimize the materials first"
        if cls.needs_put and not outcomes.can_take_back(session.outcome):
            return "The result is not applied"
        if not cls.needs_put and outcomes.is_put(session.outcome):
            return "The result is applied already"
        return ""


class BLOCKS_OT_apply_result(_OnOutcome, Operator):
    """Applies the result."""

    bl_idname = "blocks.apply_result"
    bl_label = "Apply"
    bl_description = "Give the blocks the materials that were found"
    needs_put = False

    @reporting
    def execute(self, context):
        """Applies it."""
        outcomes.put(session.outcome)
        return {"FINISHED"}


class BLOCKS_OT_revert_result(_OnOutcome, Operator):
    """Reverts the result."""

    bl_idname = "blocks.revert_result"
    bl_label = "Revert"
    bl_description = "Give the blocks back the materials they had before"

    @reporting
    def execute(self, context):
        """Reverts it."""
        outcomes.take_back(session.outcome)
        return {"FINISHED"}


class BLOCKS_OT_show_original(_OnOutcome, Operator):
    """Shows the original."""

    bl_idname = "blocks.show_original"
    bl_label = "Show Original"
    bl_description = "Switch the view between the original blocks and the result"

    @classmethod
    def obstacle(cls, context):
        """Why there is no result that is an object of its own."""
        obstacle = super().obstacle(context)
        if not obstacle and not outcomes.is_put(session.outcome):
            return "The result is not applied"
        if not obstacle and session.outcome.in_place:
            return "The result was applied in place; use Revert and Apply to compare"
        return obstacle

    def execute(self, context):
        """Switches."""
        shown = outcomes.shown_world()
        apply.show_original(shown, not shown.hide_viewport)
        return {"FINISHED"}


class BLOCKS_OT_open_report(Conditional, Operator):
    """Opens the report."""

    bl_idname = "blocks.open_report"
    bl_label = "Open Report"
    bl_description = "Open the report with pictures of each view, before and after, in the web browser"

    @classmethod
    def obstacle(cls, context):
        """That there is no report."""
        is_there = session.outcome is not None and session.outcome.report.is_file()
        return "" if is_there else "There is no report yet; optimize the materials first"

    def execute(self, context):
        """Opens it."""
        bpy.ops.wm.url_open(url=session.outcome.report.as_uri())
        return {"FINISHED"}


class BLOCKS_OT_add_light(Conditional, Operator):
    """Adds the light that was found."""

    bl_idname = "blocks.add_light"
    bl_label = "Add Fitted Light"
    bl_description = "Light the scene by the sun and the sky that were found; its own lights no longer render"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        """That no light was found."""
        outcome = session.outcome
        if outcome is None or outcome.summary.settings["lighting"] != "fitted":
            return "No light was found; optimize with the lighting Fitted first"
        return "" if outcome.scene is not None else "The file was opened since; optimize again"

    @reporting
    def execute(self, context):
        """Adds it."""
        outcome = session.outcome
        add_light(light_from(outcome.summary.lighting, {}), outcome.scene.source.grid_to_source)
        return {"FINISHED"}


class BLOCKS_OT_save_report(Conditional, Operator):
    """Saves the report."""

    bl_idname = "blocks.save_report"
    bl_label = "Save Report…"
    bl_description = "Save the report, with its pictures and the viewer, in a folder; a saved .blend has it beside it"

    directory: StringProperty(name="Folder", description="The folder that the report is put into", subtype="DIR_PATH")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def obstacle(cls, context):
        """That there is no report."""
        return BLOCKS_OT_open_report.obstacle(context)

    def invoke(self, context, event):
        """Asks for the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    @reporting
    def execute(self, context):
        """Saves it."""
        name = bpy.path.display_name_from_filepath(bpy.data.filepath) or "blocks"
        folder = Path(bpy.path.abspath(self.directory)) / f"{name} report"
        outcomes.save_report(session.outcome, folder)
        self.report({"INFO"}, f"Saved {folder}")
        return {"FINISHED"}


def draw(context, layout, outcome: Outcome) -> None:
    """Draws the result."""
    layout.label(text=f"{outcome.changed:,} of {outcome.summary.blocks:,} blocks changed", icon="CHECKMARK")
    unseen = outcome.summary.unseen_blocks
    if unseen:
        layout.label(text=f"{unseen:,} are seen by no camera", icon="HIDE_ON")
    layouts.text(context, layout, f"Light: {outcome.summary.light}", "LIGHT_SUN")
    for warning in warnings_of(outcome.summary):
        layouts.text(context, layout, warning, "ERROR")
    column = layout.column(align=True)
    row = column.row(align=True)
    row.operator(BLOCKS_OT_apply_result.bl_idname, icon="CHECKMARK")
    row.operator(BLOCKS_OT_revert_result.bl_idname, icon="LOOP_BACK")
    shown = outcomes.shown_world()
    is_original = not outcome.in_place and shown is not None and shown.hide_viewport
    column.operator(BLOCKS_OT_show_original.bl_idname, icon="HIDE_OFF", depress=is_original)
    row = column.row(align=True)
    row.operator(BLOCKS_OT_open_report.bl_idname, icon="URL")
    row.operator(BLOCKS_OT_save_report.bl_idname, text="", icon="FILE_TICK")
    if outcome.summary.settings["lighting"] == "fitted":
        column.operator(BLOCKS_OT_add_light.bl_idname, icon="LIGHT_SUN")
    matches = [(view.name, _decibel(view.psnr_before), _decibel(view.psnr_after)) for view in outcome.summary.views]
    if matches:  # words have no pictures to match
        _table(layout, ("Match (PSNR)", "Before", "After"), matches)
    _table(
        layout,
        ("Material", "Before", "After"),
        [(short_name(name), f"{before:,}", f"{after:,}") for name, (before, after) in outcome.counts.items()],
    )
    header, body = layout.panel("BLOCKS_PT_bill", default_closed=True)
    header.label(text="Blocks to Gather")
    if body is not None:
        needed = bill({name: after for name, (_, after) in outcome.counts.items()})
        _table(
            body,
            ("Material", f"Stacks of {STACK}", "Shulker Boxes"),
            [(short_name(one.block), f"{one.stacks:,} + {one.rest}", f"{one.boxes:,}") for one in needed],
        )
        export = body.operator(menus.BLOCKS_OT_export_blocks.bl_idname, text="Export List…", icon="EXPORT")
        export.suffix, export.filter_glob = ".csv", "*.csv"


def _table(layout, titles, rows):
    column = layout.box().column(align=True)
    column.scale_y = 0.8
    for number, (name, before, after) in enumerate([titles, *rows]):
        row = column.row()
        row.active = number > 0
        split = row.split(factor=0.5)
        split.label(text=name, translate=False)
        right = split.row()
        for text in (before, after):
            cell = right.row()
            cell.alignment = "RIGHT"
            cell.label(text=text, translate=False)


def _decibel(value) -> str:
    return "Exact" if value is None else f"{value:.1f} dB"


CLASSES = (
    BLOCKS_OT_apply_result,
    BLOCKS_OT_revert_result,
    BLOCKS_OT_show_original,
    BLOCKS_OT_open_report,
    BLOCKS_OT_save_report,
    BLOCKS_OT_add_light,
)
