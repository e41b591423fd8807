# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender materials and the palette: which material a block shows, its display colours, and materials to show it.

A cube belongs to the palette material that the custom property ``blockcore_material`` names: on its object, its mesh,
or the material on its top. Without the property the materials' names tell: "Grass" or, one a slot, "Grass top",
"Grass bottom" and "Grass side", each with or without Blender's ".001". A cube with materials of several other names is
a material of its own, called by all of them, as in "Moss / Bark". Materials that share a name but not their looks are
different ones and keep their ".001".

The materials made here are Principled ones: base colour of that scene-linear value which the Standard view shows as the
palette's colour, rough and without highlights; the same colour serves the solid viewport.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.pictures import encode_png
from blockcore.model.display import linear_to_srgb, srgb_to_linear
from blockcore.model.grid import FACE_NAMES, FACE_SLOTS
from blockcore.model.palette import AIR, SLOT_NAMES, WEBGPU_PALETTE, Palette, lay_over
from bridge.blender import marks
from bridge.blender.looks import Depends, Look, depends
from bridge.blender.nodes import Points
from bridge.blender.surfaces import surface
from bridge.blender.targets import packed_image
from bridge.blender.working_space import from_rec709, to_rec709
from bridge.names import composed

_COPY_SUFFIX = re.compile(r"\.\d{3,}$")
_SLOT_SUFFIX = re.compile(rf"[ _.-]({'|'.join(SLOT_NAMES)})$", re.IGNORECASE)
_TILE = "blockcore_tile"
_SAME_COLOR = 0.5 / 255.0
_BARE = "No material"
_PLACES = (np.arange(64) + 0.5) / 64


@dataclass(frozen=True)
class Named:
    """What a block is called, by the materials on it.

    Attributes:
        name: of the palette material that it belongs to, or "" where nothing tells.
        full: the same with Blender's ".001", to tell apart what shares a name.
        is_said: whether the custom property says so.
    """

    name: str
    full: str
    is_said: bool


def named(said: str, materials: Sequence[Any]) -> Named:
    """Tells what a block is called.

    Args:
        said: what the custom property of its object or mesh says; may be empty.
        materials: on its top, bottom and side; None where there is none.
    """
    top = materials[0]
    said = said or (str(top.get(marks.MATERIAL, "")) if top is not None else "")
    if said:
        return Named(said, said, True)
    painted = [material for material in materials if material is not None]
    full = [_SLOT_SUFFIX.sub("", material.name) for material in painted]
    base = [base_name(material.name) for material in painted]
    return Named(" / ".join(dict.fromkeys(base)), " / ".join(dict.fromkeys(full)), False)


def palette_of(blocks: Sequence[tuple[Named, Look]]) -> tuple[Palette, list[int]]:
    """Builds the palette of the blocks' own materials; the built-in one where blocks have none, or say they are of it.

    Equal looks of one name are one material, different ones are several.

    Returns:
        The palette, and the index in it of each of ``blocks``.
    """
    names = [block for block, _ in blocks]
    if all(not block.name or (block.name in WEBGPU_PALETTE.names and block.is_said) for block in names):
        return WEBGPU_PALETTE, index_in(WEBGPU_PALETTE, names)
    keys = [(block.name or _BARE, shown.key) for block, shown in blocks]
    first = {key: number for number, key in reversed(list(enumerate(keys)))}
    named_so = {key for key, block in zip(keys, names, strict=True) if block.full == key[0]}
    index: dict[tuple[str, Any], int] = {}
    taken: dict[str, int] = {"Air": AIR}
    for number, key in enumerate(dict.fromkeys(keys), AIR + 1):
        index[key] = number
    # Who is called just so keeps the name, whatever comes before.
    for key in sorted(index, key=lambda key: key not in named_so):
        taken[_free_name(key[0], names[first[key]].full, taken)] = index[key]
    shows = [blocks[first[key]][1] for key in index]
    tiles = {(i, side): tile for i, shown in enumerate(shows, AIR + 1) for side, tile in shown.tiles.items()}
    called = tuple(sorted(taken, key=lambda name: taken[name]))
    palette = Palette(called, np.array([np.zeros((3, 3)), *(shown.colors for shown in shows)]), tiles)
    return palette, [index[key] for key in keys]


def _free_name(base: str, full: str, taken: Mapping[str, int]) -> str:
    wishes = itertools.chain((base, full), (f"{base} ({count})" for count in itertools.count(2)))
    return next(wish for wish in wishes if wish and wish not in taken)


def index_in(palette: Palette, blocks: Sequence[Named]) -> list[int]:
    """Returns the index of each block's material in a given palette: its first where it has none of that name."""
    index = {composed(name): i for i, name in enumerate(palette.names)}
    return [index.get(composed(block.full), index.get(composed(block.name), AIR + 1)) for block in blocks]


def base_name(name: str) -> str:
    """Returns a material's name without Blender's ".001" and without its slot: "Grass" for "Grass top.001"."""
    return _SLOT_SUFFIX.sub("", _COPY_SUFFIX.sub("", name))


def display_color(material: Any) -> tuple[float, ...]:
    """Returns the display RGB that a material shows, in 0…1: of a picture, its average.

    Raises:
        SceneError: it cannot be read.
    """
    v, u = np.meshgrid(_PLACES, _PLACES)
    shown, opaque = surface(material, Points({"": np.stack([u.ravel(), v.ravel()], axis=1)}, {}))
    linear = to_rec709(shown.mean(axis=0) / max(float(opaque.mean()), 1e-6))
    return tuple(np.clip(linear_to_srgb(np.clip(linear, 0.0, 1.0)), 0.0, 1.0).tolist())


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


def _find_or_make(block: str, name: str, color: npt.NDArray[np.float32]) -> Any:
    for material in bpy.data.materials:
        same_name = name in (material.name, _COPY_SUFFIX.sub("", material.name)) and material.library is None
        if same_name and _shows(material, color):
            material[marks.MATERIAL] = block
            return material
    return _make(block, name, color)


def _shows(material: Any, color: npt.NDArray[np.float32]) -> bool:
    try:
        off = np.abs(np.subtract(display_color(material), color)).max()
        return depends(material) == Depends() and bool(off < _SAME_COLOR)
    except SceneError:
        return False


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
    linear = (*from_rec709(srgb_to_linear(color)).tolist(), 1.0)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = linear
    shader.inputs["Roughness"].default_value = 1.0
    shader.inputs["Specular IOR Level"].default_value = 0.0
    material.diffuse_color = linear
    material.roughness = 1.0
    material[marks.MATERIAL] = block
    return material
