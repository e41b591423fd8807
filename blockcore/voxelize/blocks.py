"""Triangles to a ``BlockGrid``: ``voxelize`` and what it is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError
from blockcore.model.frozen import frozen_array
from blockcore.model.grid import BlockGrid
from blockcore.voxelize.cells import Cells, Size, cells_of, count, positions_of, surrounded
from blockcore.voxelize.coverage import covered_areas, well_covered
from blockcore.voxelize.solid import eighths_inside, enclosed, voted_inside
from blockcore.voxelize.surface import surface_cells
from blockcore.voxelize.voxels import (
    FILLS,
    MOST_BLOCKS,
    MOST_CELLS,
    Floats,
    Voxels,
    checked_size,
    checked_triangles,
)

COVERAGE = 1.0
_FEW_CELLS = 1 << 24  # a finer look at those of the surface is worth its time
_SNAP = 1 << 16  # steps in a cell: corners that rounding parts are in one layer again
_TRIES = 24
_MOSTLY = 6  # eighths of a block inside the model: a block that sticks out more, at half its depth, shows in outlines

Shift = tuple[float, float, float]


def voxelize(
    triangles: npt.ArrayLike,
    across: float = 36,
    block_size: float | None = None,
    fill: str = "shell",
    coverage: float = COVERAGE,
    shift: Shift = (0.0, 0.0, 0.0),
) -> BlockGrid:
    """Makes blocks of a model's triangles; ``voxels_of`` also says where they are.

    Args:
        triangles: (T, 3, 3) float corners, right-handed with +Y up; the way they face counts for ``"solid"`` alone, and
            only where the surface has holes.
        across: blocks along the model's longest side; taken where there is no ``block_size``.
        block_size: edge of a block, in the triangles' units.
        fill: ``"shell"`` (the blocks that can be seen from outside) or ``"solid"`` (those inside as well).
        coverage: how much surface, in faces of a block, keeps a block that is not mostly inside the model beside one
            that is; 0 keeps every block that the surface goes through.
        shift: where the model's lowest corner is in its cell, 0…1 along each axis.

    Returns:
        The blocks, in a grid that just holds them. No gradient flows.

    Raises:
        MapError: there is no triangle, one is not finite, or all are one point.
        SettingsError: the blocks would be too many, or a value is out of range.
    """
    size = checked_size(checked_triangles(triangles), across, block_size)
    return voxels_of(triangles, size, fill, coverage, shift).grid


def voxels_of(
    triangles: npt.ArrayLike,
    block_size: float,
    fill: str = "shell",
    coverage: float = COVERAGE,
    shift: Shift = (0.0, 0.0, 0.0),
) -> Voxels:
    """Makes blocks of a given size of a model's triangles; see ``voxelize``."""
    if fill not in FILLS:
        raise SettingsError(f"fill {fill!r} is not one of {', '.join(FILLS)}")
    if not 0.0 <= coverage <= 2.0:
        raise SettingsError(f"coverage {coverage!r} must be a number from 0 to 2")
    corners = checked_triangles(triangles)
    placed, size, origin = _placed(corners, block_size, shift)
    filled, leaked = _filled(placed, size, fill, coverage)
    if count(filled) > MOST_BLOCKS:
        raise _too_many(count(filled))
    positions = positions_of(filled)
    lowest, highest = positions.min(axis=0), positions.max(axis=0)
    x, y, z = (highest - lowest + 1).tolist()
    grid = BlockGrid((x, y, z), block_size, positions - lowest)
    offset = origin + (lowest + np.array([x / 2, 0.0, z / 2])) * block_size
    return Voxels(grid, frozen_array(offset, np.float64), leaked)


def size_for_budget(triangles: npt.ArrayLike, budget: int, fill: str = "shell") -> float:
    """Returns the smallest block size found that makes no more than ``budget`` blocks of a model's triangles.

    Raises:
        MapError: see ``voxelize``.
        SettingsError: the budget is no number of blocks, or too large.
    """
    if not 1 <= budget <= MOST_BLOCKS:
        raise SettingsError(f"a budget of {budget:,} blocks is out of range; give 1 to {MOST_BLOCKS:,}")
    corners = checked_triangles(triangles)
    longest = float(np.ptp(corners.reshape(-1, 3), axis=0).max())
    fits, too_fine = 1.0, float(MOST_BLOCKS)
    across = max(1.0, (budget / 6.0) ** 0.5)
    for _ in range(_TRIES):
        if _makes_at_most(corners, longest / across, budget, fill):
            fits = across
        else:
            too_fine = across
        if too_fine - fits < 0.5:
            break
        across = min(fits * 2.0, (fits * too_fine) ** 0.5)
    return longest / fits


def _makes_at_most(corners: Floats, block_size: float, budget: int, fill: str) -> bool:
    try:
        return len(voxels_of(corners, block_size, fill).grid) <= budget
    except SettingsError:  # too many for any grid
        return False


def _placed(corners: Floats, block_size: float, shift: Shift) -> tuple[Floats, Size, Floats]:
    """Returns the corners in cells, the size of the grid that holds them, and its lowest corner."""
    origin = corners.reshape(-1, 3).min(axis=0) - np.asarray(shift) * block_size
    cells = np.round((corners - origin) * (_SNAP / block_size)) / _SNAP
    x, y, z = (int(n) + 1 for n in np.floor(cells.reshape(-1, 3).max(axis=0)))
    if x * y * z > MOST_CELLS:
        raise SettingsError(
            f"a grid of {x:,} × {y:,} × {z:,} cells is too fine; ask for fewer blocks across, or larger ones"
        )
    return cells, (x, y, z), origin


def _filled(placed: Floats, size: Size, fill: str, coverage: float) -> tuple[Cells, int]:
    """Returns the cells of all blocks, and how many cells inside a flood came to."""
    surface = surface_cells(placed, size)
    if count(surface) > 2 * MOST_BLOCKS:
        raise _too_many(count(surface))
    within = enclosed(surface, size)
    if fill == "solid" and count(within) > MOST_BLOCKS:
        raise _too_many(count(within))
    voted = voted_inside(placed, size)
    leaked = count(voted & ~surface & ~within)
    stay = surface
    if coverage > 0.0:
        positions = positions_of(surface)
        inside = within | voted
        if size[0] * size[1] * size[2] <= _FEW_CELLS:
            mostly = positions[eighths_inside(placed, positions, size) >= _MOSTLY]
            inside = (inside & ~surface) | cells_of(mostly, size)
        stay = well_covered(surface, inside, covered_areas(placed, positions, size), positions, size, coverage)
    filled = stay | within
    if fill == "solid":
        return (filled | voted if leaked else filled), leaked
    return filled & ~surrounded(filled, size), leaked


def _too_many(blocks: int) -> SettingsError:
    return SettingsError(
        f"the model would be {blocks:,} blocks, and at most {MOST_BLOCKS:,} are made; "
        f"ask for fewer across, or larger ones"
    )
