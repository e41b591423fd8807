# SPDX-License-Identifier: GPL-3.0-or-later
"""What a material shows at points of a surface: its node tree, worked out as far as colours and pictures go.

The tree is followed from the Material Output that the render engine takes: through groups, reroutes, muted nodes and
mixes. A shader shows its colour, as if white light fell on it, and what it emits. Transparent parts show what they are
mixed with. What depends on anything but the place in a picture (noise, the viewing angle, the object's own space)
cannot be told and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from bridge.blender.mixing import BLENDS, MATHS, brightened, gamma, hsv_to_rgb, mapped, ramp, rgb_to_hsv
from bridge.blender.textures import read_texture, sample

Floats = npt.NDArray[np.float64]

_ENGINES = {"CYCLES": "CYCLES", "BLENDER_EEVEE": "EEVEE", "BLENDER_EEVEE_NEXT": "EEVEE"}
_UNPAINTED = (0.8, 0.8, 0.8)  # scene-linear; what Blender shows where there is no material
_COLORED = {
    "BSDF_DIFFUSE", "BSDF_GLOSSY", "BSDF_ANISOTROPIC", "BSDF_TRANSLUCENT", "BSDF_GLASS", "BSDF_REFRACTION", "BSDF_TOON",
    "BSDF_SHEEN", "BSDF_VELVET", "SUBSURFACE_SCATTERING", "EEVEE_SPECULAR", "BSDF_METALLIC",
}  # fmt: skip


@dataclass
class Points:
    """Places on a surface that a material is looked at.

    Attributes:
        uv: (n, 2) by UV map; the name "" is the map that renders take where none is named.
        paint: (n, 3) scene-linear colour attributes by name; "" is the active one.
        color: the object's own colour, scene-linear.
        spans: gathers, for each thing that varies over the surface, how many texels lie between the places.
        probing: whether only that is asked for, at one place with neither maps nor attributes.
    """

    uv: Mapping[str, Floats]
    paint: Mapping[str, Floats]
    color: tuple[float, ...] = (1.0, 1.0, 1.0)
    spans: list[float] = field(default_factory=list)
    probing: bool = False

    @property
    def count(self) -> int:
        """How many places."""
        return len(self.uv[""])


class _UnreadableError(Exception):
    """Says which node stands in the way."""


def surface_color(material: Any, points: Points) -> Floats:
    """Returns what a material shows.

    Args:
        material: the Blender material; None for the grey of a bare mesh.
        points: where.

    Returns:
        (n, 3) scene-linear RGB in the file's working space, (1, 3) where it is the same everywhere; at least 0.

    Raises:
        SceneError: it cannot be told; names the material and the node.
    """
    if material is None:
        return np.array([_UNPAINTED])
    if material.node_tree is None or (bpy.app.version < (5, 0, 0) and not material.use_nodes):
        return np.array([material.diffuse_color[:3]], dtype=np.float64)
    output = material.node_tree.get_output_node(_ENGINES.get(bpy.context.scene.render.engine, "ALL"))
    try:
        socket = output.inputs["Surface"] if output else None
        if socket is None or not socket.is_linked:
            return np.zeros((1, 3))
        shown, weight = _Tree(points).shader(socket, ())
    except _UnreadableError as error:
        raise SceneError(
            f"material {material.name!r}: {error} cannot be read; bake it into an image texture, or choose a palette"
        ) from None
    color = np.divide(shown, weight, out=np.zeros(np.broadcast_shapes(shown.shape, weight.shape)), where=weight > 1e-6)
    rows: Floats = np.atleast_2d(np.maximum(color, 0.0))
    return rows


class _Tree:
    """Works out sockets. ``groups`` are the group nodes that a socket lies in, from the outside inwards."""

    def __init__(self, points: Points) -> None:
        self.points = points

    def shader(self, socket: Any, groups: tuple[Any, ...]) -> tuple[Floats, Floats]:
        """Returns what a shader shows, (n, 3), times how opaque it is, and that, (n, 1)."""
        _, node, groups = _source(socket, groups)
        clear = np.zeros((1, 3)), np.zeros((1, 1))
        if node is None or node.type == "BSDF_TRANSPARENT":
            return clear
        if node.type == "EMISSION":
            return self.color(node.inputs["Color"], groups) * self.value(node.inputs["Strength"], groups), np.ones(
                (1, 1)
            )
        if node.type == "BSDF_PRINCIPLED":
            return self._principled(node, groups)
        if node.type in _COLORED:
            color = node.inputs.get("Color") or node.inputs.get("Base Color")
            return self.color(color, groups), np.ones((1, 1))
        if node.type == "ADD_SHADER":
            (one, opaque), (other, solid) = (self.shader(node.inputs[i], groups) for i in (0, 1))
            return one + other, np.maximum(opaque, solid)
        if node.type == "MIX_SHADER":
            part = np.clip(self.value(node.inputs[0], groups), 0.0, 1.0)
            (one, opaque), (other, solid) = (self.shader(node.inputs[i], groups) for i in (1, 2))
            return one * (1.0 - part) + other * part, opaque * (1.0 - part) + solid * part
        raise _UnreadableError(_name(node))

    def _principled(self, node: Any, groups: tuple[Any, ...]) -> tuple[Floats, Floats]:
        color = self.color(node.inputs["Base Color"], groups)
        strength = node.inputs.get("Emission Strength")
        if strength is not None and (strength.is_linked or strength.default_value):
            glow = node.inputs.get("Emission Color") or node.inputs["Emission"]
            color = color + self.color(glow, groups) * self.value(strength, groups)
        opaque = np.clip(self.value(node.inputs["Alpha"], groups), 0.0, 1.0)
        return color * opaque, opaque

    def value(self, socket: Any, groups: tuple[Any, ...]) -> Floats:
        """Returns a number, (n, 1): of a colour, its grey."""
        found = self.color(socket, groups)
        return found if found.shape[1] == 1 else found @ np.array([[0.2126], [0.7152], [0.0722]])

    def color(self, socket: Any, groups: tuple[Any, ...]) -> Floats:
        """Returns a colour or a vector, (n, 3), or a number, (n, 1)."""
        source, node, groups = _source(socket, groups)
        if node is None:
            return _constant(source)
        work = _NODES.get(node.type)
        if work is None:
            raise _UnreadableError(_name(node))
        return np.atleast_2d(work(self, node, source, groups))


def _source(socket: Any, groups: tuple[Any, ...]) -> tuple[Any, Any, tuple[Any, ...]]:
    """Follows a link to where its value comes from: (socket, node, groups); the node is None for a constant."""
    while True:
        link = next((link for link in socket.links if link.is_valid and not link.is_muted), None)
        if link is None:
            return socket, None, groups
        output, node = link.from_socket, link.from_node
        if node.type == "REROUTE":
            socket = node.inputs[0]
        elif node.mute:
            through = next((one.from_socket for one in node.internal_links if one.to_socket == output), None)
            if through is None:
                raise _UnreadableError(_name(node))
            socket = through
        elif node.type == "GROUP":
            inner = node.node_tree and next(
                (n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output), None
            )
            if not inner:
                raise _UnreadableError(_name(node))
            socket, groups = _same(inner.inputs, output), (*groups, node)
        elif node.type == "GROUP_INPUT":
            socket, groups = _same(groups[-1].inputs, output), groups[:-1]
        else:
            return output, node, groups


def _same(sockets: Any, wanted: Any) -> Any:
    return next(socket for socket in sockets if socket.identifier == wanted.identifier)


def _constant(socket: Any) -> Floats:
    value: Any = getattr(socket, "default_value", 0.0)
    if socket.type == "RGBA":
        return np.array([value[:3]], dtype=np.float64)
    return np.array([value[:3] if hasattr(value, "__len__") else [value]], dtype=np.float64)


def _name(node: Any) -> str:
    return f"its node {node.label or node.name!r} ({node.bl_label})"


# Colours and numbers: (tree, node, the output asked for, groups) -> (n, 3) or (n, 1)

Groups = tuple[Any, ...]


def _mix(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
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
    factor = tree.color(part, groups)
    if clamped:
        factor = np.clip(factor, 0.0, 1.0)
    if not factor.any():
        return tree.color(one, groups)
    if blend == "MIX" and (factor == 1.0).all():
        return tree.color(other, groups)
    if blend not in BLENDS:
        raise _UnreadableError(_name(node))
    a, b = tree.color(one, groups), tree.color(other, groups)
    mixed: Floats = a * (1.0 - factor) + BLENDS[blend](a, b) * factor
    return np.clip(mixed, 0.0, 1.0) if limited else mixed


def _image(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.image is None:
        return np.zeros((1, 1 if source.name == "Alpha" else 3))
    if node.projection != "FLAT":
        raise _UnreadableError(_name(node))
    vector = node.inputs["Vector"]
    uv = tree.color(vector, groups)[:, :2] if vector.is_linked else tree.points.uv[""]
    texture = read_texture(node.image)
    tree.points.spans.append(float((np.ptp(uv, axis=0) * texture.pixels.shape[1::-1]).max()))
    pixels = sample(texture, uv, node.extension)
    return pixels[:, 3:] if source.name == "Alpha" else pixels[:, :3]


def _flat(uv: Floats) -> Floats:
    return np.concatenate([uv, np.zeros((len(uv), 1))], axis=1)


def _uv_map(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    uv = tree.points.uv
    return _flat(uv.get(node.uv_map, uv[""]))


def _coordinates(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if source.name != "UV":
        raise _UnreadableError(_name(node))
    return _flat(tree.points.uv[""])


def _mapping(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    parts = [node.inputs.get(name) for name in ("Location", "Rotation", "Scale")]
    place, turn, scale = (np.zeros((1, 3)) if part is None else tree.color(part, groups) for part in parts)
    if len(place) > 1 or len(turn) > 1 or len(scale) > 1:
        raise _UnreadableError(_name(node))
    return mapped(node.vector_type, tree.color(node.inputs["Vector"], groups), place[0], turn[0], scale[0])


def _attribute(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    name = node.layer_name if node.type == "VERTEX_COLOR" else node.attribute_name
    if node.type == "ATTRIBUTE" and (node.attribute_type != "GEOMETRY" or not name):
        raise _UnreadableError(_name(node))
    tree.points.spans.append(0.0)
    if tree.points.probing:
        return np.zeros((1, 3))
    if source.name not in ("Color", "Vector") or (name not in tree.points.paint and name not in tree.points.uv):
        raise _UnreadableError(_name(node))
    return tree.points.paint[name] if name in tree.points.paint else _flat(tree.points.uv[name])


def _object(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if source.name != "Color":
        raise _UnreadableError(_name(node))
    return np.array([tree.points.color])


def _math(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.operation not in MATHS:
        raise _UnreadableError(_name(node))
    values = [tree.value(socket, groups) for socket in node.inputs if socket.enabled]
    found = MATHS[node.operation](*values)
    return np.clip(found, 0.0, 1.0) if getattr(node, "use_clamp", False) else found


def _vector_math(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.operation == "SCALE":
        return tree.color(node.inputs[0], groups) * tree.value(node.inputs["Scale"], groups)
    if node.operation not in MATHS:
        raise _UnreadableError(_name(node))
    return MATHS[node.operation](*[tree.color(socket, groups) for socket in node.inputs if socket.enabled])


def _separate(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    color = tree.color(node.inputs[0], groups)
    mode = getattr(node, "mode", "RGB")
    if mode == "HSV":
        color = rgb_to_hsv(color)
    elif mode != "RGB":
        raise _UnreadableError(_name(node))
    return color[:, [list(node.outputs).index(source)]]


def _combine(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    channels = np.broadcast_arrays(*[tree.value(socket, groups) for socket in list(node.inputs)[:3]])
    color = np.concatenate(channels, axis=1)
    mode = getattr(node, "mode", "RGB")
    if mode not in ("RGB", "HSV"):
        raise _UnreadableError(_name(node))
    return hsv_to_rgb(color) if mode == "HSV" else color


def _between(one: Floats, other: Floats, part: Floats) -> Floats:
    mixed: Floats = one * (1.0 - part) + other * part
    return mixed


def _hue(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    turn, saturation, value, part = (
        tree.value(node.inputs[name], groups) for name in ("Hue", "Saturation", "Value", _factor(node))
    )
    color = tree.color(node.inputs["Color"], groups)
    hue, grey, bright = np.split(rgb_to_hsv(color), 3, axis=1)
    parts = np.broadcast_arrays((hue + turn + 0.5) % 1.0, np.clip(grey * saturation, 0.0, 1.0), bright * value)
    turned = hsv_to_rgb(np.concatenate(parts, axis=1))
    return _between(color, turned, part)


def _invert(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    color, part = tree.color(node.inputs["Color"], groups), tree.value(node.inputs[_factor(node)], groups)
    return _between(color, 1.0 - color, part)


def _curves(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    color, part = tree.color(node.inputs["Color"], groups), tree.value(node.inputs[_factor(node)], groups)
    node.mapping.initialize()
    curves, all_of = node.mapping.curves, node.mapping.curves[3]
    bent = np.array(
        [
            [node.mapping.evaluate(curves[i], node.mapping.evaluate(all_of, c)) for i, c in enumerate(row)]
            for row in color
        ]
    )
    return _between(color, bent, part)


def _range(tree: _Tree, node: Any, source: Any, groups: Groups) -> Floats:
    if node.data_type != "FLOAT" or node.interpolation_type != "LINEAR":
        raise _UnreadableError(_name(node))
    value, low, high, start, end = (tree.value(node.inputs[i], groups) for i in range(5))
    part = (value - low) / np.where(high == low, 1.0, high - low)
    found: Floats = start + (np.clip(part, 0.0, 1.0) if node.clamp else part) * (end - start)
    return found


def _factor(node: Any) -> str:
    return "Fac" if "Fac" in node.inputs else "Factor"


_NODES: Mapping[str, Callable[[_Tree, Any, Any, Groups], Floats]] = {
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
    "MAP_RANGE": _range,
    "CLAMP": lambda tree, node, source, groups: np.clip(*(tree.value(node.inputs[i], groups) for i in range(3))),
    "RGBTOBW": lambda tree, node, source, groups: tree.value(node.inputs[0], groups),
    "GAMMA": lambda tree, node, source, groups: gamma(
        tree.color(node.inputs["Color"], groups), tree.value(node.inputs["Gamma"], groups)
    ),
    "BRIGHTCONTRAST": lambda tree, node, source, groups: brightened(
        *(tree.color(node.inputs[i], groups) for i in range(3))
    ),
    "VALTORGB": lambda tree, node, source, groups: ramp(
        node.color_ramp, tree.value(node.inputs[0], groups), source.name == "Alpha"
    ),
}
