"""Schematics of before Minecraft 1.13 (.schematic), whose blocks are numbers; they are read and not written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats import nbt
from blockcore.formats.block_states import MOST_CELLS, BlockStates, item, left_out, merged
from blockcore.formats.legacy_ids import TWO_HIGH, UNJOINED, state_of
from blockcore.formats.states_file import StatesFile

_BITS = 16  # values of a block's data


def unpack(data: bytes) -> BlockStates:
    """Reads a file. Blocks that the table lacks are kept as ``legacy:<number>_<data>``, and said.

    Raises:
        ValueError: it is damaged, too large, or no such file.
    """
    _, root = nbt.unpack(data)
    width, height, length = (int(item(root, side, np.int16)) & 0xFFFF for side in ("Width", "Height", "Length"))
    count = width * height * length
    if not 0 < count <= MOST_CELLS:
        raise ValueError(f"has {width} x {height} x {length} cells; 1 to {MOST_CELLS} are allowed")
    low, kinds = (item(root, name, np.ndarray).astype(np.uint8) for name in ("Blocks", "Data"))
    if not len(low) == len(kinds) == count:
        raise ValueError(f"has {len(low)} blocks and {len(kinds)} kinds where its sides make {count}")
    kinds = (kinds & 15).reshape(height, length, width)
    number = (low.astype(np.int32) | _high(root, count) << 8).reshape(kinds.shape)
    codes = (number * _BITS + kinds) * _BITS + _other_half(number, kinds)
    used, cells = np.unique(codes, return_inverse=True)
    every = [state_of(code // _BITS**2, code // _BITS % _BITS, code % _BITS) for code in used.tolist()]
    found, place = merged(every)
    unjoined = sum(state.partition("[")[0].endswith(UNJOINED) for state in found)
    unknown = [state for state in found if state.startswith("legacy:")]
    said = f"{len(unknown)} kinds of blocks have no name here, and are kept as {', '.join(unknown[:3])} and the like"
    losses = left_out(
        (
            (root.get("TileEntities"), "contents of chests, signs and the like"),
            (root.get("Entities"), "creatures and other entities"),
        )
    )
    names = [f"WEOffset{axis}" for axis in "XYZ"]
    x, y, z = (int(item(root, name, np.int32)) if name in root else 0 for name in names)
    box = place[cells].reshape(height, length, width).transpose(2, 0, 1)
    losses += (said,) if unknown else ()
    losses += (f"{unjoined} kinds of fences, panes, walls and stairs stand unjoined",) if unjoined else ()
    return BlockStates(np.ascontiguousarray(box), tuple(found), (x, y, z), losses)


def _high(root: dict[str, Any], count: int) -> Any:
    """Returns the upper four bits of each block's number, two blocks a byte."""
    packed = root.get("AddBlocks")
    if packed is None:
        return np.zeros(count, np.int32)
    if not isinstance(packed, np.ndarray) or len(packed) != (count + 1) // 2:
        raise ValueError("its AddBlocks are not half as many as its blocks")
    both = packed.astype(np.uint8)
    return np.stack([both >> 4, both & 15], axis=1).ravel()[:count].astype(np.int32)


def _other_half(number: npt.NDArray[np.int32], kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns the data of the other half of each block that is two cells high, and 0 elsewhere; all (y, z, x)."""
    other = np.zeros_like(kinds)
    same = number[1:] == number[:-1]
    is_pair = same & np.isin(number[1:], TWO_HIGH) & (kinds[1:] & 8 > 0) & (kinds[:-1] & 8 == 0)
    other[1:][is_pair] = kinds[:-1][is_pair]
    other[:-1][is_pair] = kinds[1:][is_pair]
    return other


FORMAT = StatesFile("schematic of before Minecraft 1.13", (".schematic",), unpack)
