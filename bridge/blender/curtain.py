# SPDX-License-Identifier: GPL-3.0-or-later
"""Hiding the objects that a result takes the place of, so that no keyframe, driver or library brings them back.

An object of the file itself is switched off, and what animates that switch is muted. A linked one cannot be changed: it
moves into a collection that is switched off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import bpy

from bridge.blender.identity import find_objects

States = dict[str, tuple[bool, bool]]

_MUTED = "blockcore_muted"
_FROM = "blockcore_from"
_SWITCHES = ("hide_viewport", "hide_render")


def visible_collection(objects: Sequence[Any]) -> Any:
    """Returns the collection of the file's own that holds some of ``objects`` and is shown, or else the scene's."""
    holders = [one for obj in objects[:1] for one in obj.users_collection]
    shown = set(_shown_collections(bpy.context.view_layer.layer_collection))
    return next((one for one in holders if one in shown), bpy.context.scene.collection)


def hide(objects: Sequence[Any]) -> tuple[States, Any | None]:
    """Hides objects.

    Returns:
        How they were, by full name, and the collection that the linked ones are in now, if any.
    """
    states = {obj.name_full: (bool(obj.hide_viewport), bool(obj.hide_render)) for obj in objects}
    linked = [obj for obj in objects if obj.library is not None]
    attic = _into_attic(linked) if linked else None
    show(states, attic, shown=False)
    return states, attic


def show(states: States, attic: Any | None, shown: bool) -> None:
    """Shows hidden objects as they were, or hides them again."""
    names = list(states)
    for name, obj in zip(names, find_objects(names), strict=True):
        if obj is None or obj.library is not None:
            continue
        if shown:
            _unmute(obj)
        else:
            _mute(obj)
        viewport, render = states[name]
        obj.hide_viewport, obj.hide_render = (viewport, render) if shown else (True, True)
    if attic is not None:
        attic.hide_viewport = attic.hide_render = not shown


def empty_attic(attic: Any) -> None:
    """Puts linked objects and collections back where they were, and removes the collection that hid them."""
    for kind, name, library, holder_name in json.loads(attic.get(_FROM, "[]")):
        holder = bpy.context.scene.collection if not holder_name else bpy.data.collections.get((holder_name, None))
        source = bpy.data.objects if kind == "object" else bpy.data.collections
        moved = source.get((name, library))
        children = holder and (holder.objects if kind == "object" else holder.children)
        if moved is not None and holder is not None and moved.name_full not in [one.name_full for one in children]:
            children.link(moved)
    bpy.data.collections.remove(attic)


def _into_attic(linked: Sequence[Any]) -> Any:
    attic = bpy.data.collections.new("Blocks behind the Result")
    bpy.context.scene.collection.children.link(attic)
    moved = []
    wanted = {obj.name_full for obj in linked}
    for holder in list(_own_collections(bpy.context.scene.collection)):
        if holder == attic:
            continue
        name = "" if holder == bpy.context.scene.collection else holder.name
        for obj in [one for one in holder.objects if one.name_full in wanted]:
            moved.append(["object", obj.name, obj.library.filepath, name])
            attic.objects.link(obj) if obj.name_full not in [one.name_full for one in attic.objects] else None
            holder.objects.unlink(obj)
        for child in [one for one in holder.children if one.library is not None]:
            inside = list(child.all_objects)
            if not any(one.name_full in wanted for one in inside):
                continue
            moved.append(["collection", child.name, child.library.filepath, name])
            if child.name_full not in [one.name_full for one in attic.children]:
                attic.children.link(child)
            holder.children.unlink(child)
            for other in inside:  # what is no block stays in sight
                if other.name_full not in wanted and other.name_full not in [one.name_full for one in holder.objects]:
                    holder.objects.link(other)
    attic[_FROM] = json.dumps(moved)
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


def _switch_curves(obj: Any) -> Iterator[Any]:
    animation = obj.animation_data
    if animation is None:
        return
    curves = [*animation.drivers, *_curves(animation.action, getattr(animation, "action_slot", None))]
    for track in animation.nla_tracks:
        for strip in track.strips:
            curves.extend(_curves(strip.action, getattr(strip, "action_slot", None)))
    yield from (curve for curve in curves if curve.data_path in _SWITCHES)


def _curves(action: Any, slot: Any) -> list[Any]:
    if action is None:
        return []
    if slot is None or not hasattr(action, "layers"):
        return list(getattr(action, "fcurves", ()))
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def _mute(obj: Any) -> None:
    """Notes which curves were muted here, once."""
    _own_action(obj)
    found = [curve for curve in _switch_curves(obj) if not curve.mute]
    for curve in found:
        curve.mute = True
    if found:
        obj[_MUTED] = json.dumps(sorted({curve.data_path for curve in found}))


def _unmute(obj: Any) -> None:
    if _MUTED in obj:
        for curve in _switch_curves(obj):
            if curve.data_path in json.loads(obj[_MUTED]):
                curve.mute = False
        del obj[_MUTED]


def _own_action(obj: Any) -> None:
    """Gives an object an action of its own where others move by the same curves, which must go on."""
    animation = obj.animation_data
    action = animation.action if animation else None
    if action is None or not any(curve.data_path in _SWITCHES for curve in _switch_curves(obj)):
        return
    if action.users - action.use_fake_user > 1 or action.library is not None:
        slot = getattr(animation, "action_slot", None)
        animation.action = action.copy()
        if slot is not None:
            animation.action_slot = next(one for one in animation.action.slots if one.identifier == slot.identifier)
