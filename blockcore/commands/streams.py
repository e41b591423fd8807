"""Standard streams that never stop a command: what they do not take is dropped, and the reason kept for its end."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class _Steady(io.RawIOBase):
    """Writes to a file's handle until it takes no more."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.problem: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.handle

    def isatty(self) -> bool:
        return os.isatty(self.handle)

    def write(self, data: Any, /) -> int:
        if self.problem is None:
            try:
                return os.write(self.handle, data)
            except OSError as problem:
                self.problem = problem
        return memoryview(data).nbytes


@contextmanager
def steady_streams() -> Iterator[Callable[[], OSError | None]]:
    """Has standard output and errors take all that is printed, and streams that are closed lead nowhere.

    Letters that a console does not have become "?".

    Yields:
        A function that says why standard output did not take all, if so.
    """
    _open_closed()
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123
    output, sys.stdout = _steady(sys.stdout, 1)
    _, sys.stderr = _steady(sys.stderr, 2)

    def problem() -> OSError | None:
        sys.stdout.flush()
        return output.problem if output else None

    try:
        yield problem
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Takes the numbers of closed streams, which would go to the next files that are opened."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _steady(stream: TextIO | None, number: int) -> tuple[_Steady | None, TextIO]:
    if stream is not None:
        try:
            number = stream.fileno()
            stream.flush()
        except (OSError, ValueError):  # a test's, or a window's
            return None, stream
    raw = _Steady(number)
    encoding = _encoding(number) or (stream.encoding if stream is not None else "utf-8")
    lines = number == 2 or raw.isatty()
    return raw, io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=lines)


def _encoding(number: int) -> str | None:
    """Returns that of a Windows console, which Python's own stream goes around and bytes written to it do not."""
    return os.device_encoding(number) if sys.platform == "win32" else None
