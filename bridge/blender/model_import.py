# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files, opened by Blender's own importers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from blockcore.errors import SceneError
from bridge.blender.files import new_file, open_file, quiet, reason

_IMPORTERS: dict[str, Callable[[], Any]] = {
    ".obj": lambda: bpy.ops.wm.obj_import,
    ".glb": lambda: bpy.ops.import_scene.gltf,
    ".gltf": lambda: bpy.ops.import_scene.gltf,
    # Before 4.5 an extension that Blender brings imports it.
    ".fbx": lambda: bpy.ops.wm.fbx_import if "fbx_import" in dir(bpy.ops.wm) else bpy.ops.import_scene.fbx,
    ".stl": lambda: bpy.ops.wm.stl_import,
    ".ply": lambda: bpy.ops.wm.ply_import,
    ".usd": lambda: bpy.ops.wm.usd_import,
    ".usda": lambda: bpy.ops.wm.usd_import,
    ".usdc": lambda: bpy.ops.wm.usd_import,
    ".usdz": lambda: bpy.ops.wm.usd_import,
    ".abc": lambda: bpy.ops.wm.alembic_import,
}
_OPTIONS = {".abc": {"as_background_job": False}}


def open_model(path: Path) -> bool:
    """Opens a .blend, or imports a model's file into a new one.

    Returns:
        Whether the file is a .blend, with a scene of its own.

    Raises:
        SceneError: there is no such file, no importer knows it, or it is damaged.
    """
    kind = path.suffix.lower()
    if kind == ".blend":
        open_file(path)
        return True
    if kind not in _IMPORTERS:
        known = " ".join((".blend", *_IMPORTERS))
        raise SceneError(f"{path}: no importer knows this kind of file; give one of {known}")
    if not path.is_file():
        raise SceneError(f"{path}: there is no such file; check its name")
    new_file()
    before = set(bpy.data.objects)
    try:
        with quiet():
            _IMPORTERS[kind]()(filepath=str(path.absolute()), **_OPTIONS.get(kind, {}))
    except (RuntimeError, AttributeError) as error:
        raise SceneError(f"{path}: Blender cannot import it ({reason(error)}); export it again") from error
    if not set(bpy.data.objects) - before:
        raise SceneError(f"{path}: Blender found nothing in it; export it again")
    return False
