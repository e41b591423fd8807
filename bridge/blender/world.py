# SPDX-License-Identifier: GPL-3.0-or-later
"""One Blender object that shows a whole block world: a point a block, and a cube a material, put on them by nodes.

The points carry the palette index as the integer attribute ``material``; a geometry-nodes modifier picks the cube by
it. Changing the materials of a world therefore means writing one attribute. The cubes lie in a collection of their own
that is not linked to any scene.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.grid import FACE_CORNERS, FACE_UVS, BlockGrid, lattice_to_world
from blockcore.model.palette import AIR, Palette
from blockcore.model.scene import BlockScene
from bridge.blender import marks
from bridge.blender.materials import face_materials
from bridge.blender.regions import write_regions
from bridge.blender.world_nodes import collections_of, instancers, world_nodes
from bridge.convert import TO_BLENDER

ATTRIBUTE = "material"
MOST_REALIZED = 300_000
"""Blocks of a world that is shown as a mesh by itself: a million take half a minute, and above a gigabyte meanwhile."""


def add_world(scene: BlockScene, name: str, collection: Any) -> Any:
    """Adds the object that shows a scene's blocks.

    Args:
        scene: the blocks; its source, if any, tells where in Blender's world they are.
        name: of the object.
        collection: where it is linked.

    Returns:
        The object.
    """
    world = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    collection.objects.link(world)
    return fill_world(world, scene)


def fill_world(world: Any, scene: BlockScene) -> Any:
    """Lets an object of ``add_world`` show another scene's blocks; whatever refers to the object goes on to.

    Returns:
        The object.
    """
    name, old = world.name, world.data
    world.data = _points(scene, name)
    _remove_if_unused(bpy.data.meshes, old)
    world.data.name = name
    world.rotation_mode = "QUATERNION"
    if scene.source is not None:
        world.matrix_world = Matrix(scene.source.grid_to_source @ np.linalg.inv(TO_BLENDER))
    modifier = next(iter(instancers(world)), None) or world.modifiers.new("Blocks", "NODES")
    tree, modifier.node_group = modifier.node_group, None
    if tree is not None and not tree.users:
        _remove_tree(tree)
    cubes = _cube_collection(scene.palette, f"{name} Cubes")
    for material in dict.fromkeys(slot for cube in cubes.objects for slot in cube.data.materials):
        world.data.materials.append(material)  # the USD exporter counts the slots of what modifiers start from
    is_realized = len(scene.grid) <= MOST_REALIZED
    modifier.node_group = world_nodes(f"{name} Instances", cubes, scene.grid.world_scale, ATTRIBUTE, is_realized)
    noted = None if isinstance(scene.lighting, BakedLight) else scene.lighting
    marks.write_world(world, marks.WorldMark(scene.grid.size, scene.grid.world_scale, scene.palette, noted))
    write_regions(world, scene.regions)
    return world


def update_materials(world: Any, materials: npt.ArrayLike) -> None:
    """Changes the materials that a world shows: fast enough to be done while an optimisation runs.

    Args:
        world: an object of ``add_world``.
        materials: (N,) palette indices in block order.

    Raises:
        SceneError: the object is no such world, or the materials do not fit it.
    """
    mark, attribute = marks.read_world(world), world.data.attributes.get(ATTRIBUTE)
    if mark is None or attribute is None:
        raise SceneError(f"object {world.name!r}: is not a block world; apply a result first")
    values = np.asarray(materials)
    if values.shape != (len(attribute.data),):
        raise SceneError(f"object {world.name!r}: has {len(attribute.data)} blocks, not {values.size}; apply it anew")
    if not np.issubdtype(values.dtype, np.integer) or (values <= AIR).any() or (values >= len(mark.palette)).any():
        raise SceneError(f"object {world.name!r}: materials must be whole numbers from 1 to {len(mark.palette) - 1}")
    attribute.data.foreach_set("value", np.ascontiguousarray(values, dtype=np.int32))
    world.data.update_tag()


def world_materials(world: Any) -> npt.NDArray[np.int32]:
    """Returns the palette indices that a world shows, (N,) int32 in block order."""
    data = world.data.attributes[ATTRIBUTE].data
    values = np.empty(len(data), dtype=np.int32)
    data.foreach_get("value", values)
    return values


def cubes_of(world: Any) -> list[Any]:
    """Returns the cubes that a world shows its blocks as, by palette index.

    Raises:
        SceneError: the object is no world, or its nodes are others.
    """
    collections = [one for modifier in instancers(world) for one in collections_of(modifier.node_group)]
    if collections:
        return sorted(collections[0].objects, key=lambda cube: str(cube.name))
    raise SceneError(f"object {world.name!r}: its blocks have no cubes any more; undo what removed them")


def remove_world(world: Any) -> None:
    """Removes a world's object with all that ``add_world`` made for it, but for the materials."""
    trees = [modifier.node_group for modifier in instancers(world)]
    mesh = world.data
    bpy.data.objects.remove(world)
    _remove_if_unused(bpy.data.meshes, mesh)
    for tree in trees:
        if not tree.users:
            _remove_tree(tree)


def _points(scene: BlockScene, name: str) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(scene.grid))
    mesh.vertices.foreach_set("co", _centers(scene.grid).ravel())
    mesh.attributes.new(ATTRIBUTE, "INT", "POINT").data.foreach_set("value", scene.materials)
    return mesh


def _remove_if_unused(kind: Any, data: Any) -> None:
    if not data.users:
        kind.remove(data)


def _remove_tree(tree: Any) -> None:
    cubes = collections_of(tree)
    bpy.data.node_groups.remove(tree)
    for collection in cubes:
        if not collection.users:
            for cube in list(collection.objects):
                bpy.data.meshes.remove(cube.data)  # and the object with it
            bpy.data.collections.remove(collection)


def _centers(grid: BlockGrid) -> npt.NDArray[np.float32]:
    centers = lattice_to_world(grid.positions + 0.5, grid.size, grid.world_scale)
    return np.ascontiguousarray(centers @ TO_BLENDER[:3, :3].T.astype(np.float32))


def _cube_collection(palette: Palette, name: str) -> Any:
    """Makes one cube of unit size a material; their names sort by index, the order in which they are picked."""
    collection = bpy.data.collections.new(name)
    for index, material in enumerate(palette.names):
        mesh = bpy.data.meshes.new(material)
        if index != AIR:
            _fill_cube(mesh, face_materials(palette, index))
        cube = bpy.data.objects.new(f"{index:04d} {material}", mesh)
        cube[marks.MATERIAL] = material
        collection.objects.link(cube)
    return collection


def _fill_cube(mesh: Any, materials: list[Any]) -> None:
    corners = (FACE_CORNERS.reshape(-1, 3) - 0.5) @ TO_BLENDER[:3, :3].T
    points, index = np.unique(corners, axis=0, return_inverse=True)
    mesh.from_pydata(points.tolist(), [], index.reshape(-1, 4).tolist())
    slots = list(dict.fromkeys(materials))
    for material in slots:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", [slots.index(material) for material in materials])
    uv = FACE_UVS.reshape(-1, 2) * (1.0, -1.0) + (0.0, 1.0)  # Blender counts rows from below
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())
    mesh.update()
