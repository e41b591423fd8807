# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on in this Blender: the run under way, how the last one of each scene ended, what went wrong last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bpy

from .outcome import Outcome, read

if TYPE_CHECKING:
    from blockcore.report.summary import ModelSummary

    from .model_run import ModelRun
    from .run import Run


@dataclass
class Session:
    """The one session of this Blender.

    Attributes:
        run: the run under way, or None.
        made: the figures of the blocks that the last run made of a model, if it did.
        message: why the last run did not, or "".
        is_problem: whether that is a problem, rather than the user's wish.
        about_model: whether that run was to make blocks of a model.
    """

    run: Run | ModelRun | None = None
    made: ModelSummary | None = None
    message: str = ""
    is_problem: bool = False
    about_model: bool = False
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

    def forget_outcomes(self) -> None:
        """Drops what is known of results; what files note is read again."""
        self._outcomes.clear()

    def look_again(self) -> None:
        """Reads again what the file notes, where nothing was known."""
        self._outcomes = {scene: known for scene, known in self._outcomes.items() if known is not None}

    def say(self, message: str, is_problem: bool = True) -> None:
        """Sets the message, as a sentence; one that begins with a file's name keeps it as it is."""
        begins_with_a_word = message.split(" ", 1)[0].rstrip(";,").isalpha()
        self.message = message[:1].upper() + message[1:] if begins_with_a_word else message
        self.is_problem = is_problem


session = Session()
