"""What is being made beside its place or among temporary files, so that it goes even where nothing can unwind."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_made: dict[Path, None] = {}
_ending = threading.Event()


@contextmanager
def leftover(path: Path) -> Iterator[None]:
    """Notes a file or folder that must not stay, for as long as it is in the making."""
    _made[path] = None
    if _ending.is_set():  # another thread ends this process: what is made now would stay
        _remove(path)
        threading.Event().wait()
    try:
        yield
    finally:
        _made.pop(path, None)


def remove_leftovers() -> None:
    """Removes all that is noted, as the last thing that a process does; threads that would make more stand still."""
    _ending.set()
    for path in list(_made):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
