"""Minecraft's own structures (.nbt), as its structure blocks and data packs have them: a list of blocks and places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.formats import nbt
from blockcore.formats.block_states import (
    AIR,
    DATA_VERSION,
    MOST_CELLS,
    BlockStates,
    item,
    left_out,
    merged,
    state_tag,
    state_text,
)
from blockcore.formats.states_file import StatesFile

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
    states, number = merged(blocks.states)
    cells = number[blocks.cells]
    place = np.argwhere(cells != (states.index(_NOTHING) if _NOTHING in states else -1)).astype(np.int32)
    if len(place) > _MOST_BLOCKS:
        raise ValueError(f"has {len(place)} blocks and cells of {AIR}; {_MOST_BLOCKS} fit into a structure, so cut it")
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
    size = " x ".join(map(str, blocks.cells.shape))
    large = f"its size {size}: a structure block loads up to {_LONGEST_SIDE} a side, /place and mods more"
    return tuple(loss for loss in (origin, large if max(blocks.cells.shape) > _LONGEST_SIDE else "") if loss)


def _volume(size: npt.NDArray[np.int32]) -> int:
    width, height, length = (int(side) for side in size)
    return width * height * length


FORMAT = StatesFile("Minecraft structure", (".nbt",), unpack, pack, lost)
