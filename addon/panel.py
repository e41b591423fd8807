# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the 3D View's sidebar, from top to bottom as a person works."""

import bpy
from bpy.types import Panel, UIList

from blockcore.errors import BlockcoreError
from blockcore.formats.block_facts import group_of, short_name
from blockcore.plan import reason_for_torch

from . import (
    engine,
    helpers,
    image_icons,
    layouts,
    operators,
    palettes,
    preferences,
    progress,
    properties,
    relevance,
    result,
    status,
    targets,
    wording,
)
from .session import session


class BLOCKS_UL_views(UIList):
    """Cameras: tick, picture, name, and what is wrong."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        """Draws one camera."""
        row = layout.row(align=True)
        row.use_property_split = False
        if item.camera is None:
            row.label(text="Camera was removed", icon="ERROR")
            return
        row.prop(item, "use", text="")
        note = status.note_of(item.camera)
        image = bpy.data.images.get(note.image)
        if image is None:
            row.label(text=item.camera.name, icon="OUTLINER_DATA_CAMERA")
        else:
            row.label(text=item.camera.name, icon_value=image_icons.icon_of(image))
        if note.problem:
            side = row.row()
            side.alignment = "RIGHT"
            side.active = image is not None
            side.label(text="" if image else "No target", icon="ERROR" if image else "NONE")


class BLOCKS_PT_optimize_materials(Panel):
    """Everything from choosing the blocks to judging the result."""

    bl_label = "Optimize Materials"
    bl_idname = "BLOCKS_PT_optimize_materials"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Blocks"

    def draw(self, context):
        """Draws the panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        found = status.of(context.scene)
        group = context.scene.optimize_materials
        for title, name, is_closed, draw in (
            ("Blocks", "blocks", False, _draw_blocks),
            (_palette_title(group), "palette", True, _draw_palette),
            (_views_title(group), "views", False, _draw_views),
            ("Settings", "settings", False, _draw_settings),
        ):
            header, body = layout.panel(f"BLOCKS_PT_{name}", default_closed=is_closed)
            header.label(text=title)
            if body is not None:
                body.enabled = session.run is None
                draw(context, body, group, found)
        layout.separator(factor=0.5)
        if session.run is None:
            _draw_button(layout)
        else:
            progress.draw(layout, session.run)
        progress.draw_message(context, layout, about_model=False)
        if session.run is None and session.outcome is not None:
            header, body = layout.panel("BLOCKS_PT_result", default_closed=False)
            header.label(text="Result")
            if body is not None:
                result.draw(context, body, session.outcome)


def _draw_blocks(context, layout, group, found):
    row = layout.row()
    row.use_property_split = False
    row.prop(group, "blocks_kind", expand=True)
    row = layout.row(align=True)
    row.prop(group, group.blocks_kind)
    row.operator(operators.BLOCKS_OT_refresh.bl_idname, text="", icon="FILE_REFRESH")
    layout.prop(group, "as_boxes")
    if found is None:
        layout.label(text="Counting blocks…", icon="TIME")
    elif group.source is None:
        layouts.text(context, layout, f"Choose the {group.blocks_kind} that holds the blocks, or try the demo", "INFO")
        layout.operator(helpers.BLOCKS_OT_demo_scene.bl_idname, icon="MESH_CUBE")
    elif found.problem:
        layouts.text(context, layout, found.problem, "ERROR")
    else:
        x, y, z = found.grid
        facts = layout.column(align=True)
        size = layouts.length(context.scene.unit_settings.system, found.block_size)
        layouts.fact(facts, "Count", f"{found.blocks:,}")
        layouts.fact(facts, "Block Size", size)
        layouts.fact(facts, "Grid", f"{x} × {y} × {z}")


def _palette_title(group):
    allowed = sum(material.use for material in group.materials)
    if not group.materials or allowed == len(group.materials):
        return "Palette"
    return f"Palette ({allowed} of {len(group.materials)})"


def _draw_palette(context, layout, group, found):
    layout.prop(group, "palette", text="From")
    if group.palette == "file":
        layout.prop(group, "palette_file")
    layout.operator(palettes.BLOCKS_OT_resource_packs.bl_idname, icon="PACKAGE")
    if len({group_of(material.name) for material in group.materials}) > 1:
        layout.prop(group, "listed")
    row = layout.row()
    row.template_list("BLOCKS_UL_materials", "", group, "materials", group, "active_material", rows=5, maxrows=8)
    column = row.column(align=True)
    for tool, icon in (
        (palettes.BLOCKS_OT_palette_add, "ADD"),
        (palettes.BLOCKS_OT_palette_remove, "REMOVE"),
        (palettes.BLOCKS_OT_palette_load, "FILE_FOLDER"),
        (palettes.BLOCKS_OT_palette_save, "FILE_TICK"),
    ):
        column.operator(tool.bl_idname, text="", icon=icon)
    row = layout.row(align=True)
    for text, use in (("All", True), ("None", False)):
        row.operator(palettes.BLOCKS_OT_tick_materials.bl_idname, text=text).use = use
    column = layout.column(align=True)
    column.label(text="At Most (0: Any Number)")
    for material in _limited(group):
        column.prop(material, "limit", text=short_name(material.name))
    if group.regions:
        column = layout.column(align=True)
        column.use_property_split = False
        column.label(text="Locked Regions")
        for region in group.regions:
            column.prop(region, "locked", text=region.name, icon="LOCKED" if region.locked else "UNLOCKED", toggle=True)


