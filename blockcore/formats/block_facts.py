"""What is known of Minecraft's blocks by their names: groups, which of them fall, and when they came."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

_GAME = "minecraft:"
_GROUPS = {
    "wool": ("*_wool",),
    "concrete": ("*_concrete", "*_concrete_powder"),
    "glazed": ("*_glazed_terracotta",),
    "terracotta": ("terracotta", "*_terracotta"),
    "wood": ("*_log", "*_wood", "*_planks", "*_stem", "*_hyphae", "bamboo_*", "stripped_*", "bookshelf"),
    "leaves": ("*leaves",),
    "ore": ("*_ore", "ancient_debris", "raw_*_block"),
    "metal": ("*copper*", *(f"{kind}_block" for kind in ("iron", "gold", "netherite", "diamond", "emerald", "lapis"))),
    "earth": (
        *("*dirt*", "grass_block", "podzol", "mycelium", "clay", "*mud*", "*sand", "gravel", "suspicious_*"),
        *("*snow*", "*ice", "moss_block", "*_moss_block", "soul_soil", "*_nylium", "farmland"),
    ),
    "stone": (
        *("*stone*", "*granite*", "*andesite*", "*diorite*", "*deepslate*", "*tuff*", "*bricks*", "*basalt*"),
        *("calcite", "*quartz*", "*prismarine*", "*purpur*", "netherrack", "bedrock", "obsidian", "*_obsidian"),
    ),
}
"""The names in each group; the first group that has a name is its own."""
OTHER = "other"
GROUPS = (*_GROUPS, OTHER)
"""The groups."""
_FALLING = ("sand", "red_sand", "gravel", "suspicious_sand", "suspicious_gravel", "*_concrete_powder", "*anvil")
_CAME = {
    "1.14": ("loom", "barrel", "smoker", "blast_furnace", "cartography_table", "fletching_table", "smithing_table"),
    "1.15": ("bee_nest", "beehive", "honeycomb_block"),
    "1.16": (
        *("*crimson*", "*warped*", "ancient_debris", "netherite_block", "*basalt", "*blackstone*", "crying_obsidian"),
        *("nether_gold_ore", "soul_soil", "shroomlight", "respawn_anchor", "lodestone", "target", "quartz_bricks"),
        *("chiseled_nether_bricks", "cracked_nether_bricks"),
    ),
    "1.17": (
        *("*deepslate*", "*copper*", "amethyst_block", "budding_amethyst", "calcite", "tuff", "dripstone_block"),
        *("moss_block", "rooted_dirt", "raw_*_block", "smooth_basalt"),
    ),
    "1.19": (
        *("*mangrove*", "mud", "packed_mud", "mud_bricks", "sculk", "sculk_catalyst", "reinforced_deepslate"),
        "*froglight",
    ),
    "1.20": (
        *("cherry_*", "stripped_cherry_*", "bamboo_*", "stripped_bamboo_block", "chiseled_bookshelf"),
        "suspicious_*",
    ),
    "1.21": (
        *("tuff_bricks", "polished_tuff", "chiseled_tuff*", "chiseled_copper", "*copper_bulb", "crafter"),
        "trial_spawner",
    ),
    "1.21.4": ("pale_*", "*_pale_*", "resin_*", "chiseled_resin_bricks", "creaking_heart"),
}
"""Blocks that are full cubes, by the version of Minecraft that they came with; all others are older than 1.14."""


def short_name(name: str) -> str:
    """Returns a block's name as lists show it: one of Minecraft's own without its namespace."""
    return name.removeprefix(_GAME)


def long_name(title: str, before: str) -> str:
    """Returns the name that a block gets by being called ``title``: one of Minecraft's own stays that."""
    return _GAME + title if before.startswith(_GAME) and ":" not in title else title


@lru_cache(1 << 14)
def group_of(name: str) -> str:
    """Returns the group of a block, such as ``minecraft:oak_log[axis=x]``."""
    plain = _plain(name)
    return next((group for group, patterns in _GROUPS.items() if _is_any(plain, patterns)), OTHER)


def falls(name: str) -> bool:
    """Whether a block falls where nothing is beneath it."""
    return _is_any(_plain(name), _FALLING)


def came_with(name: str) -> str:
    """Returns the version that a block came with: the last that knows its name; "" where it is older than 1.14."""
    plain = _plain(name) if name.startswith(_GAME) else ""
    return next((version for version, patterns in reversed(_CAME.items()) if _is_any(plain, patterns)), "")


def is_later(version: str, other: str) -> bool:
    """Whether a version, such as 1.20.4, is later than another.

    Raises:
        ValueError: one is no version.
    """
    return _numbers(version) > _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


def _plain(name: str) -> str:
    return name.partition("[")[0].partition(":")[2]


def _is_any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
