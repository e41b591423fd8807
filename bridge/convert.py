# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Blender's conventions and blockcore's: axes, colours and cameras. Knows both, needs neither bpy nor torch.

Blender's world is right-handed with +Z up, blockcore's right-handed with +Y up: (x, y, z) in Blender is (x, z, -y) in
blockcore. Lengths are the same in both. Colours are scene-linear in Blender and display values in blockcore; between
them lies the sRGB curve, which is what Blender's Standard view applies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import CameraError
from blockcore.model.camera import Camera

Matrix = npt.NDArray[np.float64]

TO_BLENDER: Matrix = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""(4, 4): blockcore's axes to Blender's."""
TO_BLENDER.flags.writeable = False

_SENSOR = 36.0  # millimetres, Blender's default
_LEAST_CLIP = 1e-4  # Blender keeps clip_start positive
_TOLERANCE = 1e-4  # of matrices that went through float32


@dataclass(frozen=True)
class Lens:
    """What a Blender camera says about its projection; names, units and defaults are Blender's.

    Attributes:
        type: ``"PERSP"`` or ``"ORTHO"``.
        lens: focal length, millimetres.
        sensor_width: millimetres.
        sensor_height: millimetres; used with the sensor fit ``"VERTICAL"`` alone.
        sensor_fit: ``"AUTO"``, ``"HORIZONTAL"`` or ``"VERTICAL"``.
        ortho_scale: world units along the fitted side of an orthographic picture.
        shift_x: of the picture to the right, as a part of the fitted side.
        shift_y: of the picture upwards, as a part of the fitted side.
        clip_start: distance of the near plane.
        clip_end: distance of the far plane.
    """

    type: str = "PERSP"
    lens: float = 50.0
    sensor_width: float = _SENSOR
    sensor_height: float = 24.0
    sensor_fit: str = "AUTO"
    ortho_scale: float = 6.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    clip_start: float = 0.1
    clip_end: float = 100.0


@dataclass(frozen=True)
class Frame:
    """The picture a Blender scene renders.

    Attributes:
        width: pixels per row, the percentage applied.
        height: rows, the percentage applied.
        pixel_aspect_x: width of a pixel.
        pixel_aspect_y: height of a pixel, in the same unit.
    """

    width: int
    height: int
    pixel_aspect_x: float = 1.0
    pixel_aspect_y: float = 1.0

    @property
    def pixel_stretch(self) -> float:
        """Height of a pixel over its width."""
        return self.pixel_aspect_y / self.pixel_aspect_x

    def fitted_side(self, sensor_fit: str) -> float:
        """Returns the length of the side that the sensor is fitted to, in widths of a pixel."""
        width, height = float(self.width), self.height * self.pixel_stretch
        if sensor_fit == "AUTO":
            return max(width, height)
        return width if sensor_fit == "HORIZONTAL" else height


def projection(lens: Lens, frame: Frame, name: str = "camera") -> Matrix:
    """Builds the projection matrix of a Blender camera.

    The frustum is Blender's, and what is nearer than ``clip_start`` is cut off: depth goes from 0 there to 1 at
    ``clip_end``, which is the clip volume that blockcore draws.

    Args:
        lens: the camera.
        frame: the picture.
        name: what messages call the camera.

    Returns:
        (4, 4) float64, row-major.

    Raises:
        CameraError: it is a panorama, or its clip range is empty.
    """
    if lens.type not in ("PERSP", "ORTHO"):
        raise CameraError(f"camera {name!r}: is a {lens.type.lower()} camera; make it perspective or orthographic")
    near, far = lens.clip_start, lens.clip_end
    if not 0.0 < near < far:
        raise CameraError(f"camera {name!r}: clips from {near:g} to {far:g}; make the start smaller than the end")
    is_perspective = lens.type == "PERSP"
    sensor = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    across = sensor / lens.lens if is_perspective else lens.ortho_scale  # at unit distance
    side = frame.fitted_side(lens.sensor_fit)
    width = across * frame.width / side
    height = across * frame.height * frame.pixel_stretch / side
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = 2.0 / width, 2.0 / height
    shift = 2.0 * lens.shift_x * across / width, 2.0 * lens.shift_y * across / height
    if is_perspective:
        matrix[:2, 2] = shift
        matrix[2, 2:] = far / (near - far), far * near / (near - far)
        matrix[3, 2] = -1.0
    else:
        matrix[:2, 3] = np.negative(shift)
        matrix[2, 2:] = 1.0 / (near - far), near / (near - far)
        matrix[3, 3] = 1.0
    return matrix


def lens_of(camera: Camera) -> tuple[Lens, Frame, float]:
    """Finds the Blender camera that has a camera's projection: the inverse of ``projection``.

    Args:
        camera: a camera of blockcore's.

    Returns:
        The lens, the frame, and how far the Blender camera must be moved back along its axis: 0, but for an
        orthographic camera that sees what lies behind itself.

    Raises:
        CameraError: Blender has no such camera.
    """
    proj = camera.proj
    shape = proj.copy()
    shape[(0, 1, 2), (0, 1, 2)] = 0.0
    if camera.is_perspective:
        proj = proj / -proj[3, 2] if proj[3, 2] else proj
        shape[:3, (2, 3)] = 0.0
        shape[3, 2] = 0.0
        near, far = (proj[2, 3] / proj[2, 2], proj[2, 3] / (proj[2, 2] + 1.0)) if proj[3, 2] else (0.0, 0.0)
        shift = proj[:2, 2]
    else:
        proj = proj / proj[3, 3] if proj[3, 3] else proj
        shape[:, 3] = 0.0
        near, far = (proj[2, 3] / proj[2, 2], (proj[2, 3] - 1.0) / proj[2, 2]) if proj[2, 2] else (0.0, 0.0)
        shift = -proj[:2, 3]
    if np.abs(shape).max() > _TOLERANCE or proj[0, 0] <= 0.0 or proj[1, 1] <= 0.0 or not near < far:
        raise CameraError(
            f"camera {camera.name!r}: its projection is not one a Blender camera can have; see its matrix"
        )
    back = 0.0 if camera.is_perspective or near >= _LEAST_CLIP else 2.0 * _LEAST_CLIP - near
    stretch = proj[0, 0] * camera.width / (proj[1, 1] * camera.height)
    frame = Frame(camera.width, camera.height, *_pixel_aspect(stretch))
    width, height = 2.0 / proj[0, 0], 2.0 / proj[1, 1]
    across = frame.fitted_side("AUTO") / frame.width * width
    lens = Lens(
        type="PERSP" if camera.is_perspective else "ORTHO",
        lens=_SENSOR / across,
        ortho_scale=across,
        shift_x=float(shift[0]) * width / (2.0 * across),
        shift_y=float(shift[1]) * height / (2.0 * across),
        clip_start=near + back,
        clip_end=far + back,
    )
    return lens, frame, back


def _pixel_aspect(stretch: float) -> tuple[float, float]:
    """Blender wants both aspects at least 1; a stretch that is only rounding is none."""
    if math.isclose(stretch, 1.0, abs_tol=1e-6):
        return 1.0, 1.0
    return max(1.0, 1.0 / stretch), max(1.0, stretch)


def view_matrix(matrix_world: npt.ArrayLike, grid_to_source: npt.ArrayLike, name: str = "camera") -> Matrix:
    """Returns the view matrix of a Blender camera, as seen from blockcore's world.

    Args:
        matrix_world: (4, 4), the camera object's; its scale does not count, as in Blender.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        name: what messages call the camera.

    Returns:
        (4, 4) float64: blockcore's world to view space.

    Raises:
        CameraError: the object's scale is 0.
    """
    pose = np.array(matrix_world, dtype=np.float64)
    scale = np.linalg.norm(pose[:3, :3], axis=0)
    if not scale.all():
        raise CameraError(f"camera {name!r}: is scaled to 0; set its scale to 1")
    pose[:3, :3] /= scale
    return np.asarray(np.linalg.inv(pose) @ np.asarray(grid_to_source, dtype=np.float64))


def camera_pose(camera: Camera, grid_to_source: npt.ArrayLike, back: float = 0.0) -> Matrix:
    """Returns the ``matrix_world`` of the Blender camera that has a camera's view: the inverse of ``view_matrix``.

    Args:
        camera: a camera of blockcore's.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        back: how far to move it back along its axis; see ``lens_of``.

    Raises:
        CameraError: the view matrix scales, shears or mirrors, which no Blender camera does.
    """
    turn = camera.view[:3, :3]
    rigid = np.abs(turn @ turn.T - np.eye(3)).max() < _TOLERANCE and np.linalg.det(turn) > 0.0
    if not rigid or np.abs(camera.view[3] - (0.0, 0.0, 0.0, 1.0)).max() > _TOLERANCE:
        raise CameraError(f"camera {camera.name!r}: its view matrix is not a rotation and a translation")
    away = np.eye(4)
    away[2, 3] = back
    return np.asarray(np.asarray(grid_to_source, dtype=np.float64) @ np.linalg.inv(camera.view) @ away)
