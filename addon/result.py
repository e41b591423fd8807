# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a run: putting it into the scene, taking it back, and what the panel tells about it."""

import shutil
from pathlib import Path

import bpy
import numpy as np
from bpy.types import Operator

from blockcore.io.folders import new_folder
from blockcore.model.scene import BlockScene
from bridge.blender import apply, marks, world
from bridge.blender.identity import find_object, find_objects

from .reporting import Conditional, reporting
from .session import Outcome, session


def put(outcome: Outcome) -> None:
    """Shows an outcome's materials in the scene.

    Raises:
        BlockcoreError: the blocks are no longer there, or cannot have materials of their own.
    """
    shown = _own_world(outcome.scene, outcome.in_place)
    if shown is not None:
        world.update_materials(shown, outcome.materials)
    elif outcome.in_place:
        apply.apply_in_place(outcome.scene, outcome.materials)
    else:
        outcome.world = apply.apply(outcome.scene, outcome.materials).name
    outcome.is_put = True


def take_back(outcome: Outcome) -> None:
    """Shows the materials from before the run again.

    Raises:
        BlockcoreError: the blocks are no longer there.
    """
    shown = _own_world(outcome.scene, outcome.in_place)
    if shown is not None:
        world.update_materials(shown, outcome.scene.materials)
    elif outcome.in_place:
        apply.revert_in_place(filter(None, find_objects(outcome.scene.source.block_objects)))
    else:
        apply.revert(bpy.data.objects[outcome.world])
    outcome.is_put = False


def is_put(outcome: Outcome) -> bool:
    """Returns whether the scene shows the outcome, as far as that can be told: an undo may have taken it back."""
    shown = _own_world(outcome.scene, outcome.in_place)
    if shown is not None:
        return bool(np.array_equal(world.world_materials(shown), outcome.materials))
    return outcome.is_put if outcome.in_place else outcome.world in bpy.data.objects


def check_place(scene: BlockScene, in_place: bool) -> None:
    """Refuses a scene whose result could not be put back, before anything is searched.

    Raises:
        BlockcoreError: the scene is linked, or its blocks cannot have materials of their own.
    """
    apply.check(scene, in_place and _own_world(scene, in_place) is None)


def _own_world(scene: BlockScene, in_place: bool):
    """Returns the block map that the blocks came from, where the result goes in place of its materials."""
    names = set(scene.source.block_objects) if in_place else ()
    source = find_object(next(iter(names))) if len(names) == 1 else None
    return source if source is not None and marks.read_world(source) else None


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
        if is_put(session.outcome) != cls.needs_put:
            return "The result is not applied" if cls.needs_put else "The result is applied already"
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
        put(session.outcome)
        return {"FINISHED"}


class BLOCKS_OT_revert_result(_OnOutcome, Operator):
    """Reverts the result."""

    bl_idname = "blocks.revert_result"
    bl_label = "Revert"
    bl_description = "Give the blocks back the materials they had before"

    @reporting
    def execute(self, context):
        """Reverts it."""
        take_back(session.outcome)
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
        if not obstacle and session.outcome.in_place:
            return "The result was applied in place; use Revert and Apply to compare"
        return obstacle

    def execute(self, context):
        """Switches."""
        shown = bpy.data.objects[session.outcome.world]
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
        is_there = session.outcome is not None and _report(session.outcome).is_file()
        return "" if is_there else "There is no report yet; optimize the materials first"

    def execute(self, context):
        """Opens it."""
        bpy.ops.wm.url_open(url=_report(session.outcome).as_uri())
        return {"FINISHED"}


def save_report(outcome: Outcome, folder: Path) -> None:
    """Copies the result's folder, with the report, to where it stays; replaces one that is ours and nothing else.

    Raises:
        BlockcoreError: something else is there, or it cannot be written.
    """
    with new_folder(folder, "result.json") as fresh:
        shutil.copytree(outcome.folder, fresh, dirs_exist_ok=True)


def _report(outcome: Outcome) -> Path:
    return Path(outcome.folder) / "report.html"


def draw(context, layout, outcome: Outcome) -> None:
    """Draws the result."""
    layout.label(text=f"{outcome.changed:,} of {len(outcome.materials):,} blocks changed", icon="CHECKMARK")
    unseen = outcome.summary.unseen_blocks
    if unseen:
        layout.label(text=f"{unseen:,} are seen by no camera", icon="HIDE_ON")
    column = layout.column(align=True)
    row = column.row(align=True)
    row.operator(BLOCKS_OT_apply_result.bl_idname, icon="CHECKMARK")
    row.operator(BLOCKS_OT_revert_result.bl_idname, icon="LOOP_BACK")
    shown = bpy.data.objects.get(outcome.world)
    is_original = shown is not None and shown.hide_viewport
    column.operator(BLOCKS_OT_show_original.bl_idname, icon="HIDE_OFF", depress=is_original)
    column.operator(BLOCKS_OT_open_report.bl_idname, icon="URL")
    _table(
        layout,
        ("Match (PSNR)", "Before", "After"),
        [(view.name, _decibel(view.psnr_before), _decibel(view.psnr_after)) for view in outcome.summary.views],
    )
    _table(
        layout,
        ("Material", "Before", "After"),
        [(name, f"{before:,}", f"{after:,}") for name, (before, after) in outcome.counts.items()],
    )


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


CLASSES = (BLOCKS_OT_apply_result, BLOCKS_OT_revert_result, BLOCKS_OT_show_original, BLOCKS_OT_open_report)
