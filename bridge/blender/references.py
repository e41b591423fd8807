# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes on Blender data that refer to many objects: they hold under any name, in any collection, after undo and append.

A note is a collection that no scene shows, pointed to by a custom property. Within a session, what a list of names
meant can be remembered as well, without touching the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy

_REFERENCE = "blockcore_reference"


def refer(holder: Any, key: str, objects: Iterable[Any], name: str) -> Any:
    """Notes objects on ``holder``, beside those already noted under ``key``.

    Args:
        holder: any data-block of the file's own.
        key: of the custom property.
        objects: what to refer to.
        name: of the collection, where one is made.

    Returns:
        The collection.
    """
    collection = collection_of(holder, key)
    if collection is None:
        collection = bpy.data.collections.new(name)
        collection[_REFERENCE] = True
        holder[key] = collection
    known = set(collection.objects)
    for obj in objects:
        if obj not in known:
            known.add(obj)
            collection.objects.link(obj)
    return collection


def referred(holder: Any, key: str) -> list[Any]:
    """Returns the objects noted under ``key`` that are still there."""
    collection = collection_of(holder, key)
    return [] if collection is None else list(collection.objects)


def collection_of(holder: Any, key: str) -> Any | None:
    """Returns the collection that a note is, or None."""
    collection = holder.get(key)
    return collection if isinstance(collection, bpy.types.Collection) else None


def is_reference(collection: Any) -> bool:
    """Whether a collection is such a note, and no part of anybody's scene."""
    return _REFERENCE in collection


def forget(holder: Any, key: str) -> None:
    """Takes a note away."""
    collection = collection_of(holder, key)
    if key in holder:
        del holder[key]
    if collection is not None and not collection.users:
        bpy.data.collections.remove(collection)


class Remembered:
    """What names of objects mean in this session, whatever the objects are called later."""

    def __init__(self, names: Sequence[str], objects: Sequence[Any]) -> None:
        """Remembers that each of ``names`` is the one of ``objects`` at its place."""
        self._uids = {name: obj.session_uid for name, obj in zip(names, objects, strict=True)}

    def names_now(self, names: Sequence[str]) -> tuple[str, ...]:
        """Returns what the objects of these names are called now; what is gone keeps its name."""
        now = {obj.session_uid: obj.name_full for obj in bpy.data.objects}
        return tuple(now.get(self._uids.get(name, 0), name) for name in names)
