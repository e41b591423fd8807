# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of the 3D view, which no scrolling moves: the button while the add-on's tab is open, progress in a run."""

import bpy

from . import operators, panel
from .session import session

_WIDTH = 9  # of the bar, in widths of a button


def _draw(self, context):
    row = self.layout.row(align=True)
    if session.run is not None:
        bar = row.row(align=True)
        bar.ui_units_x = _WIDTH
        bar.progress(factor=session.run.factor, text=session.run.headline)
        row.operator(operators.BLOCKS_OT_cancel.bl_idname, text="", icon="CANCEL")
    elif _is_tab_open(context.area):
        row.operator(operators.BLOCKS_OT_optimize_materials.bl_idname, text="Optimize", icon="PLAY")


def _is_tab_open(area):
    """Whether an area's sidebar shows the add-on's tab."""
    sidebar = next((region for region in area.regions if region.type == "UI"), None)
    if sidebar is None or sidebar.width <= 1:
        return False
    return getattr(sidebar, "active_panel_category", "") == panel.BLOCKS_PT_optimize_materials.bl_category


def register():
    """Adds it."""
    bpy.types.VIEW3D_HT_header.append(_draw)


def unregister():
    """Removes it."""
    bpy.types.VIEW3D_HT_header.remove(_draw)
