# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a render of the scene shows: by the cameras, layers and rays of objects, collections and modifiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from typing import Any

import bpy

from blockcore.errors import SceneError
from bridge.blender.held import Change, held
from bridge.blender.identity import Roster

_NAMED = (bpy.types.Object, bpy.types.Collection)
_EMITTING = ("NODES", "PARTICLE_SYSTEM")


class Rendered:
    """What renders of the view layer in use show, as animation leaves it at the current frame."""

    def __init__(self, roster: Roster) -> None:
        """Looks through the layer's collections."""
        top = bpy.context.view_layer.layer_collection
        shown: frozenset[str] = frozenset().union(*map(roster.of, _shown_collections(top)))
        self._layer = shown.difference(
            *(roster.of(one.collection) for one in _layer_collections(top) if _withheld(one))
        )
        self._inside: dict[str, frozenset[str]] = {}

    def holds(self, obj: Any) -> bool:
        """Whether the layer shows what the object itself does not hide."""
        return obj.name_full in self._layer

    def shows(self, obj: Any) -> bool:
        """Whether renders show an object itself, as evaluated.

        Raises:
            SceneError: it has another shape in renders than in the viewport.
        """
        if obj.name_full not in self._layer or not _shown(obj):
            return False
        if not obj.show_instancer_for_render and (len(obj.particle_systems) or obj.is_instancer):
            return False
        if len(obj.modifiers):
            _check_shape(obj)
        return True

    def shows_instance(self, instance: Any) -> bool:
        """Whether renders show an instance of the dependency graph.

        Raises:
            SceneError: there are others, or they have another shape, in renders than in the viewport.
        """
        obj, owner = instance.object, instance.parent
        if owner.name_full not in self._layer or not _shown(owner):
            return False
        if any(one.show_viewport and not one.show_render and one.type in _EMITTING for one in owner.modifiers):
            return False
        if owner.instance_type == "COLLECTION" and owner.instance_collection is not None:
            return obj.name_full in self._within(owner.instance_collection) and _shown(obj)
        if obj.hide_render and not _shown_though_hidden(owner, obj, instance.particle_system is not None):
            return False
        _check_shape(owner)
        _check_shape(obj)
        if instance.particle_system is not None:
            _check_particles(owner, instance.particle_system)
        return bool(obj.visible_camera) and not obj.is_holdout and not obj.is_shadow_catcher

    def _within(self, collection: Any) -> frozenset[str]:
        found = self._inside.get(collection.name_full)
        if found is None:
            found = frozenset(obj.name_full for obj in _in_collection(collection))
            self._inside[collection.name_full] = found
        return found


@contextmanager
def opened(members: Set[str], seen: Set[str], roster: Roster) -> Iterator[bool]:
    """Shows in the viewport, for a while, what only the viewport hides: renders do not heed it.

    Args:
        members: full names of the objects that count.
        seen: of those among them that the viewport shows.
        roster: of the open file.

    Yields:
        Whether anything is shown that was not.
    """
    layer, unseen = bpy.context.view_layer, members - seen
    changes: list[Change] = []
    for one in _layer_collections(layer.layer_collection) if unseen else ():
        hiding = [holder for holder in (one, one.collection) if holder.hide_viewport]
        if hiding and unseen & roster.within(one.collection):
            changes += [(holder, "hide_viewport", False) for holder in hiding]
    missing = [obj for obj in layer.objects if obj.name_full in unseen and not obj.hide_render] if unseen else []
    closed = [obj for obj in missing if obj.hide_get()]
    for inside in _instanced(obj for obj in layer.objects if obj.name_full in members):
        missing += [one for one in (inside, *inside.objects) if not one.hide_render]
    changes += [(one, "hide_viewport", False) for one in missing if one.hide_viewport]
    with held(changes):
        for obj in closed:
            obj.hide_set(False)
        try:
            yield bool(changes or closed)
        finally:
            for obj in closed:
                obj.hide_set(True)


def _instanced(objects: Iterable[Any]) -> set[Any]:
    """Returns the collections that objects instance, with those inside them."""
    found: set[Any] = set()
    left = {inside for obj in objects for inside in _instanced_by(obj)}
    while left:
        one = left.pop()
        found.add(one)
        inner = {inside for obj in one.objects for inside in _instanced_by(obj)}
        left |= (inner | set(one.children)) - found
    return found


def _instanced_by(obj: Any) -> Iterator[Any]:
    if obj.instance_type == "COLLECTION" and obj.instance_collection is not None:
        yield obj.instance_collection
    if len(obj.modifiers):
        yield from (named for named in _named_by_nodes(obj) if isinstance(named, bpy.types.Collection))


def _shown(obj: Any) -> bool:
    return not obj.hide_render and obj.visible_camera and not obj.is_holdout and not obj.is_shadow_catcher


def _shown_though_hidden(owner: Any, obj: Any, is_particle: bool) -> bool:
    """Whether instances of an object show that renders do not show itself: those that name it, not its collection."""
    return is_particle or obj.original in set(_named_by_nodes(owner))


def _named_by_nodes(obj: Any) -> Iterator[Any]:
    """Yields the objects and collections that an object's geometry nodes name."""
    trees = []
    for modifier in obj.modifiers:
        if modifier.type == "NODES" and modifier.node_group is not None:
            trees.append(modifier.node_group)
            yield from (value.original for value in modifier.values() if isinstance(value, _NAMED))
    for tree in trees:  # which grows
        for node in tree.nodes:
            values = (getattr(socket, "default_value", None) for socket in node.inputs)
            yield from (value.original for value in values if isinstance(value, _NAMED))
            if node.type == "GROUP" and node.node_tree is not None and node.node_tree not in trees:
                trees.append(node.node_tree)


def _check_shape(obj: Any) -> None:
    for modifier in obj.modifiers:
        what = f"object {obj.name!r}: its modifier {modifier.name!r}"
        if modifier.show_viewport != modifier.show_render:
            where = "the viewport" if modifier.show_viewport else "renders"
            raise SceneError(f"{what} is on in {where} alone; switch both on or off")
        if modifier.type in ("SUBSURF", "MULTIRES") and getattr(modifier, "subdivision_type", "") != "SIMPLE":
            view, render = _levels(modifier)
            if not view and render:
                raise SceneError(f"{what} rounds it in renders alone; give both the same number of levels")


def _levels(modifier: Any) -> tuple[int, int]:
    """Returns how often a modifier subdivides in the viewport and in renders."""
    settings = bpy.context.scene.render
    view, render = modifier.levels, modifier.render_levels
    if settings.use_simplify:
        return min(view, settings.simplify_subdivision), min(render, settings.simplify_subdivision_render)
    return view, render


def _check_particles(owner: Any, system: Any) -> None:
    amount = system.settings.display_percentage
    if amount != 100:
        raise SceneError(
            f"object {owner.name!r}: its particle system {system.name!r} shows {amount} % of its particles in the "
            f"viewport and all in renders; set the display amount to 100 %"
        )


def _layer_collections(top: Any) -> Iterator[Any]:
    yield top
    for child in top.children:
        yield from _layer_collections(child)


def _shown_collections(layer: Any) -> Iterator[Any]:
    if layer.collection.hide_render:
        return
    if not layer.exclude:  # which goes for its own objects alone
        yield layer.collection
    for child in layer.children:
        yield from _shown_collections(child)


def _withheld(layer: Any) -> bool:
    """Whether a collection keeps its own objects from the camera, wherever else they lie."""
    return not layer.exclude and (layer.holdout or layer.indirect_only)


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
