# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and saving .blend files; a file is replaced by a whole one or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bpy

from blockcore.errors import BlockcoreError, SceneError
from blockcore.io.files import beside, check_file, put
from blockcore.io.folders import rescue, scratch_folder
from blockcore.io.leftovers import leftover

_LONGEST_PATH = 259 if os.name == "nt" else 1000  # bytes


def new_file() -> None:
    """Starts an empty file, without the user's own start-up scene."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)


def open_file(path: Path | str) -> None:
    """Opens a .blend without running scripts that are in it.

    Raises:
        SceneError: it is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise SceneError(f"{path}: there is no such file; check its name")
    if not _is_short(path):
        raise SceneError(f"{path}: its path is too long for Blender; move it, or its folder, further up")
    try:
        with quiet():
            bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise SceneError(f"{path}: Blender cannot read it ({reason(error)}); save it again") from error


def files_read() -> list[Path]:
    """Names the files beside the open one that it reads, such as pictures and libraries, where they are there."""
    paths = map(Path, bpy.utils.blend_paths(absolute=True, packed=False))
    return sorted({path for path in paths if path.is_file()})


def save_file(path: Path | str) -> None:
    """Saves the open file as a compressed .blend. The open file keeps its own name.

    Raises:
        BlockcoreError: it cannot be written there.
    """
    path = check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path)
    except (OSError, RuntimeError) as error:
        saved = rescue(lambda folder: _save(folder / path.name))
        where = f"what was to be saved is in {saved}, since " if saved else ""
        raise BlockcoreError(f"{where}{path}: cannot be written ({reason(error)}); choose another place") from error


def _save(path: Path) -> None:
    fresh = path.with_name(f"{beside(path)}{os.getpid()}.blend")
    with leftover(fresh), leftover(fresh.with_name(f"{fresh.name}@")):  # where Blender writes first
        try:
            with ExitStack() as stack:
                near = fresh if _is_short(fresh) else stack.enter_context(scratch_folder()) / "saved.blend"
                stack.enter_context(quiet())
                bpy.ops.wm.save_as_mainfile(filepath=str(near), compress=True, copy=True, check_existing=False)
                if near != fresh:
                    shutil.copyfile(near, fresh)
            put(fresh, path)
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)


def _is_short(path: Path) -> bool:
    """Whether Blender takes a path as it is; it cuts longer ones, and says nothing."""
    return len(os.fsencode(path.absolute())) <= _LONGEST_PATH


def reason(error: Exception) -> str:
    """Returns what Blender or the system says is wrong, in one line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).removeprefix("Error: ").split())


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Blender's own remarks, which name the file beside, off the standard output of a command line."""
    if not bpy.app.background:
        yield
        return
    _flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Empties the buffers of Python and of Blender, which keeps its remarks back where no terminal listens."""
    sys.stdout.flush()
    ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
