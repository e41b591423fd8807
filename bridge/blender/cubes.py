# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the cubes of a collection or an object that renders show, through Blender's dependency graph.

It does not matter how the cubes come about: cube objects, several joined in one, collection instances, instances on
vertices or faces, particles, geometry nodes. They keep the order in which Blender lists them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from bridge.blender import curtain, marks
from bridge.blender.identity import Roster
from bridge.blender.looks import Depends, Skin, depends, read_values, signature, skin_of
from bridge.blender.rendered import Rendered, opened
from bridge.blender.shapes import Box, boxes_of, shape_key
from bridge.blender.world_nodes import instanced

Floats = npt.NDArray[np.float64]

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


def find_cubes(source: Any, in_detail: bool = True, as_boxes: bool = False, roster: Roster | None = None) -> Cubes:
    """Finds the cubes of a collection or an object that renders show.

    Args:
        source: a collection with all that is in it, or an object with its children. If its cubes were hidden for a
            world that was made of them, that world's.
        in_detail: whether to keep what tells which part of a picture lies on a cube.
        as_boxes: whether to take any mesh as the box around it, as its object's property ``blockcore_as_box`` does.
        roster: of the open file; None to look names up anew.

    Raises:
        SceneError: there are none, or there is a mesh that is not made of cubes.
    """
    roster = roster or Roster()
    _check_libraries(source)
    members = _members(source, roster)
    cubes = _seen(members, in_detail, as_boxes, roster)
    if not len(cubes):
        results = [obj for obj in bpy.context.scene.objects if marks.is_world(obj)]
        worlds = {obj.name_full for obj in results if members & {one.name_full for one in curtain.behind(obj)}}
        cubes = _seen(worlds, in_detail, as_boxes, roster)
    if not len(cubes):
        raise SceneError(_why_none(source, members))
    return cubes


def _check_libraries(source: Any) -> None:
    gone = {one for one in bpy.data.libraries if _is_gone(one)}
    if not gone:
        return
    is_collection = isinstance(source, bpy.types.Collection)
    inside = [source, *source.children_recursive, *(source.all_objects if is_collection else ())]
    inside += [obj.instance_collection for obj in inside if getattr(obj, "instance_collection", None) is not None]
    for one in inside:
        if one.library in gone:
            raise SceneError(
                f"{one.name!r}: its library {one.library.filepath!r} is missing; bring the file back, or relocate it"
            )


def _is_gone(library: Any) -> bool:
    inside = library.packed_file is not None or getattr(library, "is_archive", False)
    return not inside and not Path(bpy.path.abspath(library.filepath)).is_file()


def _members(source: Any, roster: Roster) -> Set[str]:
    if isinstance(source, bpy.types.Collection):
        return roster.within(source)
    return {obj.name_full for obj in (source, *source.children_recursive)}


def _seen(members: Set[str], in_detail: bool, as_boxes: bool, roster: Roster) -> Cubes:
    """Returns the cubes of members, those that only the viewport hides included."""
    if not members:
        return Cubes((), np.zeros(0, np.int32), (), np.zeros((0, 4, 4)))
    with instanced(obj for obj in bpy.data.objects if marks.is_world(obj)):
        bpy.context.view_layer.update()
        cubes, seen = _Search(members, in_detail, as_boxes, roster).run()
        with opened(members, seen, roster) as is_more:
            if is_more:
                bpy.context.view_layer.update()
                cubes, _ = _Search(members, in_detail, as_boxes, roster).run()
    return cubes


Part = tuple[int, Floats]
"""The kind of a cube, and (4, 4) from the cube from -½ to ½ to its mesh's own space."""


