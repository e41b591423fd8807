"""Schematics hold the blocks that nbtlib and plain loops find in them, and the other way round."""

from __future__ import annotations

import gzip
import io
import random

import mcschematic
import nbtlib
import numpy as np
import pytest

from blockcore.formats import nbt, schem
from blockcore.formats.block_states import BlockStates
from tests.state_worlds import WORLDS, names, places, world


def loops(data: bytes):
    """Returns an array of states, by nbtlib and a loop over the bytes."""
    root = nbtlib.File.parse(io.BytesIO(gzip.decompress(data)))
    root = root.get("Schematic", root)
    held = root.get("Blocks", root)
    encoded = (int(byte) & 0xFF for byte in held.get("Data", held.get("BlockData")))
    number = {int(index): state for state, index in held["Palette"].items()}
    found = []
    for byte in encoded:
        value, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = next(encoded)
            value |= (byte & 0x7F) << shift
            shift += 7
        found.append(number[value])
    sides = [int(root[side]) for side in ("Height", "Length", "Width")]
    return np.array(found).reshape(sides).transpose(2, 0, 1)


@pytest.mark.parametrize("version", [2, 3])
def test_nbtlib_finds_the_blocks_we_wrote(version):
    for seed in range(WORLDS):
        blocks = world(seed)
        assert (loops(schem.pack(blocks, version)) == names(blocks)).all()


@pytest.mark.parametrize("version", [2, 3])
def test_we_find_the_blocks_that_nbtlib_wrote(version):
    for seed in range(WORLDS):
        blocks = world(seed)
        buffer = io.BytesIO()
        nbtlib.File.parse(io.BytesIO(gzip.decompress(schem.pack(blocks, version)))).write(buffer)
        back = schem.unpack(buffer.getvalue())
        assert (names(back) == names(blocks)).all()
        assert (back.origin, back.losses) == (blocks.origin, ())


def test_what_is_left_out_is_said():
    name, root = nbt.unpack(schem.pack(world(4), 3))
    inner = root["Schematic"]
    inner["Blocks"]["BlockEntities"] = [{"Id": "minecraft:chest"}] * 3
    inner["Entities"] = [{"Id": "minecraft:cow"}]
    inner["Biomes"] = {}
    said = schem.unpack(nbt.pack(name, root)).losses
    assert [loss.split()[0] for loss in said] == ["3", "1", "biomes"]


def damaged(**changes):
    name, root = nbt.unpack(schem.pack(world(7), 2))
    return nbt.pack(name, {key: value for key, value in (root | changes).items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Version": np.int32(1)}, "version 1"),
        ({"Palette": None}, "no Palette"),
        ({"Palette": {"minecraft:stone": np.int32(-1)}}, "out of range"),
        ({"Palette": {"minecraft:stone": np.int32(0x7FFFFFFF)}}, "out of range"),
        ({"Palette": {"minecraft:stone": np.int32(77)}}, "lacks"),
        ({"Width": np.int16(-1), "Length": np.int16(-1)}, "cells"),
        ({"Width": np.int16(0)}, "cells"),
        ({"BlockData": np.zeros(3, np.int8)}, "3 blocks where"),
        ({"BlockData": np.full(9, -1, np.int8)}, "0 blocks where"),
        ({"Offset": np.zeros(2, np.int32)}, "three numbers"),
    ],
)
def test_damage_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        schem.unpack(damaged(**changes))


def test_random_damage_is_an_error_or_a_world():
    chance = random.Random(18)
    packed = schem.pack(BlockStates(np.zeros((4, 4, 4), np.int32), ("minecraft:stone",)))
    whole = gzip.decompress(packed)
    refused = 0
    for number in range(2_000):
        data = bytearray(packed if number % 2 else whole)
        if number % 3:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        try:
            schem.unpack(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 1_000


def test_mcschematic_finds_the_blocks_we_wrote_and_we_those_it_wrote(tmp_path):
    for seed in range(0, WORLDS, 4):
        blocks = world(seed)
        (tmp_path / "ours.schem").write_bytes(schem.pack(blocks, 2))
        theirs = mcschematic.MCSchematic(str(tmp_path / "ours.schem"))
        for cell in places(blocks):
            place = tuple(int(a) + b for a, b in zip(cell, blocks.origin, strict=True))
            assert theirs.getBlockStateAt(place) == blocks.states[blocks.cells[cell]]
        theirs.save(str(tmp_path), "theirs", mcschematic.Version.JE_1_18_2)
        back = schem.unpack((tmp_path / "theirs.schem").read_bytes())
        assert (names(back) == names(blocks)).all()
