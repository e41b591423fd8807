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
    """Draws editors of some kinds again; of 3D views the sidebar and the header alone."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in kinds:
                for region in area.regions:
                    if area.type != "VIEW_3D" or region.type in ("UI", "HEADER"):
                        region.tag_redraw()


class TimeLeft:
    """The time left of some work, as it settles: what is said goes down with the clock unless it was clearly wrong."""

    _EARLY = 2.0  # seconds before anything is said
    _NEW, _OTHER = 0.1, 0.25  # share that an estimate of the end has in the average; how far off it starts that anew
    _OFF, _LEAST = 0.3, 5.0  # how wrong that may be: of the time left, and in seconds at least

    def __init__(self) -> None:
        self._average = self._told = 0.0  # when the end is, in seconds after the start

    def words(self, share: float, seconds: float) -> str:
        """Returns the words for it; "" where it is unknown yet, or next to none.

        Args:
            share: how much is done, 0…1.
            seconds: how long that took.
        """
        if share <= 0.0 or seconds < self._EARLY:
            return ""
        end = seconds / share
        is_other = abs(end - self._average) > self._OTHER * end
        self._average += (end - self._average) * (1.0 if is_other else self._NEW)
        if abs(self._average - self._told) > max(self._OFF * (self._told - seconds), self._LEAST):
            self._told = self._average
        return _time_left(self._told - seconds)


def _time_left(seconds: float) -> str:
    if seconds < 1.0:
        return ""
    if seconds >= 90.0:
        return f"{seconds / 60.0:.0f} min left"
    return f"{seconds:.0f} s left" if seconds < 10.0 else f"{5 * round(seconds / 5)} s left"
