"""Structures hold the blocks that nbtlib and litemapy find in them, and the other way round."""

from __future__ import annotations

import gzip
import io

import litemapy
import nbtlib
import numpy as np
import pytest

from blockcore import formats
from blockcore.formats import nbt, structure
from blockcore.formats.block_states import BlockStates
from tests.state_worlds import WORLDS, names, world

SMALL = [seed for seed in range(4 * WORLDS) if world(seed).cells.size <= 3_000]


def judge(data: bytes) -> nbtlib.File:
    return nbtlib.File.parse(io.BytesIO(gzip.decompress(data)))


def test_nbtlib_finds_the_blocks_we_wrote():
    for seed in SMALL[:WORLDS]:
        blocks = world(seed)
        root = judge(structure.pack(blocks))
        found = np.full([int(side) for side in root["size"]], None, object)
        for block in root["blocks"]:
            tag = root["palette"][int(block["state"])]
            pairs = ",".join(f"{key}={value}" for key, value in tag["Properties"].items())
            found[tuple(int(place) for place in block["pos"])] = f"{tag['Name']}[{pairs}]"
        assert (found == names(blocks)).all()


def test_we_find_the_blocks_that_litemapy_wrote():
    for seed in range(WORLDS):
        sides = np.random.default_rng(seed).integers(1, 12, 3).tolist()
        region = litemapy.Region(0, 0, 0, *sides)
        for number, place in enumerate(region.block_positions()):
            region[place] = litemapy.BlockState(f"minecraft:block_{number % (2 ** (seed % 9))}", axis="x")
        buffer = io.BytesIO()
        region.to_structure_nbt(gzipped=False).write(buffer)
        back = structure.unpack(buffer.getvalue())
        assert back.cells.shape == tuple(sides)
        for place in region.block_positions():
            assert names(back)[place] == region[place].to_block_state_identifier()


def test_places_that_are_not_listed_are_void_and_what_is_left_out_is_said():
    states = ("minecraft:structure_void", "minecraft:stone", "minecraft:air")
    blocks = BlockStates(np.array([0, 1, 2], np.int32).reshape(3, 1, 1), states, (4, 0, 0))
    name, root = nbt.unpack(structure.pack(blocks))
    assert len(root["blocks"]) == 2
    root["blocks"][0]["nbt"] = {}
    root["palettes"] = [root["palette"], root.pop("palette")]
    back = structure.unpack(nbt.pack(name, root))
    assert names(back).ravel().tolist() == list(states)
    assert [loss.split()[0] for loss in back.losses] == ["1", "1"]
    long = BlockStates(np.zeros((49, 1, 1), np.int32), ("minecraft:stone",))
    assert ["(4, 0, 0)" in structure.lost(blocks)[0], "2 files beside it" in structure.lost(long)[0]] == [True, True]


@pytest.mark.parametrize(
    ("size", "count", "fits"),
    [((49, 2, 3), 1, True), ((1, 100, 1), 3, True), ((48, 2, 97), 3, True), ((60, 2, 3), 2, False)],
)
def test_the_parts_of_a_large_world_make_it_up(size, count, fits, tmp_path, monkeypatch):
    cells = np.random.default_rng(48).integers(0, 5, size, dtype=np.int32)
    if size == (49, 2, 3):
        cells[:48] = 0
    if not fits:
        monkeypatch.setattr(structure, "_MOST_BLOCKS", cells[:48].size)
    states = ("minecraft:air", *(f"minecraft:block_{index}" for index in range(4)))
    losses = formats.write(tmp_path / "w.nbt", BlockStates(cells, states))
    assert [f"{count} files beside it" in losses[0], "too large" in losses[-1]] == [True, not fits]
    joined = np.full(size, "minecraft:air", object)
    files = sorted(tmp_path.glob("w_*.nbt"))
    assert len(files) == count
    for file in files:
        part, _ = formats.read(file)
        low = [int(number) for number in file.stem.split("_")[1:]]
        assert max(part.cells.shape) <= 48
        box = tuple(slice(start, start + side) for start, side in zip(low, part.cells.shape, strict=True))
        joined[box] = names(part)
    assert (joined == np.array(states, object)[cells]).all()
    whole, _ = formats.read(tmp_path / "w.nbt")
    assert (names(whole) == np.array(states)[cells if fits else cells[:48]]).all()


def test_more_blocks_than_are_read_again_are_refused():
    with pytest.raises(ValueError, match="cut it"):
        structure.pack(BlockStates(np.zeros((99, 99, 99), np.int32), ("minecraft:stone",)))
    most = BlockStates(np.zeros((48, 48, 9), np.int32), ("minecraft:stone",))
    assert (structure.unpack(structure.pack(most)).cells.shape) == (48, 48, 9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": [np.int32(1), np.int32(1)]}, "its size"),
        ({"size": [np.int32(1 << 30)] * 3}, "its size"),
        ({"size": [np.int32(0)] * 3}, "its size"),
        ({"palette": []}, "lacks"),
        ({"palette": None}, "no palette"),
        ({"blocks": [{"state": np.int32(0), "pos": [np.int32(9)] * 3}]}, "outside"),
        ({"blocks": [{"state": np.int32(0), "pos": [np.int32(0)]}]}, "outside"),
        ({"blocks": [{"state": np.int32(5), "pos": [np.int32(0)] * 3}]}, "lacks"),
        ({"blocks": [{"pos": [np.int32(0)] * 3}]}, "no state"),
        ({"blocks": ["text"]}, "no pos"),
    ],
)
def test_damage_is_named(changes, message):
    name, root = nbt.unpack(structure.pack(BlockStates(np.zeros((2, 2, 2), np.int32), ("minecraft:stone",))))
    with pytest.raises(ValueError, match=message):
        structure.unpack(nbt.pack(name, {key: value for key, value in (root | changes).items() if value is not None}))
