# SPDX-License-Identifier: GPL-3.0-or-later
"""Hiding the objects that a result takes the place of, so that no keyframe, driver or library brings them back.

An object of the file itself is switched off, and what animates that switch is muted. A linked one cannot be changed: it
moves into a collection that is switched off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import bpy

from bridge.blender.animation import curves_of
from bridge.blender.references import collection_of, forget, refer, referred

_MUTED = "blockcore_muted"
_FROM = "blockcore_from"
_BEHIND = "blockcore_behind"
_ATTIC = "blockcore_attic"
_WAS_HIDDEN = "blockcore_was_hidden"
_SWITCHES = ("hide_viewport", "hide_render")
_NAME = "Blocks behind the Result"


def visible_collection(objects: Sequence[Any]) -> Any:
    """Returns the collection of the file that holds the first of ``objects`` and is shown, or else the scene's."""
    holders = [one for obj in objects[:1] if isinstance(obj, bpy.types.Object) for one in obj.users_collection]
    shown = set(_shown_collections(bpy.context.view_layer.layer_collection))
    return next((one for one in holders if one in shown), bpy.context.scene.collection)


def hide(holder: Any, objects: Sequence[Any]) -> None:
    """Hides objects that ``holder``, an object or a collection, takes the place of; it hides those of earlier, too.

    They are noted on it as a collection that no scene shows. So they are found again under other names, elsewhere in
    the scene, after an undo, in the file as saved, and in a file that the holder is appended to.
    """
    known = set(referred(holder, _BEHIND))
    fresh = [obj for obj in objects if obj not in known]
    behind = refer(holder, _BEHIND, fresh, _NAME)
    for obj in fresh:
        if obj.library is None and (obj.hide_viewport or obj.hide_render):
            obj[_WAS_HIDDEN] = [int(obj.hide_viewport), int(obj.hide_render)]
    linked = [obj for obj in fresh if obj.library is not None]
    if linked:
        behind[_ATTIC] = _into_attic(linked)
    show(holder, False)


def share(holder: Any, others: Iterable[Any]) -> None:
    """Lets others hide together with ``holder``: what reveals one reveals all that they hide."""
    for other in others:
        other[_BEHIND] = holder[_BEHIND]


def behind(holder: Any) -> list[Any]:
    """Returns the objects that ``holder`` takes the place of."""
    return referred(holder, _BEHIND)


def in_front(objects: Sequence[Any]) -> list[Any]:
    """Returns the objects that take the place of some of these, or that are among them and take others' place."""
    wanted = set(objects)
    holders = [(obj, behind(obj)) for obj in bpy.data.objects]
    return [obj for obj, hidden in holders if hidden and (obj in wanted or wanted.intersection(hidden))]


def show(holder: Any, shown: bool) -> None:
    """Shows what ``holder`` hides as it was, or hides it again."""
    collection = collection_of(holder, _BEHIND)
    if collection is None:
        return
    here = set(bpy.context.scene.objects)
    for obj in collection.objects:
        if obj.library is not None:
            continue
        if shown:
            _unmute(obj)
            if obj not in here:  # as in a file that the holder was appended to
                visible_collection([holder]).objects.link(obj)
        else:
            _mute(obj)
        obj.hide_viewport, obj.hide_render = map(bool, obj.get(_WAS_HIDDEN, (0, 0))) if shown else (True, True)
    attic = collection.get(_ATTIC)
    if attic is not None:
        attic.hide_viewport = attic.hide_render = not shown


def reveal(holder: Any) -> None:
    """Shows what ``holder`` hides as it was, and takes away all that hid it."""
    show(holder, True)
    collection = collection_of(holder, _BEHIND)
    if collection is None:
        return
    for obj in collection.objects:
        if _WAS_HIDDEN in obj and obj.library is None:
            del obj[_WAS_HIDDEN]
    if collection.get(_ATTIC) is not None:
        _empty_attic(collection[_ATTIC])
    forget(holder, _BEHIND)


