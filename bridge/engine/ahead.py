# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling ahead: the engine's kernels, once for each version, so that the first run is as fast as later ones.

Compiled kernels lie beside their modules, which of an extension is the user's own folder, and go when those go.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import blockcore
from bridge.engine.environment import absolute, process_options


def start_compiling(python: str) -> subprocess.Popen[bytes]:
    """Starts an interpreter that compiles the kernels of usual jobs, says nothing, and ends with code 0.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        [absolute(python), "-m", "blockcore", "compile"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **process_options(python),
    )


def is_compiled(note: Path) -> bool:
    """Returns whether a note says that the very code of this process was compiled."""
    try:
        return note.read_text(encoding="utf-8") == _stamp()
    except OSError:
        return False


def note_compiled(note: Path) -> None:
    """Writes the note of ``is_compiled``."""
    note.write_text(_stamp(), encoding="utf-8")


def _stamp() -> str:
    """Names the code: a package that is installed anew gets a new time, and its kernels are compiled anew."""
    installed = Path(str(blockcore.__file__)).stat().st_mtime_ns
    return f"{blockcore.__version__} {installed} {sys.version}"
