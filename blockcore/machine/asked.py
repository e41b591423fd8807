"""What another program asks of this process, while it lives: lines of JSON on standard input."""

from __future__ import annotations

import json
import queue
import signal
import threading
from collections.abc import Iterator
from typing import Any

from blockcore.errors import SettingsError
from blockcore.machine.heard import heard


class Asked:
    """The JSON values on the lines of standard input, one piece of work each.

    A thread reads them. Where standard input closes during work, it raises SIGINT, so that the work ends as it does
    where somebody stops it.
    """

    def __init__(self) -> None:
        self._ended = False
        self._working = threading.Lock()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def __iter__(self) -> Iterator[Any]:
        """Yields values until standard input closes.

        Raises:
            SettingsError: a line is not JSON.
        """
        while (line := self._lines.get()) is not None:
            with self._working:
                if self._ended:
                    return
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise SettingsError(f"standard input: a line is not JSON ({error}); send one a line") from error
                yield value

    def _read(self) -> None:
        rest = b""
        for data in heard():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line)
        self._ended = True
        self._lines.put(None)
        if self._working.locked():
            signal.raise_signal(signal.SIGINT)
