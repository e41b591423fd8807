# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the Blender of this process, so that nothing of it stays where the process is killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from blockcore.io.folders import BLENDERS, adopt, lasting_scratch

_WHERE = ("TEMP", "TMP") if os.name == "nt" else ("TMPDIR",)


def open_blend() -> Path | None:
    """Returns the .blend that is open in this process, or None."""
    if "bpy" not in sys.modules:
        return None
    import bpy

    return Path(bpy.data.filepath) if bpy.data.filepath else None


def start_blender() -> None:
    """Starts Blender where it is a package of this Python; it keeps its temporary files in a scratch folder.

    Where this Python is Blender's own, its folder is there already, and is adopted for the case that it is ended.
    """
    if "bpy" not in sys.modules:
        before = {name: os.environ.get(name) for name in _WHERE}
        os.environ.update(dict.fromkeys(_WHERE, str(lasting_scratch())))
        try:
            import bpy
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
    import bpy

    own = Path(bpy.app.tempdir)
    if own.name.startswith(BLENDERS):  # else it could make none, and this is the folder of everybody's temporary files
        adopt(own)


def program() -> str:
    """Returns the program of the Blender that runs this; "" where there is none, or it is a package of this Python."""
    bpy = sys.modules.get("bpy")
    return "" if bpy is None else str(bpy.app.binary_path)
