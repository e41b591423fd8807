# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the cubes of a collection or an object that renders show, through Blender's dependency graph.

It does not matter how the cubes come about: cube objects, several joined in one, collection instances, instances on
vertices or faces, particles, geometry nodes. They keep the order in which Blender lists them.
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
from bridge.blender import curtain, marks
from bridge.blender.looks import Skin, plain_color, read_values, skin_of
from bridge.blender.rendered import Rendered, open_eyes
from bridge.blender.shapes import Box, boxes_of, shape_key

INSTANCERS = ("VERTS", "FACES")
_WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class CubeKind:
    """What cubes have in common that look alike but for how they are turned.

    Attributes:
        box: the cube in its mesh.
        skin: of the mesh.
        materials: of the slots; None in an empty one.
        said: what the custom property of the object or the mesh says its material is, or "".
        color: the object's own colour.
    """

    box: Box
    skin: Skin
    materials: tuple[Any, ...]
    said: str
    color: tuple[float, ...]


@dataclass(frozen=True)
class Cubes:
    """The cubes of a source, in Blender's order.

    Attributes:
        kinds: the kinds there are.
        kind: (N,) int32: the kind of each cube.
        emitters: N full names: the object that is, or emits, each cube.
        matrices: (N, 4, 4) float64: each maps the cube from -½ to ½ to its place in Blender's world.
    """

    kinds: tuple[CubeKind, ...]
    kind: npt.NDArray[np.int32]
    emitters: tuple[str, ...]
    matrices: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def _single(self) -> bool:
        return len(set(self.emitters)) == len(self.emitters)

    def describe(self, cube: int) -> str:
        """Returns what messages call a cube."""
        name = self.emitters[cube]
        if self._single or self.emitters.count(name) == 1:
            return f"object {name!r}"
        x, y, z = self.matrices[cube, :3, 3].tolist()
        return f"the cube of object {name!r} at ({x:.4g}, {y:.4g}, {z:.4g})"


def find_cubes(source: Any, in_detail: bool = True, as_boxes: bool = False) -> Cubes:
    """Finds the cubes of a collection or an object that renders show.

    Args:
        source: a collection with all that is in it, or an object with its children. If its cubes were hidden for a
            world that was made of them, that world's.
        in_detail: whether to keep what tells which part of a picture lies on a cube.
        as_boxes: whether to take any mesh as the box around it, as its object's property ``blockcore_as_box`` does.

    Raises:
        SceneError: there are none, or there is a mesh that is not made of cubes.
    """
    members = _members(source)
    cubes = _Search(members, in_detail, as_boxes).run()
    if not len(cubes):
        results = [obj for obj in bpy.context.scene.objects if marks.is_world(obj)]
        worlds = {obj.name_full for obj in results if members & {one.name_full for one in curtain.behind(obj)}}
        cubes = _Search(worlds, in_detail, as_boxes).run()
    if not len(cubes):
        raise SceneError(_why_none(source, members))
    return cubes


def _members(source: Any) -> set[str]:
    if not isinstance(source, bpy.types.Collection):
        return {obj.name_full for obj in (source, *source.children_recursive)}
    collections = (source, *source.children_recursive)  # all_objects takes the square of their number
    return {obj.name_full for collection in collections for obj in collection.objects}


