# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting materials back into Blender: as one new object that takes the place of the cubes, or on the cubes themselves.

The first way hides the cubes and keeps them; ``revert`` undoes it. Applying again replaces the earlier result. The
second way gives the scene's own cube objects materials in slots that belong to the object, so that a mesh shared by
several cubes stays shared and whatever else uses it looks as before; ``revert_in_place`` undoes it. Cubes from a
library cannot be given materials: copies of them in the file itself take their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.scene import BlockScene
from bridge.blender import curtain, marks
from bridge.blender.brush import paint_again, painted_on
from bridge.blender.cubes import INSTANCERS
from bridge.blender.identity import find_object, find_objects
from bridge.blender.materials import face_materials
from bridge.blender.shapes import axes_of
from bridge.blender.slots import part_cubes
from bridge.blender.world import add_world, fill_world, remove_world

RESULT_NAME = "Optimized Blocks"
_PREVIOUS = "blockcore_previous_materials"


def apply(scene: BlockScene, materials: npt.ArrayLike | None = None, name: str = RESULT_NAME) -> Any:
    """Shows a scene's blocks with new materials as one object, and hides the cubes it came from.

    What was painted on an earlier result of theirs stays as it is.

    Args:
        scene: as ``extract`` gave it for the open file.
        materials: (N,) palette indices in block order; None for the scene's own.
        name: of the new object.

    Returns:
        The object; ``world.update_materials`` changes it, ``revert`` takes it away.

    Raises:
        SceneError: the materials do not fit the scene, it did not come from this file, or nothing can be written there.
    """
    check(scene)
    result = scene if materials is None else scene.with_materials(materials)
    originals = _originals(scene)
    earlier = curtain.in_front(originals)
    fresh = [obj for obj in _with_templates(originals) if obj not in earlier]
    if earlier:
        painted = painted_on(earlier[0])
        world = fill_world(earlier[0], result)
        paint_again(world, painted)
        if not world.users_scene:  # a user deleted it
            curtain.visible_collection(originals).objects.link(world)
    else:
        world = add_world(result, name, curtain.visible_collection(originals))
    for other in earlier[1:]:
        curtain.hand_over(other, world)
        remove_world(other)
    curtain.hide(world, fresh)
    show_original(world, False)
    return world


def check(scene: BlockScene, in_place: bool = False) -> None:
    """Refuses a scene whose result could not be put back, before anything is searched or changed.

    Raises:
        SceneError: it did not come from this file, the open scene is linked, or, ``in_place``, a block is an instance.
    """
    _originals(scene)
    if bpy.context.scene.library is not None:
        raise SceneError(f"scene {bpy.context.scene.name!r}: is linked; open its own file, or make it local")
    names = scene.source.block_objects if scene.source else ()
    if in_place and len(set(names)) != len(names):
        many = next(name for name, count in zip(*np.unique(names, return_counts=True), strict=True) if count > 1)
        raise SceneError(
            f"object {str(many)!r}: emits several blocks, which have no materials of their own; apply as one object"
        )


def show_original(world: Any, shown: bool) -> None:
    """Shows the cubes that a result was made of, in its place, or the result in theirs."""
    curtain.show(world, shown)
    world.hide_viewport = world.hide_render = shown


def revert(world: Any) -> None:
    """Removes a result and shows the cubes that it was made of as they were."""
    curtain.reveal(world)
    remove_world(world)


def map_of(scene: BlockScene) -> Any | None:
    """Returns the block map, an object of ``world.add_world``, that a scene's blocks came from, if they did."""
    names = set(scene.source.block_objects) if scene.source is not None else set()
    source = find_object(next(iter(names))) if len(names) == 1 else None
    return source if source is not None and marks.read_world(source) else None


