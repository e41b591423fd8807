"""Tiles on disk: the pictures that a map's ``textures`` names."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import DatasetError, PaletteError, listed, quoted
from blockcore.io.files import inside, read_bytes, write_file
from blockcore.io.pictures import decode_picture, encode_png
from blockcore.model.grid import FACE_NAMES
from blockcore.model.palette import AIR, MAX_TILE_SIDE, Palette, Tiles

_MAX_FILE_BYTES = 16 << 20
_FOLDER = "tiles"
_INLINE = "data:image/png;base64,"


def read_tiles(textures: Any, folder: Path, what: str, palette: Palette) -> Tiles:
    """Reads the tiles that a map's ``textures`` names.

    Args:
        textures: ``{material: {face: path}}``; paths are relative to ``folder`` and stay inside it. A PNG may stand in
            the place of a path, as ``data:image/png;base64,…``.
        folder: the map's folder.
        what: what messages call the map.
        palette: the palette that has the materials.

    Raises:
        PaletteError: a material or face is unknown, or a tile is missing, outside the folder, not a picture, or larger
            than ``MAX_TILE_SIDE``.
    """
    if not isinstance(textures, Mapping) or not all(isinstance(faces, Mapping) for faces in textures.values()):
        raise PaletteError(f"{what}: its textures are not {{material: {{face: path}}}}; correct or remove them")
    tiles, read = {}, dict[str, npt.NDArray[np.uint8]]()
    index = {name: number for number, name in enumerate(palette.names)}
    for name, faces in textures.items():
        if index.get(name, AIR) == AIR:
            raise PaletteError(
                f"{what}: its textures name the unknown material {quoted(name)}; use one of {listed(palette.names[1:])}"
            )
        for face, path in faces.items():
            if face not in FACE_NAMES:
                raise PaletteError(f"{what}: {name} has no face {quoted(face)}; use one of {', '.join(FACE_NAMES)}")
            if str(path) not in read:  # the same picture often lies on several faces
                read[str(path)] = _read_tile(folder, path, f"{what}: {name} {face}")
            tiles[index[name], FACE_NAMES.index(face)] = read[str(path)]
    return tiles


def _read_tile(folder: Path, name: Any, what: str) -> npt.NDArray[np.uint8]:
    if isinstance(name, str) and name.startswith(_INLINE):
        return _decoded(_inline_bytes(name, what), f"{what}: its tile")
    path = inside(folder, name) if isinstance(name, str) else None
    try:
        if path is None or (path.exists() and not path.is_file()):
            raise PaletteError(
                f"{what}: tile {quoted(name)} is not a file inside the map's folder; move the picture there"
            )
        return _decoded(read_bytes(path, _MAX_FILE_BYTES), f"{what}: tile {quoted(name)}")
    except OSError as error:
        raise PaletteError(
            f"{what}: tile {quoted(name)} cannot be read ({error.strerror}); restore or remove it"
        ) from error


def _inline_bytes(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(_INLINE), validate=True)
    except ValueError as error:
        raise PaletteError(f"{what}: its tile is no base64 ({error}); write the palette again") from error


def _decoded(data: bytes, what: str) -> npt.NDArray[np.uint8]:
    try:
        pixels = decode_picture(data, what, largest=MAX_TILE_SIDE)
    except DatasetError as error:
        raise PaletteError(str(error)) from error
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return pixels if pixels.shape[2] == 4 else np.concatenate([pixels, opaque], axis=2)


def inline_tile(tile: npt.NDArray[np.uint8]) -> str:
    """Returns a tile as text that ``read_tiles`` takes in the place of a path."""
    return _INLINE + base64.b64encode(encode_png(tile)).decode()


def write_tiles(palette: Palette, folder: Path) -> dict[str, dict[str, str]]:
    """Writes a palette's tiles into ``folder``/tiles, each named by what it is and holds, so that none is overwritten.

    Returns:
        A map's ``textures``.
    """
    textures: dict[str, dict[str, str]] = {}
    for (material, direction), tile in palette.tiles.items():
        name, face = palette.names[material], FACE_NAMES[direction]
        digest = hashlib.blake2b(tile.tobytes() + repr(tile.shape).encode(), digest_size=6).hexdigest()
        path = f"{_FOLDER}/{re.sub('[^a-z0-9]+', '-', name.lower())}_{face}_{digest}.png"
        write_file(folder / path, encode_png(tile))
        textures.setdefault(name, {})[face] = path
    return textures
