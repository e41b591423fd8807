# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of the engine finds around it: variables, working folder, the folders its modules come from."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

import blockcore


def process_options(program: str, temporary: Path | None = None) -> Mapping[str, Any]:
    """Returns what to hand to ``subprocess`` beside the command.

    Args:
        program: what is started. The interpreter of this process gets the modules that are here: of Blender's own
            Python, an extension's lie where it does not look by itself.
        temporary: where the process puts its temporary files; None for where this one does.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}  # that is Blender's
    environment |= {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    if temporary is not None:
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    folders = module_folders() if program == sys.executable else [str(checkout() or "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    # The working folder is on the module path of `python -m`: it must not be one where somebody else's files lie.
    options = {"env": environment, "cwd": Path(sys.prefix)}
    if sys.platform == "win32":
        return options | {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return options | {"start_new_session": True}


def module_folders() -> list[str]:
    """Returns the folders that this process has blockcore, what that needs, and numpy from."""
    modules = (blockcore, numpy)
    return list(dict.fromkeys(str(Path(str(module.__file__)).resolve().parent.parent) for module in modules))


def absolute(python: str) -> str:
    """Makes an interpreter's path independent of the working folder; a bare name is left to be found on the path."""
    return str(Path(python).absolute()) if Path(python).name != python else python


def stand_back(pid: int) -> None:
    """Lets a window go first where it and a process both want the processor."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):  # it may be gone already
            os.setpriority(os.PRIO_PROCESS, pid, 10)


def checkout() -> Path | None:
    """Returns the project's folder if this blockcore runs from there rather than being installed."""
    folder = Path(blockcore.__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None
