# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of materials that shine with what ``surfaces`` says materials show: their colours, whatever the light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from bridge.blender.surfaces import COLORED, UNPAINTED, plain


@contextmanager
def glowing(material: Any) -> Iterator[Any]:
    """Yields a copy of a material of which each shader emits its colour; nothing of it stays in the file.

    Args:
        material: of the file or of a library; None for the grey of a bare mesh.
    """
    is_plain = material is None or plain(material)
    copy = bpy.data.materials.new("blockcore glow") if is_plain else material.copy()
    groups: list[Any] = []
    try:
        if is_plain:
            _paint(copy, UNPAINTED if material is None else material.diffuse_color[:3])
        else:
            _light_up(copy.node_tree, groups)
        yield copy
    finally:
        bpy.data.materials.remove(copy)
        for group in groups:
            bpy.data.node_groups.remove(group)


def _paint(copy: Any, color: Any) -> None:
    copy.use_nodes = True  # Blender 5 has them by itself
    nodes = copy.node_tree.nodes
    nodes.clear()
    light, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    light.inputs["Color"].default_value = (*color, 1.0)
    copy.node_tree.links.new(light.outputs[0], out.inputs["Surface"])


def _light_up(tree: Any, groups: list[Any]) -> None:
    for node in list(tree.nodes):
        if node.mute:
            continue
        if node.type == "GROUP" and node.node_tree is not None:
            node.node_tree = node.node_tree.copy()
            groups.append(node.node_tree)
            _light_up(node.node_tree, groups)
        elif node.type == "OUTPUT_MATERIAL":
            _unlink(tree, node.inputs["Displacement"])
        elif node.type == "BSDF_TRANSPARENT":
            _unlink(tree, node.inputs["Color"])
            node.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
        elif node.type == "BSDF_PRINCIPLED":
            _replace(tree, node, _principled(tree, node))
        elif node.type in COLORED:
            color = node.inputs.get("Color") or node.inputs["Base Color"]
            _replace(tree, node, _emission(tree, color, None))


def _principled(tree: Any, node: Any) -> Any:
    """Returns the output of: colour and emission, as opaque as the node says."""
    base = _emission(tree, node.inputs["Base Color"], None)
    glow = _emission(
        tree, node.inputs.get("Emission Color") or node.inputs["Emission"], node.inputs["Emission Strength"]
    )
    both, mixed = tree.nodes.new("ShaderNodeAddShader"), tree.nodes.new("ShaderNodeMixShader")
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    tree.links.new(base, both.inputs[0])
    tree.links.new(glow, both.inputs[1])
    _pass_on(tree, node.inputs["Alpha"], mixed.inputs[0])
    tree.links.new(clear.outputs[0], mixed.inputs[1])
    tree.links.new(both.outputs[0], mixed.inputs[2])
    return mixed.outputs[0]


def _emission(tree: Any, color: Any, strength: Any) -> Any:
    light = tree.nodes.new("ShaderNodeEmission")
    _pass_on(tree, color, light.inputs["Color"])
    if strength is not None:
        _pass_on(tree, strength, light.inputs["Strength"])
    return light.outputs[0]


def _pass_on(tree: Any, given: Any, wanting: Any) -> None:
    """Gives a socket the value of another one."""
    wanting.default_value = given.default_value
    for link in list(given.links):
        fresh = tree.links.new(link.from_socket, wanting)
        fresh.is_muted = link.is_muted


def _replace(tree: Any, node: Any, output: Any) -> None:
    for link in list(node.outputs[0].links):
        tree.links.new(output, link.to_socket)


def _unlink(tree: Any, socket: Any) -> None:
    for link in list(socket.links):
        tree.links.remove(link)
