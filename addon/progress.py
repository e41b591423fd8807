# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, as the panels draw it."""

from . import layouts, operators
from .session import session


def draw(layout, run) -> None:
    """Draws a run's bar, what it says of itself, and the button that cancels it."""
    column = layout.column()
    column.progress(factor=run.factor, text=run.headline)
    row = column.row()
    row.label(text=run.loss_text)
    side = row.row()
    side.alignment = "RIGHT"
    side.label(text=run.time_text)
    row = column.row()
    row.scale_y = 1.4
    row.operator(operators.BLOCKS_OT_cancel.bl_idname, icon="CANCEL")


def draw_message(context, layout, about_model: bool) -> None:
    """Draws why the last run came to nothing, in the panel of what it was about."""
    if session.message and session.about_model == about_model:
        layouts.text(context, layout.box(), session.message, "ERROR" if session.is_problem else "INFO")
