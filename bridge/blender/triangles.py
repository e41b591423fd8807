# SPDX-License-Identifier: GPL-3.0-or-later
"""The triangles of a model as Blender shows it: of evaluated meshes, with modifiers, instances, curves and text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from bridge.blender.cubes import INSTANCERS

_SURFACES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
_NEVER_SURFACES = ("CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER", "LATTICE", "ARMATURE", "EMPTY")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """What a model consists of.

    Attributes:
        triangles: (T, 3, 3) float64: corners in Blender's world, counter-clockwise seen from outside.
        objects: the names of the objects that have, or emit, them.
        left_out: the names of the objects that renders show and that have no surface.
    """

    triangles: Floats
    objects: tuple[str, ...]
    left_out: tuple[str, ...]


def read_model(objects: Iterable[Any]) -> Model:
    """Reads the triangles of objects, with all that they emit. Changes nothing.

    What renders do not show is left out, and so is what the viewport does not show: Blender has not evaluated it.

    Args:
        objects: the objects; their children count where they are among them.

    Raises:
        SceneError: there is no object, or none of them has a face.
    """
    members = {obj.name_full: obj for obj in objects}
    if not members:
        raise SceneError("no model is chosen; select an object, or name one")
    bpy.context.view_layer.update()
    meshes: dict[int, Floats] = {}
    parts: list[Floats] = []
    emitters: set[str] = set()
    for instance, owner in _shown(members):
        obj = instance.object
        key = obj.data.as_pointer() if obj.type == "MESH" else obj.as_pointer()
        if key not in meshes:
            meshes[key] = _triangles(obj)
        if len(meshes[key]):
            parts.append(_moved(meshes[key], np.array(instance.matrix_world, dtype=np.float64)))
            emitters.add(owner.name_full)
    left_out = [
        name for name, obj in members.items() if name not in emitters and obj.type not in _NEVER_SURFACES
        and not obj.hide_render and not _is_template(obj)
    ]  # fmt: skip
    if not parts:
        names = ", ".join(repr(name) for name in sorted(members)[:5])
        is_hidden = all(obj.hide_render or obj.hide_viewport for obj in members.values())
        lacking = "is hidden; show it in renders and in the viewport" if is_hidden else "has no face that is shown"
        raise SceneError(f"model {names}: {lacking}, or choose another")
    return Model(np.concatenate(parts), tuple(sorted(emitters)), tuple(sorted(left_out)))


def _shown(members: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yields each instance with a surface, and the object that is or emits it."""
    hidden = {name for collection in bpy.data.collections if collection.hide_render for name in _names(collection)}
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        obj = instance.object
        owner = (instance.parent if instance.is_instance else obj).original
        if owner.name_full not in members or owner.hide_render or owner.name_full in hidden:
            continue
        if obj.type not in _SURFACES or obj.original.hide_render:
            continue
        if instance.is_instance or (_shows_itself(obj) and not _is_template(obj)):
            yield instance, owner


def _names(collection: Any) -> list[str]:
    return [obj.name_full for obj in collection.all_objects]


def _shows_itself(obj: Any) -> bool:
    return obj.instance_type not in INSTANCERS or obj.show_instancer_for_render


def _is_template(obj: Any) -> bool:
    """Whether an object is there to be copied, to its parent's vertices or faces."""
    return obj.parent is not None and obj.parent.instance_type in INSTANCERS


def _triangles(obj: Any) -> Floats:
    """Returns an evaluated object's triangles in its own space."""
    if obj.type == "MESH":
        return _mesh_triangles(obj.data)
    mesh = obj.to_mesh()
    try:
        return _mesh_triangles(mesh) if mesh is not None else np.zeros((0, 3, 3))
    finally:
        obj.to_mesh_clear()


def _mesh_triangles(mesh: Any) -> Floats:
    mesh.calc_loop_triangles()
    corners = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    points = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)[corners].reshape(-1, 3, 3).astype(np.float64)


def _moved(triangles: Floats, matrix: Floats) -> Floats:
    moved: Floats = triangles @ matrix[:3, :3].T + matrix[:3, 3]
    return moved[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0.0 else moved
