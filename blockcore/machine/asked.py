"""What another program asks of this process, while it lives: lines of JSON on standard input."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from blockcore.errors import SettingsError


class Asked:
    """The JSON values on the lines of standard input. A thread reads them, so that their end is noticed during work.

    Attributes:
        ended: whether standard input has closed.
    """

    def __init__(self, at_end: Callable[[], None]) -> None:
        """Begins to read; ``at_end`` is called in the reading thread when standard input closes."""
        self.ended = False
        self._at_end = at_end
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def __iter__(self) -> Iterator[Any]:
        """Yields values until standard input closes.

        Raises:
            SettingsError: a line is not JSON.
        """
        while (line := self._lines.get()) is not None:
            try:
                yield json.loads(line)
            except ValueError as error:
                raise SettingsError(f"standard input: a line is not JSON ({error}); send one value a line") from error

    def _read(self) -> None:
        # Unbuffered reads: a daemon thread inside a buffered stdin would hold its lock when the interpreter ends.
        rest = b""
        while data := os.read(sys.stdin.fileno(), 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line)
        self.ended = True
        self._lines.put(None)
        self._at_end()
