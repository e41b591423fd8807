"""Litematics hold the blocks that litemapy finds in them, and the other way round."""

from __future__ import annotations

import gzip
import io
import random

import litemapy
import nbtlib
import numpy as np
import pytest

from blockcore.formats import litematic, nbt, packed_bits
from blockcore.formats.block_states import BlockStates
from tests.state_worlds import WORLDS, names, places, world


def judge(data: bytes) -> litemapy.Schematic:
    return litemapy.Schematic.from_nbt(nbtlib.File.parse(io.BytesIO(gzip.decompress(data))))


def by_litemapy(schematic: litemapy.Schematic) -> bytes:
    buffer = io.BytesIO()
    nbtlib.File(schematic.to_nbt()).write(buffer)
    return buffer.getvalue()


def block(state: str) -> litemapy.BlockState:
    name, _, properties = state.rstrip("]").partition("[")
    return litemapy.BlockState(name, **dict(pair.split("=") for pair in properties.split(",") if pair))


def test_litemapy_finds_the_blocks_we_wrote():
    for seed in range(WORLDS):
        blocks = world(seed)
        (region,) = judge(litematic.pack(blocks)).regions.values()
        assert (region.x, region.y, region.z) == blocks.origin
        assert (region.width, region.height, region.length) == blocks.cells.shape
        for x, y, z in places(blocks):
            found = region[x, y, z].to_block_state_identifier()
            assert found == blocks.states[blocks.cells[x, y, z]]


def test_our_own_come_back_whole():
    for seed in range(WORLDS):
        blocks = world(seed)
        back = litematic.unpack(litematic.pack(blocks))
        assert (names(back) == names(blocks)).all()
        assert (back.origin, back.losses) == (blocks.origin, ())


def test_we_find_the_blocks_that_litemapy_wrote_in_regions_of_any_direction():
    chance = random.Random(18)
    for seed in range(WORLDS):
        expected, regions = {}, {}
        for number in range(chance.randint(1, 3)):
            sides = [chance.choice((-1, 1)) * chance.randint(1, 9) for _ in range(3)]
            corner = [number * 40 + chance.randint(-9, 9), chance.randint(-9, 9), chance.randint(-9, 9)]
            region = regions[f"r{number}"] = litemapy.Region(*corner, *sides)
            for x, y, z in region.block_positions():
                state = f"minecraft:block_{chance.randrange(2 ** (seed % 9))}[axis=x]"
                region[x, y, z] = block(state)
                expected[corner[0] + x, corner[1] + y, corner[2] + z] = state
        back = litematic.unpack(by_litemapy(litemapy.Schematic(name="n", author="a", regions=regions)))
        found = {
            (x + back.origin[0], y + back.origin[1], z + back.origin[2]): state
            for (x, y, z), state in np.ndenumerate(names(back))
            if state != "minecraft:air"
        }
        assert found == expected


@pytest.mark.parametrize("bits", [1, 2, 5, 13, 31])
def test_numbers_straddle_words(bits):
    values = np.random.default_rng(bits).integers(0, 1 << bits, 1_000, dtype=np.int32)
    whole = sum(value << (bits * index) for index, value in enumerate(values.tolist()))
    words = packed_bits.pack(values, bits)
    assert int.from_bytes(words.astype("<i8").tobytes(), "little") == whole
    assert (packed_bits.unpack(words, bits, len(values)) == values).all()
    with pytest.raises(ValueError, match="words"):
        packed_bits.unpack(words[:-1], bits, len(values))


def test_more_numbers_than_are_packed_at_once_come_back():
    values = np.random.default_rng(0).integers(0, 1 << 13, (1 << 20) + 77, dtype=np.int32)
    assert (packed_bits.unpack(packed_bits.pack(values, 13), 13, len(values)) == values).all()


def damaged(**changes):
    _, root = nbt.unpack(litematic.pack(world(7)))
    region = root["Regions"]["blocks"]
    root["Regions"] = {"blocks": {key: value for key, value in (region | changes).items() if value is not None}}
    return nbt.pack("", root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Size": None}, "no Size"),
        ({"Size": {axis: np.int32(0) for axis in "xyz"}}, "cells"),
        ({"Size": {axis: np.int32(-(1 << 31)) for axis in "xyz"}}, "too far"),
        ({"Size": {axis: np.int32(9_999) for axis in "xyz"}}, "cells"),
        ({"Position": {"x": np.int32(1), "y": np.int8(1)}}, "no y"),
        ({"BlockStatePalette": [{"Name": "a:b"}] * 3}, "words"),
        ({"BlockStatePalette": [{"Nome": "a:b"}]}, "without a name"),
        ({"BlockStates": np.zeros(1, np.int64)}, "words"),
    ],
)
def test_damage_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        litematic.unpack(damaged(**changes))


def test_far_regions_are_refused():
    _, root = nbt.unpack(litematic.pack(world(7)))
    far = dict(root["Regions"]["blocks"], Position={axis: np.int32(1 << 20) for axis in "xyz"})
    with pytest.raises(ValueError, match="span"):
        litematic.unpack(nbt.pack("", root | {"Regions": {"a": root["Regions"]["blocks"], "b": far}}))
    with pytest.raises(ValueError, match="no region"):
        litematic.unpack(nbt.pack("", {"Regions": {}}))


def test_a_later_regions_blocks_stand_and_what_is_left_out_is_said():
    stone = BlockStates(np.zeros((2, 1, 1), np.int32), ("minecraft:stone",))
    mixed = BlockStates(np.array([0, 1], np.int32).reshape(2, 1, 1), ("minecraft:cave_air", "minecraft:dirt"))
    regions = [nbt.unpack(litematic.pack(blocks))[1]["Regions"]["blocks"] for blocks in (stone, mixed)]
    regions[1]["TileEntities"] = [{"id": "minecraft:chest"}] * 2
    back = litematic.unpack(nbt.pack("", {"Regions": dict(zip("ab", regions, strict=True))}))
    assert names(back).ravel().tolist() == ["minecraft:stone", "minecraft:dirt"]
    assert back.losses == ("2 contents of chests, signs and the like are left out",)


def test_a_name_that_is_no_state_is_not_written():
    with pytest.raises(ValueError, match="is no block state"):
        litematic.pack(BlockStates(np.zeros((1, 1, 1), np.int32), ("Stone",)))
