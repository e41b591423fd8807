# SPDX-License-Identifier: GPL-3.0-or-later
"""Painting blocks where the mouse points at them: which block a ray meets first, and giving it a material for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from blockcore.errors import SceneError
from blockcore.model.palette import AIR
from bridge.blender import marks
from bridge.blender.realize import squares
from bridge.blender.regions import groups_of
from bridge.blender.world import ATTRIBUTE, cubes_of
from bridge.blender.world_edit import PAINTED, grid_of, material_names, painted_group


class Brush:
    """Paints the blocks of one world, which stay where they are meanwhile."""

    def __init__(self, world: Any) -> None:
        """Looks at the world's faces.

        Raises:
            SceneError: the object is no world, or has no block.
        """
        grid = grid_of(world)
        if not len(grid):
            raise SceneError(f"object {world.name!r}: has no block; make another the active one")
        points, corners = squares(world, grid)
        self._block = grid.exposed_faces.block
        self._tree = BVHTree.FromPolygons(points.tolist(), corners.tolist())

    def block_at(self, world: Any, origin: Any, direction: Any) -> int | None:
        """Returns the first block that a ray meets, or None.

        Args:
            world: the object, which may stand elsewhere by now.
            origin: where the ray begins, in Blender's world.
            direction: where it goes.
        """
        inward = world.matrix_world.inverted_safe()
        start = inward @ Vector(origin)
        face = self._tree.ray_cast(start, (inward @ (Vector(origin) + Vector(direction)) - start).normalized())[2]
        return None if face is None else int(self._block[face])


def paint(world: Any, block: int, material: int) -> bool:
    """Gives a block a material by its palette index, and puts it in ``PAINTED``; returns whether that was news."""
    value, group = world.data.attributes[ATTRIBUTE].data[block], painted_group(world)
    is_new = value.value != material or all(one.group != group.index for one in world.data.vertices[block].groups)
    if is_new:
        value.value = material
        group.add([block], 1.0, "REPLACE")
        world.data.update_tag()
    return is_new


def material_at(world: Any, block: int) -> str:
    """Returns the name of a block's material."""
    return str(cubes_of(world)[world.data.attributes[ATTRIBUTE].data[block].value][marks.MATERIAL])


@dataclass(frozen=True)
class Painted:
    """What was painted on a world.

    Attributes:
        places: (n, 3) float64, the blocks' centres in Blender's world.
        names: of their materials.
    """

    places: npt.NDArray[np.float64]
    names: tuple[str, ...]


def painted_on(world: Any) -> Painted:
    """Returns what was painted on a world, to be kept when that shows other blocks."""
    blocks = groups_of(world).get(PAINTED, ())
    centers = [(world.matrix_world @ world.data.vertices[int(block)].co)[:] for block in blocks]
    return Painted(np.reshape(centers, (-1, 3)), tuple(material_at(world, int(block)) for block in blocks))


def paint_again(world: Any, painted: Painted) -> None:
    """Paints on a world what was painted before, where it still has a block there and that material."""
    if not painted.names:
        return
    centers = np.empty(3 * len(world.data.vertices), dtype=np.float32)
    world.data.vertices.foreach_get("co", centers)
    frame = np.array(world.matrix_world, dtype=np.float64)
    there = centers.reshape(-1, 3) @ frame[:3, :3].T + frame[:3, 3]
    edge = grid_of(world).world_scale * abs(np.linalg.det(frame[:3, :3])) ** (1 / 3)
    at = {tuple(cell): block for block, cell in enumerate(np.rint(2.0 * there / edge).astype(int).tolist())}
    materials = {name: AIR + 1 + number for number, name in enumerate(material_names(world))}
    for place, name in zip(np.rint(2.0 * painted.places / edge).astype(int).tolist(), painted.names, strict=True):
        if tuple(place) in at and name in materials:
            paint(world, at[tuple(place)], materials[name])
