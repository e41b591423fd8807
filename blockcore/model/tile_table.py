"""All tiles of a palette in one flat table, as a shader reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.grid import FACE_NAMES
from blockcore.model.palette import Palette


@dataclass(frozen=True, eq=False)
class TileTable(ByValue):
    """All tiles of a palette in one list of texels.

    Attributes:
        texels: (T, 4) uint8, RGBA display values: tile after tile, each row by row.
        first: (M, 6) int64: where the tile of a material's face starts; 0 where it has none.
        size: (M, 6, 2) int64: width and height of that tile; 0 where there is none.
    """

    texels: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


def tile_table(palette: Palette) -> TileTable:
    """Lays out the tiles of a palette."""
    first = np.zeros((len(palette), len(FACE_NAMES)), np.int64)
    size = np.zeros((*first.shape, 2), np.int64)
    texels = [np.zeros((0, 4), np.uint8)]
    count = 0
    for key, tile in palette.tiles.items():
        first[key], size[key] = count, (tile.shape[1], tile.shape[0])
        texels.append(tile.reshape(-1, 4))
        count += tile.shape[0] * tile.shape[1]
    return TileTable(frozen_array(np.concatenate(texels), np.uint8), first, size)
