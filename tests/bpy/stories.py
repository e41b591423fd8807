"""A row of cubes that pictures show in other materials, and what may become of a file with its result."""

from __future__ import annotations

# A row of four cubes of rock whose pictures show leaves.
ROW = """
import tempfile
from blockcore.model.lighting import UNLIT
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from blockcore.formats.palette_file import read_palette
from bridge.blender.extract import extract
from bridge.blender.targets import set_background_image
def flat_row():
    bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    rock = bpy.data.materials.new('Rock')
    rock.use_nodes = True
    mesh = bpy.data.meshes.new('Cube')
    mesh.from_pydata([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], [],
        [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    mesh.materials.append(rock)
    mine = bpy.data.collections.new('Mine')
    scene.collection.children.link(mine)
    for number in range(4):
        cube = bpy.data.objects.new(f'Cube {number}', mesh)
        cube.location = (number, 0, 0)
        mine.objects.link(cube)
    palette = pathlib.Path(tempfile.mkdtemp()) / 'p.json'
    palette.write_text(json.dumps({'Leaf': '#1bb71b', 'Rock': '#c99595'}))
    group = scene.optimize_materials
    group.collection, group.palette, group.palette_file = mine, 'file', str(palette)
    group.settings.lighting = 'unlit'
    bpy.ops.blocks.orbit_cameras(count=4, rings=1)
    for view in group.views:
        view.camera.name = view.camera.name.replace('Orbit', 'Eye')
        posed = extract(mine, [view.camera], read_palette(palette), need_targets=False, bake=False)
        colors = frame_colors(posed.grid.exposed_faces, np.ones(4, np.int32), posed.palette, UNLIT)
        seen = rasterize(posed.grid.exposed_faces, [posed.views[0].camera], 'cpu')[0]
        set_background_image(view.camera, 'Picture', draw(seen, posed.views[0].camera, colors))
"""
CHANGES = {
    "rename": """
for number, obj in enumerate(list(bpy.data.objects)):
    obj.name = f'Anything {number}'
""",
    "scene": """
other = bpy.data.scenes.new('Other')
with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
    assert session.outcome is None
""",
    "reopen": """
bpy.ops.wm.save_as_mainfile(filepath=str(folder / 'again.blend'))
bpy.ops.wm.open_mainfile(filepath=str(folder / 'again.blend'), load_ui=False)
""",
    "append": """
name = bpy.context.scene.optimize_materials.outcome_object.name
bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)
with bpy.data.libraries.load(str(folder / 'row.blend')) as (there, wanted):
    wanted.objects = [name, *(n for n in there.objects if 'Eye' in n)]
for obj in wanted.objects:
    bpy.context.scene.collection.objects.link(obj)
bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 64, 48
properties.choose_blocks(bpy.context.scene, bpy.data.objects[name])
group = bpy.context.scene.optimize_materials
group.palette, group.settings.lighting = 'scene', 'unlit'
part('status')._look()
""",
}
LOOKS = """
import pathlib, time
import numpy as np
folder = pathlib.Path(FOLDER)
session, properties = part('session').session, part('properties')
def cubes():
    return sorted(o.material_slots[0].material.name for o in bpy.context.scene.objects if o.visible_get()
                  and o.type == 'MESH' and o.data.name == 'Cube')
def world():
    (found,) = [o for o in bpy.context.scene.objects if 'blockcore_world' in o]
    return found
def wanted_everywhere():
    from bridge.blender.world import world_materials
    from bridge.blender import marks
    names = marks.read_world(world()).palette.names
    return [names[m] for m in world_materials(world())]
answer = {}
"""
