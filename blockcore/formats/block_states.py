"""A box of Minecraft's block states: what its formats carry, and what each has to say about what it left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats.nbt import Compound

MOST_CELLS = 1 << 25
"""The most cells that are read from a file."""
AT_ONCE = 1 << 20
"""The cells that are worked on at once where single steps take many times their memory."""
DATA_VERSION = 2975
"""Of the states' names, where the caller knows none: Minecraft 1.18.2."""
AIR = "minecraft:air"
EMPTY = (AIR, "minecraft:cave_air", "minecraft:void_air", "minecraft:structure_void")
"""The states of a cell without a block."""
_STATE = re.compile(r"([a-z0-9_.-]+:[a-z0-9_./-]+)(?:\[([a-z0-9_]+=[a-z0-9_]+(?:,[a-z0-9_]+=[a-z0-9_]+)*)\])?")


@dataclass(frozen=True)
class BlockStates:
    """Block states in a box.

    Attributes:
        cells: (x, y, z) int32, the index of each cell's state. The axes are Minecraft's: y is up.
        states: the states, such as ``minecraft:oak_log[axis=x]``.
        origin: where the corner of least coordinates lies, in blocks.
        losses: what the file has that is not here, a sentence each.
    """

    cells: npt.NDArray[np.int32]
    states: tuple[str, ...]
    origin: tuple[int, int, int] = (0, 0, 0)
    losses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cells.ndim != 3 or self.cells.dtype != np.int32 or not self.cells.size:
            raise ValueError("block states fill a box of (x, y, z) int32")
        if self.cells.min() < 0 or self.cells.max() >= len(self.states):
            raise ValueError("has a block that its list of states lacks")


def is_state(text: str) -> bool:
    """Whether a text is a block state, such as ``minecraft:oak_log[axis=x]``."""
    return _STATE.fullmatch(text) is not None


def state_tag(state: str) -> Compound:
    """Returns a block state as a compound of Name and, where it has any, Properties.

    Raises:
        ValueError: the text is no state.
    """
    found = _STATE.fullmatch(state)
    if not found:
        raise ValueError(f"{state[:80]!r} is no block state such as minecraft:oak_log[axis=x]; rename it")
    name, properties = found.groups()
    tag: Compound = {"Name": name}
    return tag | {"Properties": dict(pair.split("=") for pair in properties.split(","))} if properties else tag


def state_text(tag: Any) -> str:
    """Returns the text of a block state from its compound.

    Raises:
        ValueError: it is none.
    """
    properties = tag.get("Properties", {}) if isinstance(tag, dict) else None
    if not isinstance(properties, dict) or not isinstance(tag.get("Name"), str):
        raise ValueError("has a block without a name")
    pairs = ",".join(f"{key}={value}" for key, value in sorted(properties.items()))
    return f"{tag['Name']}[{pairs}]" if pairs else str(tag["Name"])


def merged(states: Sequence[str]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Returns the states, none twice, and for each one that was given its index among them."""
    names: dict[str, int] = {}
    number = np.array([names.setdefault(state, len(names)) for state in states], np.int32)
    return list(names), number


def boxed(
    values: npt.NDArray[Any], size: tuple[int, int, int], meaning: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Returns a box of cells, a part at a time: the largest takes little more memory than itself.

    Args:
        values: (n,) whole numbers of the cells, x running fastest, then z, then y.
        size: the box's sides along x, y and z.
        meaning: what each number becomes.
    """
    width, height, length = size
    cells = np.empty(len(values), np.int32)
    for low in range(0, len(values), AT_ONCE):
        cells[low : low + AT_ONCE] = meaning[values[low : low + AT_ONCE]]
    return cells.reshape(height, length, width).transpose(2, 0, 1)


def item(values: Any, name: str, kind: type[Any]) -> Any:
    """Returns a value of a compound.

    Raises:
        ValueError: it is not there, or of another kind.
    """
    value = values.get(name) if isinstance(values, dict) else None
    if not isinstance(value, kind):
        raise ValueError(f"it has no {name}")
    return value


def left_out(kinds: Sequence[tuple[Any, str]]) -> tuple[str, ...]:
    """Returns a sentence for each list of tags that has some, saying that they are left out."""
    return tuple(f"{len(found)} {kind} are left out" for found, kind in kinds if isinstance(found, list) and found)
