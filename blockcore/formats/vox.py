"""MagicaVoxel's files (.vox): models of coloured voxels, placed by a graph of turns and shifts.

The layout is that of https://github.com/ephtracy/voxel-model. There z is up; here y is, and z is its -y. Half a model's
size, in whole voxels, is taken from a voxel's centre; then what is above it in the graph turns and shifts it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats.exchange import beside_blocks, face_mean
from blockcore.io.files import read_bytes, write_file
from blockcore.model.grid import MAX_SIDE, BlockGrid
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene

_LARGEST = 1 << 28  # bytes
_SIDE = 256
"""The longest side of a model."""
_COLORS = 255
_DEEPEST = 100
_MOST_PLACED = 100_000
"""The most models that a graph may place."""
_MOST_CHUNKS = 1 << 17
"""The most chunks that a file may have: two a model, and two wherever it is placed."""
_VERSION = 150
_CHUNK, _NUMBER = struct.Struct("<4sii"), struct.Struct("<i")
_NO_TURN = 0b0000100  # rows x, y, z, none turned round
_MOST_VOXELS = 1 << 22
"""The most voxels that the models may have where they are placed."""


@dataclass
class _File:
    """What the chunks of a file say."""

    sizes: list[tuple[int, ...]] = field(default_factory=list)
    voxels: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    colors: npt.NDArray[np.uint8] | None = None
    nodes: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    hidden_layers: set[int] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def unpack(data: bytes) -> tuple[BlockScene, tuple[str, ...]]:
    """Reads a file; where models overlap, a later one's voxels stand.

    Returns:
        A scene whose materials are the file's colours, ``color 1`` to ``color 255``, and what was left out.

    Raises:
        ValueError: it is damaged, too large, or no such file.
    """
    found = _File()
    for name, content in _chunks(data):
        _take(found, name, content)
    if not found.sizes or len(found.sizes) != len(found.voxels):
        raise ValueError("has no model, or one without a size")
    placed, hidden, frames = _placed(found)
    if sum(len(found.voxels[model]) for model, _, _ in placed) > _MOST_VOXELS:
        raise ValueError(f"has more than {_MOST_VOXELS} voxels; cut it into several")
    parts = [_put(found, model, turn, shift) for model, turn, shift in placed]
    cells = np.concatenate([np.zeros((0, 3), np.int64), *(cell for cell, _ in parts)])
    colors = np.concatenate([np.zeros(0, np.uint8), *(color for _, color in parts)])
    if not len(cells):
        raise ValueError("has no voxel that is shown")
    low = cells.min(axis=0)
    size = cells.max(axis=0) + 1 - low
    if size.max() > MAX_SIDE:
        raise ValueError(f"spans {' x '.join(map(str, size))} cells; {MAX_SIDE} a side are allowed")
    key = ((cells - low) * [size[1] * size[2], size[2], 1]).sum(axis=1)
    _, last = np.unique(key[::-1], return_index=True)
    kept = len(key) - 1 - last
    grid = BlockGrid((int(size[0]), int(size[1]), int(size[2])), 2.0, (cells - low)[kept].astype(np.int32))
    materials, palette = _palette(colors[kept], _default_colors() if found.colors is None else found.colors)
    losses = (
        (hidden, f"{hidden} hidden models are left out"),
        (frames, f"{frames} further frames of animations are left out"),
        (len(key) - len(kept), f"{len(key) - len(kept)} voxels lie where a later model has one"),
        (found.others, f"looks beside colours, cameras and the like ({', '.join(sorted(found.others))}) are left out"),
    )
    return BlockScene(grid, materials, palette), tuple(sentence for is_lost, sentence in losses if is_lost)


def pack(scene: BlockScene) -> tuple[bytes, tuple[str, ...]]:
    """Returns a file, cut into models of 256 cells a side, and what it cannot carry.

    Raises:
        ValueError: there is no block.
    """
    if not len(scene.grid):
        raise ValueError("has no block, and a .vox needs one")
    index, colors, merged = _indices(scene)
    width, height, length = scene.grid.size
    x, y, z = scene.grid.positions.astype(np.int64).T
    cells = np.stack([x, length - 1 - z, y], axis=1)
    model = np.ravel_multi_index(
        tuple((cells // _SIDE).T), tuple(side // _SIDE + 1 for side in (width, length, height))
    )
    order = np.argsort(model, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(model[order])) + 1)
    models, places = [], []
    for part in parts:
        low, high = cells[part].min(axis=0), cells[part].max(axis=0) + 1
        voxels = np.concatenate([cells[part] - low, index[part, None]], axis=1).astype(np.uint8)
        size = struct.pack("<3i", *(high - low).tolist())
        models += [_chunk(b"SIZE", size), _chunk(b"XYZI", _NUMBER.pack(len(voxels)) + voxels.tobytes())]
        places.append((low + (high - low) // 2).tolist())
    rgba = np.full((256, 4), 255, np.uint8)
    rgba[: len(colors), :3] = colors
    chunks = b"".join([*models, *_graph(places), _chunk(b"RGBA", rgba.tobytes())])
    losses = [
        *beside_blocks(scene),
        "materials' names, and the differences among a block's faces, are left out",
    ]
    losses += [f"{merged} materials become the nearest of the {_COLORS} most frequent"] if merged else []
    losses += ["tiles are left out"] if scene.palette.tiles else []
    return b"VOX " + _NUMBER.pack(_VERSION) + _CHUNK.pack(b"MAIN", 0, len(chunks)) + chunks, tuple(losses)


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:4] != b"VOX " or data[8:12] != b"MAIN":
        raise ValueError("is no MagicaVoxel file")
    place, left = 8, _MOST_CHUNKS
    while place < len(data):
        left -= 1
        if left < 0:
            raise ValueError(f"has more than {_MOST_CHUNKS} parts")
        if place + _CHUNK.size > len(data):
            raise ValueError("cut short")
        name, length, _ = _CHUNK.unpack_from(data, place)
        place += _CHUNK.size
        if not 0 <= length <= len(data) - place:
            raise ValueError("cut short")
        yield name.decode("latin-1"), data[place : place + length]
        place += length


def _take(found: _File, name: str, content: bytes) -> None:
    reader = _Reader(content)
    if name == "SIZE":
        size = tuple(reader.number() for _ in range(3))
        if not all(0 < side <= _SIDE for side in size):
            raise ValueError(f"has a model of {' x '.join(map(str, size))} voxels; 1 to {_SIDE} a side are allowed")
        found.sizes.append(size)
    elif name == "XYZI":
        found.voxels.append(np.frombuffer(reader.bytes(4 * reader.count(4)), np.uint8).reshape(-1, 4))
    elif name == "RGBA":
        found.colors = np.frombuffer(reader.bytes(1024), np.uint8).reshape(256, 4)
    elif name in ("nTRN", "nGRP", "nSHP"):
        number, about = reader.number(), reader.texts()
        found.nodes[number] = (name, about, *_node(name, reader))
    elif name == "LAYR":
        number, about = reader.number(), reader.texts()
        found.hidden_layers |= {number} if about.get("_hidden") == "1" else set()
    elif name not in ("MAIN", "PACK", "IMAP"):
        found.others.add(name if name.isprintable() else "?")


def _node(name: str, reader: _Reader) -> tuple[Any, ...]:
    if name == "nTRN":
        child, _, layer = reader.number(), reader.number(), reader.number()
        return child, layer, [reader.texts() for _ in range(reader.count(4))]
    if name == "nGRP":
        return ([reader.number() for _ in range(reader.count(4))],)
    models = []
    for _ in range(reader.count(8)):
        models.append(reader.number())
        reader.texts()
    return (models,)


class _Reader:
    """Walks through a chunk; every count is held against what is left."""

    def __init__(self, data: bytes):
        self._data, self._place = data, 0

    def bytes(self, length: int) -> bytes:
        end = self._place + length
        if length < 0 or end > len(self._data):
            raise ValueError("cut short")
        taken = self._data[self._place : end]
        self._place = end
        return taken

    def number(self) -> int:
        return int(_NUMBER.unpack(self.bytes(4))[0])

    def count(self, least: int) -> int:
        count = self.number()
        if not 0 <= count * least <= len(self._data) - self._place:
            raise ValueError("cut short")
        return count

    def texts(self) -> dict[str, str]:
        return {self._text(): self._text() for _ in range(self.count(8))}

    def _text(self) -> str:
        return self.bytes(self.number()).decode("utf-8", "replace")


_Turn = npt.NDArray[np.int64]


def _placed(found: _File) -> tuple[list[tuple[int, _Turn, _Turn]], int, int]:
    """Returns each shown model with its turn and shift, and how many are hidden and how many are further frames."""
    if not found.nodes:
        return [(0, np.eye(3, dtype=np.int64), np.zeros(3, np.int64))], 0, len(found.sizes) - 1
    placed: list[tuple[int, _Turn, _Turn]] = []
    hidden, frames = 0, 0
    waiting = [(0, np.eye(3, dtype=np.int64), np.zeros(3, np.int64), False, 0)]
    visited = 0
    while waiting:
        number, turn, shift, is_hidden, depth = waiting.pop()
        visited += 1
        if number not in found.nodes or depth > _DEEPEST or visited > _MOST_PLACED:
            raise ValueError("has a graph with a hole, a circle or too many models")
        kind, about, *rest = found.nodes[number]
        is_hidden = is_hidden or about.get("_hidden") == "1"
        if kind == "nTRN":
            child, layer, moves = rest
            own_turn, own_shift = _move(moves[0] if moves else {})
            frames += max(0, len(moves) - 1)
            is_hidden = is_hidden or layer in found.hidden_layers
            waiting.append((child, turn @ own_turn, turn @ own_shift + shift, is_hidden, depth + 1))
        elif kind == "nGRP":
            waiting += [(child, turn, shift, is_hidden, depth + 1) for child in reversed(rest[0])]
        elif is_hidden:
            hidden += 1
        else:
            frames += max(0, len(rest[0]) - 1)
            if not rest[0] or not 0 <= rest[0][0] < len(found.sizes):
                raise ValueError("places a model that it lacks")
            placed.append((rest[0][0], turn, shift))
    return placed, hidden, frames


def _move(attributes: dict[str, str]) -> tuple[_Turn, _Turn]:
    try:
        code = int(attributes.get("_r", _NO_TURN))
        shift = np.array([int(value) for value in attributes.get("_t", "0 0 0").split()], np.int64)
    except (ValueError, OverflowError):
        raise ValueError("has a turn or a shift that is not whole numbers") from None
    first, second = code & 3, code >> 2 & 3
    if not 0 <= code < 128 or 3 in (first, second) or first == second or shift.shape != (3,):
        raise ValueError("has a turn or a shift that is none")
    if np.abs(shift).max() >= MAX_SIDE:
        raise ValueError("has a shift that is too far")
    turn = np.zeros((3, 3), np.int64)
    for row, column in enumerate((first, second, 3 - first - second)):
        turn[row, column] = -1 if code >> (4 + row) & 1 else 1
    return turn, shift


def _put(found: _File, model: int, turn: _Turn, shift: _Turn) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Returns a model's cells, (n, 3) with y up, and their colours' indices, (n,)."""
    size, voxels = np.array(found.sizes[model], np.int64), found.voxels[model]
    if (voxels[:, :3] >= size).any() or (voxels[:, 3] == 0).any():
        raise ValueError("has a voxel outside its model, or without a colour")
    # Twice the place of a centre is whole.
    x, y, z = ((2 * voxels[:, :3].astype(np.int64) + 1 - 2 * (size // 2)) @ turn.T + 2 * shift).T // 2
    if len(voxels) and max(np.abs(axis).max() for axis in (x, y, z)) >= MAX_SIDE:
        raise ValueError("has a voxel that is too far away")
    return np.stack([x, z, -1 - y], axis=1), voxels[:, 3]


def _palette(index: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int32], Palette]:
    used, material = np.unique(index, return_inverse=True)
    shown = colors[used.astype(np.int64) - 1, :3] / 255.0
    slots = np.concatenate([np.zeros((1, 3)), shown])[:, None].repeat(3, axis=1).astype(np.float32)
    return material.reshape(-1).astype(np.int32) + 1, Palette(("Air", *(f"color {number}" for number in used)), slots)


def _indices(scene: BlockScene) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], int]:
    """Returns each block's colour, from 1, the colours, and how many materials have none of their own."""
    used, block, count = np.unique(scene.materials, return_inverse=True, return_counts=True)
    own = face_mean(scene.palette)[used]
    frequent = np.sort(np.argsort(-count, kind="stable")[:_COLORS])
    nearest = ((own[:, None] - own[frequent]) ** 2).sum(axis=2).argmin(axis=1)
    nearest[frequent] = np.arange(len(frequent))
    colors = np.rint(own[frequent] * 255.0).astype(np.uint8)
    return nearest[block.reshape(-1)] + 1, colors, len(used) - len(frequent)


