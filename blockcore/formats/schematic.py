"""Schematics of before Minecraft 1.13 (.schematic), whose blocks are numbers; they are read and not written."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.formats import nbt
from blockcore.formats.block_states import AT_ONCE, MOST_CELLS, BlockStates, boxed, item, left_out, merged
from blockcore.formats.legacy_ids import TWO_HIGH, UNJOINED, state_of
from blockcore.formats.nbt import Compound
from blockcore.formats.states_file import StatesFile

_BITS, _NUMBERS = 16, 4096  # values of a block's data, and of its number


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
    codes = _codes(*_numbers_and_kinds(root, (height, length, width)))
    is_used = np.zeros(_NUMBERS * _BITS**2, np.bool_)
    for start in range(0, count, AT_ONCE):
        is_used[codes.ravel()[start : start + AT_ONCE]] = True
    used = np.flatnonzero(is_used)
    every = [state_of(code // _BITS**2, code // _BITS % _BITS, code % _BITS) for code in used.tolist()]
    found, place = merged(every)
    meaning = np.zeros(len(is_used), np.int32)
    meaning[used] = place
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
    box = boxed(codes.reshape(-1), (width, height, length), meaning)
    losses += (said,) if unknown else ()
    losses += (f"{unjoined} kinds of fences, panes, walls and stairs stand unjoined",) if unjoined else ()
    return BlockStates(box, tuple(found), (x, y, z), losses)


def _numbers_and_kinds(
    root: Compound, shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    low, kinds = (item(root, name, np.ndarray).astype(np.uint8, copy=False) for name in ("Blocks", "Data"))
    height, length, width = shape
    if not len(low) == len(kinds) == height * length * width:
        raise ValueError(f"has {len(low)} blocks and {len(kinds)} kinds where its sides make {height * length * width}")
    number = low.astype(np.int16)
    _add_high(number, root)
    return number.reshape(shape), kinds.reshape(shape)


def _add_high(number: npt.NDArray[np.int16], root: Compound) -> None:
    """Adds the upper four bits to each block's number, (n,); the file has two blocks a byte."""
    packed = root.get("AddBlocks")
    if packed is None:
        return
    if not isinstance(packed, np.ndarray) or len(packed) != (len(number) + 1) // 2:
        raise ValueError("its AddBlocks are not half as many as its blocks")
    both = packed.astype(np.int16) & 0xFF
    number[::2] |= (both >> 4) << 8
    number[1::2] |= (both[: len(number) // 2] & 15) << 8


def _codes(number: npt.NDArray[np.int16], kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Returns one number for a block's number, its data and that of its other half; all (y, z, x)."""
    codes = np.empty(number.shape, np.int32)
    step = max(1, AT_ONCE // number[0].size)
    for low in range(0, len(number), step):
        start, end = max(0, low - 1), low + step + 1  # the layers beside have other halves
        data = kinds[start:end] & np.uint8(15)
        whole = (number[start:end].astype(np.int32) * _BITS + data) * _BITS + _other_half(number[start:end], data)
        codes[low : low + step] = whole[low - start :][:step]
    return codes


def _other_half(number: npt.NDArray[np.int16], kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns the data of the other half of each block that is two cells high, and 0 elsewhere; all (y, z, x)."""
    other = np.zeros_like(kinds)
    same = number[1:] == number[:-1]
    is_pair = same & np.isin(number[1:], TWO_HIGH) & (kinds[1:] & 8 > 0) & (kinds[:-1] & 8 == 0)
    other[1:][is_pair] = kinds[:-1][is_pair]
    other[:-1][is_pair] = kinds[1:][is_pair]
    return other


FORMAT = StatesFile("schematic of before Minecraft 1.13", (".schematic",), unpack)
