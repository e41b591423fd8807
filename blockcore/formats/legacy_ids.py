"""Which state each block of before Minecraft 1.13 is today: a number for its kind, and four bits for the rest."""

from __future__ import annotations

from collections.abc import Callable

from blockcore.formats.block_states import AIR

_COLORS = (
    *("white", "orange", "magenta", "light_blue", "yellow", "lime", "pink", "gray", "light_gray", "cyan", "purple"),
    *("blue", "brown", "green", "red", "black"),
)
_WOODS = ("oak", "spruce", "birch", "jungle", "acacia", "dark_oak")
_PLAIN = {
    **{0: "air", 2: "grass_block", 4: "cobblestone", 7: "bedrock", 13: "gravel", 14: "gold_ore", 15: "iron_ore"},
    **{16: "coal_ore", 20: "glass", 21: "lapis_ore", 22: "lapis_block", 25: "note_block", 30: "cobweb"},
    **{32: "dead_bush", 37: "dandelion", 39: "brown_mushroom", 40: "red_mushroom", 41: "gold_block"},
    **{42: "iron_block", 45: "bricks", 46: "tnt", 47: "bookshelf", 48: "mossy_cobblestone", 49: "obsidian"},
    **{52: "spawner", 56: "diamond_ore", 57: "diamond_block", 58: "crafting_table", 73: "redstone_ore"},
    **{74: "redstone_ore[lit=true]", 79: "ice", 80: "snow_block", 81: "cactus", 82: "clay", 83: "sugar_cane"},
    **{84: "jukebox", 85: "oak_fence", 87: "netherrack", 88: "soul_sand", 89: "glowstone", 101: "iron_bars"},
    **{102: "glass_pane", 103: "melon", 110: "mycelium", 111: "lily_pad", 112: "nether_bricks"},
    **{113: "nether_brick_fence", 116: "enchanting_table", 121: "end_stone", 122: "dragon_egg"},
    **{123: "redstone_lamp", 124: "redstone_lamp[lit=true]", 129: "emerald_ore", 133: "emerald_block"},
    **{138: "beacon", 152: "redstone_block", 153: "nether_quartz_ore", 165: "slime_block", 166: "barrier"},
    **{169: "sea_lantern", 172: "terracotta", 173: "coal_block", 174: "packed_ice", 188: "spruce_fence"},
    **{189: "birch_fence", 190: "jungle_fence", 191: "dark_oak_fence", 192: "acacia_fence"},
    **{199: "chorus_plant", 201: "purpur_block", 206: "end_stone_bricks", 208: "dirt_path", 213: "magma_block"},
    **{214: "nether_wart_block", 215: "red_nether_bricks"},
}
"""Blocks of which the four bits say nothing."""
_BY_DATA: dict[int, tuple[str, ...]] = {
    1: ("stone", "granite", "polished_granite", "diorite", "polished_diorite", "andesite", "polished_andesite"),
    3: ("dirt", "coarse_dirt", "podzol"),
    5: tuple(f"{wood}_planks" for wood in _WOODS),
    12: ("sand", "red_sand"),
    19: ("sponge", "wet_sponge"),
    24: ("sandstone", "chiseled_sandstone", "cut_sandstone"),
    31: ("dead_bush", "grass", "fern"),
    35: tuple(f"{color}_wool" for color in _COLORS),
    38: (
        *("poppy", "blue_orchid", "allium", "azure_bluet", "red_tulip", "orange_tulip", "white_tulip", "pink_tulip"),
        "oxeye_daisy",
    ),
    78: tuple(f"snow[layers={layers}]" for layers in range(1, 9)),
    95: tuple(f"{color}_stained_glass" for color in _COLORS),
    97: tuple(
        f"infested_{kind}"
        for kind in (
            "stone",
            "cobblestone",
            *(f"{more}stone_bricks" for more in ("", "mossy_", "cracked_", "chiseled_")),
        )
    ),
    98: ("stone_bricks", "mossy_stone_bricks", "cracked_stone_bricks", "chiseled_stone_bricks"),
    139: ("cobblestone_wall", "mossy_cobblestone_wall"),
    155: ("quartz_block", "chiseled_quartz_block", *(f"quartz_pillar[axis={axis}]" for axis in "yxz")),
    159: tuple(f"{color}_terracotta" for color in _COLORS),
    160: tuple(f"{color}_stained_glass_pane" for color in _COLORS),
    168: ("prismarine", "prismarine_bricks", "dark_prismarine"),
    171: tuple(f"{color}_carpet" for color in _COLORS),
    179: ("red_sandstone", "chiseled_red_sandstone", "cut_red_sandstone"),
    251: tuple(f"{color}_concrete" for color in _COLORS),
    252: tuple(f"{color}_concrete_powder" for color in _COLORS),
}
"""Blocks whose four bits choose among kinds."""
_AROUND = ("south", "west", "north", "east")
_SIX = ("down", "up", "north", "south", "west", "east")
_STONE_SLABS = ("smooth_stone", "sandstone", "petrified_oak", "cobblestone", "brick", "stone_brick", "nether_brick")


