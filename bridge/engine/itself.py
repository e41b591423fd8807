# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bridge starts itself once more."""

from __future__ import annotations

import sys

from bridge.engine.environment import module_folders


def bridge_command(blender: str) -> list[str]:
    """Returns the words of ``python -m bridge``, to be followed by those of a command.

    Args:
        blender: Blender's program, which then runs it; "" where bpy is a package of this interpreter.
    """
    if not blender:
        return [sys.executable, "-m", "bridge"]
    return [blender, "--background", "--factory-startup", "--python-expr", _inside(), "--"]


def _inside() -> str:
    """Returns what Blender shall run: it starts without add-ons, so that it has to be told where packages lie."""
    return f"import sys; sys.path[:0] = {module_folders()!r}; import bridge.cli; sys.exit(bridge.cli.main())"
