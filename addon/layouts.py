# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pieces of user interface that Blender's layouts lack."""

import textwrap

import bpy

_CHARACTER = 7.0  # pixels that one takes on average, at a scale of 1


def text(context, layout, words: str, icon: str = "NONE") -> None:
    """Draws a text of any length, wrapped to the region's width."""
    room = context.region.width / context.preferences.system.ui_scale / _CHARACTER - 7
    lines = [line for part in words.splitlines() for line in textwrap.wrap(part, max(16, int(room))) or [""]]
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(lines):
        if icon == "NONE":
            column.label(text=line, translate=False)
        else:
            column.label(text=line, icon="BLANK1" if number else icon, translate=False)


def fact(layout, name: str, value: str) -> None:
    """Draws a name and its value, aligned as Blender aligns properties."""
    split = layout.split(factor=0.4)
    left = split.row()
    left.alignment = "RIGHT"
    left.label(text=name)
    split.label(text=value, translate=False)


def length(system: str, value: float) -> str:
    """Returns a length in the scene's units."""
    return str(bpy.utils.units.to_string(system, "LENGTH", value, precision=4))


def redraw_views() -> None:
    """Draws all 3D views again, with what is drawn over them."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def redraw(kinds: set[str]) -> None:
    """Draws editors of some kinds again; of 3D views the sidebar alone."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in kinds:
                for region in area.regions:
                    if area.type != "VIEW_3D" or region.type == "UI":
                        region.tag_redraw()


def time_left(seconds: float) -> str:
    """Returns the words for a time left; "" where it is next to none."""
    if seconds < 1.0:
        return ""
    return f"{seconds:.0f} s left" if seconds < 90.0 else f"{seconds / 60.0:.0f} min left"
