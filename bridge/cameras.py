# SPDX-License-Identifier: GPL-3.0-or-later
"""Where cameras that orbit a set of blocks stand; plain geometry in Blender's axes (Z up), without bpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from blockcore.errors import CameraError

MARGIN = 1.05  # a little air between the blocks and the picture's edge


def orbit(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    count: int,
    elevations: Sequence[float],
    fov_x: float,
    fov_y: float,
) -> npt.NDArray[np.float64]:
    """Places cameras on rings around a box, each looking at its centre and seeing all of it.

    Args:
        low: (3,) lower corner of the box.
        high: (3,) upper corner.
        count: how many cameras; shared among the rings as evenly as it goes.
        elevations: angle of each ring above the horizon, radians, between −π/2 and π/2.
        fov_x: horizontal field of view, radians.
        fov_y: vertical field of view, radians.

    Returns:
        (count, 4, 4) camera-to-world matrices; a camera looks along its −Z with +Y up.

    Raises:
        CameraError: there is no camera, no ring, or an angle is out of range.
    """
    if count < 1 or not elevations:
        raise CameraError("orbit cameras: add at least one camera on one ring")
    if not all(abs(elevation) < math.pi / 2 for elevation in elevations):
        raise CameraError("orbit cameras: heights must lie between −90° and 90°, straight up and down left out")
    if not (0.0 < fov_x < math.pi and 0.0 < fov_y < math.pi):
        raise CameraError("orbit cameras: the field of view must lie between 0° and 180°")
    corner, opposite = (np.asarray(v, dtype=np.float64) for v in (low, high))
    center = (corner + opposite) / 2.0
    radius = float(np.linalg.norm(opposite - corner)) / 2.0
    distance = MARGIN * max(radius, 1e-3) / math.sin(min(fov_x, fov_y) / 2.0)
    rings = [len(ring) for ring in np.array_split(np.arange(count), len(elevations))]
    matrices = [
        _facing_center(center, distance, elevation, 2.0 * math.pi * (i + 0.5 * (number % 2)) / on_ring)
        for number, (elevation, on_ring) in enumerate(zip(elevations, rings, strict=True))
        for i in range(on_ring)
    ]
    return np.stack(matrices)


def _facing_center(
    center: npt.NDArray[np.float64], distance: float, elevation: float, azimuth: float
) -> npt.NDArray[np.float64]:
    out = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(out, right), out], axis=1)
    matrix[:3, 3] = center + distance * out
    return matrix
