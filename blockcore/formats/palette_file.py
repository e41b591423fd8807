"""Palettes from files.

A palette's file is JSON: an object of material names, each with one colour or with one for ``top``, ``bottom`` and
``side``. A colour is ``"#rrggbb"`` or three numbers from 0 to 1, as display values. Air need not be listed::

    {"Grass": {"top": "#57ad5c", "bottom": [0.4, 0.3, 0.16], "side": "#73944d"}, "Brick": "#9c4a3a"}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import PaletteError, quoted
from blockcore.io.damage import reading
from blockcore.io.files import read_json
from blockcore.model.palette import SLOT_NAMES, Palette

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
    try:
        with reading(path, PaletteError, _REMEDY):
            materials = {name: _face_colors(path, name, value) for name, value in data.items() if name != "Air"}
            colors: npt.NDArray[Any] = np.array([np.zeros((3, 3)), *materials.values()], dtype=np.float64)
            return Palette(("Air", *materials), colors)
    except PaletteError as error:
        raise PaletteError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error


def _face_colors(path: Path, name: str, value: Any) -> list[list[float]]:
    slots = [value.get(slot) for slot in SLOT_NAMES] if isinstance(value, dict) else [value] * len(SLOT_NAMES)
    return [_color(path, name, slot) for slot in slots]


def _color(path: Path, name: str, value: Any) -> list[float]:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return [int(value[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    if isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value):
        return [float(v) for v in value]
    raise PaletteError(f"{path}: material {quoted(name)} has the colour {quoted(value)}; {_REMEDY}")
