# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails of the palette's materials, for the panel: of their pictures, and plain ones of those without."""

import bpy
import bpy.utils.previews
import numpy as np

from blockcore.model.grid import FACE_NAMES, FACE_SLOTS
from blockcore.model.palette import AIR, lay_over

_SHOWN = tuple(FACE_NAMES.index(name) for name in ("top", "south", "bottom"))
"""The first of these that a material has a picture of is its thumbnail, else the color of the very first."""
_SIDE = 32  # pixels
_previews = None


def show(palette) -> None:
    """Makes the thumbnails of a palette's materials; those of the last palette go."""
    global _previews
    stop()
    _previews = bpy.utils.previews.new()
    for index, name in enumerate(palette.names):
        if index != AIR:
            direction = next((one for one in _SHOWN if (index, one) in palette.tiles), _SHOWN[0])
            color, tile = palette.colors[index, FACE_SLOTS[direction]], palette.tiles.get((index, direction))
            _add(name, color[None, None] if tile is None else lay_over(color.astype(np.float64), tile))


def icon_of(name: str) -> int:
    """Returns the icon of a material; 0 where the palette has no such."""
    return _previews[name].icon_id if _previews is not None and name in _previews else 0


def stop() -> None:
    """Drops all thumbnails."""
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None


def _add(name: str, colors) -> None:
    rows, columns = (np.arange(_SIDE) * side // _SIDE for side in colors.shape[:2])
    pixels = np.ones((_SIDE, _SIDE, 4), dtype=np.float32)
    pixels[..., :3] = colors[rows[::-1, None], columns]  # Blender counts rows from below
    preview = _previews.new(name)
    preview.icon_size = preview.image_size = (_SIDE, _SIDE)
    preview.icon_pixels_float = preview.image_pixels_float = pixels.ravel()
