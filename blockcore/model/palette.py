"""Palettes: which materials there are, and the colours of their faces.

A material has three colours, one per slot: top, bottom and side. Colours are *display* values in 0…1, as they reach
an 8-bit unorm target: no sRGB curve is applied to them anywhere in blockcore. Material 0 is always Air: it is not
drawn and never assigned.

A face may also have a tile, a small RGBA picture that is laid over the palette colour: where its alpha is a and its
colour t, the face shows ``(1 - a)·color + a·t``. Tiles are sampled at the nearest texel and may differ in size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import PaletteError, listed, quoted
from blockcore.model.frozen import ByValue, frozen_array

if TYPE_CHECKING:
    import torch

AIR = 0
TOP, BOTTOM, SIDE = 0, 1, 2
SLOT_NAMES = ("top", "bottom", "side")
MAX_TILE_SIDE = 1024  # pixels; keeps every palette's tiles within what a GPU binds at once

Tiles = Mapping[tuple[int, int], npt.NDArray[np.uint8]]
"""(material, face direction 0…5) to the tile there, (h, w, 4) uint8 RGBA display values, row 0 on top."""


@dataclass(frozen=True, eq=False)
class Palette(ByValue):
    """The materials a block can be made of.

    Attributes:
        names: M material names, the first of them ``"Air"``.
        colors: (M, 3, 3) float32, read-only: material, slot (top, bottom, side), RGB display values in 0…1.
        tiles: the tiles of the faces that have one; see ``Tiles``.
    """

    names: tuple[str, ...]
    colors: npt.NDArray[np.float32]
    tiles: Tiles = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.names)
        object.__setattr__(self, "names", names)
        if not names or names[0] != "Air":
            raise PaletteError("palette: the first material must be 'Air'; put it before the others")
        if len(names) < 2:
            raise PaletteError("palette: there is no material besides Air; add at least one")
        if len(set(names)) != len(names):
            counts = Counter(names)
            twice = next(name for name in names if counts[name] > 1)
            raise PaletteError(f"palette: material {quoted(twice)} is listed twice; rename or remove one")
        colors = np.asarray(self.colors)
        if colors.shape != (len(names), 3, 3):
            raise PaletteError(
                f"palette: colors has shape {colors.shape}, expected ({len(names)}, 3, 3): material, slot, RGB"
            )
        if not np.isfinite(colors).all() or colors.min() < 0.0 or colors.max() > 1.0:
            raise PaletteError("palette: colours must be finite display values between 0 and 1")
        object.__setattr__(self, "colors", frozen_array(colors, np.float32))
        object.__setattr__(self, "tiles", {key: self._checked_tile(key, self.tiles[key]) for key in sorted(self.tiles)})

    def _checked_tile(self, key: tuple[int, int], tile: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        material, direction = key
        if not (AIR < material < len(self.names) and 0 <= direction < 6):
            raise PaletteError(f"palette: a tile is for material {material}, face {direction}, which is not there")
        rgba = np.asarray(tile)
        if rgba.dtype != np.uint8 or rgba.ndim != 3 or rgba.shape[2] != 4:
            raise PaletteError(f"palette: a tile of {quoted(self.names[material])} is not (h, w, 4) 8-bit RGBA values")
        if not 1 <= min(rgba.shape[:2]) <= max(rgba.shape[:2]) <= MAX_TILE_SIDE:
            raise PaletteError(
                f"palette: a tile of {quoted(self.names[material])} is {rgba.shape[1]} × {rgba.shape[0]} pixels; "
                f"give it 1 to {MAX_TILE_SIDE} a side"
            )
        return frozen_array(rgba, np.uint8)

    def with_tiles(self, tiles: Tiles) -> Palette:
        """Returns the same palette with other tiles."""
        return replace(self, tiles=tiles)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Returns the index of a material by name.

        Raises:
            PaletteError: there is no such material.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise PaletteError(f"unknown material {quoted(name)}; the palette has {listed(self.names)}") from None


def lay_over(colors: npt.NDArray[np.float64], texels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Lays texels (..., 4), 8-bit RGBA, over colours (..., 3): ``(1 - a)·color + a·rgb``."""
    values = texels / 255.0
    alpha = values[..., 3:]
    return np.asarray((1.0 - alpha) * colors + alpha * values[..., :3])


WEBGPU_PALETTE = Palette(
    names=("Air", "Grass", "Dirt", "Stone", "Plank", "Snow", "Sand", "Water"),
    colors=np.array(
        [
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
            [[0.34, 0.68, 0.36], [0.40, 0.30, 0.16], [0.45, 0.58, 0.30]],
            [[0.42, 0.32, 0.20], [0.38, 0.26, 0.16], [0.40, 0.30, 0.18]],
            [[0.58, 0.60, 0.64], [0.55, 0.57, 0.60], [0.56, 0.58, 0.62]],
            [[0.78, 0.68, 0.50], [0.72, 0.60, 0.42], [0.74, 0.63, 0.45]],
            [[0.92, 0.94, 0.96], [0.90, 0.92, 0.94], [0.88, 0.90, 0.93]],
            [[0.88, 0.82, 0.60], [0.86, 0.78, 0.56], [0.87, 0.80, 0.58]],
            [[0.22, 0.40, 0.66], [0.20, 0.34, 0.60], [0.20, 0.38, 0.64]],
        ],
        dtype=np.float32,
    ),
)
"""The materials of the WebGPU block editor."""

MATERIALS: list[str] = list(WEBGPU_PALETTE.names)
"""Names of the WebGPU materials, by index; 0 is Air."""


def material_name_to_index(name: str) -> int:
    """Returns the index of a WebGPU material, for example 3 for ``"Stone"``.

    Raises:
        PaletteError: there is no such material.
    """
    return WEBGPU_PALETTE.index(name)


def material_index_to_name(index: int) -> str:
    """Returns the name of a WebGPU material, for example ``"Stone"`` for 3.

    Raises:
        PaletteError: there is no such material.
    """
    if not 0 <= index < len(MATERIALS):
        raise PaletteError(f"unknown material index {index}; the palette has 0 to {len(MATERIALS) - 1}")
    return MATERIALS[index]


def get_material_palette(device: Any = None, dtype: Any = None) -> torch.Tensor:
    """Returns the WebGPU palette as a tensor.

    Args:
        device: a torch device; the CPU by default.
        dtype: a torch dtype; float32 by default.

    Returns:
        (M, 3, 3): material, slot (top, bottom, side), RGB display values. Needs no gradient.
    """
    import torch

    return torch.tensor(WEBGPU_PALETTE.colors, device=device, dtype=dtype or torch.float32)
