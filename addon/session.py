# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on in this Blender: the run under way, how the last one ended, the last thing that went wrong.

Kept in memory alone: nothing of it belongs into a .blend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from blockcore.report.summary import Summary

    from .run import Run


@dataclass
class Outcome:
    """How a run ended, and what is needed to show it or take it back.

    Attributes:
        summary: the engine's figures.
        counts: blocks by material, before and after, by name.
        changed: how many blocks have another material than before.
        materials: (N,) the materials found.
        scene: what was optimised, a ``BlockScene``.
        in_place: whether they were given to the scene's own blocks.
        world: name of the object that shows the result; "" if there is none.
        is_put: whether the materials were put into the scene; an undo is not noted here.
        folder: where the engine left its result.
    """

    summary: Summary
    counts: dict[str, tuple[int, int]]
    changed: int
    materials: npt.NDArray[np.int32]
    scene: Any
    in_place: bool
    folder: str
    world: str = ""
    is_put: bool = False


@dataclass
class Session:
    """The one session of this Blender.

    Attributes:
        run: the run under way, or None.
        outcome: how the last run ended, if it found something.
        message: why the last run did not, or "".
        is_problem: whether that is a problem, rather than the user's wish.
    """

    run: Run | None = None
    outcome: Outcome | None = None
    message: str = ""
    is_problem: bool = False

    def say(self, message: str, is_problem: bool = True) -> None:
        """Sets the message, as a sentence; one that begins with a file's name keeps it as it is."""
        begins_with_a_word = message.split(" ", 1)[0].rstrip(";,").isalpha()
        self.message = message[:1].upper() + message[1:] if begins_with_a_word else message
        self.is_problem = is_problem


session = Session()