def _stairs(name: str, data: int, other: int) -> str:
    half = "top" if data & 4 else "bottom"
    return f"{name}_stairs[facing={('east', 'west', 'south', 'north')[data & 3]},half={half}]"


def _slab(names: str, data: int, other: int) -> str:
    name = _at(names.split(), data & 7)
    return name and f"{name}_slab[type={'top' if data & 8 else 'bottom'}]"


def _double_slab(names: str, data: int, other: int) -> str:
    smooth = {"smooth_stone": "smooth_stone", "sandstone": "smooth_sandstone", "quartz": "smooth_quartz"}
    smooth["red_sandstone"] = "smooth_red_sandstone"
    name = _at(names.split(), data & 7)
    if data & 8 and name in smooth:
        return smooth[name]
    return name and f"{name}_slab[type=double]"


def _log(names: str, data: int, other: int) -> str:
    name = _at(names.split(), data & 3)
    return name and (f"{name}_wood[axis=y]" if data >> 2 == 3 else f"{name}_log[axis={'yxz'[data >> 2]}]")


def _leaves(names: str, data: int, other: int) -> str:
    name = _at(names.split(), data & 3)
    return name and f"{name}_leaves[persistent={_yes(data & 4)}]"


def _pillar(name: str, data: int, other: int) -> str:
    return f"{name}[axis={'yxz'[data >> 2]}]" if data in (0, 4, 8) else ""


def _to_side(name: str, data: int, other: int) -> str:
    return _with(name, f"facing={_SIX[data]}") if 2 <= data < 6 else ""


def _to_any(name: str, data: int, other: int) -> str:
    return f"{name}[facing={_SIX[data & 7]}]" if data & 7 < 6 else ""


def _around(name: str, data: int, other: int) -> str:
    return f"{name}[facing={_AROUND[data & 3]}]"


def _gate(name: str, data: int, other: int) -> str:
    return f"{name}_fence_gate[facing={_AROUND[data & 3]},open={_yes(data & 4)}]"


def _trapdoor(name: str, data: int, other: int) -> str:
    half = "top" if data & 8 else "bottom"
    return f"{name}_trapdoor[facing={_SIX[2 + (data & 3)]},half={half},open={_yes(data & 4)}]"


def _door(name: str, data: int, other: int) -> str:
    """A door: its lower half says where it faces and whether it is open, the upper one where its hinge is."""
    lower, upper = (other, data) if data & 8 else (data, other)
    facing, hinge = ("east", "south", "west", "north")[lower & 3], "right" if upper & 1 else "left"
    half = "upper" if data & 8 else "lower"
    return f"{name}_door[facing={facing},half={half},hinge={hinge},open={_yes(lower & 4)}]"


def _torch(name: str, data: int, other: int) -> str:
    wall = ("east", "west", "south", "north")
    head, _, more = name.partition("[")
    if 1 <= data <= 4:
        stand = head.replace("torch", "wall_torch")
        return _with(f"{stand}[{more}" if more else stand, f"facing={wall[data - 1]}")
    return name if data == 5 else ""


def _rail(name: str, data: int, other: int) -> str:
    shapes = ("north_south", "east_west", *(f"ascending_{side}" for side in ("east", "west", "north", "south")))
    shape = _at((*shapes, "south_east", "south_west", "north_west", "north_east"), data if name == "rail" else data & 7)
    return shape and _with(name, f"shape={shape}")


def _level(name: str, data: int, other: int) -> str:
    return f"{name}[level={data}]"


def _age(name: str, data: int, other: int) -> str:
    return f"{name}[age={data & 7}]"


def _rotation(name: str, data: int, other: int) -> str:
    return f"{name}[rotation={data}]"


def _anvil(name: str, data: int, other: int) -> str:
    kind = _at(("", "chipped_", "damaged_", ""), data >> 2) if data < 12 else ""
    return f"{kind}anvil[facing={_AROUND[data & 3]}]"


def _tall(names: str, data: int, other: int) -> str:
    name = _at(names.split(), (other if data & 8 else data) & 7)
    return name and f"{name}[half={'upper' if data & 8 else 'lower'}]"


def _at(names: tuple[str, ...] | list[str], place: int) -> str:
    return names[place] if place < len(names) else ""


def _yes(bit: int) -> str:
    return "true" if bit else "false"


def _with(name: str, pair: str) -> str:
    return f"{name[:-1]},{pair}]" if name.endswith("]") else f"{name}[{pair}]"