def _limited(group):
    """Returns the materials that have a limit, and the chosen one, which may get one."""
    limited = set(properties.limits_of(group.settings))
    return [one for number, one in enumerate(group.materials) if number == group.active_material or one.name in limited]


def _views_title(group):
    used = sum(view.use for view in group.views)
    return f"Views ({used} of {len(group.views)})" if group.views else "Views"


def _draw_views(context, layout, group, found):
    if not group.views:
        layouts.text(context, layout, "Add a camera, and give it a picture of how the blocks should look", "INFO")
    else:
        layout.template_list("BLOCKS_UL_views", "", group, "views", group, "active_view", rows=3, maxrows=4)
        _draw_active_view(context, layout, group)
    header, body = layout.panel("BLOCKS_PT_targets", default_closed=True)
    header.label(text="Cameras and Targets")
    if body is None:
        return
    column = body.column(align=True)
    column.operator(helpers.BLOCKS_OT_orbit_cameras.bl_idname, text="Add Orbit Cameras…", icon="OUTLINER_OB_CAMERA")
    column.operator(operators.BLOCKS_OT_use_background_images.bl_idname, icon="CHECKBOX_HLT")
    column.operator(targets.BLOCKS_OT_load_targets.bl_idname, icon="FILE_FOLDER")
    row = body.row()
    row.use_property_split = False
    row.prop(group, "model_kind", expand=True)
    body.prop(group, f"model_{group.model_kind}")
    body.prop(group, "frame_model")
    body.prop(group, "replace_targets")
    body.operator(targets.BLOCKS_OT_render_targets.bl_idname, icon="RENDER_STILL")


def _draw_active_view(context, layout, group):
    view = group.views[min(group.active_view, len(group.views) - 1)]
    if view.camera is None:
        return
    note = status.note_of(view.camera)
    image = bpy.data.images.get(note.image)
    if image is not None:
        layout.template_icon(icon_value=image_icons.icon_of(image), scale=4.5)
    if note.problem:
        layouts.text(context, layout, note.problem, "ERROR")
    row = layout.row(align=True)
    row.operator(targets.BLOCKS_OT_load_target.bl_idname, icon="FILE_IMAGE")
    if note.is_other_shape:
        row.operator(targets.BLOCKS_OT_frame_by_picture.bl_idname, icon="FULLSCREEN_ENTER")


def _draw_settings(context, layout, group, found):
    settings = group.settings
    layout.prop(settings, "quality")
    changed = properties.changed_since_preset(settings)
    if changed:
        row = layout.row()
        row.label(text=f"{len(changed)} changed under Advanced", icon="INFO")
        row.operator(operators.BLOCKS_OT_reset_quality.bl_idname, text="", icon="LOOP_BACK")
    _draw_torch(context, layout, settings)
    layout.prop(settings, "smoothness")
    layout.prop(group, "result")
    header, body = layout.panel("BLOCKS_PT_advanced", default_closed=True)
    header.label(text="Advanced")
    if body is None:
        return
    unused = _unused(settings)
    for title, names in wording.GROUPS.items():
        header, inner = body.panel(f"BLOCKS_PT_{title}", default_closed=True)
        header.label(text=title)
        if inner is not None:
            column = inner.column(align=True)
            for name in names:
                row = column.row(align=True)
                row.active = name not in unused
                row.prop(settings, name)
    row = body.row(align=True)
    row.operator(operators.BLOCKS_OT_load_job.bl_idname, icon="FILEBROWSER")
    row.operator(operators.BLOCKS_OT_save_job.bl_idname, icon="FILE_TICK")


def _unused(settings):
    try:
        return relevance.unused(properties.settings_of(settings))
    except BlockcoreError:  # the button says so
        return set()


def _draw_torch(context, layout, settings):
    """Says what cannot be done without torch where it is asked for."""
    try:
        why = reason_for_torch(properties.settings_of(settings))
    except BlockcoreError:  # the button says so
        return
    if why and engine.has_torch(preferences.engine_python(context)) is False:
        words = f"{why[0].upper()}{why[1:]} needs PyTorch, which the engine lacks. The preferences say how to add it"
        layouts.text(context, layout, words, "ERROR")
        layout.operator(preferences.BLOCKS_OT_show_preferences.bl_idname, icon="PREFERENCES")


def _draw_button(layout):
    row = layout.row()
    row.scale_y = 1.8
    row.operator(operators.BLOCKS_OT_optimize_materials.bl_idname, icon="PLAY")
    if engine.is_compiling():
        layout.label(text="Preparing the engine, once…", icon="TIME")


CLASSES = (BLOCKS_UL_views, BLOCKS_PT_optimize_materials)
