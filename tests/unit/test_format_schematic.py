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
        (64, 3, "legacy:64_3"),
        (162, 2, "legacy:162_2"),
    ],
)
def test_numbers_are_the_blocks_they_stood_for(number, kind, state):
    blocks = schematic.unpack(file([number], [kind]))
    assert blocks.states[blocks.cells[0, 0, 0]] == state
    assert bool(blocks.losses) == state.startswith("legacy:")


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
