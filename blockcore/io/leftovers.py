"""What is being made beside its place or among temporary files, so that it goes even where nothing can unwind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REMOVES_OPEN = os.name != "nt"
"""Whether this system removes files that are open."""
_made: dict[Path, int | None] = {}
_ending = threading.Event()


@contextmanager
def leftover(path: Path, handle: int | None = None) -> Iterator[None]:
    """Notes a file or folder that must not stay, for as long as it is in the making; ``handle`` is open on it.

    Begin before it is there: a signal may come between any two steps. What a signal interrupts stays noted, since that
    may be what would have removed it.
    """
    _made[path] = handle
    if _ending.is_set():  # another thread ends this process: what is made now would stay
        _remove(path)
        threading.Event().wait()
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        if not os.path.lexists(path):
            gone(path)
        raise
    except BaseException:
        gone(path)
        raise
    gone(path)


def gone(path: Path) -> None:
    """Says that nothing is left of what was noted."""
    _made.pop(path, None)


@contextmanager
def fresh_folder(parent: Path, prefix: str, mode: int = 0o777) -> Iterator[Path]:
    """Makes a folder of a name of its own, and removes what is left of it at the end.

    Raises:
        OSError: it cannot be made.
    """
    folder = fresh_path(parent, prefix)
    with leftover(folder):
        folder.mkdir(mode)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def fresh_path(parent: Path, prefix: str) -> Path:
    """Returns a path that nothing has."""
    return parent / f"{prefix}{secrets.token_hex(4)}"


def remove_leftovers() -> None:
    """Removes all that is noted, as the last thing that a process does; threads that would make more stand still."""
    _ending.set()
    for path, handle in list(_made.items()):
        if handle is not None and not REMOVES_OPEN:
            with contextlib.suppress(OSError):
                os.close(handle)
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
