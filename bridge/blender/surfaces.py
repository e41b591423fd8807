# SPDX-License-Identifier: GPL-3.0-or-later
"""What a material shows at points of a surface: its node tree, worked out as far as colours and pictures go.

The tree is followed from the Material Output that the render engine takes: through groups, reroutes, muted nodes and
mixes. A shader shows its colour, as if white light fell on it, and what it emits. Transparent parts show what they are
mixed with. What depends on the place on the mesh by a procedure (noise, bricks) is left to ``photographs``; what
depends on anything else (the viewing angle, what lies around) cannot be told and is refused.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from bridge.blender.nodes import NODES, Groups, Points, UnreadableError, describe

Floats = npt.NDArray[np.float64]

_ENGINES = {"CYCLES": "CYCLES", "BLENDER_EEVEE": "EEVEE", "BLENDER_EEVEE_NEXT": "EEVEE"}
UNPAINTED = (0.8, 0.8, 0.8)  # scene-linear; what Blender shows where there is no material
_LUMINANCE = np.array([[0.2126], [0.7152], [0.0722]])
COLORED = {
    "BSDF_DIFFUSE", "BSDF_GLOSSY", "BSDF_ANISOTROPIC", "BSDF_TRANSLUCENT", "BSDF_TOON", "SUBSURFACE_SCATTERING",
    "EEVEE_SPECULAR", "BSDF_METALLIC",
}  # fmt: skip
"""Shaders that show their colour in white light."""
_BLACK, _OPAQUE, _CLEAR = np.zeros((1, 3)), np.ones((1, 1)), np.zeros((1, 1))

Shown = tuple[Floats, Floats]
"""What is shown, (n, 3), times how opaque it is there, and that, (n, 1)."""


def surface(material: Any, points: Points) -> Shown:
    """Returns what a material shows.

    Args:
        material: the Blender material; None for the grey of a bare mesh.
        points: where.

    Returns:
        Scene-linear RGB in the file's working space, at least 0; one row where it is the same everywhere.

    Raises:
        SceneError: it cannot be told; names the material and the node.
    """
    if material is None:
        return np.array([UNPAINTED]), _OPAQUE
    if plain(material):
        return np.array([material.diffuse_color[:3]], dtype=np.float64), _OPAQUE
    output = material.node_tree.get_output_node(_ENGINES.get(bpy.context.scene.render.engine, "ALL"))
    try:
        if output is None:
            return _BLACK, _OPAQUE
        if output.inputs["Volume"].is_linked:
            raise UnreadableError("its volume")
        shown, opaque = _Tree(points).shader(output.inputs["Surface"], ())
    except UnreadableError as error:
        raise SceneError(
            f"material {material.name!r}: {error} cannot be read; bake it into an image texture, or choose a palette"
        ) from None
    except SceneError as error:
        raise SceneError(f"material {material.name!r}: {error}") from None
    return np.maximum(shown, 0.0), opaque


def plain(material: Any) -> bool:
    """Whether a material has a colour only, and no nodes that count."""
    return material.node_tree is None or (bpy.app.version < (5, 0, 0) and not material.use_nodes)


class _Tree:
    """Works out sockets. ``groups`` are the group nodes that a socket lies in, from the outside inwards."""

    def __init__(self, points: Points) -> None:
        self.points = points

    def shader(self, socket: Any, groups: Groups) -> Shown:
        """Returns what a shader shows."""
        source, node, inside, _ = _source(socket, groups)
        if source is None or (node is None and source.type == "SHADER"):
            return _BLACK, _OPAQUE
        if node is None or source.type != "SHADER":  # a colour where a shader is wanted shines
            return self.color(socket, groups), _OPAQUE
        groups = inside
        if node.type == "BSDF_TRANSPARENT":
            return _BLACK, _CLEAR
        if node.type == "EMISSION":
            return self.color(node.inputs["Color"], groups) * self.value(node.inputs["Strength"], groups), _OPAQUE
        if node.type == "BSDF_PRINCIPLED":
            return self._principled(node, groups)
        if node.type in COLORED:
            color = node.inputs.get("Color") or node.inputs.get("Base Color")
            return self.color(color, groups), _OPAQUE
        if node.type == "ADD_SHADER":
            (one, opaque), (other, solid) = (self.shader(node.inputs[i], groups) for i in (0, 1))
            return one + other, np.clip(opaque + solid - 1.0, 0.0, 1.0)  # what lies behind comes through both
        if node.type == "MIX_SHADER":
            return self._mixed(node, groups)
        raise UnreadableError(describe(node))

    def _mixed(self, node: Any, groups: Groups) -> Shown:
        (one, opaque), (other, solid) = (self.shader(node.inputs[i], groups) for i in (1, 2))
        if _alike(one, other) and _alike(opaque, solid):  # whatever the part: the viewing angle's, say
            return one, opaque
        part = np.clip(self.value(node.inputs[0], groups), 0.0, 1.0)
        return one * (1.0 - part) + other * part, opaque * (1.0 - part) + solid * part

    def _principled(self, node: Any, groups: Groups) -> Shown:
        if self._counts(node, "Transmission Weight", groups):
            raise UnreadableError(f"{describe(node)}, which lets light through,")
        if (self.color(node.inputs["Coat Tint"], groups) < 1.0).any() and self._counts(node, "Coat Weight", groups):
            raise UnreadableError(f"{describe(node)}, with a tinted coat,")
        color = self.color(node.inputs["Base Color"], groups)
        strength = node.inputs.get("Emission Strength")
        if strength is not None and (strength.is_linked or strength.default_value):
            glow = node.inputs.get("Emission Color") or node.inputs["Emission"]
            color = color + self.color(glow, groups) * self.value(strength, groups)
        opaque = np.clip(self.value(node.inputs["Alpha"], groups), 0.0, 1.0)
        return color * opaque, opaque

    def _counts(self, node: Any, name: str, groups: Groups) -> bool:
        """Whether an input is above 0 anywhere."""
        return bool((self.value(node.inputs[name], groups) > 0.0).any())

    def value(self, socket: Any, groups: Groups) -> Floats:
        """Returns a number, (n, 1): of a colour, its grey, of a vector, its mean."""
        return _number(*self._found(socket, groups))

    def color(self, socket: Any, groups: Groups) -> Floats:
        """Returns a colour or a vector, (n, 3); a number three times."""
        found, _ = self._found(socket, groups)
        return found if found.shape[1] == 3 else np.repeat(found, 3, axis=1)

    def _found(self, socket: Any, groups: Groups) -> tuple[Floats, str]:
        source, node, groups, is_number = _source(socket, groups)
        if source is None:
            return _CLEAR, "VALUE"
        if node is None:
            return _constant(source), source.type
        work = NODES.get(node.type)
        if work is None:
            raise UnreadableError(describe(node))
        found = np.atleast_2d(work(self, node, source, groups))
        return (_number(found, source.type), "VALUE") if is_number else (found, source.type)


def _alike(one: Floats, other: Floats) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


def _number(found: Floats, kind: str) -> Floats:
    """Returns what a colour, a vector or a number, of a socket's kind, is as a number, (n, 1)."""
    if found.shape[1] == 1:
        return found
    grey: Floats = found @ _LUMINANCE if kind == "RGBA" else found.mean(axis=1, keepdims=True)
    return grey


