# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions: the parts of a world that rules can name, which in Blender are collections and vertex groups.

A collection with some of the cubes' objects in it is a region of their blocks. Where one object emits a block a vertex,
as a world of this package does, each of its vertex groups is a region of the blocks whose weight is at least a half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from bridge.blender.cubes import Cubes
from bridge.blender.identity import Roster, find_objects
from bridge.blender.references import is_reference

Regions = Mapping[str, npt.NDArray[np.int32]]
_INSIDE = 0.5  # weight


def read_regions(cubes: Cubes, roster: Roster) -> Regions:
    """Returns the regions of cubes by name; of a collection and a vertex group of one name, both together.

    Args:
        cubes: the cubes.
        roster: of the open file.
    """
    counts = Counter(cubes.emitters)
    names = counts.keys()
    emitters = np.array(cubes.emitters)
    regions: dict[str, npt.NDArray[np.int32]] = {}
    for collection in bpy.data.collections:
        within = roster.within(collection) & names if not is_reference(collection) else frozenset()
        if within and len(within) < len(names):
            _add(regions, collection.name, np.flatnonzero(np.isin(emitters, list(within))))
    groups = [name for name, count in counts.items() if count > 1 or len(names) == 1]
    for name, obj in zip(groups, find_objects(groups), strict=True):
        if obj is not None and obj.type == "MESH" and len(obj.vertex_groups):
            blocks = np.flatnonzero(emitters == name)
            if len(blocks) == len(obj.data.vertices):
                for group, vertices in groups_of(obj).items():
                    _add(regions, group, blocks[vertices])
    return regions


def write_regions(world: Any, regions: Regions) -> None:
    """Makes regions the vertex groups of an object that has a vertex a block."""
    world.vertex_groups.clear()
    for name, blocks in regions.items():
        world.vertex_groups.new(name=name).add(blocks.tolist(), 1.0, "REPLACE")


def groups_of(obj: Any) -> dict[str, npt.NDArray[np.int64]]:
    """Returns the vertices in each vertex group of an object."""
    members: list[list[int]] = [[] for _ in obj.vertex_groups]
    for vertex in obj.data.vertices:
        for element in vertex.groups:
            if element.weight >= _INSIDE:
                members[element.group].append(vertex.index)
    return {
        group.name: np.array(inside, dtype=np.int64) for group, inside in zip(obj.vertex_groups, members, strict=True)
    }


def _add(regions: dict[str, npt.NDArray[np.int32]], name: str, blocks: npt.NDArray[Any]) -> None:
    regions[name] = np.union1d(regions.get(name, np.zeros(0, np.int32)), blocks).astype(np.int32)
