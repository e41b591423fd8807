"""The README's headless door, as it is written there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.parts import need
from tests.unit.test_documentation import ROOT, examples


def model(folder: Path) -> Path:
    import bpy

    bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8)
    path = folder / "model.obj"
    bpy.ops.wm.obj_export(filepath=str(path))
    return path


def test_headless_commands_do_what_the_readme_says(tmp_path):
    need("bpy")
    commands = [line for block in examples("README.md", "sh") for line in block.splitlines() if "-m bridge" in line]
    headless = [re.sub(r"\bout/", f"{tmp_path}/", line) for line in commands if " demo " not in line]
    assert [shlex.split(line)[3] for line in headless] == ["import-map", "optimize", "blocks"]
    for line in headless:
        line = line.replace(
            "model.glb --across 36", f"{model(tmp_path)} --across 8 --views 3"
        )  # a small model, quickly
        words = [sys.executable if word == "python" else word for word in shlex.split(line)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "blocks.blend").is_file()
    assert (tmp_path / "optimized.blend").is_file() and (tmp_path / "report" / "report.html").is_file()
