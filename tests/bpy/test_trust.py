"""A .blend from elsewhere is data: what is in it runs nothing."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from bridge.blender.files import open_file, save_file
from tests.parts import need

need("bpy")


@pytest.mark.parametrize("kind", ["text", "driver"])
def test_a_blend_runs_no_script_of_its_own(kind: str, tmp_path: Path) -> None:
    sign = tmp_path / "it ran"
    code = f"open({str(sign)!r}, 'w').close()"
    if kind == "text":
        text = bpy.data.texts.new("start.py")
        text.write(code)
        text.use_module = True
    else:
        cube = bpy.data.objects.new("Cube", None)
        bpy.context.scene.collection.objects.link(cube)
        cube.driver_add("location", 0).driver.expression = f"__import__('pathlib').Path({str(sign)!r}).touch() or 1"
    save_file(tmp_path / "x.blend")
    sign.unlink(missing_ok=True)
    before = bpy.context.preferences.filepaths.use_scripts_auto_execute
    bpy.context.preferences.filepaths.use_scripts_auto_execute = True
    try:
        open_file(tmp_path / "x.blend")
        bpy.context.view_layer.update()
    finally:
        bpy.context.preferences.filepaths.use_scripts_auto_execute = before
    assert not sign.exists()