def hand_over(holder: Any, other: Any) -> None:
    """Lets another object or collection hide what ``holder`` hides."""
    collection = collection_of(holder, _BEHIND)
    if collection is None:
        return
    if collection_of(other, _BEHIND) is None:
        other[_BEHIND] = collection
    else:
        hide(other, list(collection.objects))
    forget(holder, _BEHIND)


def _empty_attic(attic: Any) -> None:
    """Puts linked objects and collections back where they were, and removes the collection that hid them."""
    for entry in attic.get(_FROM, ()):
        moved, holder = entry.get("moved"), entry.get("holder", bpy.context.scene.collection)
        if moved is not None and holder is not None:
            children = holder.objects if isinstance(moved, bpy.types.Object) else holder.children
            if moved not in list(children):
                children.link(moved)
    bpy.data.collections.remove(attic)


def _into_attic(linked: Sequence[Any]) -> Any:
    top = bpy.context.scene.collection
    attic = bpy.data.collections.new(_NAME)
    top.children.link(attic)
    moved = []
    wanted = {obj.name_full for obj in linked}
    for holder in list(_own_collections(top)):
        if holder == attic:
            continue
        where = {} if holder == top else {"holder": holder}  # a note cannot point to a scene's own collection
        for obj in [one for one in holder.objects if one.name_full in wanted]:
            moved.append({"moved": obj, **where})
            if obj not in list(attic.objects):
                attic.objects.link(obj)
            holder.objects.unlink(obj)
        for child in [one for one in holder.children if one.library is not None]:
            inside = list(child.all_objects)
            if not any(one.name_full in wanted for one in inside):
                continue
            moved.append({"moved": child, **where})
            if child not in list(attic.children):
                attic.children.link(child)
            holder.children.unlink(child)
            for other in inside:  # what is no block stays in sight
                if other.name_full not in wanted and other not in list(holder.objects):
                    holder.objects.link(other)
    attic[_FROM] = moved
    return attic


def _own_collections(top: Any) -> Iterator[Any]:
    yield top
    for child in top.children:
        if child.library is None:
            yield from _own_collections(child)


def _shown_collections(layer: Any) -> Iterator[Any]:
    collection = layer.collection
    if layer.exclude or layer.hide_viewport or collection.hide_viewport or collection.hide_render:
        return
    if layer.holdout or layer.indirect_only:
        return
    if collection.library is None and collection.override_library is None:
        yield collection
    for child in layer.children:
        yield from _shown_collections(child)


def switch_curves(obj: Any) -> Iterator[Any]:
    """Yields the curves and drivers that switch an object on and off."""
    yield from (curve for curve in curves_of(obj) if curve.data_path in _SWITCHES)


def _mute(obj: Any) -> None:
    """Notes which curves were muted here, once."""
    _own_action(obj)
    found = [curve for curve in switch_curves(obj) if not curve.mute]
    for curve in found:
        curve.mute = True
    if found:
        obj[_MUTED] = ",".join(sorted({curve.data_path for curve in found}))


def _unmute(obj: Any) -> None:
    if _MUTED in obj:
        for curve in switch_curves(obj):
            if curve.data_path in obj[_MUTED].split(","):
                curve.mute = False
        del obj[_MUTED]


def _own_action(obj: Any) -> None:
    """Gives an object an action of its own where others move by the same curves, which must go on."""
    animation = obj.animation_data
    action = animation.action if animation else None
    if action is None or not any(curve.data_path in _SWITCHES for curve in switch_curves(obj)):
        return
    if action.users - action.use_fake_user > 1 or action.library is not None:
        slot = getattr(animation, "action_slot", None)
        animation.action = action.copy()
        if slot is not None:
            animation.action_slot = next(one for one in animation.action.slots if one.identifier == slot.identifier)