class _Search:
    """One way through the dependency graph. What it gives is only valid on that way: everything kept is copied."""

    def __init__(self, members: Set[str], in_detail: bool, as_boxes: bool, roster: Roster) -> None:
        self.members, self.in_detail, self.as_boxes = members, in_detail, as_boxes
        self.rendered = Rendered(roster)
        self.kinds: list[CubeKind] = []
        self._kind_of: dict[Any, int] = {}
        self._parts: dict[Any, list[Part]] = {}
        self._shapes: dict[Any, tuple[list[Box], Skin]] = {}
        self._shape_of: dict[tuple[int, bool, bool], Any] = {}
        self._asked: dict[Any, Depends] = {}

    def run(self) -> tuple[Cubes, set[str]]:
        """Returns the cubes, and the full names of the members that the viewport shows."""
        instances = bpy.context.evaluated_depsgraph_get().object_instances
        places = np.empty(len(instances) * 16, dtype=np.float32)
        instances.foreach_get("matrix_world", places)
        rows: dict[tuple[int, int, int], tuple[str, list[Part]]] = {}
        found: list[Part] = []
        place: list[int] = []
        emitters: list[str] = []
        seen: set[str] = set()
        for number, instance in enumerate(instances):
            obj = instance.object
            if not instance.is_instance:
                name = obj.name_full
                if name not in self.members:
                    continue
                seen.add(name)
                parts = self._own_parts(obj)
            else:
                owner = instance.parent
                key = (owner.as_pointer(), obj.as_pointer(), obj.data.as_pointer() if obj.type == "MESH" else 0)
                if key not in rows:
                    rows[key] = owner.name_full, self._instanced_parts(instance)
                name, parts = rows[key]
            for part in parts:
                found.append(part)
                place.append(number)
                emitters.append(name)
        matrices = places.reshape(-1, 4, 4).transpose(0, 2, 1)[np.array(place, dtype=np.int64)].astype(np.float64)
        return self._cubes(found, matrices, emitters), seen

    def _cubes(self, found: list[Part], matrices: Floats, emitters: list[str]) -> Cubes:
        """Leaves out cubes that are scaled to nothing: nobody sees them."""
        kind = np.array([one for one, _ in found], dtype=np.int32)
        distinct = {id(to_mesh): to_mesh for _, to_mesh in found}
        row = {key: number for number, key in enumerate(distinct)}
        to_mesh = np.array(list(distinct.values())).reshape(-1, 4, 4)
        matrices = matrices @ to_mesh[[row[id(one)] for _, one in found]]
        solid = np.abs(matrices[:, :3, :3]).max(axis=(1, 2), initial=0.0) > 0.0
        if not solid.all():
            emitters = [name for name, there in zip(emitters, solid.tolist(), strict=True) if there]
        return Cubes(tuple(self.kinds), kind[solid], tuple(emitters), matrices[solid])

    def _own_parts(self, obj: Any) -> list[Part]:
        if obj.type != "MESH" or not len(obj.data.polygons) or obj.instance_type in INSTANCERS or _is_template(obj):
            return []
        return self._parts_of(obj, obj) if self.rendered.shows(obj) else []

    def _instanced_parts(self, instance: Any) -> list[Part]:
        obj, owner = instance.object, instance.parent
        if owner.name_full not in self.members or obj.type != "MESH" or not len(obj.data.polygons):
            return []
        return self._parts_of(owner, obj) if self.rendered.shows_instance(instance) else []

    def _parts_of(self, owner: Any, obj: Any) -> list[Part]:
        mesh = obj.data
        slots = tuple([slot.material for slot in obj.material_slots])
        said = str(obj.get(marks.MATERIAL, ""))
        as_box = bool(self.as_boxes or owner.get(marks.AS_BOX) or obj.get(marks.AS_BOX))
        asked = self._depends(slots or tuple(mesh.materials))
        color = tuple(obj.color[:3]) if asked.object else _WHITE
        key = (mesh.as_pointer(), slots, said, as_box, color)
        parts = self._parts.get(key)
        if parts is None:
            materials = tuple(None if one is None else one.original for one in slots or mesh.materials)
            said = said or str(mesh.get(marks.MATERIAL, ""))
            parts = self._parts[key] = self._read_parts(owner, mesh, materials, said, color, asked, as_box)
        return parts

    def _read_parts(
        self,
        owner: Any,
        mesh: Any,
        materials: tuple[Any, ...],
        said: str,
        color: tuple[float, ...],
        asked: Depends,
        as_box: bool,
    ) -> list[Part]:
        shape, boxes, skin = self._shape(owner, mesh, asked.surface, as_box)
        parts = []
        for number, box in enumerate(boxes):
            sides = tuple(tuple(np.unique(skin.index[side]).tolist()) for side in box.sides)
            look: Any = sides
            if asked.surface:
                look = signature(skin, box, asked.place)
            elif any(len(side) > 1 for side in sides):
                look = shape, number
            key = (look, materials, said, color)
            if key not in self._kind_of:
                self._kind_of[key] = len(self.kinds)
                self.kinds.append(CubeKind(box, skin, materials, said, color))
            parts.append((self._kind_of[key], box.to_mesh))
        return parts

    def _shape(self, owner: Any, mesh: Any, varied: bool, as_box: bool) -> tuple[Any, list[Box], Skin]:
        pointer = (mesh.as_pointer(), varied, as_box)
        shape = self._shape_of.get(pointer)
        if shape is None:
            shape = self._shape_of[pointer] = self._shape_key(mesh, varied, as_box)
        if shape not in self._shapes:
            boxes = boxes_of(mesh, as_box)
            if not boxes:
                raise SceneError(
                    f"object {owner.name!r}: its mesh {mesh.name!r} is not a cube; leave only cubes among the blocks, "
                    f"or set the object's custom property {marks.AS_BOX} to take the box around it"
                )
            self._shapes[shape] = boxes, skin_of(mesh, varied)
        return shape, *self._shapes[shape]

    @staticmethod
    def _shape_key(mesh: Any, varied: bool, as_box: bool) -> Any:
        """Equal for meshes of the very same shape, and skin if that counts."""
        if varied:
            return (mesh.name_full, mesh.as_pointer(), as_box)
        return (shape_key(mesh), read_values(mesh.polygons, "material_index", np.int32).tobytes(), as_box)

    def _depends(self, materials: tuple[Any, ...]) -> Depends:
        if not self.in_detail:
            return Depends()
        if materials not in self._asked:
            self._asked[materials] = reduce(or_, [depends(one) for one in materials if one is not None], Depends())
        return self._asked[materials]


def _is_template(obj: Any) -> bool:
    """Whether an object is only there to be copied, by its parent."""
    parent = obj.parent
    return parent is not None and parent.instance_type in INSTANCERS


def _why_none(source: Any, members: Set[str]) -> str:
    what = "collection" if isinstance(source, bpy.types.Collection) else "object"
    if any(obj.name_full in members for obj in bpy.context.scene.objects if obj.type in ("MESH", "EMPTY")):
        return f"{what} {source.name!r}: has no visible cube; show its hidden objects, or choose another"
    return f"{what} {source.name!r}: has no cube; put the cubes there, or choose another collection or object"
