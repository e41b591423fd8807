"""glTF's binary files (.glb), for viewers and engines: one cube a material, which stands wherever a block has it.

``EXT_mesh_gpu_instancing`` says where, in 12 bytes a block. Files named ``….mesh.glb`` are for viewers that lack it:
they have the faces themselves, without those that no camera could see. World space is glTF's own: +Y up, right-handed.
Colours and tiles share one picture, whose texels are never blended.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats.exchange import beside_blocks
from blockcore.io.files import Json, write_file
from blockcore.io.pictures import encode_png
from blockcore.model.grid import (
    FACE_CORNERS,
    FACE_NAMES,
    FACE_NORMALS,
    FACE_SLOTS,
    FACE_UVS,
    TRIANGLE_CORNERS,
    lattice_to_world,
)
from blockcore.model.palette import Palette, lay_over
from blockcore.model.scene import BlockScene

_INSTANCING = "EXT_mesh_gpu_instancing"
_PLAIN = ".mesh.glb"
_FLOAT, _SHORT, _INT = 5126, 5123, 5125
_KINDS = {np.dtype(np.float32): _FLOAT, np.dtype(np.uint16): _SHORT, np.dtype(np.uint32): _INT}
_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}
_VERTICES, _INDICES = 34962, 34963
_NEAREST, _CLAMPED = 9728, 33071
_LARGEST_PICTURE = 8192
_INSET = 1.0 / 64.0  # of a texel: no rounding reaches the neighbour's
_MAGIC, _VERSION, _JSON, _BINARY = b"glTF", 2, b"JSON", b"BIN\0"


class GlbFile:
    """The format; see ``blockcore.formats.Format``."""

    name = "glTF"
    suffixes = (".glb",)
    holds = BlockScene
    marker = ""
    is_read, is_written = False, True

    def write(self, path: Path, what: BlockScene) -> tuple[str, ...]:
        """Writes a file, of cubes or, where its name says so, of faces."""
        pack = pack_faces if path.name.lower().endswith(_PLAIN) else pack_cubes
        write_file(path, pack(what))
        return beside_blocks(what)


FORMAT = GlbFile()


def pack_cubes(scene: BlockScene) -> bytes:
    """Returns a file with a cube for each material that blocks have, placed at all of them.

    Raises:
        ValueError: the palette's tiles do not fit into one picture.
    """
    file = _File(scene)
    corners = FACE_CORNERS.reshape(-1, 3).astype(np.float32) * np.float32(scene.grid.world_scale)
    shared: Json = {
        "POSITION": file.accessor(corners, _VERTICES, bounded=True),
        "NORMAL": file.accessor(FACE_NORMALS.astype(np.float32).repeat(4, axis=0), _VERTICES),
    }
    index = file.accessor(_indices(len(FACE_NAMES), np.uint16), _INDICES)
    places = lattice_to_world(scene.grid.positions, scene.grid.size, scene.grid.world_scale)
    order = np.argsort(scene.materials, kind="stable")
    ends = np.cumsum(np.bincount(scene.materials, minlength=len(scene.palette)))
    for material, blocks in enumerate(np.split(order, ends[:-1])):
        if not len(blocks):
            continue
        uv = file.accessor(file.uv[material].reshape(-1, 2), _VERTICES)
        at = file.accessor(places[blocks], None)
        file.add(material, shared | {"TEXCOORD_0": uv}, index, {_INSTANCING: {"attributes": {"TRANSLATION": at}}})
    return file.packed([_INSTANCING])


def pack_faces(scene: BlockScene) -> bytes:
    """Returns a file with the faces that a camera could see, a mesh for each material.

    Raises:
        ValueError: the palette's tiles do not fit into one picture.
    """
    file, faces = _File(scene), scene.grid.exposed_faces
    of_face = scene.materials[faces.block]
    order = np.argsort(of_face, kind="stable")
    ends = np.cumsum(np.bincount(of_face, minlength=len(scene.palette)))
    corners = faces.corners()
    for material, some in enumerate(np.split(order, ends[:-1])):
        if not len(some):
            continue
        attributes = {
            "POSITION": file.accessor(corners[some].reshape(-1, 3), _VERTICES, bounded=True),
            "TEXCOORD_0": file.accessor(file.uv[material, faces.direction[some]].reshape(-1, 2), _VERTICES),
        }
        file.add(material, attributes, file.accessor(_indices(len(some), np.uint32), _INDICES), {})
    return file.packed([])


def _indices(faces: int, kind: type[Any]) -> npt.NDArray[Any]:
    corners = np.arange(4 * faces, dtype=kind).reshape(-1, 4)
    return np.ascontiguousarray(corners[:, TRIANGLE_CORNERS.ravel()].ravel())


class _File:
    """A file as it grows: what its JSON lists, and the bytes that follow it."""

    def __init__(self, scene: BlockScene) -> None:
        self._bytes: list[bytes] = []
        self._length = 0
        self.views: list[Json] = []
        self.accessors: list[Json] = []
        self.nodes: list[Json] = []
        self.meshes: list[Json] = []
        self.materials: list[Json] = []
        self._names = scene.palette.names
        picture, self.uv = atlas(scene.palette, np.unique(scene.materials))
        self._picture = self._view(encode_png(picture), None)

    def _view(self, data: bytes, target: int | None) -> int:
        self.views.append(
            {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)} | ({"target": target} if target else {})
        )
        padded = data + bytes(-len(data) % 4)
        self._bytes.append(padded)
        self._length += len(padded)
        return len(self.views) - 1

    def accessor(self, values: npt.NDArray[Any], target: int | None, bounded: bool = False) -> int:
        """Adds an array, (n,) or (n, 2 or 3), and returns its number.

        Args:
            values: float32, uint16 or uint32.
            target: what a GPU uses it for.
            bounded: whether its bounds are told, too.
        """
        width = 1 if values.ndim == 1 else values.shape[1]
        entry: Json = {
            "bufferView": self._view(values.tobytes(), target),
            "componentType": _KINDS[values.dtype],
            "count": len(values),
            "type": _SHAPES[width],
        }
        if bounded:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def add(self, material: int, attributes: Json, index: int, extensions: Json) -> None:
        """Adds a mesh of a material, and a node that shows it."""
        name = self._names[material]
        shade = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
        self.materials.append({"name": name, "pbrMetallicRoughness": shade})
        primitive = {"attributes": attributes, "indices": index, "material": len(self.materials) - 1}
        self.meshes.append({"name": name, "primitives": [primitive]})
        node: Json = {"name": name, "mesh": len(self.meshes) - 1}
        self.nodes.append(node | ({"extensions": extensions} if extensions else {}))

    def packed(self, extensions: list[str]) -> bytes:
        """Returns the whole file."""
        told: Json = {
            "asset": {"version": "2.0", "generator": "blockcore"},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self.nodes)))} if self.nodes else {}],
            "buffers": [{"byteLength": self._length}],
            "bufferViews": self.views,
        }
        if self.nodes:
            told |= {
                "accessors": self.accessors,
                "nodes": self.nodes,
                "meshes": self.meshes,
                "materials": self.materials,
                "textures": [{"source": 0, "sampler": 0}],
                "images": [{"bufferView": self._picture, "mimeType": "image/png"}],
                "samplers": [
                    {"magFilter": _NEAREST, "minFilter": _NEAREST, "wrapS": _CLAMPED, "wrapT": _CLAMPED},
                ],
            }
        if extensions and self.nodes:
            told |= {"extensionsUsed": extensions, "extensionsRequired": extensions}
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = [(_JSON, text), (_BINARY, b"".join(self._bytes))]
        body = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks)
        return struct.pack("<4sII", _MAGIC, _VERSION, 12 + len(body)) + body


def atlas(palette: Palette, used: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Lays what faces show into one picture.

    Args:
        palette: M materials.
        used: those whose faces are wanted.

    Returns:
        The picture, (S, S, 3) uint8, and where each face's corners lie in it, (M, 6, 4, 2) float32, in the order of
        ``FACE_UVS``.

    Raises:
        ValueError: it would have more than ``_LARGEST_PICTURE`` texels a side.
    """
    shown: dict[bytes, npt.NDArray[np.uint8]] = {}
    key_of: dict[tuple[int, int], bytes] = {}
    for material in used.tolist():
        for direction in range(len(FACE_NAMES)):
            tile = _opaque(palette, material, direction)
            key = struct.pack("<HH", *tile.shape[:2]) + tile.tobytes()
            shown.setdefault(key, tile)
            key_of[material, direction] = key
    side, corner_of = _shelves(shown)
    if side > _LARGEST_PICTURE:
        raise ValueError(f"its tiles need a picture of {side} texels a side, {_LARGEST_PICTURE} are allowed; use fewer")
    picture = np.zeros((side, side, 3), np.uint8)
    for key, (top, left) in corner_of.items():
        height, width = shown[key].shape[:2]
        picture[top : top + height, left : left + width] = shown[key]
    uv = np.zeros((len(palette), len(FACE_NAMES), 4, 2), np.float32)
    for (material, direction), key in key_of.items():
        size = np.array(shown[key].shape[1::-1])
        inner = np.clip(FACE_UVS[direction] * size, _INSET, size - _INSET)
        uv[material, direction] = (inner + corner_of[key][::-1]) / side
    return picture, uv


