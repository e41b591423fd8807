"""A file that holds block states as a tree of tags: what all formats of Minecraft have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blockcore.formats import nbt
from blockcore.formats.block_states import BlockStates
from blockcore.io.files import read_bytes, write_file
from blockcore.model.palette import Palette


@dataclass(frozen=True)
class StatesFile:
    """A format of block states; see ``blockcore.formats.Format``.

    Attributes:
        name: what users call it.
        suffixes: of its files' names.
        unpack: makes block states of a file's bytes.
        pack: makes a file's bytes of block states; None where the format is only read.
        lost: says what ``pack`` leaves out.
    """

    name: str
    suffixes: tuple[str, ...]
    unpack: Callable[[bytes], BlockStates]
    pack: Callable[[BlockStates], bytes] | None = None
    lost: Callable[[BlockStates], tuple[str, ...]] = lambda blocks: ()
    holds = BlockStates
    marker = ""
    is_read = True

    @property
    def is_written(self) -> bool:
        """Whether the format is written."""
        return self.pack is not None

    def sniff(self, path: Path, start: bytes) -> bool:
        """Whether the unpacked bytes begin as a tree of tags does."""
        return start[:2] == b"\x0a\x00"

    def read(self, path: Path, palette: Palette | None) -> tuple[BlockStates, tuple[str, ...]]:
        """Reads a file; the palette is not used."""
        blocks = self.unpack(read_bytes(path, nbt.LARGEST))
        return blocks, blocks.losses

    def write(self, path: Path, what: BlockStates) -> tuple[str, ...]:
        """Writes a file."""
        if self.pack is None:
            raise ValueError(f"{self.name} is only read")
        write_file(path, self.pack(what))
        return self.lost(what)
