"""Debian's Blender without a window: its Python is another one, and it has the wheel alone."""

from __future__ import annotations

import json

import numpy as np

from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from bridge.job import Job
from tests.gui.window import Tree

DEMO = """
import json, bpy
bpy.ops.blocks.demo_scene()
from bridge.blender.extract import extract
scene = bpy.context.scene
extract(scene.optimize_materials.object).write("{folder}/scene")
bpy.ops.wm.save_as_mainfile(filepath="{folder}/a b ü.blend")
bpy.ops.blocks.save_job(filepath="{folder}/panel.json")
"""
READ = """
import bpy, json, pathlib
from bridge.blender.world import world_materials
(world,) = [o for o in bpy.context.scene.objects if o.type == 'MESH' and o.visible_get()]
pathlib.Path("{folder}/found.json").write_text(json.dumps(world_materials(world).tolist()))
"""


def test_a_job_from_the_panel_runs_unchanged_on_the_command_line(tree: Tree):
    folder = tree.folder / "größer als"
    folder.mkdir()
    done = tree.run("blender", "-b", "--python-exit-code", "1", "--python-expr", DEMO.format(folder=folder))
    assert done.returncode == 0, done.stdout
    blend, job, out = folder / "a b ü.blend", folder / "panel.json", folder / "Y ü.blend"
    settings = OptimizeSettings(method="gradient", steps=120, seed=5, allowed="Grass, Dirt, Stone, Plank, Sand, Water")
    panel = Job.read(job)
    assert (panel.blocks, panel.blocks_kind) == ("Village", "object")
    Job(**{**vars(panel), "settings": settings}).write(job)
    done = tree.run(
        *("blender", "-b", str(blend), "--command", "optimize_materials"),
        *("--job", str(job), "--out", str(out), "--report", str(folder / "report")),
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    read = READ.format(folder=folder)
    done = tree.run("blender", "-b", str(out), "--python-exit-code", "1", "--python-expr", read)
    assert done.returncode == 0, done.stdout
    found = np.array(json.loads((folder / "found.json").read_text()))
    wanted = optimize_materials(BlockScene.read(folder / "scene"), settings).materials
    assert np.array_equal(found, wanted)
    assert (folder / "report" / "report.html").is_file()


def test_a_job_that_cannot_be_done_is_one_line_and_exit_code_2(tree: Tree):
    job = tree.folder / "wrong.json"
    Job(blocks="Nowhere").write(job)
    done = tree.run(
        *("blender", "-b", "--command", "optimize_materials"),
        *("--job", str(job), "--out", str(tree.folder / "never.blend")),
    )
    assert done.returncode == 2
    assert "Nowhere" in done.stdout and "Traceback" not in done.stdout
    assert not (tree.folder / "never.blend").exists()


TOGGLE = """
import bpy
name = 'bl_ext.user_default.optimize_materials'
print('BEGIN', flush=True)
for _ in range(2):
    bpy.ops.preferences.addon_disable(module=name)
    assert not hasattr(bpy.types.Scene, 'optimize_materials')
    bpy.ops.preferences.addon_enable(module=name)
    assert hasattr(bpy.types.Scene, 'optimize_materials')
print('END', flush=True)
"""


def test_it_can_be_disabled_and_enabled_again_without_a_word(tree: Tree):
    done = tree.run("blender", "-b", "--python-exit-code", "1", "--python-expr", TOGGLE)
    assert done.returncode == 0, done.stdout
    assert done.stdout.partition("BEGIN\n")[2].partition("END\n")[0] == ""
