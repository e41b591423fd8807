"""Builds the Blender extension, a zip a platform: ``python tools/build_extension.py`` (``make extension``).

Stages ``addon/`` as the root of the zip, with the manifest, the wheel of blockcore and bridge and the wheels that the
engine needs in Blender's own Python, and lets Blender's own command build and validate it. Needs the bpy package for
that command, and a package registry for the wheels.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_12_0_arm64", "macosx_11_0_arm64"),
}
"""Blender's names of platforms, and the tags of the wheels that run there."""
LARGEST = 200_000_000  # bytes of a zip
_ENGINE = ("numba", "llvmlite", "scipy", "pillow")  # numpy comes with Blender
_SCIPY = "scipy==1.15.3"  # built for the numpy of any Blender from 4.2 on, which is 1.24; later ones are not
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def main() -> None:
    """Builds the zips and prints where they are."""
    parser = argparse.ArgumentParser(description="Build the Blender extension as a zip for each platform.")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist", help="folder for the zips (default: dist)")
    parser.add_argument("--platform", choices=PLATFORMS, action="append", help="one of them (default: all)")
    parser.add_argument("--python", default="3.11", help="of the Blender it is for: 3.11 up to 5.0, then 3.13")
    given = parser.parse_args()
    for archive in build(given.out, given.platform or list(PLATFORMS), given.python):
        print(f"{archive}  {archive.stat().st_size / 1e6:.0f} MB")


def build(out: Path, platforms: Sequence[str] = (), python: str = "3.11") -> list[Path]:
    """Builds the extension.

    Args:
        out: folder for the zips.
        platforms: keys of ``PLATFORMS``, one zip each; none for one zip without an engine, for every platform.
        python: version of Blender's Python.

    Returns:
        The paths of the zips.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary) / "stage"
        shutil.copytree(PROJECT / "addon", stage, ignore=_SKIPPED)
        shutil.copy(PROJECT / "blender_manifest.toml", stage)
        for licence in PROJECT.glob("LICENSE*/*"):
            shutil.copy(licence, stage)
        _build_wheel(Path(temporary) / "source", stage / "wheels")
        for platform in platforms:
            _download_engine(stage / "wheels", platform, python)
        _list_wheels(stage, platforms)
        built = Path(temporary) / "built"
        built.mkdir()
        split = ["--split-platforms"] if platforms else []
        _blender_ext("build", "--source-dir", str(stage), "--output-dir", str(built), *split)
        return [_checked(archive, out.resolve()) for archive in sorted(built.iterdir())]


def _checked(archive: Path, out: Path) -> Path:
    """Moves a zip to where it is wanted, once Blender's command finds nothing wrong with it."""
    _blender_ext("validate", str(archive))
    if archive.stat().st_size > LARGEST:
        sys.exit(f"{archive.name}: has {archive.stat().st_size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}")
    target = out / archive.name
    shutil.copy(archive, target.with_suffix(".fresh"))
    target.with_suffix(".fresh").replace(target)
    return target


def _download_engine(wheels: Path, platform: str, python: str) -> None:
    """Fetches what the engine needs and Blender lacks, built for a platform and a Python, at its pinned versions."""
    pinned = dict(re.findall(r"^(\w+)(==.+)$", (PROJECT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    pins = [_SCIPY if name == "scipy" else name + pinned[name] for name in _ENGINE]
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    kind = ("--only-binary", ":all:", "--implementation", "cp", "--python-version", python)
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *kind, *tags, "--dest", str(wheels), *pins)


def _list_wheels(stage: Path, platforms: Sequence[str]) -> None:
    """Lists in the staged manifest what lies in its folder of wheels, and the platforms that these are for."""
    manifest = stage / "blender_manifest.toml"
    wheels = [f"./wheels/{path.name}" for path in sorted((stage / "wheels").iterdir())]
    lines = [f"wheels = {json.dumps(wheels)}"] + [f"platforms = {json.dumps(list(platforms))}"] * bool(platforms)
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub(r"(?m)^wheels = .*$", "\n".join(lines), text), encoding="utf-8")


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
