# SPDX-License-Identifier: GPL-3.0-or-later
"""Palettes for a run: from a file, and cut down to the materials that are allowed. Without bpy.

A palette's file is JSON: an object of material names, each with one colour or with one for ``top``, ``bottom`` and
``side``. A colour is ``"#rrggbb"`` or three numbers from 0 to 1, as display values. Air need not be listed::

    {"Grass": {"top": "#57ad5c", "bottom": [0.4, 0.3, 0.16], "side": "#73944d"}, "Brick": "#9c4a3a"}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import PaletteError
from blockcore.files import read_json
from blockcore.palette import AIR, SLOT_NAMES, Palette
from blockcore.scene import BlockScene

_REMEDY = 'write {"Name": "#rrggbb", …} or {"Name": {"top": …, "bottom": …, "side": …}, …}'
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def read_palette(path: Path | str) -> Palette:
    """Reads a palette's file.

    Raises:
        PaletteError: the file is missing or damaged, or a colour is none.
    """
    path = Path(path)
    data = read_json(path, PaletteError, _REMEDY)
    if not isinstance(data, dict):
        raise PaletteError(f"{path}: is not a palette; {_REMEDY}")
    materials = {name: _face_colors(path, name, value) for name, value in data.items() if name != "Air"}
    colors = np.array([np.zeros((3, 3)), *materials.values()], dtype=np.float32)
    try:
        return Palette(("Air", *materials), colors)
    except PaletteError as error:
        raise PaletteError(f"{path}: {error}") from error


def _face_colors(path: Path, name: str, value: Any) -> list[list[float]]:
    slots = [value.get(slot) for slot in SLOT_NAMES] if isinstance(value, dict) else [value] * len(SLOT_NAMES)
    return [_color(path, name, slot) for slot in slots]


def _color(path: Path, name: str, value: Any) -> list[float]:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return [int(value[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    if isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value):
        return [float(v) for v in value]
    raise PaletteError(f"{path}: material {name!r} has the colour {value!r}; {_REMEDY}")


@dataclass(frozen=True, eq=False)
class Restriction:
    """A scene whose palette holds the allowed materials alone, and the way back.

    Attributes:
        scene: the scene to optimise. Blocks of a material that is not allowed start as the allowed one of the most
            similar colour; those that no camera sees stay so.
        to_full: (K,) int32: index in the full palette of each material of the scene's.
    """

    scene: BlockScene
    to_full: npt.NDArray[np.int32]

    def expand(self, materials: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Returns the indices in the full palette of (N,) indices into the scene's."""
        return np.asarray(self.to_full[materials])


def restrict(scene: BlockScene, allowed: Sequence[str]) -> Restriction:
    """Leaves only the allowed materials in a scene's palette; all of them if ``allowed`` is empty.

    Raises:
        PaletteError: a material is not in the palette, or is Air.
    """
    palette = scene.palette
    if not allowed:
        return Restriction(scene, np.arange(len(palette), dtype=np.int32))
    kept = sorted({palette.index(name) for name in allowed})
    if AIR in kept:
        raise PaletteError("Air cannot be allowed: blocks stay blocks; remove it from the allowed materials")
    to_full = np.array([AIR, *kept], dtype=np.int32)
    apart = np.square(palette.colors[:, None] - palette.colors[None, kept]).sum(axis=(2, 3))
    nearest = apart.argmin(axis=1) + 1
    return Restriction(replace(scene, materials=nearest[scene.materials], palette=_select(palette, kept)), to_full)


def _select(palette: Palette, kept: list[int]) -> Palette:
    rows = [AIR, *kept]
    tiles = {(rows.index(material), face): tile for (material, face), tile in palette.tiles.items() if material in kept}
    return Palette(tuple(palette.names[row] for row in rows), palette.colors[rows], tiles)
