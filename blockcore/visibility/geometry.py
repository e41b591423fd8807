"""Depth, normals and surface points of a view, worked out exactly from which face each pixel shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import Camera
from blockcore.model.frozen import ByValue
from blockcore.model.grid import FACE_NORMALS, ExposedFaces, lattice_to_world

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility


@dataclass(frozen=True, eq=False)
class GeometryBuffers(ByValue):
    """What a view shows besides colour. No gradients flow: geometry does not change with materials.

    Attributes:
        depth: (H, W) float32, distance along the viewing axis in world units; 0 where there is nothing.
        normal: (H, W, 3) float32, outward unit normal in world space; 0 where there is nothing.
        block: (H, W) int32, index of the block; -1 where there is nothing.
    """

    depth: npt.NDArray[np.float32]
    normal: npt.NDArray[np.float32]
    block: npt.NDArray[np.int32]


def surface_points(
    faces: ExposedFaces, camera: Camera, face: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Finds where the rays through the pixel centres meet the faces they show.

    A pixel centre is a line in world space; a block's face lies in a plane of constant x, y or z. The line's point in
    that plane is exact up to float64 rounding, whatever the projection.

    Args:
        faces: the exposed faces.
        camera: the view.
        face: (H, W), the face of each pixel, -1 for none.

    Returns:
        Flat indices of the P covered pixels, and their points (P, 3) in world space.
    """
    pixel = np.flatnonzero(face.ravel() >= 0)
    shown = face.ravel()[pixel]
    ndc = np.stack(
        [
            (pixel % camera.width + 0.5) / camera.width * 2.0 - 1.0,
            1.0 - (pixel // camera.width + 0.5) / camera.height * 2.0,
        ],
        axis=1,
    )
    unproject = np.linalg.inv(camera.view_proj.astype(np.float64))
    near = ndc @ unproject[:, :2].T + unproject[:, 3]
    along = unproject[:, 2]
    axis = np.abs(FACE_NORMALS).argmax(axis=1)[faces.direction[shown]]
    outer = faces.cell[shown] + (FACE_NORMALS[faces.direction[shown]] > 0)
    row = np.arange(len(pixel))
    plane = lattice_to_world(outer, faces.grid_size, faces.world_scale)[row, axis].astype(np.float64)
    # A point of the line is (near + z·along), divided by its own w; solve component `axis` = plane · w for z.
    z = (plane * near[:, 3] - near[row, axis]) / (along[axis] - plane * along[3])
    point = near + z[:, None] * along
    return pixel, point[:, :3] / point[:, 3:]


def geometry_buffers(faces: ExposedFaces, camera: Camera, visibility: Visibility) -> GeometryBuffers:
    """Returns the depth, normals and blocks of a view."""
    face = visibility.face if isinstance(visibility.face, np.ndarray) else visibility.face.cpu().numpy()
    pixel, point = surface_points(faces, camera, face)
    depth = np.zeros(face.shape, dtype=np.float32)
    depth.ravel()[pixel] = -(point @ camera.view[2, :3] + camera.view[2, 3])
    shown = face.ravel()[pixel]
    normal = np.zeros((*face.shape, 3), dtype=np.float32)
    normal.reshape(-1, 3)[pixel] = FACE_NORMALS[faces.direction[shown]]
    block = np.full(face.shape, -1, dtype=np.int32)
    block.ravel()[pixel] = faces.block[shown]
    return GeometryBuffers(depth, normal, block)
