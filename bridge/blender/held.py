# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings held at other values for a while, and put back as they were, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bridge.blender.animation import curves_moving

Change = tuple[Any, str, Any]


@contextmanager
def held(changes: Sequence[Change]) -> Iterator[None]:
    """Gives properties other values, and puts the old ones back in the same order.

    The order counts where one value decides which others are allowed: it comes first, both ways. Curves and drivers
    that would move the properties meanwhile rest.

    Args:
        changes: (holder, name, value) each; a name that this version of Blender does not have is left out.
    """
    known = [change for change in changes if change[0] is not None and hasattr(change[0], change[1])]
    before = [(holder, name, _kept(getattr(holder, name))) for holder, name, _ in known]
    resting = [curve for holder, name, _ in known for curve in curves_moving(holder, name) if not curve.mute]
    try:
        for curve in resting:
            curve.mute = True
        for holder, name, value in known:
            setattr(holder, name, value)
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)
        for curve in resting:
            curve.mute = False


def _kept(value: Any) -> Any:
    """Vectors and colours are windows on the property itself; a tuple stays as it is."""
    return value if isinstance(value, str) or not hasattr(value, "__len__") else tuple(value)
