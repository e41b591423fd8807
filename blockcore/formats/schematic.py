"""Schematics of before Minecraft 1.13 (.schematic), whose blocks are numbers; they are read and not written."""

from __future__ import annotations

from typing import Any

import numpy as np

from blockcore.formats import nbt
from blockcore.formats.block_states import AIR, MOST_CELLS, BlockStates, item, left_out
from blockcore.formats.states_file import StatesFile

_COLORS = (
    *("white", "orange", "magenta", "light_blue", "yellow", "lime", "pink", "gray", "light_gray", "cyan", "purple"),
    *("blue", "brown", "green", "red", "black"),
)
_WOODS = ("oak", "spruce", "birch", "jungle", "acacia", "dark_oak")
_PLAIN = {
    **{0: "air", 2: "grass_block", 4: "cobblestone", 7: "bedrock", 8: "water", 9: "water", 10: "lava", 11: "lava"},
    **{13: "gravel", 14: "gold_ore", 15: "iron_ore", 16: "coal_ore", 20: "glass", 21: "lapis_ore", 22: "lapis_block"},
    **{25: "note_block", 30: "cobweb", 41: "gold_block", 42: "iron_block", 45: "bricks", 46: "tnt", 47: "bookshelf"},
    **{48: "mossy_cobblestone", 49: "obsidian", 56: "diamond_ore", 57: "diamond_block", 58: "crafting_table"},
    **{73: "redstone_ore", 79: "ice", 80: "snow_block", 81: "cactus", 82: "clay", 87: "netherrack", 88: "soul_sand"},
    **{89: "glowstone", 101: "iron_bars", 102: "glass_pane", 103: "melon", 110: "mycelium", 112: "nether_bricks"},
    **{121: "end_stone", 129: "emerald_ore", 133: "emerald_block", 152: "redstone_block", 153: "nether_quartz_ore"},
    **{172: "terracotta", 173: "coal_block", 174: "packed_ice", 201: "purpur_block", 206: "end_stone_bricks"},
    **{213: "magma_block", 214: "nether_wart_block", 215: "red_nether_bricks"},
}
_BY_DATA: dict[int, tuple[str, ...]] = {
    1: ("stone", "granite", "polished_granite", "diorite", "polished_diorite", "andesite", "polished_andesite"),
    3: ("dirt", "coarse_dirt", "podzol"),
    5: tuple(f"{wood}_planks" for wood in _WOODS),
    12: ("sand", "red_sand"),
    19: ("sponge", "wet_sponge"),
    24: ("sandstone", "chiseled_sandstone", "cut_sandstone"),
    35: tuple(f"{color}_wool" for color in _COLORS),
    95: tuple(f"{color}_stained_glass" for color in _COLORS),
    98: ("stone_bricks", "mossy_stone_bricks", "cracked_stone_bricks", "chiseled_stone_bricks"),
    155: ("quartz_block", "chiseled_quartz_block", *(f"quartz_pillar[axis={axis}]" for axis in "yxz")),
    159: tuple(f"{color}_terracotta" for color in _COLORS),
    160: tuple(f"{color}_stained_glass_pane" for color in _COLORS),
    168: ("prismarine", "prismarine_bricks", "dark_prismarine"),
    179: ("red_sandstone", "chiseled_red_sandstone", "cut_red_sandstone"),
    251: tuple(f"{color}_concrete" for color in _COLORS),
    252: tuple(f"{color}_concrete_powder" for color in _COLORS),
}
_LOGS = {17: _WOODS[:4], 162: _WOODS[4:]}
_LEAVES = {18: _WOODS[:4], 161: _WOODS[4:]}
_DATA = 16  # values of a block's data


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
    number = low.astype(np.int32) | _high(root, count) << 8
    used, cells = np.unique(number * _DATA + (kinds & 15), return_inverse=True)
    found = [_state(*divmod(int(code), _DATA)) for code in used]
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
    box = cells.reshape(height, length, width).transpose(2, 0, 1).astype(np.int32)
    return BlockStates(np.ascontiguousarray(box), tuple(found), (x, y, z), (*losses, *([said] if unknown else [])))


def _high(root: dict[str, Any], count: int) -> Any:
    """Returns the upper four bits of each block's number, two blocks a byte."""
    packed = root.get("AddBlocks")
    if packed is None:
        return np.zeros(count, np.int32)
    if not isinstance(packed, np.ndarray) or len(packed) != (count + 1) // 2:
        raise ValueError("its AddBlocks are not half as many as its blocks")
    both = packed.astype(np.uint8)
    return np.stack([both >> 4, both & 15], axis=1).ravel()[:count].astype(np.int32)


def _state(number: int, kind: int) -> str:
    if number in _PLAIN:
        return AIR if number == 0 else f"minecraft:{_PLAIN[number]}"
    if number in _BY_DATA and kind < len(_BY_DATA[number]):
        return f"minecraft:{_BY_DATA[number][kind]}"
    woods = _LOGS.get(number) or _LEAVES.get(number) or ()
    if kind & 3 < len(woods):
        wood = woods[kind & 3]
        if number in _LEAVES:
            return f"minecraft:{wood}_leaves[persistent={'true' if kind & 4 else 'false'}]"
        return f"minecraft:{wood}_wood[axis=y]" if kind >> 2 == 3 else f"minecraft:{wood}_log[axis={'yxz'[kind >> 2]}]"
    return f"legacy:{number}_{kind}"


FORMAT = StatesFile("schematic of before Minecraft 1.13", (".schematic",), unpack)
