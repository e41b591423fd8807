"""The palette in the panel: edits last, are undone like all else, and runs and files have them."""

from __future__ import annotations

from pathlib import Path

from tests.bpy.test_stories import ROW, looks
from tests.extension import Blender
from tests.parts import need

need("bpy")

EDITED = """
flat_row()
scene = bpy.context.scene
group, status = scene.optimize_materials, part('status')
status.refresh(scene)
def listed():
    status.refresh(scene)
    return {m.name: [round(v, 2) for v in m.colors[:3]] for m in group.materials}
before = listed()
group.materials['Rock'].limit = 3
group.materials['Leaf'].top = (1.0, 0.0, 0.0)
recolored = [group.palette, listed()]
bpy.ops.blocks.palette_add()
bpy.ops.blocks.palette_add()
added = list(listed())
group.materials['Rock'].title = ' Leaf '
group.materials['Material'].title = 'Air'
renamed = [list(listed()), group.settings.limits]
group.active_material = 3
bpy.ops.blocks.palette_remove()
removed = [list(listed()), group.active_material]
bpy.ops.blocks.palette_save(filepath=str(folder / 'mine.json'))
bpy.ops.wm.save_as_mainfile(filepath=str(folder / 'mine.blend'))
bpy.ops.wm.open_mainfile(filepath=str(folder / 'mine.blend'))
scene = bpy.context.scene
group = scene.optimize_materials
reopened = [group.palette, listed()]
group.palette = 'file'
other = listed()
group.palette = 'own'
back = listed()
bpy.ops.blocks.palette_remove()
bpy.ops.blocks.palette_remove()
try:
    bpy.ops.blocks.palette_remove()
except RuntimeError as error:
    last = str(error)
bpy.ops.blocks.palette_load(filepath=str(folder / 'mine.json'))
loaded = [group.palette, listed()]
answer = [before, recolored, added, renamed, removed, reopened, other, back, last, loaded]
"""


def test_edits_last_and_make_the_palette_the_scenes_own(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(looks(tmp_path) + ROW + EDITED)
    before, recolored, added, renamed, removed, reopened, other, back, last, loaded = answer
    red = {**before, "Leaf": [1.0, 0.0, 0.0]}
    assert list(before) == ["Leaf", "Rock"]
    assert recolored == ["own", red]
    assert added == ["Leaf", "Rock", "Material", "Material.001"]
    assert (
        renamed == [["Leaf", "Leaf.001", "Air.001", "Material.001"], '"Leaf.001" = 3'] or renamed[1] == "Leaf.001 = 3"
    )
    assert removed == [["Leaf", "Leaf.001", "Air.001"], 2]
    assert reopened[0] == "own" and reopened[1]["Leaf"] == [1.0, 0.0, 0.0]
    assert other == before and back == reopened[1]
    assert "needs a material" in last
    assert loaded == ["own", reopened[1]]


def test_a_run_uses_the_own_palette_as_does_its_job(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(
        looks(tmp_path)
        + ROW
        + """
flat_row()
scene = bpy.context.scene
group = scene.optimize_materials
part('status').refresh(scene)
group.materials['Leaf'].title = 'Moss'
part('status').refresh(scene)
assert 'FINISHED' in bpy.ops.blocks.optimize_materials(), session.message
bpy.ops.blocks.save_job(filepath=str(folder / 'job.json'))
answer = [session.outcome.counts, json.loads((folder / 'job.json').read_text())['palette']]
"""
    )
    counts, palette = answer
    assert counts == {"Moss": [0, 4], "Rock": [4, 0]}
    assert palette == "own"


def test_a_changed_option_renames_no_preset_and_what_is_not_used_is_known(blender: Blender) -> None:
    answer, _ = blender.run(
        """
settings, properties = bpy.context.scene.optimize_materials.settings, part('properties')
unused = part('relevance').unused
direct = sorted(unused(properties.settings_of(settings)))
settings.quality = 'GRADUAL'
gradual = sorted(unused(properties.settings_of(settings)))
settings.steps = 7
changed = [settings.quality, properties.changed_since_preset(settings)]
bpy.ops.blocks.reset_quality()
settings.smoothness = 1.0
answer = [direct, gradual, changed, settings.steps, properties.changed_since_preset(settings),
          sorted(unused(properties.settings_of(settings)))]
"""
    )
    direct, gradual, changed, steps, after, smooth = answer
    assert {"steps", "learning_rate", "seed", "smoother", "blur"} <= set(direct)
    assert gradual == ["blur", "huber_width", "seams", "smoother"]
    assert changed == ["GRADUAL", ["steps"]] and steps == 300 and after == []
    assert smooth == ["blur", "huber_width"]
