# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes left on Blender data, as custom properties, so that a world comes back exactly as it went in."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from blockcore.errors import BlockcoreError
from blockcore.io.damage import DAMAGE, whole
from blockcore.io.files import Json, parse_json
from blockcore.io.pictures import decode_picture, encode_png
from blockcore.model.grid import MAX_SIDE
from blockcore.model.lighting import Lighting
from blockcore.model.palette import MAX_TILE_SIDE, Palette, Tiles

_WORLD = "blockcore_world"
_WEIGHT = "blockcore_weight"
AS_BOX = "blockcore_as_box"
"""On an object whose mesh is no cube: take the box around it as a block."""
_MODEL = "blockcore_model"
_FRAME = "blockcore_own_frame"
MATERIAL = "blockcore_material"
"""Names, on a material, a mesh or an object, the palette material that it shows."""


@dataclass(frozen=True)
class WorldMark:
    """What the blocks alone do not tell about their world.

    Attributes:
        grid_size: cells along blockcore's x, y, z.
        world_scale: edge of a block, in the marked object's own units.
        palette: the materials a block can be made of.
        lighting: the light, in blockcore's axes; None where it is that of the Blender scene itself.
    """

    grid_size: tuple[int, int, int]
    world_scale: float
    palette: Palette
    lighting: Lighting | None


def write_world(holder: Any, mark: WorldMark) -> None:
    """Notes ``mark`` on an object or a collection."""
    holder[_WORLD] = json.dumps(
        {
            "grid_size": mark.grid_size,
            "world_scale": mark.world_scale,
            "palette": {"names": mark.palette.names, "colors": mark.palette.colors.tolist()},
            "tiles": [
                [material, direction, base64.b64encode(encode_png(tile)).decode()]
                for (material, direction), tile in mark.palette.tiles.items()
            ],
            "lighting": None if mark.lighting is None else asdict(mark.lighting),
        }
    )


def read_world(holder: Any) -> WorldMark | None:
    """Returns the note on an object or a collection, or None where there is none that makes sense."""
    try:
        note = parse_json(holder[_WORLD])
        light: Json = {
            name: tuple(value) if isinstance(value, list) else value for name, value in (note["lighting"] or {}).items()
        }
        x, y, z = (whole(side, "grid_size", 1, MAX_SIDE) for side in note["grid_size"])
        scale = float(note["world_scale"])
        if not 0.0 < scale < math.inf:
            return None
        return WorldMark(
            grid_size=(x, y, z),
            world_scale=scale,
            palette=Palette(tuple(note["palette"]["names"]), note["palette"]["colors"], _tiles(note["tiles"])),
            lighting=Lighting(**light) if light else None,
        )
    except (*DAMAGE, BlockcoreError):
        return None  # a property of that name that somebody else wrote


def is_world(holder: Any) -> bool:
    """Whether an object or a collection carries the note of a world; quicker than reading it."""
    return holder.get(_WORLD) is not None


def _tiles(entries: list[tuple[int, int, str]]) -> Tiles:
    tiles = {}
    for material, direction, png in entries:
        pixels = decode_picture(base64.b64decode(png), "tile", largest=MAX_TILE_SIDE)
        opaque = np.full((*pixels.shape[:2], 4 - pixels.shape[2]), 255, dtype=np.uint8)
        tiles[material, direction] = np.concatenate([pixels, opaque], axis=2)
    return tiles


def write_weight(camera: Any, weight: float) -> None:
    """Notes on a camera object how much its picture counts; 1 is not worth a note."""
    if weight != 1.0:
        camera[_WEIGHT] = weight


def read_weight(camera: Any) -> float:
    """Returns how much a camera object's picture counts: its custom property ``blockcore_weight``, or 1."""
    weight = camera.get(_WEIGHT, 1.0)
    try:
        return float(weight) if isinstance(weight, int | float) else 1.0
    except OverflowError:
        return math.inf  # which no view takes


def write_model(camera: Any, model: Any | None) -> None:
    """Notes on a camera object which object or collection its target was rendered of; None for a picture of others."""
    if model is not None:
        camera[_MODEL] = model
    elif _MODEL in camera:
        del camera[_MODEL]


def keep_frame(camera: Any) -> None:
    """Notes on a camera object that its frame is that of its picture, whatever size the scene's renders have."""
    camera[_FRAME] = True


def keeps_frame(camera: Any) -> bool:
    """Whether a camera's frame is that of its picture: noted so, or since the picture was rendered of a model."""
    return _FRAME in camera or is_rendered(camera)


def is_rendered(camera: Any) -> bool:
    """Whether a camera's target was rendered by ``render_targets``, whose pictures are plain."""
    return _MODEL in camera


def read_model(camera: Any) -> Any | None:
    """Returns what ``write_model`` noted, if it is still there."""
    model = camera.get(_MODEL)
    return model if hasattr(model, "name_full") and hasattr(model, "children") else None
