# SPDX-License-Identifier: GPL-3.0-or-later
"""What the six faces of a block show as the world sees them: a colour a face, and a tile where a picture lies on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import FACE_NORMALS, FACE_PLACES, FACE_SLOTS
from blockcore.model.palette import SLOT_NAMES
from bridge.blender.nodes import Points
from bridge.blender.photographs import Surface, photographed
from bridge.blender.shapes import BEVEL, Box
from bridge.blender.surfaces import Shown, surface
from bridge.blender.textures import Album
from bridge.blender.working_space import to_rec709

Floats = npt.NDArray[np.float64]

_PROBE = 8  # places along an edge that tell how fine a face is painted
_MOST_TEXELS = 64
_FINER = 2  # places along a texel of a tile
_VISIBLE = 1.0 / 255.0
_CLEAR = 1e-3  # opacity
_ALIKE = 1e4  # steps of a unit that tell places and colours apart


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


@dataclass(frozen=True, eq=False)
class Sight:
    """A box to look at.

    Attributes:
        skin: of a mesh.
        box: one of its boxes.
        materials: of its slots; empty where there is none.
        turn: see ``facing_side``.
        axes: (3, 3): blockcore's axes in Blender's world.
        color: the object's own colour.
    """

    skin: Skin
    box: Box
    materials: tuple[Any, ...]
    turn: Floats
    axes: Floats
    color: tuple[float, ...]


def looks(sights: Sequence[Sight]) -> list[Look]:
    """Tells what boxes show.

    Raises:
        SceneError: a material cannot be read, or nothing of a box is to be seen.
    """
    album = Album()
    asked = {one: depends(one) for one in dict.fromkeys(m for sight in sights for m in sight.materials)}
    procedural = [any(asked[one].procedure for one in sight.materials) for sight in sights]
    taken = [_surfaces(sight, album) for sight, by_cycles in zip(sights, procedural, strict=True) if by_cycles]
    pictures = iter(photographed([one for faces in taken for one in faces]))
    found = []
    for sight, by_cycles in zip(sights, procedural, strict=True):
        faces = [next(pictures) if by_cycles else _face(sight, direction, album) for direction in range(6)]
        found.append(_look(faces, sight.materials))
    return found


def _surfaces(sight: Sight, album: Album) -> list[Surface]:
    """Returns a box's faces for ``photographed``, if all its materials can be read but for what Cycles alone can."""
    for index in np.unique(sight.skin.index[np.concatenate(sight.box.sides)]).tolist():
        material = slot_material(sight.materials, index)
        if _probed(material, sight.color, album)[0].asks_world:  # pictures are taken of it lying flat
            raise SceneError(
                f"material {material.name!r}: a procedure by the world's directions, as it has, cannot be read; "
                f"bake it into an image texture, or choose a palette"
            )
    return [_surface(sight, direction) for direction in range(6)]


def _look(faces: Sequence[Floats], materials: Sequence[Any]) -> Look:
    sums = np.array([face.mean(axis=(0, 1)) for face in faces])
    if sums[:, 3].max() < _CLEAR:
        names = " and ".join(dict.fromkeys(repr(one.name) for one in materials if one is not None))
        raise SceneError(
            f"material {names}: is wholly transparent, so that renders show no block; leave such cubes out"
        )
    slots = [_straight(sums[slot == FACE_SLOTS].sum(axis=0)) for slot in range(len(SLOT_NAMES))]
    everywhere = _straight(sums.sum(axis=0))
    colors = _display(np.array([everywhere if one is None else one for one in slots]))
    tiles = {}
    for direction, face in enumerate(faces):
        opaque = face[..., 3] > _CLEAR
        shown = np.zeros((*opaque.shape, 3))
        shown[opaque] = _display(face[opaque, :3] / face[opaque, 3:])
        if np.abs(shown - colors[FACE_SLOTS[direction]])[opaque].max(initial=0.0) > _VISIBLE:
            tiles[direction] = np.rint(255.0 * np.dstack([shown, opaque])).astype(np.uint8)
    return Look(colors, tiles)


