# SPDX-License-Identifier: GPL-3.0-or-later
"""Working on a world of blocks after it was made, in Object Mode or in Edit Mode, where its points are the blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import AIR
from bridge.blender import marks
from bridge.blender.world import ATTRIBUTE, world_materials
from bridge.convert import TO_BLENDER

PAINTED = "Painted"
"""The region of the blocks that were given a material by hand; runs that lock it keep them."""


def material_names(world: Any) -> tuple[str, ...]:
    """Returns the names of the materials that a world's blocks can have, without Air; empty for what is no world."""
    mark = marks.read_world(world)
    return () if mark is None else mark.palette.names[AIR + 1 :]


def counts_of(world: Any) -> dict[str, int]:
    """Returns how many blocks a world has of each material that it has any of, by name."""
    world.update_from_editmode()
    numbers = np.bincount(world_materials(world), minlength=AIR + 1)[AIR + 1 :].tolist()
    return {name: count for name, count in zip(material_names(world), numbers, strict=False) if count}


def replace_material(world: Any, old: str, new: str) -> int:
    """Gives blocks of one material another; in Edit Mode the selected ones alone.

    Returns:
        How many.

    Raises:
        SceneError: the object is no world, or has no such material.
    """
    was, becomes = index_of(world, old), index_of(world, new)
    with _points(world) as (points, material):
        changed = [point for point in points if point[material] == was and (point.select or world.mode != "EDIT")]
        for point in changed:
            point[material] = becomes
    return len(changed)


def paint_selected(world: Any, name: str) -> int:
    """Gives the blocks selected in Edit Mode a material, puts them in ``PAINTED``, and returns how many these are.

    Raises:
        SceneError: the object is no world, or has no such material.
    """
    index = index_of(world, name)
    group = painted_group(world).index
    with _points(world) as (points, material):
        weights = points.layers.deform.verify()  # before any point is held: a new layer moves them
        chosen = [point for point in points if point.select]
        for point in chosen:
            point[material] = index
            point[weights][group] = 1.0
    return len(chosen)


def painted_group(world: Any) -> Any:
    """Returns the vertex group that is the region ``PAINTED``, made if need be."""
    return world.vertex_groups.get(PAINTED) or world.vertex_groups.new(name=PAINTED)


def select_material(world: Any, name: str) -> int:
    """Selects, beside what is selected in Edit Mode, the blocks of a material, and returns how many these are.

    Raises:
        SceneError: the object is no world, or has no such material.
    """
    index = index_of(world, name)
    with _points(world) as (points, material):
        chosen = [point for point in points if point[material] == index]
        for point in chosen:
            point.select = True
    return len(chosen)


def remove_blocks(world: Any, gone: npt.NDArray[np.bool_]) -> int:
    """Removes blocks, (N,) which, with all that is noted about each, and returns how many these are."""
    with _points(world) as (points, _):
        for point, is_gone in zip(list(points), gone.tolist(), strict=True):
            if is_gone:
                points.remove(point)
    return int(gone.sum())


def grid_of(world: Any) -> BlockGrid:
    """Returns where a world's blocks are, in the order of its points.

    Raises:
        SceneError: the object is no world, or its points do not lie in a grid any more.
    """
    mark = marks.read_world(world)
    if mark is None:
        raise SceneError(f"object {world.name!r}: is no world of blocks; make another the active one")
    world.update_from_editmode()
    places = np.empty(3 * len(world.data.vertices), dtype=np.float32)
    world.data.vertices.foreach_get("co", places)
    cells = places.reshape(-1, 3).astype(np.float64) @ TO_BLENDER[:3, :3] / mark.world_scale
    lowest = cells.min(axis=0) if len(cells) else np.zeros(3)
    positions = np.rint(cells - lowest).astype(np.int32)
    if np.abs(cells - lowest - positions).max(initial=0.0) > 0.1:
        raise SceneError(f"object {world.name!r}: its points were moved off the grid; undo that")
    x, y, z = (positions.max(axis=0, initial=0) + 1).tolist()
    return BlockGrid((x, y, z), mark.world_scale, positions)


def index_of(world: Any, name: str) -> int:
    """Returns the palette index of a world's material.

    Raises:
        SceneError: the object is no world, or has no such material.
    """
    names = material_names(world)
    if name not in names:
        what = f"has no material {name!r}; choose one of its own" if names else "is no world of blocks; choose another"
        raise SceneError(f"object {world.name!r}: {what}")
    return names.index(name) + AIR + 1


@contextmanager
def _points(world: Any) -> Iterator[tuple[Any, Any]]:
    """Yields the points of a world, to be changed, and the key of their material."""
    import bmesh  # is there once bpy is

    editing = world.mode == "EDIT"
    mesh = bmesh.from_edit_mesh(world.data) if editing else bmesh.new()
    try:
        if not editing:
            mesh.from_mesh(world.data)
        material = mesh.verts.layers.int.get(ATTRIBUTE)
        if material is None:
            raise SceneError(f"object {world.name!r}: is no world of blocks; choose another")
        yield mesh.verts, material
        if editing:
            mesh.select_flush_mode()
            bmesh.update_edit_mesh(world.data)
        else:
            mesh.to_mesh(world.data)
            world.data.update_tag()
    finally:
        if not editing:
            mesh.free()
