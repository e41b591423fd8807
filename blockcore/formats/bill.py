"""The bill of materials: how many of each block a world takes, as a table that a spreadsheet reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blockcore.formats.block_states import EMPTY, BlockStates
from blockcore.io.files import write_file

STACK = 64
"""Blocks that one slot of an inventory holds."""
BOX = 27 * STACK
"""Blocks that a shulker box holds."""


@dataclass(frozen=True)
class Needed:
    """How many of a block a world takes.

    Attributes:
        block: its state.
        count: how many.
    """

    block: str
    count: int

    @property
    def stacks(self) -> int:
        """Full stacks."""
        return self.count // STACK

    @property
    def rest(self) -> int:
        """Blocks beside the full stacks."""
        return self.count % STACK

    @property
    def boxes(self) -> int:
        """Shulker boxes that hold them all, the last one perhaps not full."""
        return -(-self.count // BOX)


def bill(counts: Mapping[str, int]) -> list[Needed]:
    """Returns what a world takes, the most first.

    Args:
        counts: blocks by state; air and states that are not there do not count.
    """
    some = [Needed(block, count) for block, count in counts.items() if count and block.partition("[")[0] not in EMPTY]
    return sorted(some, key=lambda one: (-one.count, one.block))


def table(counts: Mapping[str, int]) -> str:
    """Returns what a world takes as comma-separated values, a line for each block.

    Args:
        counts: as for ``bill``.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("block", "count", "stacks of 64", "single blocks", "shulker boxes"))
    rows.writerows((one.block, one.count, one.stacks, one.rest, one.boxes) for one in bill(counts))
    return text.getvalue()


class BillFile:
    """A bill as a file of comma-separated values; see ``blockcore.formats.Format``."""

    name = "bill of materials"
    suffixes = (".csv",)
    holds = BlockStates
    marker = ""
    is_read, is_written = False, True  # numbers do not tell where blocks are

    def write(self, path: Path, what: BlockStates) -> tuple[str, ...]:
        """Writes a line for each state."""
        counts = np.bincount(what.cells.ravel(), minlength=len(what.states)).tolist()
        total: dict[str, int] = {}
        for state, count in zip(what.states, counts, strict=True):
            total[state] = total.get(state, 0) + count
        write_file(path, table(total))
        return ()


FORMAT = BillFile()
