"""Litematica's schematics (.litematic): regions, each a box with a list of states and the numbers of its cells.

A region's size may be negative: it then spans from its position downwards. The numbers have as many bits as the list
needs, two at least, and lie close together, also across the borders of 64-bit words; x runs fastest, then z, then y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats import nbt, packed_bits
from blockcore.formats.block_states import (
    AIR,
    AT_ONCE,
    DATA_VERSION,
    EMPTY,
    MOST_CELLS,
    BlockStates,
    boxed,
    item,
    left_out,
    merged,
    state_tag,
    state_text,
)
from blockcore.formats.nbt import Compound
from blockcore.formats.states_file import StatesFile

_VERSION, _SUBVERSION = 6, 1
_FEWEST_BITS = 2
_FARTHEST = 1 << 30  # a place or a side beyond is damage


def unpack(data: bytes) -> BlockStates:
    """Reads a file; where regions overlap, a later one's blocks stand.

    Raises:
        ValueError: it is damaged, too large, or no such file.
    """
    _, root = nbt.unpack(data)
    regions = [_Region(found) for found in item(root, "Regions", dict).values()]
    if not regions:
        raise ValueError("has no region")
    low = np.min([region.low for region in regions], axis=0)
    size = np.max([region.low + region.size for region in regions], axis=0) - low
    if _count(size) > MOST_CELLS or sum(_count(region.size) for region in regions) > MOST_CELLS:
        raise ValueError(f"its regions span {' x '.join(map(str, size))} cells; {MOST_CELLS} are allowed")
    states, number = merged([AIR, *(state for region in regions for state in region.states)])
    width, height, length = size.tolist()
    layers, first = np.zeros((height, length, width), np.int32), 1
    is_block = np.array([state not in EMPTY for state in states])
    for region in regions:
        found = region.cells(number[first : first + len(region.states)])
        first += len(region.states)
        x, y, z = (slice(start, start + side) for start, side in zip(region.low - low, region.size, strict=True))
        _lay_over(layers[y, z, x], found.transpose(1, 2, 0), is_block)
    cells = layers.transpose(2, 0, 1)
    origin = tuple(int(place) for place in low)
    losses = tuple(loss for region in regions for loss in region.losses)
    return BlockStates(cells, tuple(states), (origin[0], origin[1], origin[2]), losses)


def pack(blocks: BlockStates) -> bytes:
    """Returns a file of one region.

    Raises:
        ValueError: a state is none of Minecraft's.
    """
    states, number = merged([AIR, *blocks.states])
    cells = number[blocks.cells + 1]
    bits = _bits(len(states))
    size = _triple(blocks.cells.shape)
    solid = int(np.count_nonzero(np.isin(cells, np.flatnonzero([state not in EMPTY for state in states]))))
    region = {
        "Position": _triple(blocks.origin),
        "Size": size,
        "BlockStatePalette": [state_tag(state) for state in states],
        "BlockStates": packed_bits.pack(cells.transpose(1, 2, 0).ravel(), bits),
        **{name: [] for name in ("Entities", "TileEntities", "PendingBlockTicks", "PendingFluidTicks")},
    }
    about = {
        **dict.fromkeys(("Author", "Description"), ""),
        **{"Name": "blocks", "EnclosingSize": size, "RegionCount": np.int32(1)},
        **{"TimeCreated": np.int64(0), "TimeModified": np.int64(0)},
        **{"TotalBlocks": np.int32(solid), "TotalVolume": np.int32(cells.size)},
    }
    root = {
        "MinecraftDataVersion": np.int32(DATA_VERSION),
        **{"Version": np.int32(_VERSION), "SubVersion": np.int32(_SUBVERSION)},
        **{"Metadata": about, "Regions": {"blocks": region}},
    }
    return nbt.pack("", root)


def _lay_over(below: Any, found: npt.NDArray[np.int32], is_block: npt.NDArray[np.bool_]) -> None:
    """Puts a region's cells where it has blocks, or where there is nothing yet; some layers at a time."""
    step = max(1, AT_ONCE // found[0].size)
    for start in range(0, len(found), step):
        part, there = found[start : start + step], below[start : start + step]
        np.copyto(there, part, where=is_block[part] | (there == 0))


class _Region:
    """A region of a file; its cells are unpacked when asked for, once all sizes are known to be allowed."""

    def __init__(self, found: Any):
        place, size = (_vector(item(found, name, dict)) for name in ("Position", "Size"))
        self.low = place + np.where(size < 0, size + 1, 0)
        self.size = np.abs(size)
        if not 0 < _count(self.size) <= MOST_CELLS:
            raise ValueError(f"has a region of {' x '.join(map(str, self.size))} cells; 1 to {MOST_CELLS} are allowed")
        self.states = [state_text(tag) for tag in item(found, "BlockStatePalette", list)]
        self.losses = left_out(
            (
                (found.get("TileEntities"), "contents of chests, signs and the like"),
                (found.get("Entities"), "creatures and other entities"),
                (found.get("PendingBlockTicks"), "blocks' pending changes"),
                (found.get("PendingFluidTicks"), "fluids' pending changes"),
            )
        )
        self._words = item(found, "BlockStates", np.ndarray).astype(np.int64)

    def cells(self, number: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Returns the number of each cell's state, (x, y, z), from those of the region's list of states."""
        width, height, length = self.size.tolist()
        cells = packed_bits.unpack(self._words, _bits(len(self.states)), width * height * length)
        if cells.max() >= len(self.states):
            raise ValueError("has a block that its list of states lacks")
        return boxed(cells, (width, height, length), number)


def _bits(count: int) -> int:
    return max(_FEWEST_BITS, (count - 1).bit_length())


def _count(size: Any) -> int:
    width, height, length = (int(side) for side in size)
    return width * height * length


def _triple(values: tuple[int, ...]) -> dict[str, np.int32]:
    return {axis: np.int32(value) for axis, value in zip("xyz", values, strict=True)}


def _vector(found: Compound) -> Any:
    values = [int(item(found, axis, np.int32)) for axis in "xyz"]
    if max(map(abs, values)) > _FARTHEST:
        raise ValueError("has a region that is too far away")
    return np.array(values, np.int64)


FORMAT = StatesFile("Litematica schematic", (".litematic",), unpack, pack)
