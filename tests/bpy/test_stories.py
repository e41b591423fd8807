"""Ordinary work after a result, and during a run: nothing is lost by a name, a scene, a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.extension import Blender
from tests.parts import need

need("bpy")

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
    bpy.ops.wm.read_homefile(use_empty=True)
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
OPTIMIZED = """
flat_row()
assert 'FINISHED' in bpy.ops.blocks.optimize_materials(), session.message
bpy.ops.wm.save_as_mainfile(filepath=str(folder / 'row.blend'))
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
bpy.ops.wm.open_mainfile(filepath=str(folder / 'again.blend'))
""",
    "append": """
name = bpy.context.scene.optimize_materials.outcome_object.name
bpy.ops.wm.read_homefile(use_empty=True)
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


def looks(folder: Path) -> str:
    return LOOKS.replace("FOLDER", repr(str(folder)))


@pytest.fixture(scope="module")
def row(blender: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("row")
    blender.run(looks(folder) + ROW + OPTIMIZED)
    return folder


def test_cameras_and_pictures_are_taken_as_they_come(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(
        looks(tmp_path)
        + ROW
        + """
flat_row()
scene = bpy.context.scene
group = scene.optimize_materials
def add(name):
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    scene.collection.objects.link(camera)
    part('status').refresh(scene)
add('By Hand')
ticks = {view.camera.name: view.use for view in group.views}
for view in group.views:
    view.use = True
eye = next(view.camera for view in group.views if 'Eye' in view.camera.name)
pixels = np.asarray(__import__('bridge.blender.targets', fromlist=['x']).camera_target(eye))
set_background_image(eye, 'Twice', pixels.repeat(2, axis=0).repeat(2, axis=1))
scene.render.resolution_percentage = 100
other = [view.camera for view in group.views if 'Eye' in view.camera.name][1]
set_background_image(other, 'Odd', pixels[:, :40])
part('status').refresh(scene)
notes = [part('status').note_of(view.camera).problem for view in group.views]
try:
    bpy.ops.blocks.optimize_materials()
except RuntimeError as error:
    refused = str(error)
other.data.background_images.clear()
finished = sorted(bpy.ops.blocks.optimize_materials())
names = [view.name for view in session.outcome.summary.views]
orbits = [one.name for one in scene.collection.children]
answer = [ticks, sorted(set(notes)), refused, finished, len(names), session.outcome.summary.psnr_after, orbits]
"""
    )
    ticks, notes, refused, finished, views, psnr, collections = answer
    assert {name: use for name, use in ticks.items() if not use} == {"By Hand": False} and len(ticks) == 5
    assert any("of another shape than the scene's frame, 64 × 48" in note for note in notes)
    assert any("No target: left out" in note for note in notes) and "" in notes and len(notes) == 3
    assert "40 × 48 pixels, but the camera's picture is 64 × 48" in refused
    assert finished == ["FINISHED"] and views == 3 and psnr > 25.0  # doubled pixels have other edges
    assert collections == ["Mine", "Orbit Cameras"]


@pytest.mark.parametrize("change", CHANGES)
def test_revert_compare_and_another_run_work_after(change: str, blender: Blender, row: Path) -> None:
    code = looks(row)
    for act, after in {
        "compare": """
bpy.ops.blocks.show_original()
shown = cubes(), world().visible_get()
bpy.ops.blocks.show_original()
answer['compare'] = [*shown, cubes(), world().visible_get()]
""",
        "revert": "bpy.ops.blocks.revert_result()\nanswer['revert'] = cubes()\n",
        "again": """
assert 'FINISHED' in bpy.ops.blocks.optimize_materials(), session.message
group = bpy.context.scene.optimize_materials
answer['again'] = [wanted_everywhere(), cubes(), group.source is not None, session.outcome.changed]
bpy.ops.blocks.revert_result()
answer['again'].append(cubes())
""",
    }.items():
        code += f"# {act}\nbpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'))\n"
        code += "answer['counts'] = [session.outcome.counts, session.outcome.report.is_file()]\n"
        code += CHANGES[change] + after
    answer, _ = blender.run(code)
    rocks = ["Rock"] * 4
    assert answer["counts"] == [{"Leaf": [0, 4], "Rock": [4, 0]}, True]
    assert answer["compare"] == [rocks, False, [], True]
    assert answer["revert"] == rocks
    assert answer["again"] == [["Leaf"] * 4, [], True, 0, rocks]


def test_a_file_from_elsewhere_names_no_report_outside_its_folder(blender: Blender, row: Path) -> None:
    places = ["//row report", "/etc", "//../up", "//a/../../up", "\\\\host\\share", "", "//\0", 5]
    answer, _ = blender.run(
        looks(row)
        + f"""
bpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'))
holder = bpy.context.scene.optimize_materials.outcome_object
answer = []
for place in {places!r}:
    note = json.loads(holder['blockcore_outcome'])
    holder['blockcore_outcome'] = json.dumps(note | {{'folder': place}})
    answer.append(part('outcome').read().folder)
"""
    )
    assert answer == ["//row report", *[""] * 7]


def test_a_report_replaces_nothing_of_somebodys(blender: Blender, row: Path, tmp_path: Path) -> None:
    for name in ("result.json", "map.json", "notes.txt"):
        (tmp_path / name).write_text("mine")
    answer, _ = blender.run(
        looks(row)
        + f"""
bpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'))
save, answer = part('outcome').save_report, []
for place in ({str(tmp_path)!r}, str(folder / 'kept'), str(folder / 'kept')):
    try:
        save(session.outcome, pathlib.Path(place))
        answer.append(sorted(json.loads((folder / 'kept' / '.blockcore.json').read_text())['files']))
    except Exception as error:
        answer.append(str(error))
"""
    )
    assert "map.json, which blockcore did not write" in answer[0] or "notes.txt" in answer[0]
    assert all(path.read_text() == "mine" for path in tmp_path.glob("*.*"))
    assert answer[1] == answer[2] and "report.html" in answer[1] and ".blockcore.json" not in answer[1]


def test_a_run_ends_in_the_scene_it_began_in_under_whatever_names(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(
        looks(tmp_path)
        + ROW
        + """
flat_row()
scene = bpy.context.scene
def begin():
    return part('run').Run(properties.job_of(scene), sys.executable, is_shown=True)
other = bpy.data.scenes.new('Other')
run = begin()
during = cubes()
with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
    run.cancel()
    try:
        while not run.tick(): time.sleep(0.05)
    except Exception as error:
        cancelled = str(error)
    run.close()
after_cancel = cubes()
run = begin()
for number, obj in enumerate(list(scene.objects)):
    obj.name = f'Anything {number}'
scene.name = 'Renamed'
with bpy.context.temp_override(scene=other, view_layer=other.view_layers[0]):
    while not run.tick(): time.sleep(0.05)
    outcome = run.outcome()
    run.close()
    with run.where():
        part('outcome').put(outcome)
answer = [during, after_cancel, wanted_everywhere(), cubes(), len(other.objects)]
"""
    )
    assert answer == [["Rock"] * 0, ["Rock"] * 4, ["Leaf"] * 4, [], 0]


def test_rules_are_set_without_their_language(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(
        looks(tmp_path)
        + ROW
        + """
flat_row()
scene = bpy.context.scene
group = scene.optimize_materials
part_of = bpy.data.collections.new('First, and last')
scene.collection.children.link(part_of)
part_of.objects.link(bpy.data.objects['Cube 0'])
part('status').refresh(scene)
names = [region.name for region in group.regions]
group.materials['Leaf'].limit = 2
group.regions['First, and last'].locked = True
said = [group.settings.limits, group.settings.locked]
assert 'FINISHED' in bpy.ops.blocks.optimize_materials(), session.message
counts = session.outcome.counts
kept = properties.job_of(scene)
group.materials['Leaf'].limit = 0
group.regions['First, and last'].locked = False
cleared = [group.settings.limits, group.settings.locked]
properties.show_job(kept, scene)
shown = [group.materials['Leaf'].limit, group.regions['First, and last'].locked]
group.settings.limits = 'nonsense'
answer = [names, said, counts, cleared, shown, group.materials['Leaf'].limit]
"""
    )
    names, said, counts, cleared, shown, nonsense = answer
    assert names == ["First, and last"]
    assert said == ["Leaf = 2", '"First, and last"'] and cleared == ["", ""] and shown == [2, True] and nonsense == 0
    assert counts == {"Leaf": [0, 2], "Rock": [4, 2]}


def test_the_command_line_writes_and_refuses_as_others_do(blender: Blender, row: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    answer, said = blender.run(
        looks(row)
        + f"""
place, answer = pathlib.Path({str(tmp_path)!r}), []
for words in (
    ['--out', str(folder / 'row.blend')],
    ['--out', str(place / 'y.blend'), '--report', str(place / 'mine')],
    ['--out', str(place / 'y.blend'), '--report', str(place / 'report')],
):
    bpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'))
    answer.append(part('command').run(words))
"""
    )
    assert answer == [2, 2, 0]
    assert said.count("optimize_materials: ") == 2 and "is read and would be overwritten" in said
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "y.blend").is_file() and (tmp_path / "report" / "report.html").is_file()