def apply_in_place(scene: BlockScene, materials: npt.ArrayLike | None = None) -> list[Any]:
    """Gives the scene's own cube objects new materials.

    Args:
        scene: as ``extract`` gave it for the open file; every block must be an object of its own.
        materials: (N,) palette indices in block order; None for the scene's own.

    Returns:
        The objects, in block order: copies, where the cubes are a library's.

    Raises:
        SceneError: the materials do not fit the scene, it did not come from this file, or a block is an instance.
    """
    check(scene, in_place=True)
    wanted = (scene if materials is None else scene.with_materials(materials)).materials.tolist()
    cubes = _own_cubes(_originals(scene))
    _restore(cubes)
    parted = part_cubes(cubes, _turns(cubes, scene), bool(scene.palette.tiles))
    for cube in cubes:
        cube[_PREVIOUS] = _slot_states(cube)
    faces = {index: face_materials(scene.palette, index) for index in set(wanted)}
    parted.paint([faces[index] for index in wanted])
    return cubes


def revert_in_place(cubes: Iterable[Any]) -> None:
    """Gives cube objects back the materials they had before the first ``apply_in_place``."""
    every = list(cubes)
    copies = {cube for cube in every if curtain.behind(cube)}
    _restore([cube for cube in every if cube not in copies])
    for copy in copies:
        curtain.reveal(copy)
        mesh = copy.data
        bpy.data.objects.remove(copy)
        if not mesh.users:
            bpy.data.meshes.remove(mesh)


def _restore(cubes: Iterable[Any]) -> None:
    for cube in cubes:
        for slot, state in zip(cube.material_slots, cube.get(_PREVIOUS, ()), strict=False):
            slot.material = state.get("material")
            slot.link = state.get("link", "DATA")
        if _PREVIOUS in cube:
            del cube[_PREVIOUS]


def _originals(scene: BlockScene) -> list[Any]:
    """Returns the objects that a scene's blocks came from, each once, in block order."""
    if scene.source is None or not scene.source.block_objects:
        raise SceneError("the scene does not tell which objects its blocks came from; extract it from this file")
    names = list(dict.fromkeys(scene.source.block_objects))
    objects = find_objects(names)
    if None in objects:
        missing = names[objects.index(None)]
        raise SceneError(f"there is no object {missing!r} any more; extract the scene from this file again")
    return objects


def _with_templates(originals: list[Any]) -> list[Any]:
    """Adds the children that instancers copy: without their parent they would show themselves."""
    return originals + [child for obj in originals if obj.instance_type in INSTANCERS for child in obj.children]


def _slot_states(cube: Any) -> list[dict[str, Any]]:
    """Returns the link of each material slot, and the material where that is the object's own."""
    return [
        {"link": slot.link} | ({"material": slot.material} if slot.link == "OBJECT" and slot.material else {})
        for slot in cube.material_slots
    ]


def _turns(cubes: list[Any], scene: BlockScene) -> npt.NDArray[np.float64]:
    """Returns blockcore's axes in those of each cube's box, (n, 3, 3)."""
    bpy.context.view_layer.update()
    boxes = {mesh: axes_of(mesh) for mesh in {cube.data for cube in cubes}}
    edges = np.array([np.array(cube.matrix_world)[:3, :3] @ boxes[cube.data] for cube in cubes])
    axes = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    frame = np.eye(3) if scene.source is None else scene.source.grid_to_source[:3, :3]
    return np.asarray(np.rint(axes.transpose(0, 2, 1) @ frame))


def _own_cubes(originals: list[Any]) -> list[Any]:
    """Returns the cubes, with copies in the place of those that are a library's."""
    foreign = [obj for obj in originals if obj.library is not None or obj.override_library is not None]
    if not foreign:
        for mesh in {obj.data for obj in originals if obj.data.library is not None}:
            own = mesh.copy()
            for obj in originals:
                if obj.data == mesh:
                    obj.data = own
        return originals
    collection = curtain.visible_collection(originals)
    meshes = {mesh: mesh.copy() for mesh in {obj.data for obj in foreign}}
    copies = {}
    for obj in foreign:
        place = obj.matrix_world.copy()
        copy = bpy.data.objects.new(obj.name, meshes[obj.data])
        for here, there in zip(copy.material_slots, obj.material_slots, strict=False):
            here.link, here.material = there.link, there.material
        copy.matrix_world = place
        collection.objects.link(copy)
        copies[obj.name_full] = copy
    first, *others = copies.values()
    curtain.hide(first, foreign)
    curtain.share(first, others)
    return [copies.get(obj.name_full, obj) for obj in originals]