class _Search:
    """One way through the dependency graph. What it gives is only valid on that way: everything kept is copied."""

    def __init__(self, members: set[str], in_detail: bool, as_boxes: bool) -> None:
        self.members, self.in_detail, self.as_boxes = members, in_detail, as_boxes
        self.kinds: list[CubeKind] = []
        self._kind_of: dict[Any, int] = {}
        self._shapes: dict[tuple[Any, ...], tuple[list[Box], Skin]] = {}
        self._meshes: dict[tuple[int, bool, bool], tuple[Any, ...]] = {}
        self._varied: dict[Any, bool] = {}

    def run(self) -> Cubes:
        if not self.members:
            return Cubes((), np.zeros(0, np.int32), (), np.zeros((0, 4, 4)))
        with open_eyes(self.members):
            bpy.context.view_layer.update()
            return self._walk(bpy.context.evaluated_depsgraph_get().object_instances)

    def _walk(self, instances: Any) -> Cubes:
        rendered = Rendered()
        rows: dict[tuple[int, int, int], tuple[str, list[int]]] = {}
        places = np.empty((len(instances), 4, 4), dtype=np.float32)
        kind: list[int] = []
        place: list[int] = []
        emitters: list[str] = []
        for number, instance in enumerate(instances):
            obj = instance.object
            if obj.type != "MESH":
                continue
            owner = instance.parent if instance.is_instance else obj
            key = (owner.as_pointer(), obj.as_pointer(), obj.data.as_pointer())
            row = rows.get(key)
            if row is None:
                name = owner.original.name_full
                is_block = name in self.members and _may_be_block(instance) and rendered.shows(instance, owner)
                row = rows[key] = name, (self._kinds_of(owner, obj) if is_block else [])
            if row[1]:
                places[number] = instance.matrix_world
                for one in row[1]:
                    kind.append(one)
                    place.append(number)
                    emitters.append(row[0])
        index = np.array(kind, dtype=np.int32)
        to_mesh = np.array([one.box.to_mesh for one in self.kinds]).reshape(-1, 4, 4)
        matrices = places[np.array(place, dtype=np.int64)] @ to_mesh[index]
        return Cubes(tuple(self.kinds), index, tuple(emitters), matrices)

    def _kinds_of(self, owner: Any, obj: Any) -> list[int]:
        mesh = obj.data
        slots = [slot.material for slot in obj.material_slots] or list(mesh.materials)
        materials = tuple(None if material is None else material.original for material in slots)
        varied = self.in_detail and any(self._varies(material) for material in materials)
        as_box = self.as_boxes or bool(owner.get(marks.AS_BOX, False) or obj.get(marks.AS_BOX, False))
        pointer = (mesh.as_pointer(), varied, as_box)
        shape = self._meshes.get(pointer)
        if shape is None:
            shape = self._meshes[pointer] = self._shape_key(mesh, varied, as_box)
        boxes, skin = self._shapes.get(shape) or self._read(shape, owner, mesh, varied, as_box)
        said = str(obj.get(marks.MATERIAL) or mesh.get(marks.MATERIAL) or "")
        color = tuple(obj.color[:3]) if varied else _WHITE
        found = []
        for number, box in enumerate(boxes):
            key = (shape, number, materials, said, color)
            if key not in self._kind_of:
                self._kind_of[key] = len(self.kinds)
                self.kinds.append(CubeKind(box, skin, materials, said, color))
            found.append(self._kind_of[key])
        return found

    @staticmethod
    def _shape_key(mesh: Any, varied: bool, as_box: bool) -> tuple[Any, ...]:
        if varied:
            return (mesh.name_full, mesh.as_pointer(), as_box)
        return (shape_key(mesh), read_values(mesh.polygons, "material_index", np.int32).tobytes(), as_box)

    def _read(
        self, shape: tuple[Any, ...], owner: Any, mesh: Any, varied: bool, as_box: bool
    ) -> tuple[list[Box], Skin]:
        boxes = boxes_of(mesh, as_box)
        if not boxes:
            raise SceneError(
                f"object {owner.name!r}: its mesh {mesh.name!r} is not a cube; leave only cubes among the blocks, or "
                f"set the object's custom property {marks.AS_BOX} to take the box around it"
            )
        self._shapes[shape] = found = boxes, skin_of(mesh, varied)
        return found

    def _varies(self, material: Any) -> bool:
        if material not in self._varied:
            try:
                self._varied[material] = material is not None and plain_color(material, _WHITE) is None
            except SceneError:
                self._varied[material] = True  # an error only where its looks are asked for
        return self._varied[material]


def _may_be_block(instance: Any) -> bool:
    obj = instance.object
    if not len(obj.data.polygons):
        return False
    if instance.is_instance:
        return True
    is_template = obj.parent is not None and obj.parent.instance_type in INSTANCERS
    return obj.instance_type not in INSTANCERS and not is_template


def cube_slots(mesh: Any) -> tuple[int, int, int]:
    """Returns the material slots of a cube mesh's top, bottom and side: those of the polygons that look there most."""
    x, y, z = read_values(mesh.polygons, "normal", np.float32, 3).T
    indices = read_values(mesh.polygons, "material_index", np.int32)
    slots = [0, 0, 0]
    for slot, facing in ((TOP, z), (BOTTOM, -z), (SIDE, np.maximum(np.abs(x), np.abs(y)))):
        slots[slot] = int(indices[facing.argmax()])
    return (slots[0], slots[1], slots[2])


def _why_none(source: Any, members: set[str]) -> str:
    what = "collection" if isinstance(source, bpy.types.Collection) else "object"
    if any(obj.name_full in members for obj in bpy.context.scene.objects if obj.type in ("MESH", "EMPTY")):
        return f"{what} {source.name!r}: has no visible cube; show its hidden objects, or choose another"
    return f"{what} {source.name!r}: has no cube; put the cubes there, or choose another collection or object"
