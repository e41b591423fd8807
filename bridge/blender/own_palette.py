# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's own palette: a note in the .blend that says what a palette's file would; undo and saving keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import numpy.typing as npt

from blockcore.errors import PaletteError, SceneError
from blockcore.formats.palette_file import described, hex_of, palette_from, read_palette
from blockcore.io.damage import DAMAGE
from blockcore.io.files import Json, parse_json
from blockcore.model.palette import SLOT_NAMES, Palette
from bridge.job import OWN

_NOTE = "blockcore_palette"
_AIR = "Air"
_GREY = "#808080"


def own_palette(scene: Any) -> Palette:
    """Returns a scene's own palette.

    Raises:
        BlockcoreError: it has none, or that is damaged.
    """
    return palette_from(_read(scene), Path(f"the palette of scene {scene.name}"))


def named_palette(name: Path) -> Palette:
    """Returns the palette of a file, or that of the open scene where the name is ``own``.

    Raises:
        BlockcoreError: it is missing or damaged.
    """
    return own_palette(bpy.context.scene) if name == OWN else read_palette(name)


def has_own_palette(scene: Any) -> bool:
    """Whether a scene has a palette of its own."""
    return _NOTE in scene


def keep_palette(scene: Any, palette: Palette) -> None:
    """Makes a palette the scene's own."""
    _write(scene, described(palette))


def recolor(scene: Any, name: str, colors: npt.ArrayLike) -> None:
    """Gives a material of the scene's own palette plain colours: (3, 3) of its top, side and bottom, in 0…1.

    Raises:
        SceneError: there is no own palette, or it has no such material.
    """
    materials = _read(scene)
    if name not in materials:
        raise SceneError(f"palette: has no material {name!r}; choose one of its own")
    materials[name] = dict(zip(SLOT_NAMES, map(hex_of, colors), strict=True))  # type: ignore[arg-type]
    _write(scene, materials)


def add_material(scene: Any, wish: str) -> str:
    """Adds a grey material to the scene's own palette; returns its name, the wished one where that is free."""
    materials = _read(scene)
    name = _free(wish, materials)
    materials[name] = _GREY
    _write(scene, materials)
    return name


def rename_material(scene: Any, old: str, wish: str) -> str:
    """Renames a material of the scene's own palette; returns its name, the wished one where that is free."""
    materials = _read(scene)
    name = _free(wish, materials.keys() - {old}) if wish.strip() else old
    _write(scene, {name if one == old else one: value for one, value in materials.items()})
    return name


def remove_material(scene: Any, name: str) -> None:
    """Removes a material of the scene's own palette.

    Raises:
        PaletteError: it is the last one.
    """
    materials = _read(scene)
    materials.pop(name, None)
    if not materials:
        raise PaletteError("palette: a palette needs a material; add another first")
    _write(scene, materials)


def _free(wish: str, taken: Any) -> str:
    """Returns a name that none has, numbered as Blender numbers them."""
    name, number = wish.strip(), 0
    while name in taken or name == _AIR:
        number += 1
        name = f"{wish.strip()}.{number:03d}"
    return name


def _read(scene: Any) -> Json:
    try:
        materials = parse_json(scene[_NOTE])
    except DAMAGE as error:
        raise SceneError(f"scene {scene.name!r}: has no palette of its own; choose another under Palette") from error
    return dict(materials) if isinstance(materials, dict) else {}


def _write(scene: Any, materials: Json) -> None:
    scene[_NOTE] = json.dumps(materials, ensure_ascii=False)
