# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the visible cubes of a collection or an object, through Blender's dependency graph.

It does not matter how the cubes come about: cube objects, collection instances, instances on vertices or faces,
geometry nodes. They keep the order in which Blender lists them. A mesh counts as a cube when its bounding box is one
and its vertices lie on it (those of a bevel may lie a little inside).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.palette import BOTTOM, SIDE, TOP
from bridge.blender import marks
from bridge.blender.materials import Look, look

_BEVEL = 0.05  # of an edge: how far a vertex may lie inside the cube
INSTANCERS = ("VERTS", "FACES")
_NOT_A_BLOCK = -1


@dataclass(frozen=True)
class CubeKind:
    """What cubes have in common that one object emits with one mesh.

    Attributes:
        emitter: name of the object that is, or emits, the cubes.
        to_mesh: (4, 4): the cube from -½ to ½ to the mesh's own space.
        look: what the cubes show.
    """

    emitter: str
    to_mesh: npt.NDArray[np.float64]
    look: Look


@dataclass(frozen=True)
class Cubes:
    """The cubes of a source, in Blender's order.

    Attributes:
        kinds: the kinds there are.
        kind: (N,) int32: the kind of each cube.
        matrices: (N, 4, 4) float64: each maps the cube from -½ to ½ to its place in Blender's world.
    """

    kinds: tuple[CubeKind, ...]
    kind: npt.NDArray[np.int32]
    matrices: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def emitters(self) -> tuple[str, ...]:
        """N names: the object that is, or emits, each cube."""
        names = [kind.emitter for kind in self.kinds]
        return tuple(names[index] for index in self.kind.tolist())

    def describe(self, cube: int) -> str:
        """Returns what messages call a cube."""
        name = self.emitters[cube]
        if self.emitters.count(name) == 1:
            return f"object {name!r}"
        x, y, z = self.matrices[cube, :3, 3].tolist()
        return f"the cube of object {name!r} at ({x:.4g}, {y:.4g}, {z:.4g})"


def find_cubes(source: Any) -> Cubes:
    """Finds the visible cubes of a collection or an object.

    Args:
        source: a collection with all that is in it, or an object with its children. If its cubes were hidden for a
            world that was made of them, that world's.

    Raises:
        SceneError: there are none, or there is a mesh that is not a cube.
    """
    members = _members(source)
    cubes = _search(members)
    if not len(cubes):
        cubes = _search({obj.name_full for obj in bpy.context.scene.objects if members & set(marks.read_hidden(obj))})
    if not len(cubes):
        raise SceneError(_why_none(source, members))
    return cubes


def _members(source: Any) -> set[str]:
    objects = source.all_objects if isinstance(source, bpy.types.Collection) else [source, *source.children_recursive]
    return {obj.name_full for obj in objects}


def _search(members: set[str]) -> Cubes:
    bpy.context.view_layer.update()
    instances = bpy.context.evaluated_depsgraph_get().object_instances
    rows: dict[tuple[int, int, int], int] = {}
    kinds: list[CubeKind] = []
    kind: list[int] = []
    places = np.empty((len(instances), 4, 4), dtype=np.float32)
    for instance in instances if members else ():
        obj = instance.object
        if obj.type != "MESH":
            continue
        owner = instance.parent if instance.is_instance else obj
        mesh = obj.data
        key = (owner.as_pointer(), obj.as_pointer(), mesh.as_pointer())
        row = rows.get(key)
        if row is None:
            row = len(kinds) if _may_be_block(instance, owner, members) else _NOT_A_BLOCK
            rows[key] = row
            if row != _NOT_A_BLOCK:
                kinds.append(_kind(owner, obj, mesh))
        if row != _NOT_A_BLOCK:
            places[len(kind)] = instance.matrix_world
            kind.append(row)
    index = np.array(kind, dtype=np.int32)
    to_mesh = np.array([one.to_mesh for one in kinds]).reshape(-1, 4, 4)
    return Cubes(tuple(kinds), index, places[: len(kind)] @ to_mesh[index])


def _may_be_block(instance: Any, owner: Any, members: set[str]) -> bool:
    obj = instance.object
    if owner.original.name_full not in members or not len(obj.data.polygons):
        return False
    if instance.is_instance:
        return True
    is_template = obj.parent is not None and obj.parent.instance_type in INSTANCERS
    return obj.instance_type not in INSTANCERS and not is_template


def _kind(owner: Any, obj: Any, mesh: Any) -> CubeKind:
    corners = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", corners)
    points = corners.reshape(-1, 3).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    edges, center = high - low, (high + low) / 2
    if not edges.all() or (np.abs(points - center) / edges).max(axis=1).min() < 0.5 - _BEVEL:
        raise SceneError(
            f"object {owner.name!r}: its mesh {mesh.name!r} is not a cube; leave only cubes among the blocks"
        )
    to_mesh = np.diag([*edges, 1.0])
    to_mesh[:3, 3] = center
    return CubeKind(owner.original.name, to_mesh, look(obj, cube_slots(mesh)))


def cube_slots(mesh: Any) -> tuple[int, int, int]:
    """Returns the material slots of a cube mesh's top, bottom and side: those of the polygons that look there most."""
    normals = np.empty(len(mesh.polygons) * 3, dtype=np.float32)
    indices = np.empty(len(mesh.polygons), dtype=np.int32)
    mesh.polygons.foreach_get("normal", normals)
    mesh.polygons.foreach_get("material_index", indices)
    x, y, z = normals.reshape(-1, 3).T
    slots = [0, 0, 0]
    for slot, facing in ((TOP, z), (BOTTOM, -z), (SIDE, np.maximum(np.abs(x), np.abs(y)))):
        slots[slot] = int(indices[facing.argmax()])
    return (slots[0], slots[1], slots[2])


def _why_none(source: Any, members: set[str]) -> str:
    what = "collection" if isinstance(source, bpy.types.Collection) else "object"
    if any(not obj.visible_get() for obj in bpy.context.scene.objects if obj.name_full in members):
        return f"{what} {source.name!r}: has no visible cube; show its hidden objects, or choose another"
    return f"{what} {source.name!r}: has no cube; put the cubes there, or choose another collection or object"
