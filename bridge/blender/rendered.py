# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a render of the scene shows: by the cameras, layers and rays of objects, collections and modifiers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from blockcore.errors import SceneError
from bridge.blender.held import held

_EMITTING = ("NODES", "PARTICLE_SYSTEM")


class Rendered:
    """What renders of the view layer in use show, as animation leaves it at the current frame."""

    def __init__(self) -> None:
        """Looks through the layer's collections."""
        self._layer = {obj.name_full for obj in _in_layer(bpy.context.view_layer.layer_collection)}
        self._inside: dict[str, set[str]] = {}

    def in_layer(self, obj: Any) -> bool:
        """Whether renders show an object of the scene itself."""
        return obj.name_full in self._layer and _shown(obj)

    def shows(self, instance: Any, owner: Any) -> bool:
        """Whether renders show an instance of the dependency graph, or an object itself.

        Raises:
            SceneError: a modifier is switched differently for renders, so that they show another shape.
        """
        obj = instance.object
        if owner.original.name_full not in self._layer or not _shown(owner):
            return False
        if not instance.is_instance:
            emits = len(owner.particle_systems) or owner.is_instancer
            return bool(owner.show_instancer_for_render or not emits) and _same_shape(owner)
        if any(one.show_viewport and not one.show_render and one.type in _EMITTING for one in owner.modifiers):
            return False
        if owner.instance_type == "COLLECTION" and owner.instance_collection is not None:
            return obj.original.name_full in self._within(owner.instance_collection) and _shown(obj)
        return _same_shape(owner) and bool(obj.visible_camera) and not obj.is_holdout

    def _within(self, collection: Any) -> set[str]:
        found = self._inside.get(collection.name_full)
        if found is None:
            found = {obj.name_full for obj in _in_collection(collection)}
            self._inside[collection.name_full] = found
        return found


@contextmanager
def open_eyes(members: set[str]) -> Iterator[None]:
    """Shows in the viewport, for a while, what only its eye icons hide: renders do not heed them."""
    layers = [one for one in _layer_collections(bpy.context.view_layer.layer_collection) if one.hide_viewport]
    with held([(one, "hide_viewport", False) for one in layers]):
        closed = [obj for obj in bpy.context.view_layer.objects if obj.name_full in members and obj.hide_get()]
        for obj in closed:
            obj.hide_set(False)
        try:
            yield
        finally:
            for obj in closed:
                obj.hide_set(True)


def _shown(obj: Any) -> bool:
    return not obj.hide_render and obj.visible_camera and not obj.is_holdout


def _same_shape(owner: Any) -> bool:
    for modifier in owner.modifiers:
        if modifier.show_viewport != modifier.show_render:
            where = "the viewport" if modifier.show_viewport else "renders"
            raise SceneError(
                f"object {owner.name!r}: its modifier {modifier.name!r} is on in {where} alone; switch both on or off"
            )
    return True


def _layer_collections(top: Any) -> Iterator[Any]:
    yield top
    for child in top.children:
        yield from _layer_collections(child)


def _in_layer(layer: Any) -> Iterator[Any]:
    if layer.exclude or layer.holdout or layer.indirect_only or layer.collection.hide_render:
        return
    yield from layer.collection.objects
    for child in layer.children:
        yield from _in_layer(child)


def _in_collection(collection: Any) -> Iterator[Any]:
    """Yields what instances of a collection show, those inside it included."""
    if collection.hide_render:
        return
    for obj in collection.objects:
        yield obj
        if obj.instance_type == "COLLECTION" and obj.instance_collection is not None and not obj.hide_render:
            yield from _in_collection(obj.instance_collection)
        if obj.instance_type in ("VERTS", "FACES"):
            yield from obj.children
    for child in collection.children:
        yield from _in_collection(child)
