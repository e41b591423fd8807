# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run is told of on standard error: one line that is kept up to date on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from blockcore.report.events import Baking, Event, Step

_EVERY = 5.0  # seconds between two lines where no terminal is


class Progress:
    """What a run says, as lines."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every, self._said_at, self._is_open = every, time.monotonic(), False

    def __call__(self, event: Event) -> None:
        """Tells of an event."""
        words = _words(event)
        if words and sys.stderr.isatty():
            print(f"\r{words} ", end="", file=sys.stderr, flush=True)
            self._is_open = True
        elif self._is_open:
            print("\r", end="", file=sys.stderr)
            self._is_open = False
        else:
            self.say(lambda: words)

    def say(self, words: Callable[[], str]) -> None:
        """Prints a line where none was printed for a while."""
        if not sys.stderr.isatty() and time.monotonic() - self._said_at >= self._every and words():
            self._said_at = time.monotonic()
            print(words(), file=sys.stderr, flush=True)


def _words(event: Event) -> str:
    match event:
        case Baking():
            return f"measuring the light, face {event.faces} of {event.of}"
        case Step():
            return f"step {event.step} of {event.steps}, loss {event.loss:.2e}"
    return ""
