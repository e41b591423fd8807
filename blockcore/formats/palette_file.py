"""Palettes from files.

A palette's file is JSON: an object of material names, each with one colour or with one for ``top``, ``bottom`` and
``side``. A colour is ``"#rrggbb"`` or three numbers from 0 to 1, as display values. Air need not be listed::

    {"Grass": {"top": "#57ad5c", "bottom": [0.4, 0.3, 0.16], "side": "#73944d"}, "Brick": "#9c4a3a"}

Beside the three colours may stand ``tiles``, by the face's name: each a picture's path inside the palette's folder, or
the picture itself as ``data:image/png;base64,…``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import PaletteError, quoted
from blockcore.formats.tile_files import inline_tile, read_tiles
from blockcore.io.damage import reading
from blockcore.io.files import Json, read_json, write_file
from blockcore.model.grid import FACE_NAMES
from blockcore.model.palette import AIR, SLOT_NAMES, Palette

_REMEDY = 'write {"Name": "#rrggbb", …} or {"Name": {"top": …, "bottom": …, "side": …}, …}'
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def read_palette(path: Path | str) -> Palette:
    """Reads a palette's file.

    Raises:
        PaletteError: the file is missing or damaged, or a colour is none.
    """
    path = Path(path)
    return palette_from(read_json(path, PaletteError, _REMEDY), path)


def palette_from(data: Any, path: Path) -> Palette:
    """Returns the palette that a parsed file describes.

    Args:
        data: what its JSON says.
        path: what messages call it; pictures of tiles are looked for beside it.

    Raises:
        PaletteError: it is no palette, or a colour is none.
    """
    if not isinstance(data, dict):
        raise PaletteError(f"{path}: is not a palette; {_REMEDY}")
    try:
        with reading(path, PaletteError, _REMEDY):
            materials = {name: _face_colors(path, name, value) for name, value in data.items() if name != "Air"}
            colors: npt.NDArray[Any] = np.array([np.zeros((3, 3)), *materials.values()], dtype=np.float64)
            palette = Palette(("Air", *materials), colors)
            tiles = {name: value["tiles"] for name, value in data.items() if name != "Air" and _has_tiles(value)}
            return palette.with_tiles(read_tiles(tiles, path.parent, str(path), palette)) if tiles else palette
    except PaletteError as error:
        raise PaletteError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error


def hex_color(text: str) -> tuple[float, float, float]:
    """Returns the display colour of a text such as ``#79c05a``.

    Raises:
        PaletteError: it is none.
    """
    if not _HEX.fullmatch(text):
        raise PaletteError(f"{quoted(text)} is no colour; write #rrggbb")
    red, green, blue = (int(text[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    return red, green, blue


def write_palette(path: Path, palette: Palette) -> None:
    """Writes a palette, its tiles within the file; what ``read_palette`` gives is equal but for colours' rounding.

    Raises:
        BlockcoreError: it cannot be written there.
    """
    write_file(path, json.dumps(described(palette), ensure_ascii=False, indent=1) + "\n")


def described(palette: Palette) -> Json:
    """Returns what a palette's file says, its tiles included: ``palette_from`` reads it."""
    return {name: _material(palette, number) for number, name in enumerate(palette.names) if number != AIR}


def hex_of(color: npt.ArrayLike) -> str:
    """Returns a display colour as ``#rrggbb``."""
    return "#" + bytes(np.rint(255.0 * np.clip(color, 0.0, 1.0)).astype(np.uint8)).hex()


def _material(palette: Palette, material: int) -> Json:
    codes = [hex_of(color) for color in palette.colors[material]]
    tiles = {name: palette.tiles.get((material, direction)) for direction, name in enumerate(FACE_NAMES)}
    shown = {name: inline_tile(tile) for name, tile in tiles.items() if tile is not None}
    return dict(zip(SLOT_NAMES, codes, strict=True)) | ({"tiles": shown} if shown else {})


def _has_tiles(value: Any) -> bool:
    return isinstance(value, dict) and "tiles" in value


def _face_colors(path: Path, name: str, value: Any) -> list[list[float]]:
    slots = [value.get(slot) for slot in SLOT_NAMES] if isinstance(value, dict) else [value] * len(SLOT_NAMES)
    return [_color(path, name, slot) for slot in slots]


def _color(path: Path, name: str, value: Any) -> list[float]:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return list(hex_color(value))
    if isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value):
        return [float(v) for v in value]
    raise PaletteError(f"{path}: material {quoted(name)} has the colour {quoted(value)}; {_REMEDY}")
