# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding objects and collections by name: linked ones share names with the file's own, their full names are unique."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy

from bridge.names import composed


class Roster:
    """The full names of the objects in collections, each looked up once; the file must not change meanwhile."""

    def __init__(self) -> None:
        self._own: dict[str, frozenset[str]] = {}

    def of(self, collection: Any) -> frozenset[str]:
        """Returns those of the objects that lie in a collection itself."""
        key = collection.name_full
        if key not in self._own:
            self._own[key] = frozenset(obj.name_full for obj in collection.objects)
        return self._own[key]

    def within(self, collection: Any) -> frozenset[str]:
        """Returns those of the objects that lie in a collection or in one inside it."""
        inside = collection.children_recursive  # all_objects takes the square of their number
        return self.of(collection).union(*(self.of(one) for one in inside)) if inside else self.of(collection)


def find_named(things: Iterable[Any], name: str) -> Any | None:
    """Returns the first thing of that full name, or else of that name, however its letters are composed."""
    every = list(things)
    wished = composed(name)
    for called in (lambda one: one.name_full == name, lambda one: composed(one.name) == wished):
        found = next((one for one in every if called(one)), None)
        if found is not None:
            return found
    return None


def find_object(name: str) -> Any | None:
    """Returns the object of that full name, or else the one of that name, the scene's and the file's own first."""
    return find_objects([name])[0] or find_named([*bpy.context.scene.objects, *bpy.data.objects], name)


def find_objects(names: Sequence[str]) -> list[Any | None]:
    """Returns the objects of those full names, or else of those names, the scene's and the file's own first."""
    known = {obj.name_full: obj for obj in bpy.data.objects}  # of the file's own, the full name is the name
    found = [known.get(name) for name in names]
    if None not in found:
        return found
    short = {obj.name: obj for obj in [*known.values(), *bpy.context.scene.objects] if obj.library is not None}
    return [obj or short.get(name) for obj, name in zip(found, names, strict=True)]


def find_collection(name: str) -> Any | None:
    """Returns the collection of that full name, or else of that name, the scene's first."""
    return find_named([*bpy.context.scene.collection.children_recursive, *bpy.data.collections], name)
