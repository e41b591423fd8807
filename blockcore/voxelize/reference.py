"""Plain references, in float64, to check the compiled ways against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.voxelize.cells import Size

Floats = npt.NDArray[np.float64]


def surface_positions(triangles: Floats, size: Size, thin: bool = False) -> npt.NDArray[np.int32]:
    """Returns the cells that triangles go through, (N, 3) int32 ascending; see ``surface.surface_cells``."""
    filled = np.zeros(size, dtype=bool)
    for triangle in np.asarray(triangles, dtype=np.float64):
        low, high = np.floor(triangle.min(axis=0)).astype(int), np.floor(triangle.max(axis=0)).astype(int)
        ranges = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
        cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        edges = np.roll(triangle, -1, axis=0) - triangle
        axes = [np.cross(edge, unit) for edge in edges for unit in np.eye(3)] + [np.cross(edges[0], edges[1])]
        inside = np.ones(len(cells), dtype=bool)
        for axis in axes:
            inside &= _meet(triangle, cells, axis, thin)
        filled[tuple(cells[inside].T)] = True
    return np.argwhere(filled).astype(np.int32)


def _meet(triangle: Floats, cells: npt.NDArray[np.int64], axis: Floats, thin: bool) -> npt.NDArray[np.bool_]:
    """Whether the triangle and each cell overlap on an axis; all do where it is none."""
    leading = axis[np.flatnonzero(axis)[:1]]
    if not len(leading):
        return np.ones(len(cells), dtype=bool)
    axis = axis * np.sign(leading[0])
    radius = 0.5 * (np.abs(axis).max() if thin else np.abs(axis).sum())
    from_center = (triangle[None] - (cells[:, None] + 0.5)) @ axis
    upper: npt.NDArray[np.bool_] = from_center.max(axis=1) >= -radius
    lower: npt.NDArray[np.bool_] = from_center.min(axis=1) < radius
    return upper & lower


def winding_number(triangles: Floats, points: Floats) -> Floats:
    """Returns how often triangles wind around points, (N,): the solid angles they show, over 4π.

    Source: Van Oosterom and Strackee, "The Solid Angle of a Plane Triangle", 1983.

    Args:
        triangles: (T, 3, 3), their corners counter-clockwise seen from outside.
        points: (N, 3), none of them on a triangle.
    """
    total = np.zeros(len(points))
    for triangle in triangles:
        a, b, c = triangle[:, None] - points[None]
        p, q, r = (np.linalg.norm(corner, axis=1) for corner in (a, b, c))
        dots = [(one * other).sum(axis=1) for one, other in ((a, b), (b, c), (c, a))]
        volume = (a * np.cross(b, c)).sum(axis=1)
        total += 2.0 * np.arctan2(volume, p * q * r + dots[0] * r + dots[1] * p + dots[2] * q)
    return total / (4.0 * np.pi)
