"""Signals that end a command: it unwinds, so that nothing half-done stays, and says by its exit code which one it was.

Python runs what answers a signal between two steps of its own, and a step can be a long computation. So a thread hears
the signal as well, and where the command has not ended after ``PATIENCE`` it clears up and ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from blockcore.io.leftovers import remove_leftovers

PATIENCE = 1.2  # seconds; with what clearing up takes less than 2
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end; ``code`` is the exit code that says so."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was changed")
        self.code = 128 + number


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Lets SIGINT, SIGTERM and SIGHUP raise ``Interrupted`` in what runs inside; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # One that was ignored from the start, as under nohup, stays so.
    before = {n: signal.signal(n, _raise) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    ended = threading.Event()
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    earlier = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ears, ended, set(before)), name="signals", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            # None is one of a program around Python, as of Blender, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        mouth.close()


def _raise(number: int, frame: FrameType | None) -> None:
    for name in NAMES:  # the second one must not disturb what the first one makes undone; the thread hears it
        with contextlib.suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), lambda *_: None)
    if not _unwinds(frame):
        _end(number)
    raise Interrupted(number)


def _unwinds(frame: FrameType | None) -> bool:
    """Whether an exception would get out.

    bpy crashes at one through its import, and takes those of its operators; llvmlite takes those of its callbacks.
    """
    inner = frame
    while frame is not None:
        source = frame.f_code.co_filename.replace("\\", "/")
        is_called_back = frame is not inner and source.endswith("/bpy/ops.py")
        if is_called_back or source.startswith("<frozen importlib") or "/llvmlite/" in source:
            return False
        frame = frame.f_back
    return True


def _end(number: int) -> NoReturn:
    with contextlib.suppress(Exception):
        remove_leftovers()
        os.write(2, f"{Interrupted(number)}\n".encode())
    os._exit(128 + number)


def _watch(ears: socket.socket, ended: threading.Event, numbers: set[int]) -> None:
    with ears:
        while heard := ears.recv(1):
            if heard[0] in numbers:
                break
        else:
            return
    if not ended.wait(PATIENCE):
        _end(heard[0])
