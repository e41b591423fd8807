"""Schematics of numbers give the blocks that the numbers stood for; those without a name here are kept and said."""

from __future__ import annotations

import numpy as np
import pytest

from blockcore.formats import nbt, schematic


def file(numbers, kinds, **more):
    root = {
        "Width": np.int16(len(numbers)),
        "Height": np.int16(1),
        "Length": np.int16(1),
        "Blocks": np.array(numbers, np.uint8).view(np.int8),
        "Data": np.array(kinds, np.int8),
    }
    return nbt.pack("Schematic", {key: value for key, value in (root | more).items() if value is not None})


@pytest.mark.parametrize(
    ("number", "kind", "state"),
    [
        (0, 0, "minecraft:air"),
        (1, 5, "minecraft:andesite"),
        (17, 0, "minecraft:oak_log[axis=y]"),
        (17, 5, "minecraft:spruce_log[axis=x]"),
        (162, 9, "minecraft:dark_oak_log[axis=z]"),
        (17, 14, "minecraft:birch_wood[axis=y]"),
        (18, 7, "minecraft:jungle_leaves[persistent=true]"),
        (35, 14, "minecraft:red_wool"),
        (155, 3, "minecraft:quartz_pillar[axis=x]"),
        (251, 15, "minecraft:black_concrete"),
        (9, 3, "minecraft:water[level=3]"),
        (43, 8, "minecraft:smooth_stone"),
        (44, 12, "minecraft:brick_slab[type=top]"),
        (50, 2, "minecraft:wall_torch[facing=west]"),
        (53, 6, "minecraft:oak_stairs[facing=south,half=top]"),
        (62, 5, "minecraft:furnace[lit=true,facing=east]"),
        (66, 9, "minecraft:rail[shape=north_east]"),
        (75, 4, "minecraft:redstone_wall_torch[lit=false,facing=north]"),
        (96, 13, "minecraft:oak_trapdoor[facing=south,half=top,open=true]"),
        (107, 7, "minecraft:oak_fence_gate[facing=east,open=true]"),
        (145, 6, "minecraft:chipped_anvil[facing=north]"),
        (216, 8, "minecraft:bone_block[axis=z]"),
        (218, 12, "minecraft:observer[facing=west]"),
        (233, 1, "minecraft:red_shulker_box[facing=up]"),
        (249, 2, "minecraft:red_glazed_terracotta[facing=north]"),
        (6, 3, "legacy:6_3"),
        (126, 6, "legacy:126_6"),
        (162, 2, "legacy:162_2"),
    ],
)
def test_numbers_are_the_blocks_they_stood_for(number, kind, state):
    blocks = schematic.unpack(file([number], [kind]))
    assert blocks.states[blocks.cells[0, 0, 0]] == state
    assert [loss.split()[0] for loss in blocks.losses] == ["1"] * (state.startswith("legacy:") or "stairs" in state)


@pytest.mark.parametrize(
    ("lower", "upper", "states"),
    [
        ((64, 5), (64, 9), "oak_door[facing=south,half={},hinge=right,open=true]"),
        ((71, 3), (71, 8), "iron_door[facing=north,half={},hinge=left,open=false]"),
        ((175, 5), (175, 10), "peony[half={}]"),
    ],
)
def test_the_halves_of_two_high_blocks_share_what_they_say(lower, upper, states):
    more = {"Width": np.int16(1), "Height": np.int16(3)}
    blocks = schematic.unpack(file([lower[0], upper[0], 1], [lower[1], upper[1], 0], **more))
    found = [blocks.states[blocks.cells[0, y, 0]] for y in range(3)]
    assert found == [*(f"minecraft:{states.format(half)}" for half in ("lower", "upper")), "minecraft:stone"]


def test_order_upper_bits_and_what_is_left_out():
    root = {"Width": np.int16(1), "Height": np.int16(2), "Length": np.int16(3), "WEOffsetY": np.int32(-4)}
    more = {"AddBlocks": np.array([0x01, 0x00, 0x20], np.int8), "TileEntities": [{"id": "Chest"}]}
    blocks = schematic.unpack(file([1, 2, 3, 4, 5, 6], [0] * 6, **root, **more))
    found = [[blocks.states[blocks.cells[0, y, z]] for z in range(3)] for y in range(2)]
    assert found == [
        ["minecraft:stone", "legacy:258_0", "minecraft:dirt"],
        ["minecraft:cobblestone", "legacy:517_0", "legacy:6_0"],
    ]
    assert blocks.origin == (0, -4, 0)
    assert [loss.split()[0] for loss in blocks.losses] == ["1", "3"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"Width": np.int16(2)}, "1 blocks"),
        ({"Width": np.int16(-1), "Height": np.int16(-1)}, "allowed"),
        ({"Data": None}, "no Data"),
        ({"AddBlocks": np.zeros(3, np.int8)}, "half as many"),
    ],
)
def test_damage_is_named(more, message):
    with pytest.raises(ValueError, match=message):
        schematic.unpack(file([1], [0], **more))
