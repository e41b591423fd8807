# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a batch is about, and which of them are this process's share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from blockcore.errors import SettingsError, listed, quoted
from blockcore.io.files import read_bytes

T = TypeVar("T")
_LARGEST_LIST = 1 << 26  # bytes
_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True)
class Source:
    """One file of a batch.

    Attributes:
        path: where it is, absolute.
        name: its name within the batch, with ``/`` between folders; also that of its result.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Shard:
    """A share of a batch: the ``number``-th of ``count``, from 1."""

    number: int = 1
    count: int = 1

    def mine(self, things: Sequence[T]) -> Sequence[T]:
        """Returns those of some things that are in this share."""
        return things[self.number - 1 :: self.count]

    @staticmethod
    def of(text: str | None, environment: Mapping[str, str] = os.environ) -> Shard:
        """Returns the share that a text such as ``2/8`` names, else that of this task of a Slurm array, else all.

        Raises:
            SettingsError: there is no such share.
        """
        if text is not None:
            words = text.split("/")
            if len(words) == 2 and all(map(str.isdecimal, words)) and 1 <= int(words[0]) <= int(words[1]):
                return Shard(int(words[0]), int(words[1]))
            raise SettingsError(f"--shard {quoted(text)}: is no share; give i/n with i from 1 to n, such as 2/8")
        if _ARRAY[0] not in environment:
            return Shard()
        try:
            task, least, step, count = (int(environment[name]) for name in _ARRAY)
        except (KeyError, ValueError) as error:
            raise SettingsError(f"this Slurm array does not say its size ({error}); give --shard i/n") from error
        number = (task - least) // step + 1
        if (task - least) % step or not 1 <= number <= count:
            raise SettingsError(f"task {task} of a Slurm array of {count} has gaps before it; give --shard i/n")
        return Shard(number, count)


def find_sources(given: Path, kinds: Sequence[str]) -> list[Source]:
    """Finds the files of a batch, in the order of their names.

    Args:
        given: a folder, which is searched with all its folders but hidden ones; a text file with one file a line, named
            relative to it, ``#`` before remarks; or one file.
        kinds: how the names of files end, such as ``.blend``.

    Raises:
        SettingsError: there is none, a file of a list is not there, or two would have the same name.
    """
    if given.is_dir():
        found = _in_folder(given, kinds)
        if not found:
            raise SettingsError(f"{given}: holds no {listed(kinds)} file; name a folder that does")
        return found
    if not given.is_file():
        raise SettingsError(f"{given}: there is no such folder or file; check its name")
    if given.suffix.lower() in kinds:
        return [Source(given.absolute(), given.name)]
    return _in_list(given, kinds)


def _in_folder(folder: Path, kinds: Sequence[str]) -> list[Source]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(root, name)
            if path.suffix.lower() in kinds and not name.startswith("."):
                found.append(Source(path.absolute(), path.relative_to(folder).as_posix()))
    return sorted(found, key=lambda source: source.name)


def _in_list(path: Path, kinds: Sequence[str]) -> list[Source]:
    try:
        text = read_bytes(path, _LARGEST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is no list of files ({error}); give a text file with one file a line") from error
    found: dict[str, Source] = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        given = Path(line)
        place = path.parent / given
        if given.suffix.lower() not in kinds or not place.is_file():
            raise SettingsError(f"{path}: {quoted(line)} is no {listed(kinds)} file; correct the list")
        # A name that leads elsewhere would put its result outside the results' folder.
        name = given.name if given.is_absolute() or ".." in given.parts else given.as_posix()
        if name in found:
            raise SettingsError(f"{path}: two files would have the result {quoted(name)}; make two lists")
        found[name] = Source(place.absolute(), name)
    if not found:
        raise SettingsError(f"{path}: lists no file; give one {listed(kinds)} file a line")
    return sorted(found.values(), key=lambda source: source.name)
