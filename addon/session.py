# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on in this Blender: the run under way, how the last one of each scene ended, what went wrong last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bpy

from .outcome import Outcome, read

if TYPE_CHECKING:
    from blockcore.report.summary import ModelSummary

    from .model_run import ModelRun
    from .run import Run


LASTS = 30.0
"""Seconds that a message lasts which is no problem."""


@dataclass
class Session:
    """The one session of this Blender.

    Attributes:
        run: the run under way, or None.
        made: the figures of the blocks that the last run made of a model, if it did.
        is_problem: whether the message is a problem, rather than the user's wish.
        about_model: whether that run was to make blocks of a model.
    """

    run: Run | ModelRun | None = None
    made: ModelSummary | None = None
    is_problem: bool = False
    about_model: bool = False
    _message: str = ""
    _said: tuple[int, float] = (0, 0.0)
    _outcomes: dict[int, Outcome | None] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """How the last run in the open scene ended, be it in an earlier session, if it found something."""
        scene = bpy.context.scene.session_uid
        if scene not in self._outcomes:
            self._outcomes[scene] = read()
        return self._outcomes[scene]

    @outcome.setter
    def outcome(self, outcome: Outcome | None) -> None:
        self._outcomes[bpy.context.scene.session_uid] = outcome

    @property
    def message(self) -> str:
        """Why the last run did not; "" where it did, in another scene, or once it is old news."""
        scene, at = self._said
        is_old = not self.is_problem and time.monotonic() - at > LASTS
        return "" if is_old or scene != bpy.context.scene.session_uid else self._message

    def hush(self) -> None:
        """Drops the message: something was changed since, to which it may not apply."""
        self._message = ""

    def forget_outcomes(self) -> None:
        """Drops what is known of results; what files note is read again."""
        self._outcomes.clear()

    def look_again(self) -> None:
        """Reads again what the file notes, where nothing was known."""
        self._outcomes = {scene: known for scene, known in self._outcomes.items() if known is not None}

    def say(self, message: str, is_problem: bool = True) -> None:
        """Sets the message, as a sentence; one that begins with a file's name keeps it as it is."""
        begins_with_a_word = message.split(" ", 1)[0].rstrip(";,").isalpha()
        self._message = message[:1].upper() + message[1:] if begins_with_a_word else message
        self.is_problem, self._said = is_problem, (bpy.context.scene.session_uid, time.monotonic())


session = Session()
