"""What a Blender that runs the bridge leaves among temporary files: nothing; after a kill, nothing once another ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.commands import CUBES
from tests.gui.window import PROJECT, Tree
from tests.parts import lack, need

BRIDGE = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import bridge.cli; sys.exit(bridge.cli.main())"
ENDED = f"""
import hashlib, os, signal, sys, time
sys.path.insert(0, {str(PROJECT)!r})
from threading import Timer
from blockcore.commands.ending import run_safely
from bridge.blender.starting import start_blender
def run():
    start_blender()
    Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    {{work}}
run_safely("bridge", run)
"""
WORK = (
    "time.sleep(60)",
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 1 << 26)",
)  # one step of Python's takes half a minute
FULL = """
mount -t tmpfs -o nr_inodes=3 tmpfs "$0" && echo mine >"$0/mine" && echo mine >"$0/too"
"$@"; echo ended with $?; cat "$0"/*
"""


@pytest.fixture
def bare(tmp_path: Path) -> Tree:
    """A Blender as it is, which has the project's modules and an engine."""
    need("blender")
    tree = Tree(tmp_path, sys.executable)
    (tmp_path / "temporary").mkdir()
    make = (
        f"import sys; sys.path.insert(0, {str(PROJECT)!r}); sys.argv[1:] = [{str(tmp_path / 'cubes.blend')!r}]\n{CUBES}"
    )
    done = tree.run("blender", "-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", make)
    assert done.returncode == 0, done.stdout
    return tree


def export(tree: Tree) -> list[str]:
    words = ("blender", "-b", "--factory-startup", str(tree.folder / "cubes.blend"), "--python-expr", BRIDGE)
    words += ("--", "export", "--out", str(tree.folder / "scene"))
    return tree.command(*words, TMPDIR=str(tree.folder / "temporary"))


def find_blender(temporary: Path) -> int:
    """Returns the number of the Blender that has such a folder for its temporary files."""
    mark = f"TMPDIR={temporary}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_blender = (folder / "comm").read_text().strip() == "blender"
            if is_blender and mark in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("no such Blender runs")


def wait_until_adopted(temporary: Path, process: subprocess.Popen[bytes]) -> None:
    while not any(lock.stat().st_size for lock in temporary.glob("blender_*/.lock")):
        assert process.poll() is None
        time.sleep(0.001)


def test_nothing_of_blender_stays(bare: Tree) -> None:
    temporary = bare.folder / "temporary"
    subprocess.run(export(bare), check=True, capture_output=True)
    assert (bare.folder / "scene" / "scene.json").is_file() and not any(temporary.iterdir())
    (temporary / "blender_other").mkdir()  # of a Blender that is none of ours
    for number in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(export(bare), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_until_adopted(temporary, process)
            os.kill(find_blender(temporary), number)
            process.wait()
        left = [path.name for path in temporary.iterdir() if path.name != "blender_other"]
        assert bool(left) == (number == signal.SIGKILL)
        subprocess.run(export(bare), check=True, capture_output=True)
        assert [path.name for path in temporary.iterdir()] == ["blender_other"]


@pytest.mark.parametrize("work", WORK)
def test_a_signal_removes_no_folder_but_blenders_own(work: str, bare: Tree) -> None:
    temporary = bare.folder / "temporary"
    code = ENDED.format(work=work)
    words = bare.command("blender", "-b", "--factory-startup", "--python-expr", code, TMPDIR=str(temporary))
    assert subprocess.run(words, capture_output=True, check=False).returncode == 143
    assert not any(temporary.iterdir())
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        lack("mounts", "a disk of its own needs the right to mount one")
    mounted = ("unshare", "--mount", "--propagation", "private", "sh", "-c", FULL, str(temporary))
    done = subprocess.run([*mounted, *words], capture_output=True, text=True, check=False)
    assert "falling back to" in done.stdout + done.stderr
    assert done.stdout.endswith("ended with 143\nmine\nmine\n")
