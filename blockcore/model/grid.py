"""Block grids: where the blocks are, and which of their faces can be seen at all.

World space is right-handed with +Y up. Cell (x, y, z) of a grid of sx × sy × sz cells spans the world box from
``((x - sx/2)·s, y·s, (z - sz/2)·s)`` to one block further, where s is ``world_scale``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from blockcore.errors import MapError, quoted
from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.palette import BOTTOM, SIDE, TOP

FACE_NAMES = ("east", "west", "top", "bottom", "south", "north")
FACE_NORMALS = frozen_array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.int32)
"""(6, 3): outward normal of each face, world space."""
FACE_SLOTS = frozen_array([SIDE, SIDE, TOP, BOTTOM, SIDE, SIDE], np.int32)
"""(6,): palette slot of each face."""
FACE_CORNERS = frozen_array(
    [
        [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
        [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
        [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
        [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
        [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
        [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
    ],
    np.int32,
)
"""(6, 4, 3): corners of each face within its cell, counter-clockwise seen from outside."""
FACE_UVS = frozen_array(
    [
        [[0, 1], [0, 0], [1, 0], [1, 1]],
        [[1, 1], [0, 1], [0, 0], [1, 0]],
        [[0, 1], [0, 0], [1, 0], [1, 1]],
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[0, 1], [1, 1], [1, 0], [0, 0]],
        [[1, 1], [1, 0], [0, 0], [0, 1]],
    ],
    np.float32,
)
"""(6, 4, 2): texture coordinates of those corners; v = 0 is the image's first row."""
FACE_PLACES = frozen_array(
    [
        [[0, 0, 1], [0, -1, 0], [1, 1, 0]],
        [[0, 0, -1], [0, -1, 0], [0, 1, 1]],
        [[1, 0, 0], [0, 0, -1], [0, 1, 1]],
        [[1, 0, 0], [0, 0, 1], [0, 0, 0]],
        [[1, 0, 0], [0, -1, 0], [0, 1, 1]],
        [[-1, 0, 0], [0, -1, 0], [1, 1, 0]],
    ],
    np.float64,
)
"""(6, 3, 3): (u, v, 1) @ FACE_PLACES[direction] is the place within the cell that shows those texture coordinates."""
TRIANGLE_CORNERS = frozen_array([[0, 1, 2], [0, 2, 3]], np.int32)
"""(2, 3): the two triangles of a face, as indices of its corners."""

RUN = 1 << 10
"""Exposed faces that are looked at together: what holds of the box around their cells holds of each."""
MAX_SIDE = 1 << 20
"""The most cells along an axis: cells can be numbered in 64 bits, and their corners told apart in float32."""
_DENSE_CELLS = 1 << 28  # above this many cells a table of all of them would outgrow the blocks themselves


@dataclass(frozen=True, eq=False)
class ExposedFaces(ByValue):
    """The faces of a grid's blocks whose neighbouring cell is empty, ordered by block, then by face direction.

    Attributes:
        block: (F,) int32, index of the block that owns the face.
        direction: (F,) int32, 0…5 in the order of ``FACE_NAMES``.
        cell: (F, 3) int32, the owning block's cell.
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
    """

    block: npt.NDArray[np.int32]
    direction: npt.NDArray[np.int32]
    cell: npt.NDArray[np.int32]
    grid_size: tuple[int, int, int]
    world_scale: float

    def __len__(self) -> int:
        return len(self.block)

    @cached_property
    def run_boxes(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The lowest and the highest cells, (R, 3) each, of each ``RUN`` faces in their order, the last ones fewer."""
        starts = np.arange(0, len(self), RUN)
        return np.minimum.reduceat(self.cell, starts), np.maximum.reduceat(self.cell, starts)

    def corners(self) -> npt.NDArray[np.float32]:
        """Returns the world positions of the faces' corners, (F, 4, 3) float32, in the order of ``FACE_CORNERS``."""
        lattice = self.cell[:, None, :] + FACE_CORNERS[self.direction]
        return lattice_to_world(lattice, self.grid_size, self.world_scale)


def lattice_to_world(
    lattice: npt.ArrayLike, grid_size: tuple[int, int, int], world_scale: float
) -> npt.NDArray[np.float32]:
    """Maps points of the lattice, (..., 3), to world space, (..., 3) float32; cell corners are whole numbers."""
    center = np.array([grid_size[0] / 2, 0.0, grid_size[2] / 2])
    world: npt.NDArray[np.float64] = (np.asarray(lattice, dtype=np.float64) - center) * world_scale
    return world.astype(np.float32)


def block_to_world(
    position: tuple[float, float, float],
    grid_size: tuple[int, int, int] = (64, 48, 64),
    world_scale: float = 2.0,
) -> tuple[float, float, float]:
    """Returns the world position of a block's lowest corner.

    Args:
        position: cell (x, y, z).
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.

    Returns:
        (x, y, z) in world units.
    """
    x, y, z = lattice_to_world(position, grid_size, world_scale).tolist()
    return (x, y, z)


@dataclass(frozen=True, eq=False)
class BlockGrid(ByValue):
    """Where the blocks of a world are.

    Attributes:
        size: cells along x, y, z.
        world_scale: edge of a block in world units.
        positions: (N, 3) int32, read-only: the cell of each block, each inside the grid, no two the same.
    """

    size: tuple[int, int, int]
    world_scale: float
    positions: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        size = tuple(int(n) for n in self.size)
        if len(size) != 3 or min(size) < 1 or any(a != b for a, b in zip(size, self.size, strict=True)):
            raise MapError(f"grid: size {quoted(tuple(self.size))} must be three whole numbers of at least 1")
        if max(size) > MAX_SIDE:
            raise MapError(f"grid: size {quoted(size)} is above {MAX_SIDE} cells a side; make it smaller")
        if not np.isfinite(self.world_scale) or self.world_scale <= 0:
            raise MapError(f"grid: world scale {self.world_scale} must be a positive number")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "world_scale", float(self.world_scale))
        object.__setattr__(self, "positions", _checked_positions(self.positions, size))

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def exposed_faces(self) -> ExposedFaces:
        """The faces that a camera could see: those whose neighbouring cell is empty or outside the grid."""
        block, direction = _exposed(self.positions)
        return ExposedFaces(
            block=frozen_array(block, np.int32),
            direction=frozen_array(direction, np.int32),
            cell=frozen_array(self.positions[block], np.int32),
            grid_size=self.size,
            world_scale=self.world_scale,
        )


