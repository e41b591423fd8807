# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender materials and the palette: which material a block shows, its display colours, and materials to show it.

A cube belongs to the palette material that the custom property ``blockcore_material`` names: on its object, its mesh,
or the material on its top. Without the property the materials' names tell: "Grass" or, one a slot, "Grass top",
"Grass bottom" and "Grass side", each with or without Blender's ".001". A cube with materials of several other names is
a material of its own, called by all of them, as in "Moss / Bark".

The materials made here are Principled ones: base colour of that scene-linear value which the Standard view shows as the
palette's colour, rough and without highlights; the same colour serves the solid viewport.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.io.pictures import encode_png
from blockcore.model.display import linear_to_srgb, srgb_to_linear
from blockcore.model.grid import FACE_NAMES, FACE_SLOTS
from blockcore.model.palette import SLOT_NAMES, WEBGPU_PALETTE, Palette
from blockcore.visibility.texels import lay_over
from bridge.blender import marks
from bridge.blender.targets import packed_image

_COPY_SUFFIX = re.compile(r"\.\d{3,}$")
_SLOT_SUFFIX = re.compile(rf"[ _.-]({'|'.join(SLOT_NAMES)})$", re.IGNORECASE)
_TILE = "blockcore_tile"
_SAME_COLOR = 0.5 / 255.0
_UNPAINTED = (0.8, 0.8, 0.8)  # scene-linear; what Blender shows where there is no material


@dataclass(frozen=True)
class Look:
    """What a cube shows.

    Attributes:
        name: the palette material it belongs to, or "" where nothing tells.
        colors: display RGB of its top, bottom and side.
    """

    name: str
    colors: tuple[tuple[float, ...], ...]


def look(obj: Any, slots: tuple[int, int, int]) -> Look:
    """Tells what a cube object shows.

    Args:
        obj: the object, evaluated or not.
        slots: indices of the material slots on its top, bottom and side.
    """
    materials = [_slot_material(obj, slot) for slot in slots]
    name = obj.get(marks.MATERIAL) or obj.data.get(marks.MATERIAL) or _common_name(materials)
    return Look(str(name), tuple(display_color(material) for material in materials))


def palette_of(looks: list[Look]) -> Palette:
    """Builds the palette of the cubes' own materials, or the built-in one if their names are all from it.

    A palette needs two materials to choose from; cubes that show less than that get the built-in one, too.
    """
    own = {found.name: found.colors for found in looks if found.name}
    if len(own) < 2 or own.keys() <= set(WEBGPU_PALETTE.names):
        return WEBGPU_PALETTE
    return Palette(("Air", *own), np.array([np.zeros((3, 3)), *own.values()], dtype=np.float32))


def base_name(name: str) -> str:
    """Returns a material's name without Blender's ".001" and without its slot: "Grass" for "Grass top.001"."""
    return _SLOT_SUFFIX.sub("", _COPY_SUFFIX.sub("", name))


def display_color(material: Any) -> tuple[float, ...]:
    """Returns the display RGB of a material's base colour, in 0…1."""
    linear = _UNPAINTED if material is None else _base_color(material)
    return tuple(np.clip(linear_to_srgb(linear), 0.0, 1.0).tolist())


def block_materials(palette: Palette, index: int) -> list[Any]:
    """Returns Blender materials for the top, bottom and side of a palette material, made where there are none."""
    name, colors = palette.names[index], palette.colors[index]
    if np.ptp(colors, axis=0).max() < _SAME_COLOR:
        return [_find_or_make(name, name, colors[0])] * len(SLOT_NAMES)
    return [_find_or_make(name, f"{name} {slot}", color) for slot, color in zip(SLOT_NAMES, colors, strict=True)]


def face_materials(palette: Palette, index: int) -> list[Any]:
    """Returns Blender materials for the six faces of a palette material, in blockcore's order, tiles included."""
    slots = block_materials(palette, index)
    return [
        _tile_material(palette, index, direction) if (index, direction) in palette.tiles else slots[slot]
        for direction, slot in enumerate(FACE_SLOTS)
    ]


def _slot_material(obj: Any, slot: int) -> Any:
    slots = obj.material_slots
    return slots[min(slot, len(slots) - 1)].material if len(slots) else None


def _common_name(materials: list[Any]) -> str:
    if materials[0] is not None and materials[0].get(marks.MATERIAL):
        return str(materials[0][marks.MATERIAL])
    return " / ".join(dict.fromkeys(base_name(material.name) for material in materials if material is not None))


def _base_color(material: Any) -> tuple[float, ...]:
    tree = material.node_tree
    for node in tree.nodes if tree else ():
        socket = node.inputs.get("Base Color") or (node.inputs.get("Color") if node.type in _COLORED else None)
        if socket is not None and not socket.is_linked:
            return tuple(socket.default_value[:3])
    return tuple(material.diffuse_color[:3])


_COLORED = ("BSDF_DIFFUSE", "EMISSION")


def _find_or_make(block: str, name: str, color: npt.NDArray[np.float32]) -> Any:
    for material in bpy.data.materials:
        same_name = _COPY_SUFFIX.sub("", material.name) == name and material.library is None
        if same_name and np.abs(np.subtract(display_color(material), color)).max() < _SAME_COLOR:
            material[marks.MATERIAL] = block
            return material
    return _make(block, name, color)


def _tile_material(palette: Palette, index: int, direction: int) -> Any:
    """Returns a material that shows a tile over the palette's colour, by the mesh's UVs.

    They are mixed here, as display values; a node would mix scene-linear ones, which looks different.
    """
    name, color = palette.names[index], palette.colors[index, FACE_SLOTS[direction]]
    tile = palette.tiles[index, direction]
    mixed = np.rint(255.0 * lay_over(color.astype(np.float64), tile)).astype(np.uint8)
    label = hashlib.sha256(name.encode() + encode_png(mixed)).hexdigest()
    for material in bpy.data.materials:
        if material.get(_TILE) == label and material.library is None:
            return material
    material = _make(name, f"{name} {FACE_NAMES[direction]}", color)
    material[_TILE] = label
    nodes = material.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = packed_image(f"{name} {FACE_NAMES[direction]} tile", mixed)
    texture.interpolation, texture.extension = "Closest", "EXTEND"
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def _make(block: str, name: str, color: npt.NDArray[np.float32]) -> Any:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # Blender 5 makes it by itself
        material.use_nodes = True
    linear = (*srgb_to_linear(color).tolist(), 1.0)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = linear
    shader.inputs["Roughness"].default_value = 1.0
    shader.inputs["Specular IOR Level"].default_value = 0.0
    material.diffuse_color = linear
    material.roughness = 1.0
    material[marks.MATERIAL] = block
    return material
