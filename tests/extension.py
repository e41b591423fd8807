"""The add-on, built and installed as users get it, in a Blender without a window that runs pieces of code."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ADDON = "bl_ext.user_default.optimize_materials"
_PROLOGUE = f"""
import importlib, json, sys
import bpy
import addon_utils
if bpy.app.version >= (4, 5):
    bpy.ops.wm.read_userpref()
else:  # the module bpy of Blender 4.2 dies of reading preferences
    addon_utils.extensions_refresh()
    if any(module.__name__ == "{ADDON}" for module in addon_utils.modules()):
        addon_utils.enable("{ADDON}", default_set=True)
def part(name):
    return importlib.import_module("{ADDON}." + name)
"""


class Blender:
    """A Blender of one's own: settings and extensions live in a folder, nothing is shared with others.

    Attributes:
        folder: where they live.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def install(self, archive: Path) -> str:
        """Installs and enables an extension; returns what Blender said."""
        return self.run(
            f"bpy.ops.extensions.package_install_files(filepath={str(archive)!r}, repo='user_default')\n"
            "bpy.ops.wm.save_userpref()"
        )[1]

    def run(
        self, code: str, cwd: Path | str | None = None, seconds: float = 300.0, **variables: str
    ) -> tuple[Any, str]:
        """Runs code in a new Blender; returns what it left in ``answer``, and what was printed."""
        script, reply = self.folder / "script.py", self.folder / "reply.json"
        reply.unlink(missing_ok=True)
        epilogue = f"\nimport pathlib\npathlib.Path({str(reply)!r}).write_text(json.dumps(globals().get('answer')))\n"
        script.write_text(_PROLOGUE + code + epilogue)
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=cwd,
            env=os.environ
            | {"BLENDER_USER_RESOURCES": str(self.folder), "BLOCKCORE_PYTHON": sys.executable}
            | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0 and reply.is_file(), done.stdout
        return json.loads(reply.read_text()), done.stdout


def engines(folder: Path) -> list[str]:
    """Returns the command lines of the engines that have a folder on them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().decode(errors="replace").split("\0")
            if "blockcore" in words and any(str(folder) in word for word in words):
                found.append(" ".join(words))
    return found


def assert_no_engine(folder: Path) -> None:
    """Fails where an engine is left three seconds from now."""
    deadline = time.monotonic() + 3.0
    while left := engines(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
