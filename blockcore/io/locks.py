"""Locks: one process at a time writes an output, and a lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from blockcore.errors import Busy
from blockcore.io.leftovers import REMOVES_OPEN, gone, leftover

if os.name == "nt":
    import msvcrt

    def _hold(file: IO[bytes]) -> None:
        file.seek(1 << 30)  # beyond what is written there, so that others can read who holds it
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        file.seek(0)
else:
    import fcntl

    def _hold(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: dict[Path, int] = {}


@contextmanager
def locked(path: Path, what: Path | str) -> Iterator[None]:
    """Holds a lock file; within one process it may be held again.

    Args:
        path: the lock file; it is made, and removed at the end.
        what: what messages call the thing that is locked.

    Raises:
        Busy: another process holds it.
        OSError: the lock file cannot be made.
    """
    if path in _held:
        yield
        return
    file, is_mine = None, not path.exists()
    try:
        with leftover(path) if is_mine else nullcontext():  # a signal may come as soon as it is there
            file = _taken(path)
            is_mine = file is not None
        if file is None:
            raise Busy(f"{what}: is being written by {_owner(path)}; wait for it, or choose another place")
        with leftover(path, file.fileno()):
            note = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.time()}
            with contextlib.suppress(OSError):  # a full disk: who holds it stays unsaid
                file.write(json.dumps(note).encode())
                file.flush()
            _held[path] = file.fileno()
            yield
    finally:
        _held.pop(path, None)
        ends = [path.unlink] * is_mine + ([] if file is None else [file.close])
        # A lock is removed while it is held, where that can be, or another process may hold one that goes.
        for end in ends if REMOVES_OPEN else reversed(ends):
            with contextlib.suppress(OSError):
                end()
        if is_mine:
            gone(path)


def holds(path: Path) -> bool:
    """Whether this process holds a lock file, by whatever name."""
    return os.path.realpath(path) in {os.path.realpath(held) for held in _held}


def is_held(path: Path) -> bool:
    """Whether some process holds a lock file."""
    if path in _held:
        return True
    try:
        with path.open("r+b") as file:
            _hold(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _taken(path: Path) -> IO[bytes] | None:
    for _ in range(8):
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666), "r+b")
        try:
            _hold(file)
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                file.truncate(0)
                return file
        except FileNotFoundError:
            pass  # whoever held it removed it meanwhile
        except OSError:
            file.close()
            return None
        file.close()
    return None


def _owner(path: Path) -> str:
    try:
        note = json.loads(path.read_bytes()[:1000])
        age = max(0.0, time.time() - float(note["since"]))
        return f"process {int(note['process'])} on {str(note['machine'])[:40]} for {age:.0f} s"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
