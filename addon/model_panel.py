# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel *Blocks from Model*: what to make of which model, and what became of it."""

from bpy.types import Panel

from blockcore.formats.bill import STACK, bill
from bridge.blender.model_world import model_of

from . import layouts, model, model_status, progress
from .model_run import ModelRun
from .session import session


class BLOCKS_PT_blocks_from_model(Panel):
    """From choosing the model to counting its blocks."""

    bl_label = "Blocks from Model"
    bl_idname = "BLOCKS_PT_blocks_from_model"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Blocks"
    bl_order = 0
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        body = layout.column()
        body.enabled = session.run is None
        group = context.scene.optimize_materials.model
        _draw_model(body, group)
        _draw_size(context, body, group)
        _draw_look(body, group)
        layout.separator(factor=0.5)
        if isinstance(session.run, ModelRun):
            progress.draw(layout, session.run)
        else:
            _draw_buttons(context, layout)
        progress.draw_message(context, layout, about_model=True)
        if session.made is not None:
            header, inner = layout.panel("BLOCKS_PT_made", default_closed=False)
            header.label(text="Blocks Made")
            if inner is not None:
                _draw_made(inner, session.made)


def _draw_model(layout, group):
    row = layout.row()
    row.use_property_split = False
    row.prop(group, "kind", expand=True)
    if group.kind != "SELECTION":
        layout.prop(group, group.kind.lower())


def _draw_size(context, layout, group):
    layout.prop(group, "across")
    layout.prop(group, "fill")
    layout.prop(group, "axes")
    look = model_status.of(context)
    if not model_status.chosen(context):
        layouts.text(context, layout, "Select the model, or choose it above", "INFO")
    elif look is None:
        layout.label(text="Counting blocks…", icon="TIME")
    elif look.sampled is None:
        layouts.text(context, layout, look.problem, "INFO")
    else:
        x, y, z = look.cells(group.across)
        unit = context.scene.unit_settings.system
        facts = layout.column(align=True)
        layouts.fact(facts, "Blocks", f"about {look.blocks(group.across, group.fill):,}")
        layouts.fact(facts, "Grid", f"{x} × {y} × {z}")
        layouts.fact(facts, "Block Size", layouts.length(unit, look.block_size(group.across)))
    layout.prop(group, "show_grid")


def _draw_look(layout, group):
    layout.prop(group, "palette")
    if group.palette == "file":
        layout.prop(group, "palette_file")
    layout.prop(group, "views")
    layout.prop(group, "beside")


def _draw_buttons(context, layout):
    row = layout.row()
    row.scale_y = 1.8
    row.operator(model.BLOCKS_OT_make_blocks.bl_idname, icon="MESH_CUBE")
    if context.object is not None and model_of(context.object):
        layout.operator(model.BLOCKS_OT_update_blocks.bl_idname, icon="FILE_REFRESH")
    layout.operator(model.BLOCKS_OT_remove_model_cameras.bl_idname, icon="OUTLINER_OB_CAMERA")


def _draw_made(layout, made):
    facts = layout.column(align=True)
    layouts.fact(facts, "Blocks", f"{made.blocks:,}, {made.visible_blocks:,} visible")
    layouts.fact(facts, "Outline Match", f"{made.outline_match:.3f}")
    if made.kept or made.lost:
        layouts.fact(facts, "Painted by Hand", f"{made.kept:,} kept, {made.lost:,} gone")
    layouts.fact(facts, "Time", f"{made.seconds:.0f} s")
    table = layout.column(align=True)
    for one in bill(made.materials):
        layouts.fact(table, one.block, f"{one.count:,} = {one.stacks:,} × {STACK} + {one.rest}")


CLASSES = (BLOCKS_PT_blocks_from_model,)
