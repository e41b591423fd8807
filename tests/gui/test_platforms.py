"""The zips of all platforms: each holds the engine's wheels for that platform and Blender's Python, and no others."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from tests.parts import need
from tools.build_extension import LARGEST, PLATFORMS, build

ENGINE = {"numba", "llvmlite", "scipy", "pillow"}


def test_each_platform_gets_its_own_wheels(tmp_path: Path):
    need("bpy")
    archives = build(tmp_path, list(PLATFORMS), "3.11")  # which Blender's own command validated
    assert len(archives) == len(PLATFORMS) == 3
    for archive in archives:
        assert archive.stat().st_size < LARGEST
        with zipfile.ZipFile(archive) as opened:
            names = [Path(name).name for name in opened.namelist() if name.endswith(".whl")]
            manifest = tomllib.loads(opened.read("blender_manifest.toml").decode())
        (platform,) = manifest["build"]["generated"]["platforms"]
        assert archive.name.endswith(f"-{platform.replace('-', '_')}.zip")
        assert sorted(map(Path, manifest["build"]["generated"]["wheels"])) == sorted(Path("wheels", n) for n in names)
        wheels = {name: tags for name, _, _, tags in map(parse_wheel_filename, names)}
        assert wheels.keys() == ENGINE | {"blockcore"}
        for name in ENGINE:
            assert {tag.interpreter for tag in wheels[name]} == {tag.abi for tag in wheels[name]} == {"cp311"}
            assert {tag.platform for tag in wheels[name]} & set(PLATFORMS[platform])
        assert {str(tag) for tag in wheels["blockcore"]} == {"py3-none-any"}
