"""Commands as users run them, each in a folder of its own with inputs, outputs from before and temporary files."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from blockcore.io.files import BESIDE, write_file
from blockcore.io.folders import LIST, check_folder, write_folder
from tests.fuzz.test_readers import small_scene

MANY = int(os.environ.get("BLOCKCORE_KILLS", "1"))
"""How often each fault befalls each command; at 1 not every fault befalls every command."""
CACHES = {f"torchinductor_{getpass.getuser()}"}  # of torch, for all runs
OLD = b"what was there before"


class Command(NamedTuple):
    """A command line; how many seconds it takes at most to get to work; options that let the work never end."""

    words: str
    seconds: float
    endless: tuple[str, ...] = ()


_ENDLESS = ("--method", "gradient", "--objective", "pixels", "--steps", "20000", "--patience", "0")
COMMANDS = {
    "optimize": Command("blockcore optimize --scene scene --out result.json", 4.0, _ENDLESS),
    "view": Command("blockcore view --scene scene --out page.html", 1.5),
    "bridge export": Command("bridge export cubes.blend --out scene.json", 2.5),
    "bridge optimize": Command(
        "bridge optimize cubes.blend --lighting unlit --out y.blend --report result.json", 6.0, _ENDLESS
    ),
    "bridge optimize, lit": Command("bridge optimize cubes.blend --lighting scene --out y.blend", 8.0, _ENDLESS),
    "bridge batch": Command("bridge batch blends --lighting unlit --out results", 8.0, _ENDLESS),
    "bridge blocks": Command("bridge blocks cube.obj --across 4 --views 3 --out y.blend --report result.json", 10.0),
}
CUBES = """
import sys
import bpy, numpy as np
from bridge.blender.files import new_file, save_file
from bridge.blender.targets import set_background_image
from tests.bpy.scenes import camera, linked_cubes, picture_size
new_file()
linked_cubes()
picture_size(64, 48)
set_background_image(camera(), "Target", np.full((48, 64, 3), 120, np.uint8))
sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
bpy.context.scene.collection.objects.link(sun)
save_file(sys.argv[1])
"""
CUBE = """
v -1 -1 -1\nv -1 -1 1\nv -1 1 -1\nv -1 1 1\nv 1 -1 -1\nv 1 -1 1\nv 1 1 -1\nv 1 1 1
f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4
"""


def _hear_all_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):  # which are ignored where these tests run in the background
        signal.signal(number, signal.SIG_DFL)


class Place:
    """A folder with a command's inputs, what its outputs were before, and a folder for its temporary files."""

    def __init__(self, folder: Path, command: Command, blend: Path | None, is_endless: bool) -> None:
        self.folder, self.temporary = folder / "work", folder / "temporary"
        self.temporary.mkdir()
        small_scene().write(self.folder / "scene")
        (self.folder / "cube.obj").write_text(CUBE)
        if blend is not None:
            (self.folder / "cubes.blend").write_bytes(blend.read_bytes())
            write_file(self.folder / "blends" / "cubes.blend", blend.read_bytes())
        words = command.words.split()
        self.out = [self.folder / words[i + 1] for i, word in enumerate(words) if word in ("--out", "--report")]
        self.out = [path for path in self.out if path.suffix]  # the others are filled where they were left
        for path in self.out:
            if path.suffix == ".json":  # stands for a folder that always has such a file
                write_folder(path, path.name, lambda fresh, name=path.name: write_file(fresh / name, OLD))
            else:
                path.write_bytes(OLD)
        self.names = sorted(p.name for p in self.folder.iterdir())
        self.command = [sys.executable, "-m", *words, *(command.endless if is_endless else ())]
        self.mark = f"BLOCKCORE_MARK={folder}"
        here = {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(self.temporary)}
        self.environment = os.environ | here | dict([self.mark.split("=", 1)])

    def start(self) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, preexec_fn=_hear_all_signals, **pipes
        )

    def wait_until_it_hears(self, process: subprocess.Popen[str]) -> None:
        """Waits until the command answers signals, or is at its end."""
        heard = 1 << (signal.SIGTERM - 1)
        while process.poll() is None:
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            except OSError:
                return
            if any(line.startswith("SigCgt:") and int(line.split()[1], 16) & heard for line in lines):
                return
            time.sleep(0.01)

    def run(self, *before: str) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end, behind the words of another one that runs it."""
        return subprocess.run(
            [*before, *self.command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=300,
            check=False,
        )

    def left(self) -> list[str]:
        """Names what is beside the inputs and outputs, and among temporary files."""
        beside = [p.name for p in self.folder.iterdir() if p.name not in (*self.names, "results")]
        beside += [p.name for p in self.folder.rglob(f"*{BESIDE}*")]
        return sorted([*beside, *(p.name for p in self.temporary.iterdir() if p.name not in CACHES)])

    def running(self) -> list[int]:
        """Numbers the processes that the command has left."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_mine = self.mark.encode() in (folder / "environ").read_bytes().split(b"\0")
                is_gone = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if is_mine and not is_gone:
                found.append(int(folder.name))
        return found

    def is_new(self, path: Path) -> bool:
        """Whether an output is another one than before."""
        return (path / path.name if path.is_dir() else path).read_bytes() != OLD

    def check_outputs(self) -> None:
        """Each is the old one, or a new one that is whole."""
        for path in self.out:
            if path.is_dir():
                check_folder(path, path.name)
                assert (path / LIST).is_file()
            else:
                data = path.read_bytes()
                assert data == OLD or data.startswith((b"\x28\xb5\x2f\xfd", b"<!doctype", b"<!DOCTYPE")), path
