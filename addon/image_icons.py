# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of images in lists; Blender draws them later, and lists have to be drawn again then."""

from __future__ import annotations

from typing import Any

import bpy

from . import layouts

_POLL, _MOST = 0.3, 20  # seconds between two looks; how often, as some images cannot be drawn
_waited: dict[int, int] = {}


def icon_of(image: Any) -> int:
    """Returns the number of an image's icon, and sees to it that the sidebar shows it once it is drawn."""
    preview = image.preview_ensure()
    times = _waited.get(image.session_uid, 0)
    if not preview.icon_size[0] and times < _MOST and not bpy.app.timers.is_registered(_redraw):
        _waited[image.session_uid] = times + 1
        bpy.app.timers.register(_redraw, first_interval=_POLL)
    return int(preview.icon_id)


def _redraw() -> None:
    layouts.redraw({"VIEW_3D"})
