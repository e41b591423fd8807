"""The panel *Look from Words* in a real Blender: shown where the engine has what it needs, and what it finds."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.extension import ADDON, Blender
from tests.parts import need
from tests.pipelines import save_pipeline
from tools.build_extension import build

need("bpy")

BEGIN = f"""
import sys, time
from bridge.blender.world import world_materials
words, engine = sys.modules['{ADDON}.words'], sys.modules['{ADDON}.engine']
bpy.context.preferences.addons['{ADDON}'].preferences.engine_python = r'{sys.executable}'
bpy.ops.blocks.demo_scene()
group = bpy.context.scene.optimize_materials
while engine.has_guidance(r'{sys.executable}') is None:
    time.sleep(0.05)
answer = [words.BLOCKS_PT_look_from_words.poll(bpy.context)]
"""


def test_words_find_materials(tmp_path: Path):
    blender = Blender(tmp_path / "blender")
    blender.install(build(tmp_path)[0])
    model = save_pipeline(tmp_path / "model")
    answer, _ = blender.run(
        BEGIN
        + f"""
group.settings.unseen = 'keep'
group.words.steps, group.words.size = 3, 32
def tried():
    try:
        return [*bpy.ops.blocks.dream(), '']
    except RuntimeError as error:
        return ['CANCELLED', str(error)]
answer.append(tried())
group.words.model = r'{model}'
answer.append(tried())
group.words.prompt = 'a village in snow'
answer.append(tried())
(world,) = [o for o in bpy.context.scene.objects if o.type == 'MESH' and o.visible_get()]
answer.append(len(set(world_materials(world).tolist())))
"""
    )
    shown, no_model, no_prompt, done, kinds = answer
    assert shown
    assert "choose the folder" in no_model[1].lower() and "prompt is empty" in no_prompt[1]
    assert done == ["FINISHED", ""]
    assert kinds > 3
