# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that work beside the window: modal where there is one, to the end where there is none."""

import time

import bpy

from blockcore.errors import BlockcoreError, Cancelled
from bridge.progress import Progress

from . import status
from .reporting import Conditional
from .session import LASTS, session

_TICK = 0.05  # seconds
_REDRAW = 0.2  # seconds between two drawings of the panel


class RunsBeside(Conditional):
    """Mix-in of an operator that starts a run, and puts into the scene what it found.

    One that has it says in ``begin`` what is started, and in ``put`` what becomes of the result.
    """

    bl_options = {"UNDO"}
    doing = "Working"
    about_model = False
    keeps_outcome = False

    @classmethod
    def obstacle(cls, context):
        """Why nothing can be started now."""
        if session.run is not None:
            return "A run is under way; wait for it, or cancel it"
        if context.mode != "OBJECT":
            return "Leave this mode first; this works in Object Mode"
        return ""

    def invoke(self, context, event):
        """Starts the run and goes on beside the user's work."""
        if bpy.app.background:
            return self.execute(context)
        if not self._start(context, is_shown=True):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(_TICK, window=context.window)
        manager.modal_handler_add(self)
        self._drawn, self._drawn_at = None, 0.0
        context.workspace.status_text_set(f"{self.doing}    Esc: Cancel")
        status.redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Looks at what the engine did, and leaves everything else to the user."""
        if self._run is not session.run:  # another file was opened
            return self._leave(context, {"CANCELLED"})
        if event.type == "ESC" and event.value == "PRESS" and not _is_meant_for_others(context.screen):
            self._run.cancel()
            status.redraw()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            is_done = self._run.tick()
        except BlockcoreError as error:
            return self._leave(context, self._fail(error))
        if is_done:
            return self._leave(context, self._finish(context))
        if self._run.text != self._drawn and time.monotonic() - self._drawn_at > _REDRAW:
            self._drawn, self._drawn_at = self._run.text, time.monotonic()
            status.redraw()
        return {"PASS_THROUGH"}

    def execute(self, context):
        """Runs to the end, with the window standing still if there is one."""
        if not self._start(context, is_shown=False):
            return {"CANCELLED"}
        try:
            told = Progress()
            while not self._run.tick():
                time.sleep(_TICK)
                told.say(lambda: ", ".join(filter(None, self._run.text)))
        except BlockcoreError as error:
            return self._fail(error)
        except BaseException:
            self._close()
            raise
        return self._finish(context)

    def _start(self, context, is_shown):
        session.say("", is_problem=False)
        session.about_model = self.about_model
        try:
            self._run = session.run = self.begin(context, is_shown)
        except BlockcoreError as error:
            self._tell(error)
            return False
        if not self.keeps_outcome:
            session.outcome = None
        return True

    def _finish(self, context):
        try:
            outcome = self._run.outcome()
            self._close()
            with self._run.where():
                said = self.put(bpy.context, outcome)
        except BlockcoreError as error:
            return self._fail(error)
        status.forget()
        self.report({"INFO"}, said)
        return {"FINISHED"}

    def _fail(self, error):
        self._close()
        self._tell(error)
        return {"CANCELLED"}

    def _tell(self, error):
        session.say(str(error), is_problem=not isinstance(error, Cancelled))
        self.report({"ERROR" if session.is_problem else "INFO"}, session.message or str(error))
        if not session.is_problem and not bpy.app.background:
            bpy.app.timers.register(status.redraw, first_interval=LASTS + 1.0)

    def _close(self):
        self._run.close()
        if session.run is self._run:
            session.run = None

    def _leave(self, context, how):
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        status.redraw()
        return how


def _is_meant_for_others(screen) -> bool:
    """Whether Esc ends something else that is open; menus and other operators get it before a run does anyway."""
    browsers = (area.spaces.active for area in screen.areas if area.type == "FILE_BROWSER")
    return screen.is_animation_playing or any(browser.active_operator is not None for browser in browsers)
