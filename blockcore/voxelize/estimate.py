"""About how many blocks a model will be: quick enough to follow a slider, and without compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.voxelize.voxels import Floats, checked_triangles

_POINTS = 1 << 17
_SHARE = 0.4  # of a face: a cell with less of the surface is mostly left out
_FEW = 4.0  # points a face: with fewer, cells of the surface would be missed


@dataclass(frozen=True, eq=False)
class Sampled:
    """A model's surface as points.

    Attributes:
        points: (P, 3) evenly spread over it.
        area: of the surface, both sides of thin parts.
        low: (3,) its lowest corner.
        high: (3,) its highest.
    """

    points: Floats
    area: float
    low: Floats
    high: Floats


def sample(triangles: npt.ArrayLike) -> Sampled:
    """Spreads points over a model's surface.

    Args:
        triangles: (T, 3, 3) corners.

    Raises:
        MapError: there is none, one is not finite, or all are one point.
    """
    corners = checked_triangles(triangles)
    a, b, c = corners.transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1) / 2.0
    ends = np.cumsum(areas)
    draws = np.random.default_rng(0)
    picked = np.minimum(np.searchsorted(ends, (np.arange(_POINTS) + 0.5) / _POINTS * ends[-1]), len(corners) - 1)
    pair = draws.random((_POINTS, 2))
    pair = np.where(pair.sum(axis=1, keepdims=True) > 1.0, 1.0 - pair, pair)
    share = np.column_stack([1.0 - pair.sum(axis=1), pair])[..., None]
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    return Sampled((corners[picked] * share).sum(axis=1), float(ends[-1]), low, high)


def estimated_blocks(sampled: Sampled, block_size: float, fill: str = "shell") -> int:
    """Returns about how many blocks of a size ``voxelize`` makes of a model."""
    finest = (_FEW * sampled.area / _POINTS) ** 0.5  # that the points can tell
    size = max(block_size, finest)
    power = 3 if fill == "solid" else 2
    return max(1, round(_blocks(sampled, size, fill) * float(size / block_size) ** power))


def _blocks(sampled: Sampled, block_size: float, fill: str) -> int:
    cells = np.floor((sampled.points - sampled.low) / block_size).astype(np.int64)
    hits = np.zeros(cells.max(axis=0) + 1, np.int32)
    np.add.at(hits, tuple(cells.T), 1)
    there = hits >= max(1.0, _SHARE * _POINTS * block_size**2 / sampled.area)
    seen, within = np.zeros_like(there), np.ones_like(there)
    for axis in range(3):
        before = np.logical_or.accumulate(there, axis=axis)
        after = np.flip(np.logical_or.accumulate(np.flip(there, axis), axis=axis), axis)
        seen |= there & (_first(before, axis) | _first(np.flip(after, axis), axis, back=True))
        within &= before & after
    shell = int(seen.sum())
    return int(within.sum()) - shell // 2 if fill == "solid" else shell


def _first(reached: npt.NDArray[np.bool_], axis: int, back: bool = False) -> npt.NDArray[np.bool_]:
    """Returns the cells where a line along an axis first meets something."""
    first = reached.copy()
    first[_upto(axis, 1, None)] &= ~reached[_upto(axis, None, -1)]
    return np.flip(first, axis) if back else first


def _upto(axis: int, start: int | None, end: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, end) if d == axis else slice(None) for d in range(3))
