"""Many small files in zip archives and folders that lie on top of each other: read one by one, each within bounds.

A name counts in the first place that has it. Nothing is unpacked to disk, links do not lead out of their folder, and
what an archive claims is checked before memory is taken for it.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Protocol

from blockcore.errors import BlockcoreError
from blockcore.io.files import inside, read_bytes

MOST_FILES = 1 << 17
"""The most files that one archive or folder may hold."""
MOST_BYTES = 1 << 29
"""The most bytes that are read from a stack in all."""
_LARGEST_DIRECTORY = 1 << 25  # bytes of an archive's list of files
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\5\6", 22, 1 << 16
_LONG_END = b"PK\6\7"  # of archives of more than 65,535 files or 4 GiB
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REMEDY = "give a resource pack: a .zip, a .jar or a folder"
_PROBLEMS = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, NotImplementedError, LookupError)


class Pack(Protocol):
    """One place of a stack.

    Attributes:
        names: of its files, with ``/`` between folders.
    """

    names: frozenset[str]

    def read(self, name: str, most: int) -> bytes:
        """Returns a file's bytes.

        Raises:
            ValueError: it is damaged, or has more than ``most`` bytes.
        """
        ...


class PackStack:
    """Places on top of each other, the first one on top."""

    def __init__(self, packs: Sequence[Pack]) -> None:
        """Stacks opened places."""
        self.packs = tuple(packs)
        self._left = MOST_BYTES

    @staticmethod
    def open(paths: Iterable[Path]) -> PackStack:
        """Opens archives and folders.

        Raises:
            BlockcoreError: one is neither, is damaged, or holds too much.
        """
        return PackStack([_Folder(path) if path.is_dir() else _Archive(path) for path in paths])

    def names(self, start: str, end: str) -> list[str]:
        """Returns the names that begin and end so, sorted."""
        every = {name for pack in self.packs for name in pack.names}
        return sorted(name for name in every if name.startswith(start) and name.endswith(end))

    def read(self, name: str, most: int) -> bytes | None:
        """Returns the bytes of the topmost file of a name, or None where there is none.

        Raises:
            ValueError: it is damaged, or has more than ``most`` bytes, or more than ``MOST_BYTES`` were read in all.
        """
        pack = next((pack for pack in self.packs if name in pack.names), None)
        if pack is None:
            return None
        data = pack.read(name, min(most, self._left))
        self._left -= len(data)
        return data


class _Folder:
    def __init__(self, path: Path) -> None:
        found: set[str] = set()
        for folder, _, files in os.walk(path):
            found.update((Path(folder) / file).relative_to(path).as_posix() for file in files)
            if len(found) > MOST_FILES:
                raise BlockcoreError(f"{path}: holds more than {MOST_FILES} files; {_REMEDY}")
        self.path, self.names = path, frozenset(found)

    def read(self, name: str, most: int) -> bytes:
        path = inside(self.path, name)
        if path is None:
            raise ValueError("leads out of its folder")
        try:
            return read_bytes(path, most)
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from error


class _Archive:
    def __init__(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            self._file = os.fdopen(handle, "rb")
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(22, "it is not an ordinary file")
            _check_directory(self._file)
            self._archive = zipfile.ZipFile(self._file)
            self._members = {member.filename: member for member in self._archive.infolist() if not member.is_dir()}
        except (OSError, *_PROBLEMS) as error:
            reason = getattr(error, "strerror", None) or error
            raise BlockcoreError(f"{path}: cannot be read ({reason}); {_REMEDY}") from error
        if len(self._members) > MOST_FILES:
            raise BlockcoreError(f"{path}: holds more than {MOST_FILES} files; {_REMEDY}")
        self.names = frozenset(self._members)

    def read(self, name: str, most: int) -> bytes:
        member = self._members[name]
        if member.compress_type not in _PACKINGS:
            raise ValueError("is packed in a way that is not allowed")
        try:
            with self._archive.open(member) as file:
                data = file.read(most + 1)
        except (OSError, *_PROBLEMS) as error:
            raise ValueError(f"is damaged ({error})") from error
        if len(data) > most:
            raise ValueError(f"has more than the {most} bytes that are allowed")
        return data


def _check_directory(file: IO[bytes]) -> None:
    """Refuses an archive whose list of files alone would fill the memory; the list is read as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_SIZE > len(tail):
        raise ValueError("it is no zip archive")
    if _LONG_END in tail or int.from_bytes(tail[at + 12 : at + 16], "little") > _LARGEST_DIRECTORY:
        raise ValueError("it lists too many files")