def _graph(places: list[list[int]]) -> Iterator[bytes]:
    children = [2 + 2 * number for number in range(len(places))]
    yield _chunk(b"nTRN", struct.pack("<7i", 0, 0, 1, -1, -1, 1, 0))
    yield _chunk(b"nGRP", struct.pack(f"<{3 + len(children)}i", 1, 0, len(children), *children))
    for number, (child, place) in enumerate(zip(children, places, strict=True)):
        shift = " ".join(map(str, place)).encode()
        texts = struct.pack("<ii2si", 1, 2, b"_t", len(shift)) + shift
        yield _chunk(b"nTRN", struct.pack("<6i", child, 0, child + 1, -1, 0, 1) + texts)
        yield _chunk(b"nSHP", struct.pack("<5i", child + 1, 0, 1, number, 0))


def _chunk(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content), 0) + content


def _default_colors() -> npt.NDArray[np.uint8]:
    """Returns the colours of a file that has none: a cube of six steps a channel, then four ramps."""
    steps = np.array([0xFF, 0xCC, 0x99, 0x66, 0x33, 0])
    ramp = np.array([0xEE, 0xDD, 0xBB, 0xAA, 0x88, 0x77, 0x55, 0x44, 0x22, 0x11])
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)[:-1]
    ramps = [ramp[:, None] * np.array(channels) for channels in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1))]
    colors = np.zeros((256, 4), np.uint8)
    colors[:255, :3] = np.concatenate([cube, *ramps])
    return colors


class VoxFile:
    """MagicaVoxel's format; see ``blockcore.formats.Format``."""

    name = "MagicaVoxel file"
    suffixes = (".vox",)
    holds = BlockScene
    marker = ""
    is_read = is_written = True

    def sniff(self, path: Path, start: bytes) -> bool:
        """Whether it begins as such files do."""
        return start[:4] == b"VOX "

    def read(self, path: Path, palette: Palette | None) -> tuple[BlockScene, tuple[str, ...]]:
        """Reads a file, which has its own colours."""
        return unpack(read_bytes(path, _LARGEST))

    def write(self, path: Path, what: BlockScene) -> tuple[str, ...]:
        """Writes a file."""
        data, losses = pack(what)
        write_file(path, data)
        return losses


FORMAT = VoxFile()
