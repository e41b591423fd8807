"""glTF files in Blender: every block where it is in the world, every texel where our renderer has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockcore import formats
from tests.packs import turned_world
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.build import build  # noqa: E402
from tests.bpy.test_tiles import check_texels, glow, white_light  # noqa: E402


@pytest.mark.parametrize("name", ["cubes.glb", "faces.mesh.glb"])
def test_blender_shows_the_file_as_we_draw_the_world(name: str, tmp_path: Path) -> None:
    scene = turned_world(tmp_path / "pack.zip")
    formats.write(tmp_path / name, scene)
    blocks = build(scene)
    white_light()
    bpy.data.objects.remove(blocks)
    bpy.ops.import_scene.gltf(filepath=str(tmp_path / name))
    glow()
    check_texels(scene, tmp_path)
