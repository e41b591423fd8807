"""The rays of a camera's pixels, in the coordinates of a grid's lattice, where a cell is a unit cube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import Camera

RING = 1
"""Cells of air around a grid, so that a ray can go along its outside until it enters where it is drawn to."""
_NEAR = 1.0 / 256  # of a pixel: twice as far as snapping its corners moves an edge
_TRACE = 2.0**-12, -(2.0**-13)  # of a pixel, upwards


class Rays(NamedTuple):
    """A camera over a lattice: how kernels get from a pixel to a ray, and from a corner to where it is drawn.

    Attributes:
        to_lattice: (4, 4) float64, clip space to lattice coordinates, up to the division by the fourth.
        to_clip: (4, 4) float32, world space to clip space, as the rasteriser has it.
        unsure: (3,) float64: so near to a plane across each axis, in cells, a ray may be drawn on its other side.
        center: (3,) float64, where the world's origin is in the lattice.
        scale: edge of a cell in world units.
    """

    to_lattice: npt.NDArray[np.float64]
    to_clip: npt.NDArray[np.float32]
    unsure: npt.NDArray[np.float64]
    center: npt.NDArray[np.float64]
    scale: float


def rays_of(cameras: Sequence[Camera], size: tuple[int, int, int], world_scale: float, ring: int = RING) -> list[Rays]:
    """Returns the rays of cameras of one size over a grid of ``size`` cells and a ring of so many around it."""
    center, whole = np.array([size[0] / 2 + ring, ring, size[2] / 2 + ring]), np.array(size) + 2 * ring
    from_world = np.diag([1.0 / world_scale, 1.0 / world_scale, 1.0 / world_scale, 1.0])
    from_world[:3, 3] = center
    pixel = 2.0 / np.array([cameras[0].width, cameras[0].height])
    # A centre on an edge is a trace to the right of it and, less yet, below: the top-left rule.
    trace = np.eye(4)
    trace[:2, 3] = pixel * _TRACE
    to_clip = np.stack([camera.view_proj for camera in cameras]).astype(np.float32)
    to_lattice = from_world @ np.linalg.inv(to_clip.astype(np.float64)) @ trace
    # What a pixel's way in the picture is in the lattice grows with clip w, which is largest at a corner.
    corners = (np.stack(np.meshgrid(*([0, n] for n in whole)), axis=-1).reshape(8, 3) - center) * world_scale
    largest = (to_clip[:, 3, :3] @ corners.T + to_clip[:, 3, 3:]).max(axis=1, initial=0.0)
    moved = np.abs(to_lattice[:, :3, :2]) + whole[:, None] * np.abs(to_lattice[:, 3:, :2])
    unsure = _NEAR * largest[:, None] * (moved @ pixel)
    return [Rays(*found, center, float(world_scale)) for found in zip(to_lattice, to_clip, unsure, strict=True)]


def box_of(number: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Returns the lowest and, one further, the highest of the cells that may hold a block and of the ring around."""
    there = number >= 0
    box = np.zeros((2, 3), np.int64)
    for axis in range(3):
        along = np.flatnonzero(there.any(axis=tuple({0, 1, 2} - {axis})))
        if len(along):
            box[:, axis] = along[0] - RING, along[-1] + 1 + RING
    return box


def ends_of_rays(
    camera: Camera, size: tuple[int, int, int], world_scale: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns where the ray of each pixel's centre begins and ends, (H·W, 3) each: the near and the far plane."""
    across = (np.arange(camera.width) + 0.5) / camera.width * 2.0 - 1.0
    down = 1.0 - (np.arange(camera.height) + 0.5) / camera.height * 2.0
    ndc = np.stack(np.broadcast_arrays(across, down[:, None]), axis=-1).reshape(-1, 2)
    matrix = rays_of([camera], size, world_scale, ring=0)[0].to_lattice
    near = ndc @ matrix[:, :2].T + matrix[:, 3]
    far = near + matrix[:, 2]
    return near[:, :3] / near[:, 3:], far[:, :3] / far[:, 3:]
