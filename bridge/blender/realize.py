# SPDX-License-Identifier: GPL-3.0-or-later
"""A world of blocks as plain Blender data, which every tool and exporter knows: one mesh, or an object a block."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from blockcore.errors import SceneError
from blockcore.model.grid import FACE_CORNERS, FACE_UVS, BlockGrid
from bridge.blender.world import cubes_of, world_materials
from bridge.blender.world_edit import grid_of
from bridge.convert import TO_BLENDER

MOST_OBJECTS = 20_000


def realize_mesh(world: Any) -> Any:
    """Adds an object with one mesh of the faces that a world's blocks show, and hides the world.

    Neighbouring faces share their corners; each has the whole of its material's picture, as on a block.

    Returns:
        The object.

    Raises:
        SceneError: the object is no world, or has no block.
    """
    grid = grid_of(world)
    if not len(grid):
        raise SceneError(f"object {world.name!r}: has no block; make another the active one")
    faces = grid.exposed_faces
    points, corners = squares(world, grid)
    mesh = bpy.data.meshes.new(world.name)
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).ravel())
    mesh.loops.add(corners.size)
    mesh.loops.foreach_set("vertex_index", corners.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners.size, 4, dtype=np.int32))
    _paint(mesh, world, faces.block, faces.direction)
    uv = FACE_UVS[faces.direction].reshape(-1, 2) * (1.0, -1.0) + (0.0, 1.0)  # Blender counts rows from below
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())
    mesh.update(calc_edges=True)
    realized = bpy.data.objects.new(f"{world.name} Mesh", mesh)
    realized.matrix_world = world.matrix_world
    world.users_collection[0].objects.link(realized)
    _hide(world)
    return realized


def realize_objects(world: Any) -> Any:
    """Adds an object for each block, in a collection of their own, and hides the world.

    Returns:
        The collection.

    Raises:
        SceneError: the object is no world, or has no block, or too many.
    """
    grid = grid_of(world)
    if not 0 < len(grid) <= MOST_OBJECTS:
        raise SceneError(
            f"object {world.name!r}: has {len(grid):,} blocks, and 1 to {MOST_OBJECTS:,} become objects; "
            f"make it one mesh"
        )
    cubes = cubes_of(world)
    collection = bpy.data.collections.new(f"{world.name} Objects")
    bpy.context.scene.collection.children.link(collection)
    size = Matrix.Scale(grid.world_scale, 4)
    for vertex, material in zip(world.data.vertices, world_materials(world).tolist(), strict=True):
        block = bpy.data.objects.new(cubes[material].data.name, cubes[material].data)
        block.matrix_world = world.matrix_world @ Matrix.Translation(vertex.co) @ size
        collection.objects.link(block)
    _hide(world)
    return collection


def stand_in(world: Any) -> Any:
    """Returns an object that no scene has, whose mesh is what a world's modifiers make of it; for ``drop_stand_in``."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    mesh = bpy.data.meshes.new_from_object(world.evaluated_get(depsgraph), depsgraph=depsgraph)
    mesh.name = f"{world.name} Mesh"
    made = bpy.data.objects.new(world.name, mesh)
    made.matrix_world = world.matrix_world
    return made


def drop_stand_in(made: Any) -> None:
    """Removes an object of ``stand_in``."""
    bpy.data.meshes.remove(made.data)  # and the object with it


def squares(world: Any, grid: BlockGrid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Returns the faces that a world's blocks show, in the order of its grid's ``exposed_faces``.

    Returns:
        (P, 3) points in the world's own space, and (F, 4) the corners of each face among them; neighbours share theirs.
    """
    faces = grid.exposed_faces
    lattice = (faces.cell[:, None, :] + FACE_CORNERS[faces.direction]).reshape(-1, 3)
    points, corner = np.unique(lattice, axis=0, return_inverse=True)
    first = np.array(world.data.vertices[0].co, dtype=np.float64)
    away = (points - grid.positions[0] - 0.5) * grid.world_scale
    return np.asarray(first + away @ TO_BLENDER[:3, :3].T), corner.reshape(-1, 4).astype(np.int32)


def _paint(mesh: Any, world: Any, block: npt.NDArray[np.int32], direction: npt.NDArray[np.int32]) -> None:
    """Gives faces the materials that the world's cubes have there, each in one slot."""
    materials = world_materials(world)[block]
    slots: dict[Any, int] = {}
    table = np.zeros((int(materials.max()) + 1, 6), np.int32)
    cubes = cubes_of(world)
    for index in np.unique(materials).tolist():
        cube = cubes[index].data
        for side, polygon in enumerate(cube.polygons):
            table[index, side] = slots.setdefault(cube.materials[polygon.material_index], len(slots))
    for material in slots:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", table[materials, direction])


def _hide(world: Any) -> None:
    world.hide_viewport = world.hide_render = True