_Rule = Callable[[str, int, int], str]
_RULES: dict[int, tuple[_Rule, str]] = {
    **{8: (_level, "water"), 9: (_level, "water"), 10: (_level, "lava"), 11: (_level, "lava")},
    **{17: (_log, " ".join(_WOODS[:4])), 162: (_log, " ".join(_WOODS[4:]))},
    **{18: (_leaves, " ".join(_WOODS[:4])), 161: (_leaves, " ".join(_WOODS[4:]))},
    **{53: (_stairs, "oak"), 67: (_stairs, "cobblestone"), 108: (_stairs, "brick"), 109: (_stairs, "stone_brick")},
    **{114: (_stairs, "nether_brick"), 128: (_stairs, "sandstone"), 134: (_stairs, "spruce"), 135: (_stairs, "birch")},
    **{136: (_stairs, "jungle"), 156: (_stairs, "quartz"), 163: (_stairs, "acacia"), 164: (_stairs, "dark_oak")},
    **{180: (_stairs, "red_sandstone"), 203: (_stairs, "purpur")},
    **{43: (_double_slab, " ".join((*_STONE_SLABS, "quartz"))), 44: (_slab, " ".join((*_STONE_SLABS, "quartz")))},
    **{125: (_double_slab, " ".join(_WOODS)), 126: (_slab, " ".join(_WOODS))},
    **{181: (_double_slab, "red_sandstone"), 182: (_slab, "red_sandstone")},
    **{204: (_double_slab, "purpur"), 205: (_slab, "purpur")},
    **{107: (_gate, "oak"), 183: (_gate, "spruce"), 184: (_gate, "birch"), 185: (_gate, "jungle")},
    **{186: (_gate, "dark_oak"), 187: (_gate, "acacia")},
    **{64: (_door, "oak"), 71: (_door, "iron"), 193: (_door, "spruce"), 194: (_door, "birch"), 195: (_door, "jungle")},
    **{196: (_door, "acacia"), 197: (_door, "dark_oak")},
    **{96: (_trapdoor, "oak"), 167: (_trapdoor, "iron")},
    **{50: (_torch, "torch"), 75: (_torch, "redstone_torch[lit=false]"), 76: (_torch, "redstone_torch[lit=true]")},
    **{66: (_rail, "rail"), 27: (_rail, "powered_rail"), 28: (_rail, "detector_rail"), 157: (_rail, "activator_rail")},
    **{54: (_to_side, "chest"), 130: (_to_side, "ender_chest"), 146: (_to_side, "trapped_chest")},
    **{61: (_to_side, "furnace[lit=false]"), 62: (_to_side, "furnace[lit=true]"), 65: (_to_side, "ladder")},
    **{68: (_to_side, "oak_wall_sign"), 177: (_to_side, "white_wall_banner")},
    **{63: (_rotation, "oak_sign"), 176: (_rotation, "white_banner")},
    **{23: (_to_any, "dispenser"), 158: (_to_any, "dropper"), 198: (_to_any, "end_rod"), 218: (_to_any, "observer")},
    **{29: (_to_any, "sticky_piston"), 33: (_to_any, "piston"), 154: (_to_any, "hopper")},
    **{86: (_around, "carved_pumpkin"), 91: (_around, "jack_o_lantern"), 145: (_anvil, "")},
    **{170: (_pillar, "hay_block"), 202: (_pillar, "purpur_pillar"), 216: (_pillar, "bone_block")},
    **{59: (_age, "wheat"), 141: (_age, "carrots"), 142: (_age, "potatoes")},
    175: (_tall, "sunflower lilac tall_grass large_fern rose_bush peony"),
    **{219 + number: (_to_any, f"{color}_shulker_box") for number, color in enumerate(_COLORS)},
    **{235 + number: (_around, f"{color}_glazed_terracotta") for number, color in enumerate(_COLORS)},
}
"""Blocks whose four bits say where they face, whether they are open and the like."""
TWO_HIGH = tuple(number for number, (rule, _) in _RULES.items() if rule in (_door, _tall))
"""Blocks of two cells, which share what their bits say; the upper one has the bit of eight."""
UNJOINED = ("_fence", "_pane", "_wall", "_stairs", "iron_bars")
"""Ends of the names of blocks that the game joins to their neighbours, which the bits do not tell."""


def state_of(number: int, data: int, other: int) -> str:
    """Returns a block's state, or ``legacy:<number>_<data>`` where it has none here.

    Args:
        number: of its kind.
        data: its four bits.
        other: those of the other half of a block that is two cells high.
    """
    if number in _PLAIN:
        return AIR if number == 0 else f"minecraft:{_PLAIN[number]}"
    rule, name = _RULES.get(number, (None, ""))
    found = rule(name, data, other) if rule else _at(_BY_DATA.get(number, ()), data)
    return f"minecraft:{found}" if found else f"legacy:{number}_{data}"