def _source(socket: Any, groups: Groups) -> tuple[Any, Any, Groups, bool]:
    """Follows a link to where its value comes from: (socket, node, groups, whether it becomes a number on the way).

    The node is None for a constant. A group's own sockets make numbers of colours.

    Behind a muted node that lets nothing through, the socket's own value counts; before Blender 5, behind one that lets
    an own value through, nothing does: the socket is None.
    """
    wanting, is_number = (socket, groups), False
    while True:
        link = next((link for link in socket.links if link.is_valid and not link.is_muted), None)
        if link is None:
            return socket, None, groups, is_number
        output, node = link.from_socket, link.from_node
        if node.type == "REROUTE":
            socket = node.inputs[0]
            if not socket.is_linked:
                return *_unlinked(wanting), is_number
        elif node.mute:
            through = next((one.from_socket for one in node.internal_links if one.to_socket == output), None)
            if through is not None and not through.is_linked and bpy.app.version < (5, 0, 0):
                return None, None, groups, is_number
            if through is None or not through.is_linked:
                return *_unlinked(wanting), is_number
            socket = through
        elif node.type == "GROUP":
            inner = node.node_tree and next(
                (n for n in node.node_tree.nodes if n.type == "GROUP_OUTPUT" and n.is_active_output), None
            )
            if not inner:
                raise UnreadableError(describe(node))
            socket, groups = _same(inner.inputs, output), (*groups, node)
            wanting, is_number = (socket, groups), is_number or socket.type == "VALUE"
        elif node.type == "GROUP_INPUT":
            socket, groups = _same(groups[-1].inputs, output), groups[:-1]
            wanting, is_number = (socket, groups), is_number or socket.type == "VALUE"
        else:
            return output, node, groups, is_number


def _unlinked(wanting: tuple[Any, Groups]) -> tuple[Any, None, Groups]:
    return wanting[0], None, wanting[1]


def _same(sockets: Any, wanted: Any) -> Any:
    return next(socket for socket in sockets if socket.identifier == wanted.identifier)


def _constant(socket: Any) -> Floats:
    value: Any = getattr(socket, "default_value", 0.0)
    return np.array([value[:3] if hasattr(value, "__len__") else [value]], dtype=np.float64)
