"""Cameras, in the WebGPU editor's conventions.

Right-handed, +Y up, looking along −Z in view space. Matrices are (4, 4), row-major, and act on columns:
``pos_clip = proj @ view @ (world, 1)``. A pixel is drawn where 0 ≤ z ≤ w in clip space (WebGPU's clip volume), even
though projections are customarily written with OpenGL's depth rows. Pixel (0, 0) is top left, its centre at (½, ½).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import CameraError, quoted
from blockcore.model.frozen import ByValue, frozen_array

MAX_PIXELS_PER_AXIS = 1 << 14  # keeps 1/256-pixel edge functions inside 64 bits, with room to spare


@dataclass(frozen=True, eq=False)
class Camera(ByValue):
    """One posed camera and the size of its picture.

    Attributes:
        view: (4, 4) float64, read-only: world to view space.
        proj: (4, 4) float64, read-only: view to clip space.
        width: pixels per row.
        height: rows.
        name: what messages and the way back call it.
    """

    view: npt.NDArray[np.float64]
    proj: npt.NDArray[np.float64]
    width: int
    height: int
    name: str = "camera"

    def __post_init__(self) -> None:
        for what in ("view", "proj"):
            matrix = np.asarray(getattr(self, what), dtype=np.float64)
            if matrix.shape != (4, 4):
                raise CameraError(
                    f"camera {quoted(self.name)}: its {what} matrix has shape {matrix.shape}, expected (4, 4)"
                )
            if not np.isfinite(matrix).all():
                raise CameraError(f"camera {quoted(self.name)}: its {what} matrix is not finite numbers")
            if _is_singular(matrix):
                raise CameraError(
                    f"camera {quoted(self.name)}: its {what} matrix is singular; check its scale and range"
                )
            object.__setattr__(self, what, frozen_array(matrix, np.float64))
        for side in (self.width, self.height):
            if (
                not isinstance(side, int | float | np.number)
                or side != side // 1
                or not 1 <= side <= MAX_PIXELS_PER_AXIS
            ):
                raise CameraError(
                    f"camera {quoted(self.name)}: picture size {quoted(self.width)} × {quoted(self.height)} must be "
                    f"whole numbers from 1 to {MAX_PIXELS_PER_AXIS}"
                )
        object.__setattr__(self, "width", int(self.width))
        object.__setattr__(self, "height", int(self.height))

    @property
    def view_proj(self) -> npt.NDArray[np.float32]:
        """(4, 4) float32: world to clip space, as a renderer hands it to the GPU."""
        return (self.proj @ self.view).astype(np.float32)

    @property
    def position(self) -> npt.NDArray[np.float64]:
        """(3,): where the camera is, world space (for an orthographic one, a point on its axis)."""
        return np.asarray(np.linalg.inv(self.view)[:3, 3])

    @property
    def is_mirrored(self) -> bool:
        """Whether the pose swaps left and right, as a negative scale of an object in Blender does."""
        (a, b, c), (d, e, f), (g, h, i) = self.view[:3, :3].tolist()  # by hand: asked of every picture that is drawn
        return bool(a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g) < 0.0)

    @property
    def is_perspective(self) -> bool:
        """Whether clip w varies over the picture."""
        return bool(np.any(self.proj[3, :3] != 0.0))


def _is_singular(matrix: npt.NDArray[np.float64]) -> bool:
    """Whether a matrix flattens space, whatever its units: rows and columns are brought to the same scale first."""
    rows = np.abs(matrix).max(axis=1, keepdims=True)
    if abs(np.linalg.det(matrix)) >= 1e-9 * rows.prod() > 0.0:
        return False  # as nearly all cameras; scaling columns, too, can only enlarge the determinant
    if not rows.all():
        return True
    matrix = matrix / rows
    columns = np.abs(matrix).max(axis=0)
    return not columns.all() or bool(abs(np.linalg.det(matrix / columns)) < 1e-9)


def perspective(fov_y: float, aspect: float, near: float, far: float) -> npt.NDArray[np.float64]:
    """Builds a perspective projection with OpenGL depth rows, as the WebGPU editor does.

    Args:
        fov_y: vertical field of view, radians, between 0 and π.
        aspect: width / height.
        near: distance of the near plane, > 0. WebGPU's clip volume cuts at about twice this.
        far: distance of the far plane, > near.

    Returns:
        (4, 4) float64, row-major.

    Raises:
        CameraError: a value is out of range.
    """
    if not (0.0 < fov_y < math.pi and aspect > 0.0 and 0.0 < near < far and math.isfinite(far)):
        raise CameraError(
            f"perspective: fov_y {fov_y} must lie in (0, π), aspect {aspect} above 0, and 0 < near {near} < far {far}"
        )
    f = 1.0 / math.tan(fov_y / 2.0)
    depth = near - far
    return np.array(
        [
            [f / aspect, 0.0, 0.0, 0.0],
            [0.0, f, 0.0, 0.0],
            [0.0, 0.0, (far + near) / depth, 2.0 * far * near / depth],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )


def orthographic(width: float, height: float, near: float, far: float) -> npt.NDArray[np.float64]:
    """Builds an orthographic projection whose depth fills WebGPU's clip volume: near maps to 0, far to 1.

    Args:
        width: world units across the picture.
        height: world units down the picture.
        near: distance of the near plane; may be negative.
        far: distance of the far plane, > near.

    Returns:
        (4, 4) float64, row-major.

    Raises:
        CameraError: a value is out of range.
    """
    if not (width > 0.0 and height > 0.0 and near < far and math.isfinite(near) and math.isfinite(far)):
        raise CameraError(f"orthographic: width {width}, height {height} must be above 0, and near {near} < far {far}")
    depth = near - far
    return np.array(
        [
            [2.0 / width, 0.0, 0.0, 0.0],
            [0.0, 2.0 / height, 0.0, 0.0],
            [0.0, 0.0, 1.0 / depth, near / depth],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def look_at(eye: npt.ArrayLike, center: npt.ArrayLike, up: npt.ArrayLike = (0.0, 1.0, 0.0)) -> npt.NDArray[np.float64]:
    """Builds the view matrix of a camera at ``eye`` that looks at ``center``.

    Returns:
        (4, 4) float64, row-major, world to view space.

    Raises:
        CameraError: eye and centre coincide, or ``up`` is parallel to the line of sight.
    """
    e, c, u = (np.asarray(v, dtype=np.float64) for v in (eye, center, up))
    forward = c - e
    right = np.cross(forward, u)
    if not np.linalg.norm(forward) > 0.0 or not np.linalg.norm(right) > 1e-12:
        raise CameraError(f"look_at: eye {e.tolist()}, center {c.tolist()} and up {u.tolist()} give no direction")
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    view = np.eye(4)
    view[:3, :3] = np.stack([right, np.cross(right, forward), -forward])
    view[:3, 3] = -view[:3, :3] @ e
    return view


def create_perspective_matrix(fov_y_rad: float, aspect: float, near: float = 0.1, far: float = 500.0) -> Any:
    """Returns ``perspective(…)`` as a (4, 4) float32 torch tensor on the CPU."""
    import torch

    return torch.tensor(perspective(fov_y_rad, aspect, near, far), dtype=torch.float32)


def create_look_at_matrix(eye: npt.ArrayLike, center: npt.ArrayLike, up: npt.ArrayLike = (0.0, 1.0, 0.0)) -> Any:
    """Returns ``look_at(…)`` as a (4, 4) float32 torch tensor on the CPU."""
    import torch

    return torch.tensor(look_at(eye, center, up), dtype=torch.float32)
