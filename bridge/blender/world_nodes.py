# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry nodes that show a world of blocks: as one mesh of the faces that show, or as instances of whole cubes.

The mesh is what exporters, *Convert* and renders of every kind understand. Instances tell where each block is, those
behind others included, and are there in a hundredth of the time, but take ten times as long to draw: a world is read by
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import bpy

_REALIZE = "Realize"
_COLLECTION_INFO = "GeometryNodeCollectionInfo"
_NEAR = 0.25  # of a block: how far from a cell's centre its block may lie


def world_nodes(name: str, cubes: Any, block_size: float, attribute: str, is_realized: bool) -> Any:
    """Makes the nodes that show cubes on points.

    Args:
        name: of the node tree.
        cubes: the collection of cubes of unit size, whose names sort by palette index.
        block_size: edge of a block, in the points' own space.
        attribute: the points' integer attribute that is the palette index.
        is_realized: whether the switch is on to begin with.
    """
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    switch = tree.interface.new_socket(_REALIZE, in_out="INPUT", socket_type="NodeSocketBool")
    switch.default_value = is_realized
    switch.description = "Show one mesh of the faces that show, which can be converted and exported, not instances"
    nodes = _Nodes(tree)
    points, output = nodes.add("NodeGroupInput", 0), nodes.add("NodeGroupOutput", 6)
    instances = _instances(nodes, points.outputs["Geometry"], cubes, block_size, attribute)
    faces = _shown_faces(nodes, points.outputs["Geometry"], instances, block_size)
    chosen = nodes.add("GeometryNodeSwitch", 5)
    chosen.input_type = "GEOMETRY"
    nodes.link(points.outputs[_REALIZE], chosen.inputs["Switch"])
    nodes.link(instances, chosen.inputs["False"])
    nodes.link(faces, chosen.inputs["True"])
    nodes.link(chosen.outputs[0], output.inputs["Geometry"])
    return tree


def instancers(world: Any) -> list[Any]:
    """Returns the modifiers that show cubes on a world's points."""
    return [one for one in world.modifiers if one.type == "NODES" and one.node_group and collections_of(one.node_group)]


def collections_of(tree: Any) -> list[Any]:
    """Returns the collections of cubes that a node tree picks from."""
    picked = [node.inputs["Collection"].default_value for node in tree.nodes if node.bl_idname == _COLLECTION_INFO]
    return [collection for collection in picked if collection is not None]


@contextmanager
def instanced(worlds: Iterable[Any]) -> Iterator[None]:
    """Lets worlds show a whole cube a block for a while, instead of the faces that show."""
    held = [(world, one, key) for world in worlds for one in instancers(world) for key in _switches(one) if one[key]]
    _switch(held, False)
    try:
        yield
    finally:
        _switch(held, True)


def show_instances(world: Any) -> None:
    """Lets a world show a whole cube a block from now on, as its switch *Realize* does."""
    _switch([(world, one, key) for one in instancers(world) for key in _switches(one)], False)


def _switch(held: list[tuple[Any, Any, str]], is_realized: bool) -> None:
    for world, modifier, key in held:
        modifier[key] = is_realized
        world.update_tag()


def _switches(modifier: Any) -> list[str]:
    """Returns the key of a modifier's switch; none for nodes of an earlier version."""
    sockets = [item for item in modifier.node_group.interface.items_tree if item.item_type == "SOCKET"]
    return [str(one.identifier) for one in sockets if one.name == _REALIZE and one.in_out == "INPUT"]


class _Nodes:
    """Adds nodes to a tree, in columns."""

    def __init__(self, tree: Any) -> None:
        self._tree, self._rows = tree, dict[int, int]()

    def add(self, kind: str, column: int) -> Any:
        node = self._tree.nodes.new(kind)
        row = self._rows[column] = self._rows.get(column, 0) + 1
        node.location = (column * 250.0, -200.0 * row)
        return node

    def math(self, operation: str, column: int, *inputs: Any) -> Any:
        """Adds a node of vector maths on sockets, and returns it."""
        node = self.add("ShaderNodeVectorMath", column)
        node.operation = operation
        for number, socket in enumerate(inputs):
            self.link(socket, node.inputs[number])
        return node

    def link(self, output: Any, given: Any) -> None:
        self._tree.links.new(output, given)


def _instances(nodes: _Nodes, points: Any, cubes: Any, block_size: float, attribute: str) -> Any:
    """Returns the socket of a whole cube a point."""
    picked, index = nodes.add(_COLLECTION_INFO, 0), nodes.add("GeometryNodeInputNamedAttribute", 0)
    picked.inputs["Collection"].default_value = cubes
    picked.inputs["Separate Children"].default_value = True
    picked.inputs["Reset Children"].default_value = True
    index.data_type = "INT"
    index.inputs["Name"].default_value = attribute
    instances = nodes.add("GeometryNodeInstanceOnPoints", 1)
    instances.inputs["Pick Instance"].default_value = True
    instances.inputs["Scale"].default_value = (block_size,) * 3
    nodes.link(points, instances.inputs["Points"])
    nodes.link(picked.outputs["Instances"], instances.inputs["Instance"])
    nodes.link(index.outputs["Attribute"], instances.inputs["Instance Index"])
    return instances.outputs["Instances"]


def _shown_faces(nodes: _Nodes, points: Any, instances: Any, block_size: float) -> Any:
    """Returns the socket of a mesh of the cubes without the faces that have a block before them."""
    realized = nodes.add("GeometryNodeRealizeInstances", 4)
    nodes.link(instances, realized.inputs["Geometry"])
    position = nodes.add("GeometryNodeInputPosition", 1).outputs["Position"]
    step = nodes.math("SCALE", 1, nodes.add("GeometryNodeInputNormal", 0).outputs["Normal"])
    step.inputs["Scale"].default_value = block_size / 2.0
    before = nodes.math("ADD", 2, position, step.outputs["Vector"]).outputs["Vector"]  # the next cell's centre
    nearest, place = nodes.add("GeometryNodeSampleNearest", 2), nodes.add("GeometryNodeSampleIndex", 3)
    nodes.link(points, nearest.inputs["Geometry"])
    nodes.link(before, nearest.inputs["Sample Position"])
    place.data_type = "FLOAT_VECTOR"
    nodes.link(points, place.inputs["Geometry"])
    nodes.link(position, place.inputs["Value"])
    nodes.link(nearest.outputs["Index"], place.inputs["Index"])
    away = nodes.math("DISTANCE", 3, before, place.outputs["Value"]).outputs["Value"]
    is_hidden = nodes.add("ShaderNodeMath", 4)
    is_hidden.operation = "LESS_THAN"
    is_hidden.inputs[1].default_value = _NEAR * block_size
    nodes.link(away, is_hidden.inputs[0])
    shown = nodes.add("GeometryNodeDeleteGeometry", 5)
    shown.domain = "FACE"
    nodes.link(realized.outputs["Geometry"], shown.inputs["Geometry"])
    nodes.link(is_hidden.outputs["Value"], shown.inputs["Selection"])
    return shown.outputs["Geometry"]
