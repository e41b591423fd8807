# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and saving .blend files; a file is replaced by a whole one or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from blockcore.errors import BlockcoreError, SceneError


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
    try:
        with _quiet():
            bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise SceneError(f"{path}: Blender cannot read it ({_reason(error)}); save it again") from error


def save_file(path: Path | str) -> None:
    """Saves the open file as a compressed .blend. The open file keeps its own name.

    Raises:
        BlockcoreError: it cannot be written there.
    """
    path = Path(path).absolute()
    fresh = path.with_name(f".{path.stem}.{os.getpid()}.blend")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    try:
        with _quiet():
            bpy.ops.wm.save_as_mainfile(filepath=str(fresh), compress=True, copy=True, check_existing=False)
        fresh.replace(path)
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    except RuntimeError as error:
        raise BlockcoreError(f"{path}: cannot be written ({_reason(error)}); choose another place") from error
    finally:
        fresh.unlink(missing_ok=True)


def _reason(error: RuntimeError) -> str:
    return " ".join(str(error).removeprefix("Error: ").split())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Blender's own remarks, which name the file beside, off the standard output of a command line."""
    if not bpy.app.background:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