def _straight(face: Floats) -> Floats | None:
    """Returns the colour (..., 3) of one that is multiplied with its opacity (..., 4); None where that is 0."""
    return face[:3] / face[3] if face[3] > _CLEAR else None


def _display(linear: Floats) -> Floats:
    return np.asarray(np.clip(linear_to_srgb(np.clip(to_rec709(linear), 0.0, 1.0)), 0.0, 1.0))


def _surface(sight: Sight, direction: int) -> Surface:
    """Returns one of blockcore's six faces for ``photographed``: of a bevelled one, what lies inside the bevel."""
    skin, box = sight.skin, sight.box
    here = np.isin(skin.polygon, box.sides[facing_side(sight.turn, direction)])
    loops = skin.loops[here].ravel()
    frame = np.eye(4)
    first, across, down = _places(sight.turn, box, direction, np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
    outward = box.axes @ sight.turn @ FACE_NORMALS[direction]
    frame[:3] = np.column_stack([across - first, down - first, outward * box.edges.max(), first])
    places = (np.linalg.inv(frame)[:2] @ np.insert(skin.corners[here].reshape(-1, 3), 3, 1.0, axis=1).T).T
    low, high = places.min(axis=0), places.max(axis=0)
    if (high - low).min() < 1.0 - 3.0 * BEVEL:  # no side of a bevelled box
        low, high = np.zeros(2), np.ones(2)
    inside = np.diag([*(high - low), 1.0, 1.0])
    inside[:2, 3] = low
    return Surface(
        skin.corners[here],
        skin.index[skin.polygon[here]],
        {name: values[loops] for name, values in skin.uv.items() if name},
        {name: values[loops] for name, values in skin.paint.items() if name},
        (_rendered(skin.uv), _rendered(skin.paint)),
        skin.texture_space,
        sight.materials,
        sight.color,
        frame @ inside,
    )


def _rendered(layers: Mapping[str, Floats]) -> str:
    return next((name for name, values in layers.items() if name and values is layers.get("")), "")


def _face(sight: Sight, direction: int, album: Album) -> Floats:
    """Returns (h, w, 4) scene-linear colours times opacity, and that, row 0 on top; (1, 1, 4) where they are one."""
    skin, box, materials, turn, color = sight.skin, sight.box, sight.materials, sight.turn, sight.color
    side = facing_side(turn, direction)
    own = [slot_material(materials, index) for index in np.unique(skin.index[box.sides[side]]).tolist()]
    plain = plain_color(own[0], color, album) if len(own) == 1 else None
    if plain is not None:
        return plain[None]
    normal = FACE_NORMALS[direction]
    surface = _Side(skin, box, side, np.array([box.axes @ turn @ normal, sight.axes @ normal]))

    def shown(count: int) -> tuple[Floats, float]:
        found, span = surface.show(_grid(turn, box, direction, count), materials, color, album)
        return found.reshape(count, count, 4), span

    coarse, span = shown(_PROBE)
    if not span:
        return coarse
    texels = max(1, round(span * _PROBE / (_PROBE - 1)))
    finer = _FINER if texels <= _MOST_TEXELS else 2 * _FINER
    for count in (min(_MOST_TEXELS, texels), min(_MOST_TEXELS, 2 * texels)):
        parts = shown(count * finer)[0].reshape(count, finer, count, finer, 4).transpose(0, 2, 1, 3, 4)
        if np.ptp(parts, axis=(2, 3)).max() < _VISIBLE:  # texels of the tile are texels of the picture
            break
    return np.asarray(parts.mean(axis=(2, 3)))


def slot_material(materials: Sequence[Any], index: int) -> Any:
    """Returns the material that a polygon of that index shows: the last one where there are fewer."""
    return materials[min(index, len(materials) - 1)] if materials else None


def plain_color(material: Any, color: tuple[float, ...], album: Album) -> Floats | None:
    """Returns the scene-linear colour times opacity, and that, (1, 4), of a material that shows the same everywhere.

    None where it does not.

    Raises:
        SceneError: it cannot be read.
    """
    points, shown = _probed(material, color, album)
    return None if points.spans else shown


@dataclass(frozen=True)
class Depends:
    """What it depends on what materials show.

    Attributes:
        surface: on the place in a picture, or on the mesh.
        place: on where in the mesh it is.
        object: on the object's own colour.
        procedure: on what Cycles alone works out.
    """

    surface: bool = False
    place: bool = False
    object: bool = False
    procedure: bool = False

    def __or__(self, other: Depends) -> Depends:
        return Depends(*(one or another for one, another in zip(astuple(self), astuple(other), strict=True)))


def depends(material: Any) -> Depends:
    """Tells what a material's looks depend on; of one that cannot be read, all: they are asked for later."""
    try:
        points, _ = _probed(material, (1.0, 1.0, 1.0), Album())
    except SceneError:
        return Depends(True, True, True)
    return Depends(bool(points.spans), points.asks_place, points.asks_object, points.asks_procedure)


def signature(skin: Skin, box: Box, by_place: bool) -> bytes:
    """Returns what is equal for boxes, of one mesh or of several, that look alike."""
    inside = np.isin(skin.polygon, np.concatenate(box.sides))
    loops = skin.loops[inside]
    corners = skin.corners[inside] - (0.0 if by_place else box.center)
    names = "\n".join([*skin.uv, "", *skin.paint, _rendered(skin.uv), _rendered(skin.paint)]).encode()
    parts = [
        corners @ box.axes,
        *([skin.texture_space] if by_place else []),
        *(values[loops] for values in (*skin.uv.values(), *skin.paint.values())),
    ]
    numbers = np.concatenate([np.rint(_ALIKE * part).ravel() for part in parts])
    return bytes(names + numbers.astype(np.int64).tobytes() + skin.index[skin.polygon[inside]].tobytes())


def _probed(material: Any, color: tuple[float, ...], album: Album) -> tuple[Points, Floats]:
    points = Points({"": np.zeros((1, 2))}, {}, color=color, album=album, probing=True)
    return points, _joined(surface(material, points))


def _joined(shown: Shown) -> Floats:
    color, opaque = np.broadcast_arrays(*shown)[0], shown[1]
    return np.concatenate([color, np.broadcast_to(opaque, (len(color), 1))], axis=1)


def _grid(turn: Floats, box: Box, direction: int, count: int) -> Floats:
    """Returns places on a face in the mesh's space, (count², 3): row by row from its top, as tiles lie."""
    steps = (np.arange(count) + 0.5) / count
    v, u = np.meshgrid(steps, steps, indexing="ij")
    return _places(turn, box, direction, np.column_stack([u.ravel(), v.ravel()]))


def _places(turn: Floats, box: Box, direction: int, uv: Floats) -> Floats:
    """Returns the places (n, 3) in the mesh's space of a face's texture coordinates (n, 2)."""
    within = np.insert(uv, 2, 1.0, axis=1) @ FACE_PLACES[direction] - 0.5
    return np.asarray((within @ turn.T * box.edges) @ box.axes.T + box.center)


@dataclass(frozen=True, eq=False)
class Skin:
    """What of a mesh says which material, and which part of a picture, lies where: copies that outlive the mesh.

    Attributes:
        index: (P,): the material of each polygon.
        loops: (T, 3) corners of the triangles; none where nothing varies over the mesh.
        polygon: (T,): the polygon of each triangle.
        corners: (T, 3, 3): where they are.
        uv: (L, 2) by UV map; "" is the one that renders take.
        paint: (L, 3) or (L, 1) by attribute, colours scene-linear; "" is the colour that renders take.
        texture_space: (2, 3): the mesh's, its middle and half its size.
    """

    index: npt.NDArray[np.int32]
    loops: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    polygon: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    corners: Floats = field(default_factory=lambda: np.zeros((0, 3, 3)))
    uv: dict[str, Floats] = field(default_factory=dict)
    paint: dict[str, Floats] = field(default_factory=dict)
    texture_space: Floats = field(default_factory=lambda: np.array([np.zeros(3), np.ones(3)]))


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
    polygon = read_values(mesh.loop_triangles, "polygon_index", np.int32)
    paint = _attributes(mesh, vertex)
    space = np.array([mesh.texspace_location, mesh.texspace_size], dtype=np.float64)
    return Skin(index, loops, polygon, points[vertex[loops]], uv, paint, space)


_VALUES: Mapping[str, tuple[str, type, int]] = {
    "FLOAT": ("value", np.float32, 1),
    "INT": ("value", np.int32, 1),
    "BOOLEAN": ("value", np.bool_, 1),
    "FLOAT_VECTOR": ("vector", np.float32, 3),
    "FLOAT_COLOR": ("color", np.float32, 4),
    "BYTE_COLOR": ("color", np.float32, 4),
}


def _attributes(mesh: Any, vertex: npt.NDArray[np.int32]) -> dict[str, Floats]:
    """Returns the mesh's attributes by corner."""
    paint = {}
    for attribute in mesh.attributes:
        if attribute.data_type not in _VALUES or attribute.name.startswith(".") or attribute.domain == "EDGE":
            continue
        name, kind, width = _VALUES[attribute.data_type]
        values = read_values(attribute.data, name, kind, width).reshape(len(attribute.data), width)
        values = values[:, :3].astype(np.float64)
        if attribute.domain == "POINT":
            values = values[vertex]
        elif attribute.domain == "FACE":
            values = np.repeat(values, read_values(mesh.polygons, "loop_total", np.int32), axis=0)
        paint[attribute.name] = values
    if len(mesh.color_attributes):
        paint[""] = paint[mesh.color_attributes[max(0, mesh.color_attributes.render_color_index)].name]
    return paint


def read_values(things: Any, name: str, kind: Any, width: int = 1) -> npt.NDArray[Any]:
    """Returns one property of all items of a Blender collection, (n,) or (n, width)."""
    values = np.empty(len(things) * width, dtype=kind)
    things.foreach_get(name, values)
    return values if width == 1 else values.reshape(-1, width)


class _Side:
    """The triangles of one side of a box, to find what lies at a place on it."""

    def __init__(self, skin: Skin, box: Box, side: int, facing: Floats) -> None:
        self.skin, self.facing = skin, facing
        self.across = np.delete(box.axes, side // 2, axis=1)
        here = np.isin(skin.polygon, box.sides[side])
        self.loops = skin.loops[here]
        self.slot = skin.index[skin.polygon[here]]
        self.corners = skin.corners[here] @ self.across

    def show(
        self, places: Floats, materials: Sequence[Any], color: tuple[float, ...], album: Album
    ) -> tuple[Floats, float]:
        """Returns what is shown at (n, 3) places, (n, 4) as ``_face`` has it, and the texels from end to end."""
        triangle, weights = self._locate(places @ self.across)
        loops, slots = self.loops[triangle], self.slot[triangle]
        shown, span = np.zeros((len(places), 4)), 0.0
        for index in np.unique(slots).tolist():
            here = slots == index
            at = loops[here], weights[here, :, None]
            points = Points(
                {name: (values[at[0]] * at[1]).sum(axis=1) for name, values in self.skin.uv.items()},
                {name: (values[at[0]] * at[1]).sum(axis=1) for name, values in self.skin.paint.items()},
                places[here],
                self.skin.texture_space,
                self.facing,
                color,
                album,
            )
            shown[here] = _joined(surface(slot_material(materials, index), points))
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
