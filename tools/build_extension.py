"""Builds the Blender extension: ``python tools/build_extension.py [--out FOLDER]`` (``make extension``).

Stages ``addon/`` as the root of the zip, with the manifest and the wheel of blockcore and bridge, and lets Blender's
own command build and validate it. Needs the bpy package for that command.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def main() -> None:
    """Builds the zip and prints where it is."""
    parser = argparse.ArgumentParser(description="Build the Blender extension as a zip.")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist", help="folder for the zip (default: dist)")
    print(build(parser.parse_args().out))


def build(out: Path) -> Path:
    """Builds the extension into the folder ``out``; returns the path of the zip."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary) / "stage"
        shutil.copytree(PROJECT / "addon", stage, ignore=_SKIPPED)
        shutil.copy(PROJECT / "blender_manifest.toml", stage)
        for licence in PROJECT.glob("LICENSE*/*"):
            shutil.copy(licence, stage)
        _build_wheel(Path(temporary) / "source", stage / "wheels")
        built = Path(temporary) / "built"
        built.mkdir()
        _blender_ext("build", "--source-dir", str(stage), "--output-dir", str(built))
        (archive,) = built.iterdir()
        _blender_ext("validate", str(archive))
        target = out.resolve() / archive.name
        shutil.copy(archive, target.with_suffix(".fresh"))
        target.with_suffix(".fresh").replace(target)
    return target


def _build_wheel(source: Path, wheels: Path) -> None:
    """Builds from a copy: setuptools leaves its intermediate files beside the source, and would pack stale ones."""
    source.mkdir()
    for name in ("blockcore", "bridge", "LICENSES"):
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, source / name, ignore=_SKIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (PROJECT / name).is_file():
            shutil.copy(PROJECT / name, source)
    _run(
        sys.executable,
        *("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", str(wheels), str(source)),
        cwd=source,
    )


def _blender_ext(*arguments: str) -> None:
    spec = importlib.util.find_spec("bpy")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("building the extension needs Blender's Python package; install it with: pip install bpy")
    (bpy,) = spec.submodule_search_locations
    command = next(Path(bpy).glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    _run(sys.executable, str(command), *arguments)


def _run(*command: str, cwd: Path | None = None) -> None:
    # A fixed date makes the same source give the same wheel, byte for byte.
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1735689600"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"building the extension failed at: {' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
