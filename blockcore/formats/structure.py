"""Minecraft's own structures (.nbt), as its structure blocks and data packs have them: a list of blocks and places."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.errors import quoted
from blockcore.formats import nbt
from blockcore.formats.block_states import (
    AIR,
    DATA_VERSION,
    EMPTY,
    MOST_CELLS,
    BlockStates,
    item,
    left_out,
    merged,
    state_tag,
    state_text,
)
from blockcore.formats.states_file import StatesFile
from blockcore.io.files import read_bytes, write_file

_NOTHING = "minecraft:structure_void"
"""The state of a place that a structure does not list: what is there in the world stays."""
_LONGEST_SIDE = 48
"""The longest side that a structure block takes; data packs and programs take longer ones."""
_MOST_BLOCKS = nbt.MOST_VALUES // 4
"""The most blocks that a file has, so that it is read again: each is four values at most."""


def unpack(data: bytes) -> BlockStates:
    """Reads a file; of several palettes, which Minecraft chooses among by chance, the first.

    Raises:
        ValueError: it is damaged, too large, or no structure.
    """
    _, root = nbt.unpack(data)
    size = np.array(item(root, "size", list))
    if size.shape != (3,) or size.dtype != np.int32 or size.min() < 1 or _volume(size) > MOST_CELLS:
        raise ValueError(f"its size is not three numbers with a product of 1 to {MOST_CELLS}")
    several = root.get("palettes")
    palette = several[0] if isinstance(several, list) and several else item(root, "palette", list)
    states, number = merged([_NOTHING, *(state_text(tag) for tag in palette)])
    blocks = item(root, "blocks", list)
    cells = np.zeros(tuple(size.tolist()), np.int32)
    if blocks:
        place = np.array([item(block, "pos", list) for block in blocks])
        if place.dtype != np.int32 or place.shape != (len(blocks), 3) or place.min() < 0 or (place >= size).any():
            raise ValueError("has a block outside its size")
        index = np.array([int(item(block, "state", np.int32)) for block in blocks])
        if index.min() < 0 or index.max() >= len(palette):
            raise ValueError("has a block that its palette lacks")
        x, y, z = place.T
        cells[x, y, z] = number[index + 1]
    with_more = [block for block in blocks if "nbt" in block]
    losses = left_out(
        (
            (with_more, "contents of chests, signs and the like"),
            (root.get("entities"), "creatures and other entities"),
            (several[1:] if isinstance(several, list) else None, "further palettes"),
        )
    )
    return BlockStates(cells, tuple(states), losses=losses)


def pack(blocks: BlockStates) -> bytes:
    """Returns a file; places of structure void are not listed, and air is.

    Raises:
        ValueError: a state is none of Minecraft's, or there are more blocks than are read again.
    """
    if _is_too_large(blocks):
        raise ValueError(f"has more blocks and cells of {AIR} than the {_MOST_BLOCKS} that fit into a file; cut it")
    states, number = merged(blocks.states)
    cells = number[blocks.cells]
    place = np.argwhere(cells != (states.index(_NOTHING) if _NOTHING in states else -1)).astype(np.int32)
    index = cells[tuple(place.T)]
    root = {
        "DataVersion": np.int32(DATA_VERSION),
        "size": list(np.array(blocks.cells.shape, np.int32)),
        "palette": [state_tag(state) for state in states],
        "blocks": [{"state": state, "pos": list(pos)} for state, pos in zip(index, place, strict=True)],
        "entities": [],
    }
    return nbt.pack("", root)


def lost(blocks: BlockStates) -> tuple[str, ...]:
    """Returns what ``pack`` leaves out, and what structure blocks do not take."""
    origin = f"the corner's place {blocks.origin} is left out" if any(blocks.origin) else ""
    cut = sum(1 for _ in parts(blocks))
    side = f"structure blocks load {_LONGEST_SIDE} cells a side: {cut} files beside it, named by place, are its parts"
    large = "it is too large for one file, and is the first of its parts itself" if _is_too_large(blocks) else ""
    return tuple(loss for loss in (origin, side if cut else "", large) if loss)


def parts(blocks: BlockStates) -> Iterator[tuple[str, BlockStates]]:
    """Yields the parts of a world that structure blocks do not load whole, each with its place: ``48_0_96``.

    Those of air and structure void alone are left out.
    """
    sides = blocks.cells.shape
    if max(sides) <= _LONGEST_SIDE:
        return
    is_empty = np.array([state.partition("[")[0] in EMPTY for state in blocks.states])
    for corner in itertools.product(*(range(0, side, _LONGEST_SIDE) for side in sides)):
        cells = blocks.cells[tuple(slice(start, start + _LONGEST_SIDE) for start in corner)]
        used, index = np.unique(cells, return_inverse=True)
        if not is_empty[used].all():
            states = tuple(blocks.states[state] for state in used.tolist())
            yield "_".join(map(str, corner)), BlockStates(index.reshape(cells.shape).astype(np.int32), states)


def _is_too_large(blocks: BlockStates) -> bool:
    listed = np.array([state != _NOTHING for state in blocks.states])
    return int(np.count_nonzero(listed[blocks.cells])) > _MOST_BLOCKS


def _volume(size: npt.NDArray[np.int32]) -> int:
    width, height, length = (int(side) for side in size)
    return width * height * length


class StructureFile(StatesFile):
    """The format, which writes the parts of a large world beside it."""

    def write(self, path: Path, what: BlockStates) -> tuple[str, ...]:
        """Writes a file after its parts; where the whole does not fit into it, it is the first of them.

        Raises:
            ValueError: another file has the name of a part.
        """
        beside = {path.with_name(f"{path.stem}_{name}{path.suffix}"): pack(part) for name, part in parts(what)}
        for other, data in beside.items():
            if os.path.lexists(other) and not _holds(other, data):
                raise ValueError(f"{quoted(other.name)} is there already, which a part would replace; remove it")
        for other, data in beside.items():
            write_file(other, data)
        first = next(iter(beside.values()), b"")
        write_file(path, first if first and _is_too_large(what) else pack(what))
        return lost(what)


def _holds(path: Path, data: bytes) -> bool:
    """Whether a file has these very bytes."""
    try:
        return read_bytes(path, len(data)) == data
    except OSError:
        return False


FORMAT = StructureFile("Minecraft structure", (".nbt",), unpack, pack, lost)
