# SPDX-License-Identifier: GPL-3.0-or-later
"""Light measured before, kept between runs in the user's cache folder: what was used longest ago makes room."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError
from blockcore.io.archives import read_array
from blockcore.io.files import BESIDE, write_array

FOLDER_VARIABLE = "BLOCKCORE_CACHE"
"""Names another folder in the environment; empty, nothing is kept."""
_MOST_BYTES = 512 << 20
_SUFFIX = ".npy"
_WRITING = 60.0  # seconds that writing takes at most


def cache_folder() -> Path | None:
    """Returns where what can be found again is kept, whether it is there or not; None where nothing shall be."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given is not None:
        return Path(given) if given else None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base, "blockcore") if base else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "blockcore"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blockcore"


def find_light(key: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
    """Returns the light kept under a key, if it is there, whole, and of that shape."""
    path = _path(key)
    if path is None or not path.is_file():
        return None
    with contextlib.suppress(BlockcoreError, OSError):
        received = read_array(path, BlockcoreError, "")
        is_like_it = received.shape == shape and received.dtype == np.float32
        if is_like_it and bool(np.isfinite(received).all()) and bool((received >= 0.0).all()):
            path.touch()
            return received
    return None


def keep_light(key: str, received: npt.NDArray[np.float32], most_bytes: int = _MOST_BYTES) -> None:
    """Keeps light under a key; where that cannot be written, nothing happens."""
    path = _path(key)
    if path is None or received.nbytes > most_bytes:
        return
    with contextlib.suppress(BlockcoreError, OSError):
        write_array(path, received)
        _make_room(path.parent, most_bytes)


def _path(key: str) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "light" / f"{key}{_SUFFIX}"


def _make_room(folder: Path, most_bytes: int) -> None:
    used: list[tuple[float, int, Any]] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may have removed it
            there = path.stat()
            if path.suffix == _SUFFIX:
                used.append((there.st_mtime, there.st_size, path))
            elif BESIDE in path.name and time.time() - there.st_mtime > _WRITING:
                path.unlink()  # its process was killed
    total = 0
    for _, size, path in sorted(used, reverse=True):
        total += size
        if total > most_bytes:
            path.unlink(missing_ok=True)
