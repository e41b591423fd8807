"""What a command writes: checked against what it reads, and kept from other processes, before any work."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blockcore.errors import BlockcoreError

FILE = ""
"""The kind of an output that is a file; that of a folder is the file that every such folder has."""
INPUTS = ("scene", "map", "dataset", "blend", "open", "model", "palette", "job", "result", "input", "only", "cameras")
_BY_ANOTHER = ("report",)  # the engine writes it, and reserves it itself
LOOSE = "*"
"""The kind of a folder that a command goes on to fill where it stopped; who fills it sees to what is there."""
BY_NAME = "?"
"""The kind of an output whose format the end of its name tells."""


@contextmanager
def outputs(args: argparse.Namespace, kinds: Mapping[str, str]) -> Iterator[None]:
    """Holds what a command is going to write.

    Args:
        args: the command's arguments; those named in ``INPUTS`` are what it reads.
        kinds: the kind of each output, by the name of its argument.

    Raises:
        BlockcoreError: an output is an input, holds one or lies in one; something is there that we did not write; or
            another process writes it.
    """
    from blockcore.io.folders import check_apart, clear_beside, reserved

    given = [path for name in INPUTS if name not in kinds for path in _paths(getattr(args, name, None))]
    wanted = [(name, kind, path) for name, kind in kinds.items() for path in _paths(getattr(args, name, None))]
    if _is_second_worker():
        wanted = []
    with ExitStack() as stack:
        for number, (name, kind, output) in enumerate(wanted):
            check_apart(output, given)
            _check_alone(output, [path for _, _, path in wanted[:number]])
            _check(output, kind)
            if name in _BY_ANOTHER:
                stack.callback(clear_beside, output)
            elif kind != LOOSE:
                stack.enter_context(reserved(output))
        yield


def _check(output: Path, kind: str) -> None:
    """Refuses to replace what is not ours, or of another kind."""
    from blockcore.formats import writer
    from blockcore.io.files import check_file
    from blockcore.io.folders import check_folder

    if kind == BY_NAME:
        kind = writer(output).marker or FILE
    if kind == FILE:
        check_file(output)
    elif kind == LOOSE:
        if os.path.lexists(output) and not output.is_dir():
            raise BlockcoreError(f"{output}: exists and is no folder; choose another place")
    else:
        check_folder(output, kind)
        _check_place(output)


def _check_alone(output: Path, others: Iterable[Path]) -> None:
    """Refuses an output that is another one, lies in one or holds one: each is written as a whole."""
    from blockcore.io.files import real_path

    mine = real_path(output)
    for other in others:
        theirs = real_path(other)
        if mine.is_relative_to(theirs) or theirs.is_relative_to(mine):
            raise BlockcoreError(f"{output}: is written for {other} already; choose another place")


def _paths(value: object) -> list[Path]:
    """Returns the paths that an argument names; ``-`` is standard output."""
    some = value if isinstance(value, list) else [value]
    return [Path(path) for path in some if isinstance(path, str | Path) and str(path) != "-"]


def _check_place(folder: Path) -> None:
    home = Path.cwd()
    if home.is_relative_to(os.path.realpath(folder)) and folder.exists() and any(folder.iterdir()):
        raise BlockcoreError(f"{folder}: is the folder that this runs in; choose another place")


def _is_second_worker() -> bool:
    """Whether this is one of several processes that torchrun started, of which the first one writes."""
    with contextlib.suppress(ValueError):
        return int(os.environ.get("RANK", "0")) > 0
    return False
