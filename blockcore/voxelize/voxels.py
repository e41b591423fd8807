"""The blocks of a model, and what a model has to be. Without compiled code, so that all who ask for blocks have it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.errors import MapError, SettingsError
from blockcore.io.archives import pack_arrays, read_arrays
from blockcore.io.damage import reading
from blockcore.io.files import write_file
from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.grid import BlockGrid

FILLS = ("shell", "solid")
MOST_BLOCKS = 4_000_000
MOST_CELLS = 1 << 28
_NAMES = ("positions", "size", "block_size", "offset", "leaked", "match")
_REMEDY = "make the blocks again"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Voxels(ByValue):
    """The blocks of a model, and what became of it.

    Attributes:
        grid: the blocks; the grid just holds them.
        offset: (3,) float64: what to add to a point of the grid's world for its place in the triangles' space.
        leaked: how many cells inside the model a flood from outside came to, through holes; 0 where it is closed.
    """

    grid: BlockGrid
    offset: Floats
    leaked: int = 0


@dataclass(frozen=True, eq=False)
class Fit:
    """Blocks in the place where they match their model best.

    Attributes:
        voxels: the blocks.
        match: of their outline with the model's, 0…1.
    """

    voxels: Voxels
    match: float

    def write(self, path: Path) -> None:
        """Writes it to a file, whole or not at all.

        Raises:
            BlockcoreError: it cannot be written there.
        """
        grid = self.voxels.grid
        values = (grid.positions, np.array(grid.size), np.array(grid.world_scale), self.voxels.offset)
        counts = (np.array(self.voxels.leaked), np.array(self.match))
        write_file(path, pack_arrays(dict(zip(_NAMES, values + counts, strict=True))))

    @staticmethod
    def read(path: Path) -> Fit:
        """Reads what ``write`` wrote.

        Raises:
            MapError: the file is missing or damaged.
        """
        arrays = read_arrays(path, _NAMES, MapError, _REMEDY)
        with reading(path, MapError, _REMEDY):
            x, y, z = arrays["size"].tolist()
            grid = BlockGrid((x, y, z), float(arrays["block_size"]), arrays["positions"])
            offset = frozen_array(arrays["offset"], np.float64)
            return Fit(Voxels(grid, offset, int(arrays["leaked"])), float(arrays["match"]))


def checked_triangles(triangles: npt.ArrayLike) -> Floats:
    """Returns triangles as (T, 3, 3) float64.

    Raises:
        MapError: there is none, one is not finite, or all are one point.
    """
    corners = np.ascontiguousarray(triangles, dtype=np.float64)
    if corners.ndim != 3 or corners.shape[1:] != (3, 3):
        raise MapError(f"model: triangles have shape {corners.shape}, expected (T, 3, 3)")
    if not len(corners):
        raise MapError("model: has no face; give it one, or choose another model")
    wrong = ~np.isfinite(corners).all(axis=(1, 2))
    if wrong.any():
        raise MapError(
            f"model: {int(wrong.sum())} of {len(corners)} triangles have a corner that is not finite numbers; "
            f"remove them, or look at what moves them there"
        )
    if not np.ptp(corners.reshape(-1, 3), axis=0).max() > 0.0:
        raise MapError("model: all its corners are in one place; give it a size")
    return corners


def checked_size(corners: Floats, across: float, block_size: float | None) -> float:
    """Returns the size of a block; see ``voxelize``.

    Raises:
        SettingsError: it is not a positive number.
    """
    if block_size is None:
        if not 1.0 <= across <= MOST_CELLS:
            raise SettingsError(f"{across:g} blocks across are none; give a number of at least 1")
        return float(np.ptp(corners.reshape(-1, 3), axis=0).max()) / across
    if not 0.0 < block_size < np.inf:
        raise SettingsError(f"block size {block_size:g} must be a number above 0")
    return float(block_size)
