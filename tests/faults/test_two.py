"""Two commands that write one output: the second says who is at it, and readers see the old or the new one whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, MANY, OLD, Place

NAMES = [name for name in COMMANDS if MANY > 1 or name in ("view", "convert", "bridge export")]
Seen = dict[Path, set[bytes]]


def wait_for_lock(place: Place, process: subprocess.Popen[str]) -> None:
    while not any(lock.stat().st_size for lock in place.folder.rglob(".*.blockcore-lock")):
        assert process.poll() is None
        time.sleep(0.001)


def look(place: Place, seen: Seen) -> None:
    """Reads all that is in the outputs, as somebody else would."""
    for path, marker in place.out.items():
        try:
            for file in path.rglob("*") if marker else [path]:
                if file == path or file.is_file():
                    seen[file].add(file.read_bytes())
        except FileNotFoundError:
            assert marker, "a file that is replaced is always there"


@pytest.mark.parametrize("name", NAMES)
def test_the_second_says_who_writes_and_readers_see_no_half(name: str, placed: Callable[..., Place]) -> None:
    place, seen = placed(name), defaultdict[Path, set[bytes]](set)
    with place.start() as first:
        wait_for_lock(place, first)
        if name != "bridge batch":  # which waits for the other one
            os.kill(first.pid, signal.SIGSTOP)
            try:
                second = place.run()
            finally:
                first.send_signal(signal.SIGCONT)
            told = rf"[^\n]*: is being written by process {first.pid} on \S+ for \d+ s; [^\n]*\n"
            assert second.returncode == 2 and re.fullmatch(told, second.stderr), second.stderr
        while first.poll() is None:
            look(place, seen)
        assert first.returncode == 0, first.communicate()
    place.check_outputs()
    assert all(place.is_new(path) for path in place.out) and not place.left()
    for file, contents in seen.items():
        last = {file.read_bytes()} if file.is_file() else set()
        assert contents <= {OLD, *last} or (file.name == ".blockcore.json" and len(contents) <= 2), file
