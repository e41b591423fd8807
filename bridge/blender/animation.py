# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves the properties of Blender data: curves of actions, in use or in tracks, and drivers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def curves_of(block: Any) -> Iterator[Any]:
    """Yields the curves and drivers that move properties of a data-block."""
    animation = getattr(block, "animation_data", None)
    if animation is None:
        return
    yield from animation.drivers
    yield from _curves(animation.action, getattr(animation, "action_slot", None))
    for track in animation.nla_tracks:
        for strip in track.strips:
            yield from _curves(strip.action, getattr(strip, "action_slot", None))


def curves_moving(holder: Any, name: str) -> Iterator[Any]:
    """Yields those that move one property."""
    block = getattr(holder, "id_data", None)
    if getattr(block, "animation_data", None) is None:
        return
    try:
        path = holder.path_from_id(name)
    except (AttributeError, ValueError):  # curves themselves have no path
        return
    yield from (curve for curve in curves_of(block) if curve.data_path == path)


def _curves(action: Any, slot: Any) -> list[Any]:
    if action is None:
        return []
    if slot is None or not hasattr(action, "layers"):
        return list(getattr(action, "fcurves", ()))
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]
