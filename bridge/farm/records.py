# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each file of a batch: its result and what that was made of, or why there is none.

A result is a folder. Beside it lies a note where the last try failed; either says by a key which input, settings and
version it is about, so that nothing is done twice and nothing old is taken for new.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blockcore import __version__
from blockcore.errors import BlockcoreError, SceneError
from blockcore.io.damage import fits
from blockcore.io.files import LARGEST_JSON, Json, finite, parse_json, read_bytes, read_json, write_json
from blockcore.report.summary import Summary
from bridge.farm.sources import Source

MARKER, LIST = "batch.json", "batch.jsonl"
_FORMAT, _VERSION = "blockcore.batch", 1
_TOLD = ("blocks", "visible_blocks", "changed_blocks", "psnr_before", "psnr_after", "loss")
_DONE = {"blend": str, "reads": dict[str, str], "seconds": float, "figures": dict[str, float | None]}
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))
_hashes: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class Task:
    """One file, and what is to be done with it.

    Attributes:
        source: the file.
        out: the folder of its result.
        way: the command that makes it, ``"optimize"`` or ``"blocks"``.
        options: that command's, by their names; JSON values.
        key: says which input, options and version the result is about.
    """

    source: Source
    out: Path
    way: str
    options: Json
    key: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        name: of the file within the batch.
        state: ``"done"``, ``"skipped"`` (it was done before), ``"failed"`` or ``"missing"`` (not tried yet).
        out: the folder of its result.
        seconds: that it took, now or then.
        error: why it failed.
        figures: of the result.
    """

    name: str
    state: str
    out: Path
    seconds: float = 0.0
    error: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)

    def line(self) -> str:
        """Returns it as a line of JSON, without its end."""
        told: Json = {"file": self.name, "state": self.state}
        told |= {"error": self.error} if self.error else {"out": str(self.out), "seconds": round(self.seconds, 3)}
        return json.dumps(finite(told | dict(self.figures)), ensure_ascii=False)

    @property
    def stops_all(self) -> bool:
        """Whether it failed for what every other file would fail for as well: a disk that takes nothing."""
        return any(reason in self.error for reason in _FULL)


def key_of(source: Path, way: str, options: Json) -> str:
    """Returns what tells results apart: a hash of a file's bytes, of what is to be done with it, and of the version.

    Raises:
        SceneError: the file cannot be read.
    """
    told = json.dumps([__version__, way, options], sort_keys=True)
    try:
        return hashlib.blake2b(told.encode() + hash_of(source).encode(), digest_size=16).hexdigest()
    except OSError as error:
        raise SceneError(f"{source}: cannot be read ({error.strerror}); check its rights") from error


def hash_of(path: Path) -> str:
    """Returns a hash of a file's bytes; of one that did not change since it was last asked for, without reading it.

    Raises:
        OSError: it cannot be read.
    """
    there = path.stat()
    if not stat.S_ISREG(there.st_mode):
        raise OSError(22, "it is not an ordinary file")
    known = (str(path), there.st_size, there.st_mtime_ns)
    if known not in _hashes:
        with path.open("rb") as file:
            _hashes[known] = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return _hashes[known]


def write_done(folder: Path, task: Task, blend: str, reads: Mapping[str, str], seconds: float, told: Summary) -> None:
    """Notes in the folder of a result what it is of.

    Args:
        folder: where it is being made.
        task: what was to be done.
        blend: name of the .blend in it.
        reads: hashes of the files beside the source that it depends on, by their paths.
        seconds: that it took.
        told: the result's figures.
    """
    values = {"file": task.source.name, "key": task.key, "blend": blend, "reads": dict(reads), "seconds": seconds}
    figures = {name: getattr(told, name) for name in _TOLD}
    write_json(folder / MARKER, {"format": _FORMAT, "version": _VERSION} | values | {"figures": figures})


def find_done(task: Task, state: str = "skipped") -> Outcome | None:
    """Returns the outcome of a task that is done, with nothing it depends on changed since; None if it is not."""
    note = _note(task.out / MARKER, task.key)
    if note is None or not all(fits(note.get(name), kind) for name, kind in _DONE.items()):
        return None
    try:
        is_there = (task.out / note["blend"]).is_file()
        if not is_there or any(hash_of(Path(path)) != was for path, was in note["reads"].items()):
            return None
    except (OSError, ValueError):  # of a name that is none
        return None
    return Outcome(task.source.name, state, task.out, float(note["seconds"]), figures=note["figures"])


def find_failed(task: Task) -> Outcome | None:
    """Returns the outcome of a task that failed before, or None."""
    note = _note(_beside(task), task.key)
    return None if note is None else failed(task, str(note.get("error", "it failed")))


def failed(task: Task, error: str) -> Outcome:
    """Returns the outcome of a task that failed, its reason on one line."""
    return Outcome(task.source.name, "failed", task.out, error=str(BlockcoreError(error)))


def note_outcome(task: Task, outcome: Outcome) -> None:
    """Leaves a note of a failure beside where the result would be, and takes an earlier one away.

    Raises:
        BlockcoreError: it cannot be written.
    """
    if outcome.state == "failed":
        values = {"file": task.source.name, "key": task.key, "error": outcome.error}
        write_json(_beside(task), {"format": _FORMAT, "version": _VERSION} | values)
    else:
        _beside(task).unlink(missing_ok=True)


def check_notes(tasks: Iterable[Task], told: Path) -> None:
    """Refuses to replace files that no batch wrote: where notes of failures would be, and the list of what was told.

    Raises:
        BlockcoreError: there is one.
    """
    for path in (*map(_beside, tasks), told):
        if os.path.lexists(path) and not _is_ours(path):
            raise BlockcoreError(f"{path}: is there, and no batch wrote it; choose another place, or remove it first")


def _is_ours(path: Path) -> bool:
    try:
        data = read_bytes(path, LARGEST_JSON)
        note = parse_json(data.splitlines()[-1] if path.name == LIST else data)
        return isinstance(note, dict) and ("summary" in note or note.get("format") == _FORMAT)
    except (OSError, ValueError, LookupError, RecursionError):
        return False


def _beside(task: Task) -> Path:
    return task.out.with_name(f"{task.out.name}.failed.json")


def _note(path: Path, key: str) -> Json | None:
    """Returns a note, if it is one of ours and about this key."""
    try:
        note = read_json(path, BlockcoreError, "")
    except BlockcoreError:
        return None
    ours = isinstance(note, dict) and note.get("format") == _FORMAT and note.get("key") == key
    return note if ours else None
