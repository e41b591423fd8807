# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a target speak for the blocks there: those where the model that it shows is close to them.

Most of what blocks cannot show sits at outlines, where a pixel's block and what the model shows there lie far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from blockcore.model.camera import Camera
from blockcore.model.grid import FACE_NORMALS, BlockGrid
from blockcore.model.scene import View
from blockcore.visibility import rasterize

_REACH = 1.5  # blocks between a block's surface and the model's, along the line of sight
_MOST_CAST = 256  # lines of sight along the longer side of a picture


def surfaces(model: Any) -> list[BVHTree]:
    """Returns the surfaces of a collection's or an object's meshes, as they are, in Blender's world."""
    objects = model.all_objects if isinstance(model, bpy.types.Collection) else [model, *model.children_recursive]
    depsgraph, found = bpy.context.evaluated_depsgraph_get(), []
    for obj in objects:
        if obj.type != "MESH":
            continue
        evaluated = obj.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        points = [obj.matrix_world @ vertex.co for vertex in mesh.vertices]
        found.append(BVHTree.FromPolygons(points, [tuple(polygon.vertices) for polygon in mesh.polygons]))
        evaluated.to_mesh_clear()
    return found


def fitting(view: View, grid: BlockGrid, grid_to_source: npt.NDArray[np.float64], model: Sequence[BVHTree]) -> View:
    """Returns a view whose target leaves out the pixels where block and model are far apart.

    Args:
        view: a perspective view with a target that shows the model.
        grid: the blocks.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        model: from ``surfaces``.

    A view of a camera without perspective is returned as it is.
    """
    if view.target is None or not view.camera.is_perspective:
        return view
    height, width = view.target.shape[:2]
    step = -(-max(height, width) // _MOST_CAST)
    coarse = replace(view.camera, height=-(-height // step), width=-(-width // step))
    depth, eye, sight = _block_distance(coarse, grid)
    origin = Vector(grid_to_source[:3, :3] @ eye + grid_to_source[:3, 3])
    apart = np.zeros(depth.shape, np.bool_)
    for row, column in np.argwhere(np.isfinite(depth)).tolist():
        toward = Vector(grid_to_source[:3, :3] @ sight[row, column])
        hits = (tree.ray_cast(origin, toward)[3] for tree in model)
        nearest = min((hit for hit in hits if hit is not None), default=np.inf)
        apart[row, column] = abs(nearest - depth[row, column]) > _REACH * grid.world_scale
    hidden = apart.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]
    target = view.target
    if target.shape[2] == 3:
        target = np.dstack([target, np.full((height, width), 255, np.uint8)])
    masked = np.where(hidden, 0, target[..., 3]).astype(np.uint8)
    return replace(view, target=np.dstack([target[..., :3], masked]))


def _block_distance(
    camera: Camera, grid: BlockGrid
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns how far the block of each pixel is, (H, W), inf for none; the camera's place; unit lines of sight."""
    faces = grid.exposed_faces
    (seen,) = rasterize(faces, [camera], "cpu")
    face = np.asarray(seen.face)
    inverse = np.linalg.inv(camera.view_proj)
    row, column = np.mgrid[: camera.height, : camera.width]
    across, up = (column + 0.5) / camera.width * 2.0 - 1.0, 1.0 - (row + 0.5) / camera.height * 2.0
    far = np.stack([across, up, np.full(face.shape, 0.5), np.ones(face.shape)], axis=-1) @ inverse.T
    eye = np.linalg.inv(camera.view)[:3, 3]
    sight = far[..., :3] / far[..., 3:] - eye
    sight /= np.linalg.norm(sight, axis=-1, keepdims=True)
    sight *= np.sign(-(sight @ camera.view[2, :3]))[..., None]
    corner = faces.corners()[:, 0].astype(np.float64)[face]
    normal = FACE_NORMALS[faces.direction[face]].astype(np.float64)
    distance = ((corner - eye) * normal).sum(axis=-1) / (sight * normal).sum(axis=-1)
    return np.where(face >= 0, distance, np.inf), eye, sight
