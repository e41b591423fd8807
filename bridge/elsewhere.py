# SPDX-License-Identifier: GPL-3.0-or-later
"""Blenders of other versions: which open what this one writes, and a command that runs in one of them instead."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import blockcore
from blockcore.errors import BackendError

OPTION = "--blender"
HELP = "let this Blender run the command and write the file, so that Blenders as old as it open it"


def split_blender(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Returns the Blender that a command line names, if it does, and the other words."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(OPTION)
    known, others = parser.parse_known_args(list(words))
    return known.blender, others


def run_elsewhere(blender: str, words: Sequence[str]) -> int:
    """Runs a command of the bridge in another Blender; returns its exit code.

    That Blender has libraries of its own, numpy among them, and gets blockcore alone from here. The engine is this
    interpreter, unless another is set.

    Raises:
        BackendError: it cannot be started.
    """
    folder = str(Path(blockcore.__file__).resolve().parent.parent)
    inside = f"import sys; sys.path.append({folder!r}); import bridge.cli; sys.exit(bridge.cli.main())"
    command = [blender, "--background", "--factory-startup", "--python-expr", inside, "--", *words]
    try:
        return subprocess.call(command, env={"BLOCKCORE_PYTHON": sys.executable} | dict(os.environ))
    except OSError as error:
        raise BackendError(f"{blender}: cannot be started ({error.strerror}); name Blender's program") from error


def told_reader(version: tuple[int, ...]) -> str:
    """Returns what to say of a .blend that a Blender of that version wrote; "" where all that we know of open it."""
    if version < (5, 0, 0):
        return ""
    return f"it opens in Blender 4.5 and newer; for an older one, let that Blender write it: {OPTION} PROGRAM"
