"""What comes on standard input, for a thread that listens while others work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

_INTERVAL = 0.05  # seconds between two looks
_MOST = 1 << 16  # bytes at a time


def heard() -> Iterator[bytes]:
    """Yields what comes on standard input, as it comes, until that closes.

    Reads unbuffered: a daemon thread inside a buffered stdin would hold its lock when the interpreter ends.
    """
    number = sys.stdin.fileno()
    while True:
        while _says_nothing_yet(number):
            time.sleep(_INTERVAL)
        data = os.read(number, _MOST)
        if not data:
            return
        yield data


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    def _says_nothing_yet(number: int) -> bool:
        """Whether a pipe is empty and open.

        While one thread waits inside a read of a pipe, Windows has all others wait that as much as look at it, and a
        library that is loaded looks at the standard streams, as those that scipy brings do.
        """
        there = wintypes.DWORD()
        pipe = wintypes.HANDLE(msvcrt.get_osfhandle(number))
        is_open = ctypes.windll.kernel32.PeekNamedPipe(pipe, None, 0, None, ctypes.byref(there), None)
        return bool(is_open) and there.value == 0  # what is no pipe cannot be looked into, and is read
else:

    def _says_nothing_yet(number: int) -> bool:
        """Whether a read would get in others' way; it does not here."""
        return False
