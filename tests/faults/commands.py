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
from tests.packs import cube, files_of, picture, same, write_zip

MANY = int(os.environ.get("BLOCKCORE_KILLS", "1"))
"""How often each fault befalls each command; at 1 not every fault befalls every command."""
BEGINNINGS = {
    **{".blend": b"\x28\xb5\x2f\xfd", ".html": b"<!doctype", ".schem": b"\x1f\x8b"},
    **{".json": b"{", ".txt": b"minecraft:"},
}
"""What files begin with that are none of old, by their suffixes."""
PACK = files_of(
    {"rock": {"variants": {"": {"model": "block/rock"}}}, "gone": {}},
    {"rock": cube(same("block/rock"))},
    {"rock": picture(1, 64, 64)},
)
CACHES = {f"torchinductor_{getpass.getuser()}"}  # of torch, for all runs
OLD = b"what was there before"


FOREIGN = ("sh: ", "libpng ")
"""What lines begin with of shells and libraries that Blender uses."""
PROGRESS = ("measuring the light, ", "step ")
"""What lines begin with that say how far a command is, which one that takes long does where no terminal shows a bar."""


def complaints(said: str) -> list[str]:
    """Returns the lines of standard error that are ours, and no progress."""
    return [line for line in said.splitlines() if not line.startswith((*FOREIGN, *PROGRESS))]


class Command(NamedTuple):
    """A command line.

    Attributes:
        words: it.
        outputs: what it writes: files, and folders with the file that each such folder has.
        seconds: that it takes at most to get to work.
        endless: options that let the work never end.
    """

    words: str
    outputs: dict[str, str]
    seconds: float
    endless: tuple[str, ...] = ()


_ENDLESS = ("--method", "gradient", "--objective", "pixels", "--steps", "20000", "--patience", "0")
_BLEND, _RESULT = {"y.blend": ""}, {"result": "result.json"}
COMMANDS = {
    "optimize": Command("blockcore optimize --scene scene --out result", _RESULT, 4.0, _ENDLESS),
    "view": Command("blockcore view --scene scene --out page.html", {"page.html": ""}, 1.5),
    "convert": Command("blockcore convert scene world.schem", {"world.schem": ""}, 1.0),
    "palette": Command(
        "blockcore palette pack.zip --out palette.json --left-out why.txt", {"palette.json": "", "why.txt": ""}, 1.0
    ),
    "bridge export": Command("bridge export cubes.blend --out exported", {"exported": "scene.json"}, 2.5),
    "bridge optimize": Command(
        "bridge optimize cubes.blend --lighting unlit --out y.blend --report result", _BLEND | _RESULT, 6.0, _ENDLESS
    ),
    "bridge optimize, lit": Command(
        "bridge optimize cubes.blend --lighting scene --out y.blend", _BLEND, 8.0, _ENDLESS
    ),
    "bridge batch": Command(
        "bridge batch blends --lighting unlit --out results", {"results/cubes.blend": "batch.json"}, 8.0, _ENDLESS
    ),
    "bridge blocks": Command(
        "bridge blocks cube.obj --across 4 --views 3 --out y.blend --report result", _BLEND | _RESULT, 10.0
    ),
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
        self.folder, self.temporary, self.cache = folder / "work", folder / "temporary", folder / "cache"
        self.temporary.mkdir()
        self.cache.mkdir()
        small_scene().write(self.folder / "scene")
        (self.folder / "cube.obj").write_text(CUBE)
        write_zip(self.folder / "pack.zip", PACK)
        if blend is not None:
            (self.folder / "cubes.blend").write_bytes(blend.read_bytes())
            write_file(self.folder / "blends" / "cubes.blend", blend.read_bytes())
        self.out = {self.folder / name: marker for name, marker in command.outputs.items()}
        for path, marker in self.out.items():
            if marker:
                write_folder(path, marker, lambda fresh, name=marker: write_file(fresh / name, OLD))
            else:
                path.write_bytes(OLD)
        self.names = sorted(p.name for p in self.folder.iterdir())
        self.command = [sys.executable, "-m", *command.words.split(), *(command.endless if is_endless else ())]
        self.mark = f"BLOCKCORE_MARK={folder}"
        here = {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(self.temporary)}
        here["BLOCKCORE_CACHE"] = str(self.cache)
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
        beside = [p.name for p in self.folder.iterdir() if p.name not in self.names]
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
        return (path / self.out[path]).read_bytes() != OLD

    def check_outputs(self) -> None:
        """Each is the old one, or a new one that is whole."""
        for path, marker in self.out.items():
            if marker:
                check_folder(path, marker)
                assert (path / LIST).is_file()
            else:
                data = path.read_bytes()
                assert data == OLD or data.startswith(BEGINNINGS[path.suffix]), path
