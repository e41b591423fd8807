# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of Blender's colour, vector and maths nodes, on arrays."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from mathutils import Euler

Floats = npt.NDArray[np.float64]


def _divided(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0.0)


BLENDS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "MIX": lambda a, b: b + 0.0 * a,
    "MULTIPLY": lambda a, b: a * b,
    "ADD": lambda a, b: a + b,
    "SUBTRACT": lambda a, b: a - b,
    "SCREEN": lambda a, b: 1.0 - (1.0 - a) * (1.0 - b),
    "DIFFERENCE": lambda a, b: np.abs(a - b),
    "EXCLUSION": lambda a, b: np.maximum(a + b - 2.0 * a * b, 0.0),
    "DARKEN": np.minimum,
    "LIGHTEN": np.maximum,
    "DIVIDE": lambda a, b: np.where(b != 0.0, _divided(a, b), a),
    "OVERLAY": lambda a, b: np.where(a < 0.5, 2.0 * a * b, 1.0 - 2.0 * (1.0 - a) * (1.0 - b)),
    "LINEAR_LIGHT": lambda a, b: a + 2.0 * b - 1.0,
    "SOFT_LIGHT": lambda a, b: (1.0 - a) * b * a + a * (1.0 - (1.0 - a) * (1.0 - b)),
}
"""By blend type: what two colours give where the factor is 1."""

MATHS: Mapping[str, Callable[..., Floats]] = {
    "ADD": lambda a, b, *_: a + b,
    "SUBTRACT": lambda a, b, *_: a - b,
    "MULTIPLY": lambda a, b, *_: a * b,
    "DIVIDE": lambda a, b, *_: _divided(a, b),
    "MULTIPLY_ADD": lambda a, b, c: a * b + c,
    "POWER": lambda a, b, *_: np.power(np.maximum(a, 0.0), b),
    "SQRT": lambda a, *_: np.sqrt(np.maximum(a, 0.0)),
    "ABSOLUTE": lambda a, *_: np.abs(a),
    "MINIMUM": lambda a, b, *_: np.minimum(a, b),
    "MAXIMUM": lambda a, b, *_: np.maximum(a, b),
    "LESS_THAN": lambda a, b, *_: (a < b).astype(np.float64),
    "GREATER_THAN": lambda a, b, *_: (a > b).astype(np.float64),
    "FLOOR": lambda a, *_: np.floor(a),
    "CEIL": lambda a, *_: np.ceil(a),
    "FRACT": lambda a, *_: a - np.floor(a),
    "FRACTION": lambda a, *_: a - np.floor(a),
}
"""By operation, of the maths node and of the vector maths node."""


def rgb_to_hsv(color: Floats) -> Floats:
    """(n, 3) to (n, 3)."""
    return np.array([colorsys.rgb_to_hsv(*row) for row in color.tolist()])


def hsv_to_rgb(color: Floats) -> Floats:
    """(n, 3) to (n, 3)."""
    return np.array([colorsys.hsv_to_rgb(*row) for row in color.tolist()])


def gamma(color: Floats, power: Floats) -> Floats:
    """Returns the colour to that power where it is above 0, and itself elsewhere."""
    return np.where(color > 0.0, np.power(np.maximum(color, 1e-12), power), color)


def brightened(color: Floats, bright: Floats, contrast: Floats) -> Floats:
    """Returns a colour with other brightness and contrast."""
    return np.maximum((1.0 + contrast) * color + bright - contrast * 0.5, 0.0)


def ramp(colors: Any, place: Floats, alpha: bool) -> Floats:
    """Returns the colours, or the opacity, of a colour ramp at (n, 1) places."""
    found = np.array([colors.evaluate(float(at)) for at in place[:, 0]])
    return found[:, 3:] if alpha else found[:, :3]


def mapped(kind: str, vector: Floats, place: Floats, turn: Floats, scale: Floats) -> Floats:
    """Returns vectors (n, 3) as the Mapping node of that kind moves them."""
    rotation = np.array(Euler(turn.tolist()).to_matrix())
    if kind == "TEXTURE":
        return _divided((vector - place) @ rotation, scale[None])
    if kind == "NORMAL":
        turned: Floats = _divided(vector, scale[None]) @ rotation.T
        return turned
    turned = (vector * scale) @ rotation.T
    return turned + place if kind == "POINT" else turned
