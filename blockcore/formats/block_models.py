"""Minecraft's models of blocks: those that are full cubes, as the six tiles that a turned cube shows.

A model is JSON: boxes in a cell of 16 units a side, whose faces name textures, by variables that a child model fills
in. In Minecraft +x is east, +y up and +z south, as in ``blockcore.model.grid``; how pictures lie on faces differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.io.damage import DAMAGE
from blockcore.model.grid import FACE_NAMES, FACE_NORMALS, FACE_PLACES

_FACES = ("east", "west", "up", "down", "south", "north")
"""Minecraft's names of the faces, in the order of ``FACE_NAMES``."""
_RIGHT = np.array([[0, 0, -1], [0, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0], [-1, 0, 0]], np.float64)
_DOWN = np.array([[0, -1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [0, -1, 0], [0, -1, 0]], np.float64)
"""(6, 3): where a picture's right and its lower side point to on each face."""
_UNITS = 16.0
_DEEPEST = 32
Pixels = npt.NDArray[np.uint8]


class LeftOut(Exception):
    """A block that a palette cannot have; its text is the reason."""


@dataclass(frozen=True)
class Turn:
    """How a block's state turns its model, about x, then y, in quarters clockwise as Minecraft counts them.

    Attributes:
        x: quarters about x.
        y: quarters about y.
        locks: whether pictures stay upright while the cube is turned.
    """

    x: int = 0
    y: int = 0
    locks: bool = False

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(3, 3), from the model's axes to the world's."""
        about_x = np.linalg.matrix_power(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), self.x % 4)
        about_y = np.linalg.matrix_power(np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]), self.y % 4)
        return np.asarray(about_y @ about_x)


@dataclass(frozen=True)
class Layer:
    """A picture on one face of a cube.

    Attributes:
        texture: its name.
        corners: left, upper, right and lower border of the part that is shown, in sixteenths of the picture.
        quarters: how often the picture is turned clockwise.
        tinted: whether a biome's colour is laid over it.
    """

    texture: str
    corners: tuple[float, float, float, float] = (0.0, 0.0, _UNITS, _UNITS)
    quarters: int = 0
    tinted: bool = False

    def texels(self, most: int) -> int:
        """Returns how many texels a side the picture may have for the part to have ``most``."""
        left, top, right, low = self.corners
        return max(1, round(most * _UNITS / max(abs(right - left), abs(low - top))))


Cube = tuple[tuple[Layer, ...], ...]
"""For each of the six faces of a model, in the order of ``FACE_NAMES``: its layers, the lowest first."""


@dataclass
class Models:
    """The models of a stack of packs, each read once.

    Attributes:
        load: returns a model's JSON by its full name, or None where there is none.
    """

    load: Callable[[str], Any]
    _cubes: dict[str, Cube | str] = field(default_factory=dict)

    def cube(self, name: str) -> Cube:
        """Returns what a model's six faces show.

        Raises:
            LeftOut: it is no full cube, or lacks something.
        """
        if name not in self._cubes:
            try:
                self._cubes[name] = _cube(*self._resolved(name))
            except LeftOut as reason:
                self._cubes[name] = str(reason)
            except DAMAGE:
                self._cubes[name] = f"has the damaged model {name[:80]}"
        found = self._cubes[name]
        if isinstance(found, str):
            raise LeftOut(found)
        return found

    def _resolved(self, name: str) -> tuple[Any, dict[str, Any]]:
        """Returns a model's boxes and textures: its own, and those of its parents that it does not replace."""
        boxes, textures = None, dict[str, Any]()
        for _ in range(_DEEPEST):
            model = self.load(name)
            if not isinstance(model, dict):
                raise LeftOut("is no full cube" if "builtin/" in name else f"has no model {name[:80]}")
            own = model.get("textures", {})
            textures = {**own, **textures} if isinstance(own, dict) else textures
            boxes = model.get("elements") if boxes is None else boxes
            if "parent" not in model:
                return boxes, textures
            name = full_name(model["parent"])
        raise LeftOut("has models that are each other's parents")


def full_name(name: Any) -> str:
    """Returns a name with its namespace.

    Raises:
        LeftOut: it is no text.
    """
    if not isinstance(name, str):
        raise LeftOut("has a name that is no text")
    return name if ":" in name else f"minecraft:{name}"


def _cube(boxes: Any, textures: Mapping[str, Any]) -> Cube:
    if not isinstance(boxes, list) or not boxes:
        raise LeftOut("is no full cube")
    faces: list[list[Layer]] = [[] for _ in FACE_NAMES]
    for box in boxes:
        if not isinstance(box, dict) or box.get("from") != [0, 0, 0] or box.get("to") != [_UNITS] * 3:
            raise LeftOut("is no full cube")
        if box.get("rotation", {}) not in ({}, None) and box["rotation"].get("angle", 0) != 0:
            raise LeftOut("is no full cube")
        shown = box.get("faces", {})
        for layers, face in zip(faces, _FACES, strict=True):
            if face in shown:
                layers.append(_layer(shown[face], textures))
    if not all(faces):
        raise LeftOut("is no full cube")
    return tuple(map(tuple, faces))


def _layer(face: Any, textures: Mapping[str, Any]) -> Layer:
    name = face["texture"]
    for _ in range(_DEEPEST):
        if isinstance(name, dict):  # since 1.21.5 a texture may say more than its name
            name = name.get("sprite")
        if not isinstance(name, str) or not name.startswith("#"):
            break
        if name[1:] not in textures:
            raise LeftOut(f"has no texture for {name[:40]}")
        name = textures[name[1:]]
    else:
        raise LeftOut("has textures that stand for each other")
    left, top, right, low = (float(value) for value in face.get("uv", (0, 0, _UNITS, _UNITS)))
    if not 0.0 <= min(left, top, right, low) <= max(left, top, right, low) <= _UNITS or left == right or top == low:
        raise LeftOut("shows parts of textures that are not there")
    return Layer(
        full_name(name), (left, top, right, low), _quarters(face.get("rotation", 0)), face.get("tintindex", -1) >= 0
    )


def _quarters(angle: Any) -> int:
    if angle not in (0, 90, 180, 270):
        raise LeftOut("is turned by no quarter")
    return int(angle) // 90


def turn_of(variant: Mapping[str, Any]) -> Turn:
    """Returns how a variant of a block's state turns its model.

    Raises:
        LeftOut: by no quarter turns about x and y.
    """
    if variant.get("z", 0) != 0:
        raise LeftOut("is turned about z")
    return Turn(_quarters(variant.get("x", 0)), _quarters(variant.get("y", 0)), variant.get("uvlock") is True)


def tiles(
    cube: Cube, turn: Turn, picture: Callable[[str, int], Pixels], tint: npt.NDArray[np.float64] | None, most: int
) -> dict[int, Pixels]:
    """Returns the tile of each face of a turned cube, as ``Palette.tiles`` has them.

    Args:
        cube: what the faces of the model show.
        turn: how the cube is turned.
        picture: returns a texture, (h, w, 4) uint8 RGBA, by name, of at most so many texels a side; see ``shrunk``.
        tint: (3,), the colour of the biome, or None where nobody gave one.
        most: texels a side of a tile.

    Raises:
        LeftOut: a face is not opaque, or needs a tint that is not given.
    """
    found = {}
    for direction in range(len(FACE_NAMES)):
        own = int((FACE_NORMALS @ (FACE_NORMALS[direction] @ turn.matrix)).argmax())
        tile: Pixels | None = None
        for layer in cube[own]:
            upper = _shown(picture(layer.texture, layer.texels(most)), layer, direction, own, turn)
            if layer.tinted and tint is None:
                raise LeftOut("needs a tint")
            if layer.tinted and tint is not None:
                upper = np.concatenate([np.rint(upper[..., :3] * tint).astype(np.uint8), upper[..., 3:]], axis=2)
            tile = upper if tile is None else _laid_over(tile, upper)
        if tile is None or tile[..., 3].min() < 255:
            raise LeftOut("is transparent")
        found[direction] = tile
    return found


def _shown(picture: Pixels, layer: Layer, direction: int, own: int, turn: Turn) -> Pixels:
    """Returns what a layer shows on a side of the world: texel by texel, where it lies on the model and its picture."""
    height, width = picture.shape[:2]
    left, top, right, low = np.array(layer.corners) / _UNITS
    count = max(1, round(max(abs(right - left) * width, abs(low - top) * height)))
    steps = (np.arange(count) + 0.5) / count
    v, u = np.meshgrid(steps, steps, indexing="ij")
    places = np.column_stack([u.ravel(), v.ravel(), np.ones(count**2)]) @ FACE_PLACES[direction] - 0.5
    s, t = _on_face(places @ turn.matrix, own)
    locked = 0
    if turn.locks:
        upright = _on_face(places, direction)
        locked = next(k for k in range(4) if np.allclose(_turned(s, t, k), upright))
    s, t = _turned(s, t, layer.quarters)
    s, t = _turned(left + s * (right - left), top + t * (low - top), locked)
    return picture[_texel(t, height), _texel(s, width)].reshape(count, count, 4)


def _on_face(places: npt.NDArray[np.float64], face: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return 0.5 + places @ _RIGHT[face], 0.5 + places @ _DOWN[face]


def _turned(
    s: npt.NDArray[np.float64], t: npt.NDArray[np.float64], quarters: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns which places of a picture lie at (s, t) once it is turned clockwise."""
    for _ in range(quarters):
        s, t = t, 1.0 - s
    return s, t


def _texel(place: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.asarray(np.clip(np.floor(place * count + 1e-9), 0, count - 1).astype(np.int64))


def _laid_over(lower: Pixels, upper: Pixels) -> Pixels:
    side = max(len(lower), len(upper))
    grown = [tile.repeat(side // len(tile), axis=0).repeat(side // len(tile), axis=1) for tile in (lower, upper)]
    below, above = (tile.astype(np.float64) / 255.0 for tile in grown)
    share = above[..., 3:]
    alpha = share + below[..., 3:] * (1.0 - share)
    color = (above[..., :3] * share + below[..., :3] * below[..., 3:] * (1.0 - share)) / np.maximum(alpha, 1e-9)
    return np.asarray(np.rint(255.0 * np.concatenate([color, alpha], axis=2)).astype(np.uint8))


def shrunk(picture: Pixels, most: int) -> Pixels:
    """Returns an RGBA picture of at most so many texels a side: colours averaged as far as they are opaque."""
    height, width = picture.shape[:2]
    if max(height, width) <= most:
        return picture
    values = picture.astype(np.float64)
    values[..., :3] *= values[..., 3:]
    for axis, side in enumerate((height, width)):
        edges = np.arange(min(most, side) + 1) * side // min(most, side)
        counts = np.diff(edges).reshape([-1 if axis == k else 1 for k in range(3)])
        values = np.add.reduceat(values, edges[:-1], axis=axis) / counts
    values[..., :3] /= np.maximum(values[..., 3:], 1e-9)
    return np.rint(values).astype(np.uint8)
