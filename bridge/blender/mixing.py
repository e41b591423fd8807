# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of Blender's colour, vector and maths nodes, on arrays."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mathutils import Euler

Floats = npt.NDArray[np.float64]


def _divided(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0.0)


def _dodged(a: Floats, b: Floats, part: Floats) -> Floats:
    left = 1.0 - part * b
    return np.where(a == 0.0, 0.0, np.where(left <= 0.0, 1.0, np.minimum(_divided(a, left), 1.0)))


def _burnt(a: Floats, b: Floats, part: Floats) -> Floats:
    left = 1.0 - part + part * b
    return np.where(left <= 0.0, 0.0, np.clip(1.0 - _divided(1.0 - a, left), 0.0, 1.0))


def _taking(channels: Sequence[int]) -> Callable[[Floats, Floats], Floats]:
    """Returns what gives the first colour those of hue, saturation and value that the second one has."""

    def mixed(a: Floats, b: Floats) -> Floats:
        a, b = np.broadcast_arrays(a, b)
        one, other = rgb_to_hsv(a), rgb_to_hsv(b)
        grey = other[:, 1:2] == 0.0
        one[:, channels] = other[:, channels]
        return np.where(grey & (0 in channels), a, hsv_to_rgb(one))

    return mixed


def rgb_to_hsv(color: Floats) -> Floats:
    """(n, 3) to (n, 3)."""
    return np.array([colorsys.rgb_to_hsv(*row) for row in color.tolist()])


def hsv_to_rgb(color: Floats) -> Floats:
    """(n, 3) to (n, 3)."""
    return np.array([colorsys.hsv_to_rgb(*row) for row in color.tolist()])


def _rgb_to_hsl(color: Floats) -> Floats:
    return np.array([colorsys.rgb_to_hls(*row) for row in color.tolist()])[:, [0, 2, 1]]


def _hsl_to_rgb(color: Floats) -> Floats:
    return np.array([colorsys.hls_to_rgb(*row) for row in color[:, [0, 2, 1]].tolist()])


FROM_RGB: Mapping[str, Callable[[Floats], Floats]] = {"RGB": np.asarray, "HSV": rgb_to_hsv, "HSL": _rgb_to_hsl}
"""By mode of the Separate Color node."""
TO_RGB: Mapping[str, Callable[[Floats], Floats]] = {"RGB": np.asarray, "HSV": hsv_to_rgb, "HSL": _hsl_to_rgb}
"""By mode of the Combine Color node."""

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
    "HUE": _taking([0]),
    "SATURATION": _taking([1]),
    "VALUE": _taking([2]),
    "COLOR": _taking([0, 1]),
    "SOFT_LIGHT": lambda a, b: (1.0 - a) * b * a + a * (1.0 - (1.0 - a) * (1.0 - b)),
}
"""By blend type: what two colours give where the factor is 1; elsewhere it lies between the first one and that."""

PARTIAL_BLENDS: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {"DODGE": _dodged, "BURN": _burnt}
"""By blend type: what two colours and a factor give."""

MATHS: Mapping[str, Callable[..., Floats]] = {
    "ADD": lambda a, b, *_: a + b,
    "SUBTRACT": lambda a, b, *_: a - b,
    "MULTIPLY": lambda a, b, *_: a * b,
    "DIVIDE": lambda a, b, *_: _divided(a, b),
    "MULTIPLY_ADD": lambda a, b, c: a * b + c,
    "POWER": lambda a, b, *_: np.where((a < 0.0) & (b != np.rint(b)), 0.0, np.power(np.where(a == 0.0, 1e-30, a), b)),
    "LOGARITHM": lambda a, b, *_: np.where(
        (a > 0.0) & (b > 0.0), _divided(np.log(np.maximum(a, 1e-30)), np.log(np.maximum(b, 1e-30))), 0.0
    ),
    "EXPONENT": lambda a, *_: np.exp(a),
    "SQRT": lambda a, *_: np.sqrt(np.maximum(a, 0.0)),
    "INVERSE_SQRT": lambda a, *_: _divided(np.ones_like(a), np.sqrt(np.maximum(a, 0.0))),
    "ABSOLUTE": lambda a, *_: np.abs(a),
    "SIGN": lambda a, *_: np.sign(a),
    "MINIMUM": lambda a, b, *_: np.minimum(a, b),
    "MAXIMUM": lambda a, b, *_: np.maximum(a, b),
    "LESS_THAN": lambda a, b, *_: (a < b).astype(np.float64),
    "GREATER_THAN": lambda a, b, *_: (a > b).astype(np.float64),
    "COMPARE": lambda a, b, c: (np.abs(a - b) <= np.maximum(c, 1e-5)).astype(np.float64),
    "ROUND": lambda a, *_: np.floor(a + 0.5),
    "FLOOR": lambda a, *_: np.floor(a),
    "CEIL": lambda a, *_: np.ceil(a),
    "TRUNC": lambda a, *_: np.trunc(a),
    "FRACT": lambda a, *_: a - np.floor(a),
    "FRACTION": lambda a, *_: a - np.floor(a),
    "MODULO": lambda a, b, *_: np.where(b != 0.0, np.fmod(a, np.where(b == 0.0, 1.0, b)), 0.0),
    "FLOORED_MODULO": lambda a, b, *_: np.where(b != 0.0, np.mod(a, np.where(b == 0.0, 1.0, b)), 0.0),
    "SNAP": lambda a, b, *_: np.floor(_divided(a, b)) * b,
    "SINE": lambda a, *_: np.sin(a),
    "COSINE": lambda a, *_: np.cos(a),
}
"""By operation, of the maths node; of the vector maths node, those that take channels one by one."""

VECTOR_MATHS: Mapping[str, Callable[..., Floats]] = {
    "SCALE": lambda a, b: a * b,
    "CROSS_PRODUCT": lambda a, b: np.cross(a, b),
    "DOT_PRODUCT": lambda a, b: (a * b).sum(axis=1, keepdims=True),
    "LENGTH": lambda a: np.linalg.norm(a, axis=1, keepdims=True),
    "DISTANCE": lambda a, b: np.linalg.norm(a - b, axis=1, keepdims=True),
    "NORMALIZE": lambda a: _divided(a, np.linalg.norm(a, axis=1, keepdims=True) + 0.0 * a),
}
"""By operation, of the vector maths node."""


def _smooth(part: Floats, steps: Floats) -> Floats:
    part = np.clip(part, 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)


def _smoother(part: Floats, steps: Floats) -> Floats:
    part = np.clip(part, 0.0, 1.0)
    return part**3 * (part * (part * 6.0 - 15.0) + 10.0)


RANGES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "LINEAR": lambda part, steps: part,
    "STEPPED": lambda part, steps: _divided(np.floor(part * (steps + 1.0)), steps + 0.0 * part),
    "SMOOTHSTEP": _smooth,
    "SMOOTHERSTEP": _smoother,
}
"""By interpolation of the Map Range node: the part of the way, and the steps, to the part that is taken."""


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