def _checked_positions(positions: npt.ArrayLike, size: tuple[int, ...]) -> npt.NDArray[np.int32]:
    given = np.asarray(positions)
    if given.size == 0:
        return frozen_array(np.zeros((0, 3)), np.int32)
    if given.ndim != 2 or given.shape[1] != 3:
        raise MapError(f"blocks: positions have shape {given.shape}, expected (N, 3)")
    if not np.issubdtype(given.dtype, np.integer):
        whole = np.isfinite(given) & (given == np.floor(given))
        if not whole.all():
            bad = int(np.flatnonzero(~whole.all(axis=1))[0])
            raise MapError(f"block {bad}: position {given[bad].tolist()} is not whole numbers; round it to a cell")
    outside = ((given < 0) | (given >= np.asarray(size))).any(axis=1)
    if outside.any():
        bad = int(np.flatnonzero(outside)[0])
        raise MapError(
            f"block {bad}: position {given[bad].tolist()} lies outside the grid of "
            f"{size[0]} × {size[1]} × {size[2]} cells; move it or enlarge the grid"
        )
    array = frozen_array(given, np.int32)
    keys = _cell_keys(array, np.zeros(3, np.int64), np.asarray(size, dtype=np.int64))
    order = np.argsort(keys, kind="stable")
    repeats = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if len(repeats):
        first, second = order[repeats[0]], order[repeats[0] + 1]
        raise MapError(f"blocks {first} and {second} both sit at {array[first].tolist()}; remove one of them")
    return array


def _cell_keys(
    cells: npt.NDArray[np.int32], low: npt.NDArray[np.int64], extent: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    shifted = cells.astype(np.int64) - low
    keys: npt.NDArray[np.int64] = (shifted[:, 0] * extent[1] + shifted[:, 1]) * extent[2] + shifted[:, 2]
    return keys


def _exposed(positions: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Returns the block and the direction of every face beyond which no block is, by block, then by direction."""
    if len(positions) == 0:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    axes = np.ascontiguousarray(positions.T)  # a minimum along short rows is slow
    low = axes.min(axis=1).astype(np.int64) - 1
    extent = axes.max(axis=1).astype(np.int64) + 2 - low
    keys = _cell_keys(positions, low, extent)
    steps = FACE_NORMALS.astype(np.int64) @ np.array([extent[1] * extent[2], extent[2], 1])
    if int(extent.prod()) > _DENSE_CELLS:
        block, direction = np.nonzero(~np.isin(keys[:, None] + steps, keys))
        return block, direction
    occupied = np.zeros(int(extent.prod()), dtype=np.bool_)
    occupied[keys] = True
    # Most blocks of a world are surrounded; passes over the bytes of all cells, in order, leave those out.
    surrounded = occupied.copy()
    for step in steps.tolist():
        inner = slice(max(0, -step), len(occupied) - max(0, step))
        surrounded[inner] &= occupied[max(0, step) : len(occupied) + min(0, step)]
    outer = np.flatnonzero(~surrounded[keys])
    some, direction = np.nonzero(~occupied[keys[outer, None] + steps])
    return outer[some], direction
