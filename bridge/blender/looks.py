# SPDX-License-Identifier: GPL-3.0-or-later
"""What the six faces of a block show as the world sees them: a colour a face, and a tile where a picture lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import FACE_NORMALS, FACE_PLACES, FACE_SLOTS
from blockcore.model.palette import SLOT_NAMES
from bridge.blender.shapes import Box
from bridge.blender.surfaces import Points, surface_color
from bridge.blender.working_space import to_rec709

Floats = npt.NDArray[np.float64]

_PROBE = 8  # places along an edge that tell how fine a face is painted
_MOST_TEXELS = 64
_FINER = 4  # places along a texel where a picture is finer than that
_VISIBLE = 1.0 / 255.0


@dataclass(frozen=True, eq=False)
class Look:
    """What a block shows.

    Attributes:
        colors: (3, 3) display RGB of top, bottom and side.
        tiles: by face, in blockcore's order: (h, w, 4) uint8 display RGBA.
    """

    colors: Floats
    tiles: dict[int, npt.NDArray[np.uint8]]

    @property
    def key(self) -> tuple[Any, ...]:
        """What is equal for looks that cannot be told apart."""
        tiles = tuple((side, tile.shape, tile.tobytes()) for side, tile in self.tiles.items())
        return (np.rint(1023.0 * self.colors).astype(np.int64).tobytes(), tiles)


def facing_side(turn: Floats, direction: int) -> int:
    """Returns which side of a box looks in a direction of the world.

    Args:
        turn: (3, 3): blockcore's axes in those of the box, signed units.
        direction: one of blockcore's six faces.
    """
    local = turn @ FACE_NORMALS[direction]
    axis = int(np.abs(local).argmax())
    return 2 * axis + int(local[axis] < 0.0)


def look(skin: Skin, box: Box, materials: Sequence[Any], turn: Floats, color: tuple[float, ...]) -> Look:
    """Tells what a box shows.

    Args:
        skin: of a mesh.
        box: one of its boxes.
        materials: of its slots; empty where there is none.
        turn: see ``facing_side``.
        color: the object's own colour.

    Raises:
        SceneError: a material cannot be read.
    """
    faces = [_face(skin, box, materials, turn, direction, color) for direction in range(6)]
    averages = np.array([face.mean(axis=(0, 1)) for face in faces])
    linear = np.array([averages[slot == FACE_SLOTS].mean(axis=0) for slot in range(len(SLOT_NAMES))])
    colors = _display(linear)
    tiles = {}
    for direction, face in enumerate(faces):
        shown = _display(face)
        if np.abs(shown - colors[FACE_SLOTS[direction]]).max() > _VISIBLE:
            opaque = np.ones((*shown.shape[:2], 1))
            tiles[direction] = np.rint(255.0 * np.concatenate([shown, opaque], axis=2)).astype(np.uint8)
    return Look(colors, tiles)


def _display(linear: Floats) -> Floats:
    return np.asarray(np.clip(linear_to_srgb(np.clip(to_rec709(linear), 0.0, 1.0)), 0.0, 1.0))


def _face(
    skin: Skin, box: Box, materials: Sequence[Any], turn: Floats, direction: int, color: tuple[float, ...]
) -> Floats:
    """Returns (h, w, 3) scene-linear colours, row 0 on top, (1, 1, 3) where they are the same everywhere."""
    side = facing_side(turn, direction)
    own = [slot_material(materials, index) for index in np.unique(skin.index[box.sides[side]]).tolist()]
    plain = plain_color(own[0], color) if len(own) == 1 else None
    if plain is not None:
        return plain[None]
    surface = _Side(skin, box, side)
    shown, span = surface.show(_grid(turn, box, direction, _PROBE), materials, color)
    texels = max(1, round(span * _PROBE / (_PROBE - 1)))
    if not span:
        return shown.reshape(_PROBE, _PROBE, 3)
    count = texels if texels <= _MOST_TEXELS else _MOST_TEXELS * _FINER
    shown, _ = surface.show(_grid(turn, box, direction, count), materials, color)
    if texels > _MOST_TEXELS:
        return np.asarray(shown.reshape(_MOST_TEXELS, _FINER, _MOST_TEXELS, _FINER, 3).mean(axis=(1, 3)))
    return shown.reshape(count, count, 3)


def slot_material(materials: Sequence[Any], index: int) -> Any:
    """Returns the material that a polygon of that index shows: the last one where there are fewer."""
    return materials[min(index, len(materials) - 1)] if materials else None


def plain_color(material: Any, color: tuple[float, ...]) -> Floats | None:
    """Returns the scene-linear colour, (1, 3), of a material that shows the same everywhere, else None.

    Raises:
        SceneError: it cannot be read.
    """
    points = Points({"": np.zeros((1, 2))}, {}, color, probing=True)
    shown = surface_color(material, points)
    return None if points.spans else shown


def _grid(turn: Floats, box: Box, direction: int, count: int) -> Floats:
    """Returns places on a face in the mesh's space, (count², 3): row by row from its top, as tiles lie."""
    steps = (np.arange(count) + 0.5) / count
    v, u = np.meshgrid(steps, steps, indexing="ij")
    places = np.column_stack([u.ravel(), v.ravel(), np.ones(count**2)]) @ FACE_PLACES[direction] - 0.5
    return np.asarray(places @ turn.T * box.edges + box.center)