def _opaque(palette: Palette, material: int, direction: int) -> npt.NDArray[np.uint8]:
    """Returns what a face shows, (h, w, 3): its tile over its colour, or one texel of the colour."""
    color = palette.colors[material, FACE_SLOTS[direction]].astype(np.float64)
    tile = palette.tiles.get((material, direction))
    values = color[None, None] if tile is None else lay_over(color, tile)
    return np.asarray(np.rint(255.0 * values).astype(np.uint8))


def _shelves(tiles: dict[bytes, npt.NDArray[np.uint8]]) -> tuple[int, dict[bytes, tuple[int, int]]]:
    """Returns the side, a power of two, of a picture that takes all tiles, and the row and column of each in it."""
    area = sum(tile.shape[0] * tile.shape[1] for tile in tiles.values())
    side = 1 << max(0, int(np.ceil(np.log2(max(1, area)) / 2)))
    ordered = sorted(tiles, key=lambda key: tiles[key].shape[:2], reverse=True)
    while True:
        places: dict[bytes, tuple[int, int]] = {}
        top = left = shelf = 0
        for key in ordered:
            height, width = tiles[key].shape[:2]
            if left + width > side:
                top, left, shelf = top + shelf, 0, 0
            places[key] = top, left
            left, shelf = left + width, max(shelf, height)
        if top + shelf <= side and all(tile.shape[1] <= side for tile in tiles.values()):
            return side, places
        side *= 2
