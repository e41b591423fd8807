"""Random worlds of block states that every format of Minecraft is tried with."""

from __future__ import annotations

import itertools
import os

import numpy as np

from blockcore.formats.block_states import BlockStates

WORLDS = int(os.environ.get("BLOCKCORE_WORLDS", "20"))
"""How many worlds each test takes; 200 try every count of states several times."""
SIZES = ((1, 384, 1), (300, 3, 300), (7, 5, 3), (1, 1, 1), (16, 16, 16))
COUNTS = sorted({1, 5_000, *itertools.chain(*((1 << k, (1 << k) + 1) for k in range(13)))})


def world(seed: int) -> BlockStates:
    """Returns a world; every other one has a size of ``SIZES``, and the count of its states is one of ``COUNTS``."""
    chance = np.random.default_rng(seed)
    count = COUNTS[seed % len(COUNTS)]
    size = SIZES[seed % len(SIZES)] if seed % 2 else tuple(int(side) for side in chance.integers(1, 40, 3))
    cells = chance.integers(0, count, size, dtype=np.int32)
    states = tuple(f"minecraft:block_{index}[axis={'xyz'[index % 3]}]" for index in range(count))
    return BlockStates(cells, states, tuple(int(place) for place in chance.integers(-99, 99, 3)))


def names(blocks: BlockStates):
    """Returns the state of each cell."""
    return np.array(blocks.states)[blocks.cells]


def places(blocks: BlockStates, most: int = 3_000) -> list[tuple[int, int, int]]:
    """Returns the cells that a slow reader is asked for: all with many worlds, else at most ``most`` drawn ones."""
    count = blocks.cells.size
    drawn = np.arange(count) if WORLDS > 20 else np.random.default_rng(count).permutation(count)[:most]
    return list(zip(*(axis.tolist() for axis in np.unravel_index(drawn, blocks.cells.shape)), strict=True))
