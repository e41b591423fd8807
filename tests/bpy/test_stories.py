"""Ordinary work after a result, and during a run: nothing is lost by a name, a scene, a file."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from blockcore.model.scene import BlockScene
from tests.bpy.stories import CHANGES, LOOKS, ROW
from tests.extension import Blender
from tests.parts import need

need("bpy")

OPTIMIZED = """
flat_row()
assert 'FINISHED' in bpy.ops.blocks.optimize_materials(), session.message
bpy.ops.wm.save_as_mainfile(filepath=str(folder / 'row.blend'))
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
    ['--out', '/proc/nowhere.blend'],
    ['--out', str(place / 'y.blend'), '--report', str(place / 'report')],
):
    bpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'))
    answer.append(part('command').run(words))
"""
    )
    assert answer == [2, 2, 2, 0]
    assert said.count("optimize_materials: ") == 3 and "is read and would be overwritten" in said
    assert "nowhere.blend: cannot be written" in said and "Traceback" not in said
    assert f"{tmp_path / 'y.blend'}: 0 of 4 blocks changed, 4 are visible\nPSNR " in said
    assert (tmp_path / "y.blend").read_bytes()[:4] == b"\x28\xb5\x2f\xfd", "it is not compressed"
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "y.blend").is_file() and (tmp_path / "report" / "report.html").is_file()


def test_the_bridge_does_as_the_files_panel_says(row: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bridge", "optimize", str(row / "row.blend"), "--out", str(tmp_path / "y.blend")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "those that the file's panel says" in done.stdout and "materials show their own colours" in done.stdout
    export = [*command[:3], "export", str(tmp_path / "y.blend"), "--out", str(tmp_path / "scene")]
    subprocess.run(export, capture_output=True, check=True)
    found = BlockScene.read(tmp_path / "scene")
    assert [found.palette.names[material] for material in found.materials] == ["Leaf"] * 4
    done = subprocess.run(
        [*command, "--dry-run=json", "--method", "gradient"], capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout)
    assert told["method"] == "gradient" and "own colours" in told["light"]


def test_the_time_left_settles(blender: Blender) -> None:
    answer, _ = blender.run(
        """
import random
random.seed(0)
left, answer = part('layouts').TimeLeft(), []
for second in range(1, 100):  # of a hundred, measured ten percent off
    share = second / 100 * random.uniform(0.9, 1.1)
    answer.append(left.words(min(share, 1.0), float(second)))
"""
    )
    assert answer[0] == "" and answer[3].endswith(" left") and answer[-1] in ("", "1 s left", "2 s left")
    told = [float(words.split()[0]) * (60 if "min" in words else 1) for words in answer if words]
    rises = [later - earlier for earlier, later in itertools.pairwise(told) if later > earlier]
    assert len(rises) <= 3, f"the time left rose {len(rises)} times"


def test_messages_go_when_they_are_old_news(blender: Blender, tmp_path: Path) -> None:
    answer, _ = blender.run(
        looks(tmp_path)
        + ROW
        + """
flat_row()
answer, say = [], session.say
for change in (
    lambda: setattr(bpy.context.scene.optimize_materials.settings, 'smoothness', 0.5),
    lambda: setattr(bpy.context.scene.optimize_materials.views[0], 'use', False),
    lambda: setattr(bpy.context.scene.optimize_materials, 'collection', None),
    lambda: setattr(session, '_said', (session._said[0], time.monotonic() - 60.0)),
):
    say('that did not work')
    before = session.message
    change()
    answer.append([before, session.message])
say('cancelled', is_problem=False)
session._said = (session._said[0], time.monotonic() - 60.0)
answer.append(session.message)
say('that did not work')
with bpy.context.temp_override(scene=bpy.data.scenes.new('Other')):
    answer.append(session.message)
"""
    )
    said = "That did not work"
    assert answer == [[said, ""], [said, ""], [said, ""], [said, said], "", ""]
