# SPDX-License-Identifier: GPL-3.0-or-later
"""What colour, vector and maths nodes give at points of a surface: one function a node.

Each takes the tree it lies in, the node, the output that is asked for and the groups that the node lies in, and gives
colours or vectors (n, 3), or numbers (n, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bridge.blender.mixing import (
    BLENDS,
    FROM_RGB,
    MATHS,
    PARTIAL_BLENDS,
    RANGES,
    TO_RGB,
    VECTOR_MATHS,
    brightened,
    gamma,
    hsv_to_rgb,
    mapped,
    ramp,
    rgb_to_hsv,
)
from bridge.blender.textures import Album, sample

Floats = npt.NDArray[np.float64]
Groups = tuple[Any, ...]


@dataclass
class Points:
    """Places on a surface that a material is looked at.

    Attributes:
        uv: (n, 2) by UV map; the name "" is the map that renders take where none is named.
        paint: (n, 3) scene-linear colours or vectors, or (n, 1) numbers, by attribute; "" is the active colour one.
        place: (n, 3) in the mesh's own space.
        texture_space: (2, 3): the mesh's, its middle and half its size.
        facing: (2, 3): which way the surface faces, in the mesh's own space and in Blender's world.
        color: the object's own colour, scene-linear.
        album: the pictures read so far.
        spans: gathers, for each thing that varies over the surface, how many texels lie between the places.
        asks_object: becomes true where the object's own colour counts.
        asks_place: becomes true where the place in the mesh does.
        asks_world: becomes true where it counts how the surface is turned in the world.
        asks_procedure: becomes true where only Cycles can work out what is shown.
        probing: whether only that is asked for, at one place with neither maps nor attributes.
    """

    uv: Mapping[str, Floats]
    paint: Mapping[str, Floats]
    place: Floats = field(default_factory=lambda: np.zeros((1, 3)))
    texture_space: Floats = field(default_factory=lambda: np.array([np.zeros(3), np.ones(3)]))
    facing: Floats = field(default_factory=lambda: np.full((2, 3), 0.5))
    color: tuple[float, ...] = (1.0, 1.0, 1.0)
    album: Album = field(default_factory=Album)
    spans: list[float] = field(default_factory=list)
    asks_object: bool = False
    asks_place: bool = False
    asks_world: bool = False
    asks_procedure: bool = False
    probing: bool = False


class UnreadableError(Exception):
    """Says which node stands in the way."""


class Tree(Protocol):
    """What works out the sockets that a node's own value depends on."""

    points: Points

    def value(self, socket: Any, groups: Groups) -> Floats:
        """Returns a number, (n, 1)."""

    def color(self, socket: Any, groups: Groups) -> Floats:
        """Returns a colour or a vector, (n, 3)."""


def describe(node: Any) -> str:
    """Returns what messages call a node."""
    return f"its node {node.label or node.name!r} ({node.bl_label})"


