# SPDX-License-Identifier: GPL-3.0-or-later
"""Material slots of cube objects, one for each group of sides that may show a material of its own.

Meshes stay shared: their slots are parted for the ways in which all of their cubes are turned, and what else uses a
mesh looks as before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.model.grid import FACE_SLOTS
from bridge.blender.looks import facing_side, read_values
from bridge.blender.shapes import axes_of

Floats = npt.NDArray[np.float64]

_ORDER = (4, 5, 0, 1, 2, 3)  # +z, -z, +x, -x, +y, -y: top, bottom and side of a cube that is not turned come first


@dataclass(frozen=True)
class PartedCubes:
    """Cubes of which each side that may show a material of its own has a slot of its own.

    Attributes:
        cubes: the objects.
        slots: (n, 6) the slot of each side of each cube.
        direction: (n, 6) blockcore's direction, in the world, that each side looks in.
    """

    cubes: Sequence[Any]
    slots: npt.NDArray[np.int64]
    direction: npt.NDArray[np.int64]

    def paint(self, materials: Sequence[Sequence[Any]]) -> None:
        """Gives each cube six materials, by blockcore's directions in the world, in slots of the object."""
        rows = zip(self.cubes, self.slots.tolist(), self.direction.tolist(), materials, strict=True)
        for cube, slots, directions, wanted in rows:
            for slot, direction in zip(slots, directions, strict=True):
                place = cube.material_slots[slot]
                place.link = "OBJECT"
                place.material = wanted[direction]


def part_cubes(cubes: Sequence[Any], turns: Floats, by_direction: bool) -> PartedCubes:
    """Gives cube objects' meshes the slots they need; nothing looks different yet.

    Args:
        cubes: objects, each with a cube as its mesh.
        turns: (n, 3, 3): blockcore's axes in those of each cube's box.
        by_direction: whether the four sides may differ.
    """
    meshes: dict[Any, list[int]] = defaultdict(list)
    for number, cube in enumerate(cubes):
        meshes[cube.data].append(number)
    users: dict[Any, list[Any]] = defaultdict(list)
    for obj in bpy.data.objects:
        if obj.data in meshes:
            users[obj.data].append(obj)
    labels = np.arange(6) if by_direction else FACE_SLOTS
    slots, shown = np.zeros((2, len(cubes), 6), dtype=np.int64)
    for mesh, numbers in meshes.items():
        sides = np.array([[facing_side(turns[n], d) for d in range(6)] for n in numbers])
        shown[numbers] = np.argsort(sides, axis=1)
        groups = [tuple(column) for column in np.unique(labels[shown[numbers]], axis=0).T.tolist()]
        slots[numbers] = _part(mesh, users[mesh], groups)
    return PartedCubes(cubes, slots, shown)


def _part(mesh: Any, users: Sequence[Any], groups: Sequence[tuple[int, ...]]) -> list[int]:
    """Gives sides of other groups other slots; returns the slot of each side.

    A slot that served several groups is copied with its material, so that nothing looks different yet.
    """
    normal = read_values(mesh.polygons, "normal", np.float32, 3) @ axes_of(mesh)
    index = read_values(mesh.polygons, "material_index", np.int32)
    axis = np.abs(normal).argmax(axis=1)
    side = 2 * axis + (np.take_along_axis(normal, axis[:, None], axis=1)[:, 0] < 0.0)
    old = [int(index[side == one][0]) if (side == one).any() else 0 for one in range(6)]
    slot_of: dict[tuple[int, ...], int] = {}
    for one in _ORDER:
        if groups[one] in slot_of:
            continue
        slot = old[one]
        if slot in slot_of.values() or slot >= len(mesh.materials):
            slot = _copied(mesh, users, slot)
        slot_of[groups[one]] = slot
    slots = [slot_of[group] for group in groups]
    wanted = np.array(slots, dtype=np.int32)[side]
    if not np.array_equal(wanted, index):
        mesh.polygons.foreach_set("material_index", wanted)
        mesh.update()
    return slots


def _copied(mesh: Any, users: Sequence[Any], slot: int) -> int:
    fresh = len(mesh.materials)
    mesh.materials.append(mesh.materials[slot] if slot < fresh else None)
    for obj in users:
        if slot < fresh and obj.material_slots[slot].link == "OBJECT":
            obj.material_slots[fresh].link = "OBJECT"
            obj.material_slots[fresh].material = obj.material_slots[slot].material
    return fresh
