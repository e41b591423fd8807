"""The wheel in an empty environment, away from the checkout: its commands, and every example of the documentation."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.test_documentation import PAGES, ROOT, examples
from tests.unit.test_packaging import built_wheel

COMMANDS = {"blockcore": "blockcore", "bridge": "block-bridge"}
"""The console commands of what the documentation calls ``python -m``."""
OWN_FILES = ("Mine.zip", "--slurm")  # of those that want what only a reader has
MODEL = """
import bpy
bpy.ops.wm.read_homefile(use_empty=True)
bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8)
bpy.context.object.name = "Ship"
bpy.ops.export_scene.gltf(filepath="model.glb")
bpy.ops.wm.save_as_mainfile(filepath="scene.blend")
"""


@dataclass(frozen=True)
class Place:
    """A folder of somebody who installed the wheel; the files of the examples lie in it as the documentation says."""

    folder: Path
    programs: Path

    def run(self, *words: str) -> str:
        """Runs one of the environment's programs to its good end; returns what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [str(self.programs / words[0]), *words[1:]],
            cwd=self.folder,
            env=environment | {"PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("wheel")
    wheel, programs = built_wheel(folder), folder / "environment" / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(programs.parent)], check=True)
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, f"{wheel}[torch,blender]"], cwd=folder, check=True)
    there = folder / "place"
    (there / "tests").mkdir(parents=True)
    (there / "tests" / "data").symlink_to(ROOT / "tests" / "data")
    return Place(there, programs)


def test_it_is_the_wheel_that_is_imported(place: Place):
    said = place.run("python", "-c", "import blockcore, bridge; print(blockcore.__file__, bridge.__file__)")
    assert all(Path(file).is_relative_to(place.programs.parent) for file in said.split())
    assert json.loads(place.run("blockcore", "info", "--json", "-"))["version"]


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page, "python")])
def test_python_examples_run(page: str, place: Place):
    place.run("python", "-c", "\n".join(examples(page, "python")))


def test_commands_run(place: Place):
    place.run("python", "-c", MODEL)
    lines = [
        line for page in PAGES for block in examples(page, "sh") for line in block.replace("\\\n", " ").splitlines()
    ]
    lines = [line for line in lines if line.startswith("python -m ") and not any(own in line for own in OWN_FILES)]
    assert len(lines) >= 12
    for line in lines:
        if " batch " in line:
            (place.folder / "scenes").mkdir()
            shutil.copy(place.folder / "out" / "village.blend", place.folder / "scenes")
        line = line.replace("SCENE_FOLDER", "out/village").replace("--across 36", "--across 8 --views 3")  # quickly
        _, _, package, *words = shlex.split(re.sub("--budget 5000", "--budget 500", line), comments=True)
        place.run(COMMANDS[package], *words)
    for made in ("demo/pictures/overview.png", "report/report.html", "blocks2.blend", "hills.html", "compare.json"):
        assert (place.folder / "out" / made).is_file(), made
    assert (place.folder / "ship.litematic").is_file()