def _procedure(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    """Stands for what Cycles alone works out from the place in the mesh; no limit of a mix, so that all of it is seen.

    Raises:
        UnreadableError: it is asked for in earnest, or depends on what cannot be read.
    """
    if not tree.points.probing:
        raise UnreadableError(describe(node))
    for socket in node.inputs:
        if socket.enabled:
            tree.color(socket, groups)
    tree.points.spans.append(0.0)
    tree.points.asks_place = tree.points.asks_procedure = True
    return np.full((1, 3), 0.5)


def _mix(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.type == "MIX_RGB":
        part, one, other = node.inputs[0], node.inputs[1], node.inputs[2]
        blend, clamped, limited = node.blend_type, True, node.use_clamp
    else:
        kind = node.data_type
        rgb = kind == "RGBA"
        usable = [socket for socket in node.inputs if socket.enabled]
        part, one, other = usable[0], usable[1], usable[2]
        blend = node.blend_type if rgb else "MIX"
        clamped, limited = node.clamp_factor, rgb and node.clamp_result
    factor = (tree.color if part.type == "VECTOR" else tree.value)(part, groups)
    if clamped:
        factor = np.clip(factor, 0.0, 1.0)
    if not factor.any():
        return tree.color(one, groups)
    if blend == "MIX" and (factor == 1.0).all():
        return tree.color(other, groups)
    a, b = tree.color(one, groups), tree.color(other, groups)
    partial = PARTIAL_BLENDS.get(blend)
    mixed = partial(a, b, factor) if partial else _between(a, BLENDS[blend](a, b), factor)
    return np.clip(mixed, 0.0, 1.0) if limited else mixed


def _image(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.image is None:
        raise UnreadableError(describe(node))
    points, vector = tree.points, node.inputs["Vector"]
    uv = tree.color(vector, groups)[:, :2] if vector.is_linked else points.uv[""]
    texture = points.album.texture(node.image, node.image_user)
    if node.projection != "FLAT":
        return _procedure(tree, node, source, groups)
    points.spans.append(float((np.ptp(uv, axis=0) * texture.pixels.shape[1::-1]).max()))
    uses_alpha = any(output.name == "Alpha" and output.is_linked for output in node.outputs)
    found = sample(texture.pixels if uses_alpha else texture.faded, uv, node.extension)
    return found[:, 3:] if source.name == "Alpha" else found[:, :3]


def _flat(uv: Floats) -> Floats:
    return np.concatenate([uv, np.zeros((len(uv), 1))], axis=1)


def _uv_map(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    uv = tree.points.uv
    return _flat(uv[node.uv_map] if node.uv_map in uv else np.zeros_like(uv[""]))


def _coordinates(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    points = tree.points
    if source.name == "UV":
        return _flat(points.uv[""])
    if source.name not in ("Generated", "Object", "Normal") or getattr(node, "object", None) is not None:
        raise UnreadableError(describe(node))
    points.spans.append(0.0)
    if source.name == "Normal":
        return points.facing[:1]
    points.asks_place = True
    if source.name == "Object":
        return points.place
    middle, half = points.texture_space
    return np.asarray((points.place - middle) / (2.0 * np.where(half == 0.0, 1.0, half)) + 0.5)


def _mapping(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    parts, constant = [node.inputs.get(name) for name in ("Location", "Rotation", "Scale")], len(tree.points.spans)
    place, turn, scale = (np.zeros((1, 3)) if part is None else tree.color(part, groups) for part in parts)
    if len(tree.points.spans) > constant:
        return _procedure(tree, node, source, groups)
    return mapped(node.vector_type, tree.color(node.inputs["Vector"], groups), place[0], turn[0], scale[0])


def _attribute(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    points, of_color = tree.points, node.type == "VERTEX_COLOR"
    name = node.layer_name if of_color else node.attribute_name
    if not of_color and (node.attribute_type != "GEOMETRY" or not name):
        raise UnreadableError(describe(node))
    points.spans.append(0.0)
    if points.probing:
        return np.zeros((1, 3))
    if source.name == "Alpha" or (name not in points.paint and name not in points.uv):
        raise UnreadableError(describe(node))
    found = points.paint[name] if name in points.paint else _flat(points.uv[name])
    return found.mean(axis=1, keepdims=True) if source.name in ("Fac", "Factor") else found


def _object(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if source.name != "Color":
        raise UnreadableError(describe(node))
    tree.points.asks_object = True
    return np.array([tree.points.color])


def _light_path(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    """What a ray finds that comes from the camera straight away."""
    if source.name == "Ray Length":
        raise UnreadableError(describe(node))
    return np.array([[float(source.name == "Is Camera Ray")]])


def _geometry(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if source.name == "Backfacing":
        return np.zeros((1, 1))
    if source.name not in ("Normal", "True Normal"):
        raise UnreadableError(describe(node))
    tree.points.spans.append(0.0)
    tree.points.asks_world = True
    return tree.points.facing[1:]


def _math(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.operation not in MATHS:
        return _procedure(tree, node, source, groups)
    found = MATHS[node.operation](*(tree.value(socket, groups) for socket in node.inputs if socket.enabled))
    return np.clip(found, 0.0, 1.0) if node.use_clamp else found


def _vector_math(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    work = VECTOR_MATHS.get(node.operation) or MATHS.get(node.operation)
    if work is None:
        return _procedure(tree, node, source, groups)
    usable = [socket for socket in node.inputs if socket.enabled]
    return work(*((tree.value if one.type == "VALUE" else tree.color)(one, groups) for one in usable))


def _separate(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    parted = FROM_RGB[getattr(node, "mode", "RGB")](tree.color(node.inputs[0], groups))
    return parted[:, [list(node.outputs).index(source)]]


def _combine(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    channels = np.broadcast_arrays(*(tree.value(socket, groups) for socket in list(node.inputs)[:3]))
    return TO_RGB[getattr(node, "mode", "RGB")](np.concatenate(channels, axis=1))


def _between(one: Floats, other: Floats, part: Floats) -> Floats:
    mixed: Floats = one * (1.0 - part) + other * part
    return mixed


def _hue(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    turn, saturation, value, part = (
        tree.value(node.inputs[name], groups) for name in ("Hue", "Saturation", "Value", _factor(node))
    )
    color = tree.color(node.inputs["Color"], groups)
    hue, grey, bright = np.split(rgb_to_hsv(color), 3, axis=1)
    parts = np.broadcast_arrays((hue + turn + 0.5) % 1.0, np.clip(grey * saturation, 0.0, 1.0), bright * value)
    turned = hsv_to_rgb(np.concatenate(parts, axis=1))
    return _between(color, turned, part)


def _invert(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    color, part = tree.color(node.inputs["Color"], groups), tree.value(node.inputs[_factor(node)], groups)
    return _between(color, 1.0 - color, part)


def _curves(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    color, part = tree.color(node.inputs["Color"], groups), tree.value(node.inputs[_factor(node)], groups)
    mapping = node.mapping
    mapping.initialize()
    *channels, every = mapping.curves
    rows = [[mapping.evaluate(channels[i], mapping.evaluate(every, c)) for i, c in enumerate(row)] for row in color]
    return _between(color, np.array(rows), part)


def _curve(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    value, part = tree.value(node.inputs["Value"], groups), tree.value(node.inputs[_factor(node)], groups)
    node.mapping.initialize()
    bent = np.array([[node.mapping.evaluate(node.mapping.curves[0], one)] for one in value[:, 0]])
    return _between(value, bent, part)


def _range(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.data_type != "FLOAT":
        return _procedure(tree, node, source, groups)
    value, low, high, start, end, steps = (tree.value(node.inputs[i], groups) for i in range(6))
    part = RANGES[node.interpolation_type]((value - low) / np.where(high == low, 1.0, high - low), steps)
    found = _between(start, end, part)
    limited = node.clamp and node.interpolation_type in ("LINEAR", "STEPPED")
    return np.clip(found, np.minimum(start, end), np.maximum(start, end)) if limited else found


def _clamp(tree: Tree, node: Any, source: Any, groups: Groups) -> Floats:
    value, low, high = (tree.value(node.inputs[i], groups) for i in range(3))
    if node.clamp_type == "RANGE":
        low, high = np.minimum(low, high), np.maximum(low, high)
    return np.minimum(np.maximum(value, low), high)


def _factor(node: Any) -> str:
    return "Fac" if "Fac" in node.inputs else "Factor"


_PROCEDURES = (
    *("TEX_NOISE", "TEX_MUSGRAVE", "TEX_VORONOI", "TEX_WAVE", "TEX_MAGIC", "TEX_GABOR", "TEX_WHITE_NOISE"),
    *("TEX_BRICK", "TEX_CHECKER", "TEX_GRADIENT", "BLACKBODY", "WAVELENGTH", "CURVE_VEC", "VECTOR_ROTATE", "NORMAL"),
)

NODES: Mapping[str, Callable[[Tree, Any, Any, Groups], Floats]] = {
    "RGB": lambda tree, node, source, groups: np.array([source.default_value[:3]]),
    "VALUE": lambda tree, node, source, groups: np.array([[source.default_value]]),
    "MIX": _mix,
    "MIX_RGB": _mix,
    "TEX_IMAGE": _image,
    "UVMAP": _uv_map,
    "TEX_COORD": _coordinates,
    "MAPPING": _mapping,
    "VERTEX_COLOR": _attribute,
    "ATTRIBUTE": _attribute,
    "OBJECT_INFO": _object,
    "LIGHT_PATH": _light_path,
    "NEW_GEOMETRY": _geometry,
    "MATH": _math,
    "VECT_MATH": _vector_math,
    "SEPARATE_COLOR": _separate,
    "SEPRGB": _separate,
    "SEPXYZ": _separate,
    "COMBINE_COLOR": _combine,
    "COMBRGB": _combine,
    "COMBXYZ": _combine,
    "HUE_SAT": _hue,
    "INVERT": _invert,
    "CURVE_RGB": _curves,
    "CURVE_FLOAT": _curve,
    "MAP_RANGE": _range,
    "CLAMP": _clamp,
    "RGBTOBW": lambda tree, node, source, groups: tree.value(node.inputs[0], groups),
    "GAMMA": lambda tree, node, source, groups: gamma(
        tree.color(node.inputs["Color"], groups), tree.value(node.inputs["Gamma"], groups)
    ),
    "BRIGHTCONTRAST": lambda tree, node, source, groups: brightened(
        tree.color(node.inputs[0], groups), *(tree.value(node.inputs[i], groups) for i in (1, 2))
    ),
    "VALTORGB": lambda tree, node, source, groups: ramp(
        node.color_ramp, tree.value(node.inputs[0], groups), source.name == "Alpha"
    ),
    **dict.fromkeys(_PROCEDURES, _procedure),
}