@dataclass(frozen=True, eq=False)
class Skin:
    """What of a mesh says which material, and which part of a picture, lies where: copies that outlive the mesh.

    Attributes:
        index: (P,): the material of each polygon.
        loops: (T, 3) corners of the triangles; none where nothing varies over the mesh.
        polygon: (T,): the polygon of each triangle.
        corners: (T, 3, 3): where they are.
        uv: (L, 2) by UV map; "" is the one that renders take.
        paint: (L, 3) scene-linear by colour attribute; "" is the one that renders take.
    """

    index: npt.NDArray[np.int32]
    loops: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    polygon: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    corners: Floats = field(default_factory=lambda: np.zeros((0, 3, 3)))
    uv: dict[str, Floats] = field(default_factory=dict)
    paint: dict[str, Floats] = field(default_factory=dict)


def skin_of(mesh: Any, in_detail: bool) -> Skin:
    """Copies what ``look`` needs of a mesh: all of it ``in_detail``, or what tells plain materials apart."""
    index = read_values(mesh.polygons, "material_index", np.int32)
    if not in_detail:
        return Skin(index)
    mesh.calc_loop_triangles()
    loops = read_values(mesh.loop_triangles, "loops", np.int32, 3)
    vertex = read_values(mesh.loops, "vertex_index", np.int32)
    points = read_values(mesh.vertices, "co", np.float32, 3).astype(np.float64)
    uv = {layer.name: read_values(layer.data, "uv", np.float32, 2).astype(np.float64) for layer in mesh.uv_layers}
    active = next((layer.name for layer in mesh.uv_layers if layer.active_render), None)
    uv[""] = uv[active] if active is not None else np.zeros((len(vertex), 2))
    paint = {}
    for attribute in mesh.color_attributes:
        values = read_values(attribute.data, "color", np.float32, 4)[:, :3].astype(np.float64)
        paint[attribute.name] = values if attribute.domain == "CORNER" else values[vertex]
    if paint:
        paint[""] = list(paint.values())[max(0, mesh.color_attributes.render_color_index)]
    polygon = read_values(mesh.loop_triangles, "polygon_index", np.int32)
    return Skin(index, loops, polygon, points[vertex[loops]], uv, paint)


def read_values(things: Any, name: str, kind: Any, width: int = 1) -> npt.NDArray[Any]:
    """Returns one property of all items of a Blender collection, (n,) or (n, width)."""
    values = np.empty(len(things) * width, dtype=kind)
    things.foreach_get(name, values)
    return values if width == 1 else values.reshape(-1, width)


class _Side:
    """The triangles of one side of a box, to find what lies at a place on it."""

    def __init__(self, skin: Skin, box: Box, side: int) -> None:
        self.skin = skin
        self.across = [axis for axis in range(3) if axis != side // 2]
        here = np.isin(skin.polygon, box.sides[side])
        self.loops = skin.loops[here]
        self.slot = skin.index[skin.polygon[here]]
        self.corners = skin.corners[here][..., self.across]

    def show(self, places: Floats, materials: Sequence[Any], color: tuple[float, ...]) -> tuple[Floats, float]:
        """Returns what is shown at (n, 3) places, (n, 3) scene-linear, and how many texels lie from end to end."""
        triangle, weights = self._locate(places[:, self.across])
        loops, slots = self.loops[triangle], self.slot[triangle]
        shown, span = np.zeros((len(places), 3)), 0.0
        for index in np.unique(slots).tolist():
            here = slots == index
            at = loops[here], weights[here, :, None]
            points = Points(
                {name: (values[at[0]] * at[1]).sum(axis=1) for name, values in self.skin.uv.items()},
                {name: (values[at[0]] * at[1]).sum(axis=1) for name, values in self.skin.paint.items()},
                color,
            )
            shown[here] = surface_color(slot_material(materials, index), points)
            span = max([span, *points.spans])
        return shown, span

    def _locate(self, places: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
        """Returns the triangle of each place (n,) and its barycentric weights there (n, 3)."""
        best, triangle = np.full(len(places), -np.inf), np.zeros(len(places), dtype=np.int64)
        weights = np.zeros((len(places), 3))
        for t, (a, b, c) in enumerate(self.corners):
            first, second, way = b - a, c - a, places - a
            area = first[0] * second[1] - first[1] * second[0] or 1e-30
            v = (way[:, 0] * second[1] - way[:, 1] * second[0]) / area
            w = (first[0] * way[:, 1] - first[1] * way[:, 0]) / area
            found = np.stack([1.0 - v - w, v, w], axis=1)
            inside = found.min(axis=1)
            better = inside > best
            best[better], triangle[better], weights[better] = inside[better], t, found[better]
        return triangle, weights
