"""Sponge schematics (.schem), versions 2 and 3, as WorldEdit reads and writes them.

The layout is that of https://github.com/SpongePowered/Schematic-Specification.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats import nbt
from blockcore.formats.block_states import (
    AT_ONCE,
    DATA_VERSION,
    MOST_CELLS,
    BlockStates,
    boxed,
    item,
    left_out,
    merged,
)
from blockcore.formats.nbt import Compound
from blockcore.formats.states_file import StatesFile

_LONGEST_SIDE = 0xFFFF
_LONGEST_NUMBER = 5  # bytes of a number of 32 bits


def unpack(data: bytes) -> BlockStates:
    """Reads a file of version 2 or 3.

    Raises:
        ValueError: it is damaged, too large, of another version, or no schematic.
    """
    name, root = nbt.unpack(data)
    inner = root if name == "Schematic" else item(root, "Schematic", dict)
    version = int(item(inner, "Version", np.int32))
    if version not in (2, 3):
        raise ValueError(f"is of version {version}; save it as version 2 or 3")
    width, height, length = (int(item(inner, side, np.int16)) & _LONGEST_SIDE for side in ("Width", "Height", "Length"))
    if not 0 < width * height * length <= MOST_CELLS:
        raise ValueError(f"has {width} x {height} x {length} cells; 1 to {MOST_CELLS} are allowed")
    held = inner if version == 2 else item(inner, "Blocks", dict)
    states, number = _states(item(held, "Palette", dict))
    packed = item(held, "BlockData" if version == 2 else "Data", np.ndarray)
    indices = numbers(packed.astype(np.uint8, copy=False), width * height * length)
    if indices.max() >= len(number):
        raise ValueError("has a block that its palette lacks")
    cells = boxed(indices, (width, height, length), number)
    if cells.min() < 0:
        raise ValueError("has a block that its palette lacks")
    offset = inner.get("Offset", np.zeros(3, np.int32))
    if not isinstance(offset, np.ndarray) or offset.shape != (3,):
        raise ValueError("its Offset is not three numbers")
    x, y, z = (int(value) for value in offset)
    return BlockStates(cells, states, (x, y, z), _losses(inner, held))


def pack(blocks: BlockStates, version: int = 3, data_version: int = DATA_VERSION) -> bytes:
    """Returns a file.

    Args:
        blocks: what to write.
        version: of the format, 2 or 3.
        data_version: of Minecraft, whose names the states have.

    Raises:
        ValueError: another version, a side of more than 65,535 cells, or a state's name longer than a tag holds.
    """
    if version not in (2, 3):
        raise ValueError(f"version {version} of .schem is not written; choose 2 or 3")
    if max(blocks.cells.shape) > _LONGEST_SIDE:
        raise ValueError(f".schem has sides of at most {_LONGEST_SIDE} cells; cut the world into parts")
    names, number = merged(blocks.states)
    palette = {state: np.int32(index) for index, state in enumerate(names)}
    data = varints(number[blocks.cells.transpose(1, 2, 0).ravel()]).view(np.int8)
    width, height, length = (np.uint16(side).astype(np.int16) for side in blocks.cells.shape)
    root: Compound = {
        "Version": np.int32(version),
        "DataVersion": np.int32(data_version),
        **{"Width": width, "Height": height, "Length": length},
        "Offset": np.array(blocks.origin, np.int32),
    }
    if version == 3:
        return nbt.pack("", {"Schematic": root | {"Blocks": {"Palette": palette, "Data": data, "BlockEntities": []}}})
    # WorldEdit and mcschematic look here for where version 2's corner lies.
    root["Metadata"] = {f"WEOffset{axis}": np.int32(place) for axis, place in zip("XYZ", blocks.origin, strict=True)}
    return nbt.pack("Schematic", root | {"PaletteMax": np.int32(len(palette)), "Palette": palette, "BlockData": data})


def varints(values: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Returns numbers of no sign in seven bits a byte, the lowest first; bit 7 says that more bytes follow."""
    wide = values.astype(np.uint32)
    shifts = np.arange(_LONGEST_NUMBER, dtype=np.uint32) * np.uint32(7)
    used = max(1, -(-int(wide.max(initial=0)).bit_length() // 7))
    septets = wide[:, None] >> shifts[:used]
    is_there = septets > 0
    is_there[:, 0] = True
    encoded = (septets & 0x7F).astype(np.uint8)
    encoded[:, :-1] |= np.where(is_there[:, 1:], np.uint8(0x80), np.uint8(0))
    return encoded[is_there]


def numbers(encoded: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int32]:
    """Returns the ``count`` numbers that ``varints`` made bytes of; those above 2³¹ - 1 as 2³¹ - 1.

    Raises:
        ValueError: there are more or fewer, or one is longer than 32 bits.
    """
    there = int(np.count_nonzero(encoded < 0x80))
    if there != count or (count and encoded[-1] >= 0x80):
        raise ValueError(f"has {there} blocks where its sides make {count}")
    values = np.empty(count, np.int32)
    done, start = 0, 0
    while start < len(encoded):
        part = encoded[start : start + AT_ONCE]
        ends = np.flatnonzero(part < 0x80)
        if not len(ends):
            raise ValueError("has a number longer than 32 bits")
        values[done : done + len(ends)] = _decoded(part, ends)
        done, start = done + len(ends), start + int(ends[-1]) + 1
    return values


def _decoded(part: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Returns the numbers that end at some places of ``part``."""
    if len(ends) == len(part):
        return part
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > _LONGEST_NUMBER:
        raise ValueError("has a number longer than 32 bits")
    septets, wide = part & 0x7F, np.int64 if longest == _LONGEST_NUMBER else np.int32
    values: npt.NDArray[Any] = septets[starts].astype(wide)
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        values[longer] |= septets[starts[longer] + place].astype(wide) << wide(7 * place)
    if longest == _LONGEST_NUMBER:
        np.minimum(values, np.iinfo(np.int32).max, out=values)
    return values


def _states(palette: Compound) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Returns the states and, for each number that the file uses, the state's index, or -1."""
    if not palette or not all(isinstance(index, np.int32) for index in palette.values()):
        raise ValueError("its Palette does not number the blocks")
    indices = [int(index) for index in palette.values()]
    if min(indices) < 0 or max(indices) >= nbt.MOST_VALUES:
        raise ValueError("its Palette has a number out of range")
    number = np.full(max(indices) + 1, -1, np.int32)
    number[indices] = np.arange(len(indices))
    return tuple(palette), number


def _losses(inner: Compound, held: Compound) -> tuple[str, ...]:
    counted = left_out(
        (
            (held.get("BlockEntities"), "contents of chests, signs and the like"),
            (inner.get("Entities"), "creatures and other entities"),
        )
    )
    has_biomes = "BiomeData" in inner or "Biomes" in inner
    return (*counted, "biomes are left out") if has_biomes else counted


FORMAT = StatesFile("Sponge schematic", (".schem",), unpack, pack)
