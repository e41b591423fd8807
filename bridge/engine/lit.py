# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine at work in a scene's own light: a second Blender measures it, the engine chooses, and so on in turn.

What blocks are made of colours the light that bounces off them, so the light is measured again with what was found,
until no block changes or the light stays the same. Each is a process of its own, and only one runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from blockcore.io.files import write_array
from blockcore.report.events import Baked, Done, Event, Failed, Stopped
from bridge.engine.materials import read_materials
from bridge.engine.process import EngineRun, Running

ROUNDS = 3
"""How often the light is measured at most."""
Launch = Callable[[], EngineRun]


class LitRun(Running):
    """One run, heard and ended as an ``EngineRun`` is."""

    def __init__(self, bake: Launch, choose: Launch, found: Path, bounce: Path, rounds: int = ROUNDS) -> None:
        """Starts measuring.

        Args:
            bake: starts what measures the light on blocks as ``bounce`` says they are, if that file is there; its
                result tells whether the light ``changed``.
            choose: starts the engine in the light measured.
            found: the file that will hold the materials that the engine found.
            bounce: where they are put for the next measuring.
            rounds: how often the light is measured at most.
        """
        self._bake, self._choose, self._found, self._bounce = bake, choose, found, bounce
        self._round, self._rounds = 1, rounds
        self._done: Done | None = None
        self._run = bake()

    @property
    def pid(self) -> int:
        """The process at work."""
        return self._run.pid

    def poll(self) -> list[Event]:
        """Returns what happened since the last call, without waiting. The last event is Done, Failed or Stopped."""
        events: list[Event] = []
        for event in self._run.poll():
            if isinstance(event, Done | Baked):
                event_or_none = self._next(event)
                events += [event_or_none] if event_or_none is not None else []
            else:
                events.append(event)
        self.finished = any(isinstance(event, Done | Failed | Stopped) for event in events) or self.finished
        return events

    def cancel(self) -> None:
        """Asks the process at work to stop; see ``EngineRun.cancel``."""
        self._run.cancel()

    def close(self) -> None:
        """Ends what still runs."""
        self._run.close()
        self.finished = True

    def _next(self, done: Done | Baked) -> Done | None:
        """Starts what comes next; returns what is done at last, or None."""
        self._run.close()
        if isinstance(done, Baked):
            if self._done is not None and not done.changed:
                return self._done
            self._run = self._choose()
            return None
        materials = read_materials(self._found)
        before = read_materials(self._bounce) if self._done is not None else None
        if self._round == self._rounds or (before is not None and np.array_equal(before, materials)):
            return done
        write_array(self._bounce, materials)
        self._done, self._round = done, self._round + 1
        self._run = self._bake()
        return None
