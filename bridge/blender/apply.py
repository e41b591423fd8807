# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting materials back into Blender: as one new object that takes the place of the cubes, or on the cubes themselves.

The first way hides the cubes and keeps them; ``revert`` undoes it. Applying again replaces the earlier result. The
second way gives the scene's own cube objects materials in slots that belong to the object, so that a mesh shared by
several cubes stays shared and whatever else uses it looks as before; ``revert_in_place`` undoes it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.palette import BOTTOM, SIDE, TOP
from blockcore.model.scene import BlockScene
from bridge.blender import marks
from bridge.blender.cubes import INSTANCERS, cube_slots
from bridge.blender.materials import block_materials
from bridge.blender.world import add_world, remove_world

RESULT_NAME = "Optimized Blocks"
_PREVIOUS = "blockcore_previous_materials"


def apply(scene: BlockScene, materials: npt.ArrayLike | None = None, name: str = RESULT_NAME) -> Any:
    """Shows a scene's blocks with new materials as one object, and hides the cubes it came from.

    Args:
        scene: as ``extract`` gave it for the open file.
        materials: (N,) palette indices in block order; None for the scene's own.
        name: of the new object.

    Returns:
        The object; ``world.update_materials`` changes it, ``revert`` takes it away.

    Raises:
        SceneError: the materials do not fit the scene, or it did not come from this file.
    """
    result = scene if materials is None else scene.with_materials(materials)
    originals = _originals(scene)
    states = {obj.name_full: (obj.hide_viewport, obj.hide_render) for obj in _with_templates(originals)}
    collection = originals[0].users_collection[0] if originals[0].users_collection else bpy.context.scene.collection
    for world in _results_of(originals):
        states |= marks.read_hidden(world)
        states.pop(world.name_full, None)
        remove_world(world)
    world = add_world(result, name, collection)
    marks.write_hidden(world, states)
    show_original(world, False)
    return world


def show_original(world: Any, shown: bool) -> None:
    """Shows the cubes that a result was made of, in its place, or the result in theirs."""
    for name, (viewport, render) in marks.read_hidden(world).items():
        original = bpy.data.objects.get(name)
        if original is not None:
            original.hide_viewport = viewport if shown else True
            original.hide_render = render if shown else True
    world.hide_viewport = world.hide_render = shown


def revert(world: Any) -> None:
    """Removes a result and shows the cubes that it was made of as they were."""
    show_original(world, True)
    remove_world(world)


def apply_in_place(scene: BlockScene, materials: npt.ArrayLike | None = None) -> list[Any]:
    """Gives the scene's own cube objects new materials.

    Args:
        scene: as ``extract`` gave it for the open file; every block must be an object of its own.
        materials: (N,) palette indices in block order; None for the scene's own.

    Returns:
        The objects, in block order.

    Raises:
        SceneError: the materials do not fit the scene, it did not come from this file, or a block is an instance.
    """
    wanted = (scene if materials is None else scene.with_materials(materials)).materials.tolist()
    cubes = _originals(scene)
    if len(cubes) != len(wanted):
        names = scene.source.block_objects if scene.source else ()
        many = next(name for name in names if names.count(name) > 1)
        raise SceneError(
            f"object {many!r}: emits several blocks, which have no materials of their own; apply as one object"
        )
    slots = _split_slots({cube.data for cube in cubes})
    looks = {index: block_materials(scene.palette, index) for index in set(wanted)}
    for cube, index in zip(cubes, wanted, strict=True):
        if _PREVIOUS not in cube:
            cube[_PREVIOUS] = json.dumps([_slot_state(slot) for slot in cube.material_slots])
        for slot, material in zip(slots[cube.data], looks[index], strict=True):
            cube.material_slots[slot].link = "OBJECT"
            cube.material_slots[slot].material = material
    return cubes


def revert_in_place(cubes: Iterable[Any]) -> None:
    """Gives cube objects back the materials they had before the first ``apply_in_place``."""
    for cube in cubes:
        for slot, (link, name) in zip(cube.material_slots, json.loads(cube.get(_PREVIOUS, "[]")), strict=False):
            if link == "OBJECT":
                slot.material = bpy.data.materials.get(name or "")
            else:
                slot.material = None
            slot.link = link
        if _PREVIOUS in cube:
            del cube[_PREVIOUS]


def _originals(scene: BlockScene) -> list[Any]:
    """Returns the objects that a scene's blocks came from, each once, in block order."""
    if scene.source is None or not scene.source.block_objects:
        raise SceneError("the scene does not tell which objects its blocks came from; extract it from this file")
    names = list(dict.fromkeys(scene.source.block_objects))
    objects = [bpy.data.objects.get(name) for name in names]
    if None in objects:
        missing = names[objects.index(None)]
        raise SceneError(f"there is no object {missing!r} any more; extract the scene from this file again")
    return objects


def _with_templates(originals: list[Any]) -> list[Any]:
    """Adds the children that instancers copy: without their parent they would show themselves."""
    return originals + [child for obj in originals if obj.instance_type in INSTANCERS for child in obj.children]


def _results_of(originals: list[Any]) -> list[Any]:
    """Returns the earlier results that were made of these objects, or that are among them."""
    names = {obj.name_full for obj in originals}
    results = [obj for obj in bpy.data.objects if marks.read_hidden(obj)]
    return [obj for obj in results if obj.name_full in names or names & marks.read_hidden(obj).keys()]


def _slot_state(slot: Any) -> tuple[str, str | None]:
    material = slot.material if slot.link == "OBJECT" else None
    return slot.link, material.name if material else None


def _split_slots(meshes: set[Any]) -> dict[Any, tuple[int, ...]]:
    """Gives each mesh one slot a side, and returns the slots of its top, bottom and side.

    A slot that served several sides is copied with its material, so that nothing looks different yet.
    """
    users: dict[Any, list[Any]] = defaultdict(list)
    for obj in bpy.data.objects:
        if obj.data in meshes:
            users[obj.data].append(obj)
    return {mesh: _split(mesh, users[mesh]) for mesh in meshes}


def _split(mesh: Any, users: list[Any]) -> tuple[int, ...]:
    old = cube_slots(mesh)
    new: list[int] = []
    for slot in old:
        if slot in new or slot >= len(mesh.materials):
            mesh.materials.append(mesh.materials[slot] if slot < len(mesh.materials) else None)
            for obj in users:
                _copy_slot(obj.material_slots, slot, len(mesh.materials) - 1)
            slot = len(mesh.materials) - 1
        new.append(slot)
    if tuple(new) != old:
        normals = np.empty(len(mesh.polygons) * 3, dtype=np.float32)
        mesh.polygons.foreach_get("normal", normals)
        up = normals[2::3]
        side = np.where(up > 0.5, new[TOP], np.where(up < -0.5, new[BOTTOM], new[SIDE]))
        mesh.polygons.foreach_set("material_index", side.astype(np.int32))
        mesh.update()
    return tuple(new)


def _copy_slot(slots: Any, old: int, new: int) -> None:
    if slots[old].link == "OBJECT":
        slots[new].link = "OBJECT"
        slots[new].material = slots[old].material
