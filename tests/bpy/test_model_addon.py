"""*Blocks from Model* of the extension without a window: made, made in other sizes, updated, cancelled."""

from __future__ import annotations

from blockcore.model.palette import WEBGPU_PALETTE
from tests.extension import Blender, assert_no_engine
from tests.parts import need

need("bpy")

START = """
session = part('session').session
from bridge.blender.model_world import model_of, order_of
bpy.ops.wm.read_homefile(use_empty=True)
group = bpy.context.scene.optimize_materials.model
bpy.context.scene.optimize_materials.settings.lighting = 'unlit'
group.across, group.views = 6, 3
def seen():
    return sorted(o.name for o in bpy.context.scene.objects if o.visible_get() and o.type in ('MESH', 'EMPTY'))
def make():
    assert bpy.ops.blocks.make_blocks() == {'FINISHED'}
    return session.made.blocks
def worlds():
    return [o for o in bpy.context.scene.objects if model_of(o)]
def family():
    bpy.ops.object.empty_add()
    root = bpy.context.object
    root.name = 'Root'
    for number, x in enumerate((0, 4)):
        bpy.ops.mesh.primitive_cube_add(location=(x, 0, 0))
        bpy.context.object.parent = root
        bpy.context.object.name = f'Part {number}'
    for obj in bpy.context.scene.objects:
        obj.select_set(obj == root)
    bpy.context.view_layer.objects.active = root
    return root
"""


def test_blocks_take_the_place_of_a_model_with_its_parts_and_then_of_other_blocks(blender: Blender):
    answer, _ = blender.run(
        START
        + """
root = family()
answer = {'few': make(), 'shown first': seen(), 'active': bpy.context.object.name}
group.across = 12
answer |= {'many': make(), 'shown then': seen(), 'model': sorted(o.name for o in model_of(bpy.context.object))}
from bridge.blender.apply import revert
revert(bpy.context.object)
answer['reverted'] = seen()
"""
    )
    assert answer["shown first"] == answer["shown then"] == ["Model Blocks"]
    assert answer["active"] == "Model Blocks"
    assert answer["many"] > 2 * answer["few"]
    assert answer["model"] == answer["reverted"] == ["Part 0", "Part 1", "Root"]


def test_blocks_beside_the_model_and_instead_of_it_stand_together(blender: Blender):
    answer, _ = blender.run(
        START
        + """
bpy.ops.mesh.primitive_cube_add()
make()
group.beside, group.across = True, 3
make()
answer = [seen(), [order_of(world).wish.beside for world in worlds()]]
group.across = 4
make()
answer += [len(worlds()), sorted(order_of(world).wish.across for world in worlds())]
"""
    )
    assert answer == [["Model Blocks", "Model Blocks.001"], [False, True], 2, [4.0, 6.0]]


def test_the_live_count_of_a_hidden_model_is_that_of_the_model(blender: Blender):
    answer, _ = blender.run(
        START
        + """
status = part('model_status')
bpy.ops.mesh.primitive_cube_add()
def count():
    status.of(bpy.context)
    status._look()
    return status.of(bpy.context).blocks(group.across, group.fill)
answer = [count()]
make()
answer += [count(), status.of(bpy.context) is not None, seen()]
"""
    )
    assert answer == [answer[0], answer[0], True, ["Model Blocks"]]


def test_painted_blocks_survive_an_update_and_are_told_of_where_they_do_not(blender: Blender):
    answer, _ = blender.run(
        START
        + """
from bridge.blender.world import update_materials, world_materials
bpy.ops.mesh.primitive_cube_add()
cube = bpy.context.object
make()
def paint():
    found = world_materials(bpy.context.object)
    found[:3] = 1 + found[0] % 4
    update_materials(bpy.context.object, found)
paint()
cube.scale.x = 1.5
group.across = 4
assert bpy.ops.blocks.update_blocks() == {'FINISHED'}
answer = [session.made.kept + session.made.lost, order_of(bpy.context.object).wish.across, seen()]
kept = session.made.kept
make()
answer += [0 < session.made.lost <= kept, order_of(bpy.context.object).wish.across]
"""
    )
    assert answer == [3, 6.0, ["Model Blocks"], True, 4.0]


def test_a_cancelled_run_leaves_everything_as_it_was(blender: Blender):
    answers, _ = blender.run(
        START
        + """
import threading, time
bpy.ops.mesh.primitive_cube_add()
make()
def state():
    worlds_now = {o.name: len(o.data.vertices) for o in worlds()}
    kinds = ('objects', 'meshes', 'materials', 'node_groups', 'collections', 'images', 'cameras', 'lights')
    return seen(), worlds_now, [sorted(one.name for one in getattr(bpy.data, kind)) for kind in kinds]
before = state()
group.across = 12
over = threading.Event()
def cancel(factor):
    while not over.wait(0.005):
        if session.run is not None and session.run.factor >= factor:
            return session.run.cancel()
answer = []
for way, factor in (('make', 0.0), ('update', 0.05), ('make', 0.3), ('update', 0.85)):
    over.clear()
    thread = threading.Thread(target=cancel, args=(factor,))
    thread.start()
    ended = sorted(getattr(bpy.ops.blocks, way + '_blocks')())
    over.set()
    thread.join()
    answer.append([ended, session.message, state() == before, session.run is None])
"""
    )
    for answer in answers:
        assert answer == [["CANCELLED"], "Cancelled; nothing was changed", True, True]
    assert_no_engine(blender.folder)


def test_a_model_becomes_blocks_of_the_own_palette(blender: Blender):
    answer, _ = blender.run(
        START
        + """
import numpy as np
from blockcore.model.palette import Palette
from bridge.blender.own_palette import keep_palette
from bridge.blender.model_world import palette_of
scene = bpy.context.scene
group.palette = 'own'  # begins as what is listed
part('status').refresh(scene)
begun = len(scene.optimize_materials.materials)
keep_palette(scene, Palette(('Air', 'Plum', 'Pear'), np.random.default_rng(0).random((3, 3, 3))))
bpy.ops.mesh.primitive_cube_add()
make()
answer = [begun, list(palette_of(bpy.context.object).names)]
"""
    )
    assert answer == [len(WEBGPU_PALETTE) - 1, ["Air", "Plum", "Pear"]]
