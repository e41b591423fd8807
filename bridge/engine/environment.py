# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of the engine finds around it: its variables, its working folder, the project it is imported from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blockcore


def process_options(temporary: Path | None = None) -> Mapping[str, Any]:
    """Returns what to hand to ``subprocess`` beside the command.

    Args:
        temporary: where the process puts its temporary files; None for where this one does.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}  # that is Blender's
    environment |= {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    if temporary is not None:
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    project = checkout()
    if project:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(project), environment.get("PYTHONPATH")]))
    # The working folder is on the module path of `python -m`: it must not be one where somebody else's files lie.
    options = {"env": environment, "cwd": Path(sys.prefix)}
    if sys.platform == "win32":
        return options | {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return options | {"start_new_session": True}


def absolute(python: str) -> str:
    """Makes an interpreter's path independent of the working folder; a bare name is left to be found on the path."""
    return str(Path(python).absolute()) if Path(python).name != python else python


def checkout() -> Path | None:
    """Returns the project's folder if this blockcore runs from there rather than being installed."""
    folder = Path(blockcore.__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None
