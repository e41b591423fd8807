# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects and collections a list of models offers: those with a surface, looked up once for the whole list."""

from __future__ import annotations

import time
from typing import Any

import bpy

from bridge.blender.render_targets import with_surface

_LASTS = 0.5  # seconds, in which a list that opens asks about every object
_names: frozenset[str] = frozenset()
_looked_at = 0.0


def has_surface(candidate: Any) -> bool:
    """Whether pictures could show something of an object, with its children, or of a collection."""
    global _names, _looked_at
    if time.monotonic() - _looked_at > _LASTS:
        _names, _looked_at = with_surface(bpy.context.scene.objects), time.monotonic()
    if isinstance(candidate, bpy.types.Collection):
        return any(obj.name_full in _names for obj in candidate.all_objects)
    return candidate.name_full in _names
