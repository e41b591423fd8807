"""The extension in a Blender without a window: installed by Blender itself, run to the end, cancelled, killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from blockcore import formats
from blockcore.formats.block_states import BlockStates
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from tests.captures import dataset_path, map_path
from tests.extension import ADDON, Blender, assert_no_engine
from tests.packs import cube, files_of, picture, same, write_zip
from tests.parts import need
from tools.build_extension import build

need("bpy")

SWITCH = f"assert bpy.ops.preferences.addon_{{}}(module='{ADDON}') == {{{{'FINISHED'}}}}\n"
THERE = """
answer = [hasattr(bpy.types, 'BLOCKS_PT_optimize_materials'), hasattr(bpy.types.Scene, 'optimize_materials')]
answer.append([name for name in dir(bpy.types) if name.startswith(('BLOCKS_', 'Blocks'))])
"""
GRADUAL = "group = bpy.context.scene.optimize_materials\ngroup.settings.quality = 'GRADUAL'\n"
DEMO = "bpy.ops.blocks.demo_scene()\n" + GRADUAL
SHOWN = """
from bridge.blender.world import world_materials
def shown():
    (world,) = [o for o in bpy.context.scene.objects if o.type == 'MESH' and o.visible_get()]
    return world_materials(world).tolist()
"""
STATE = """
def state():
    names = lambda data: sorted(item.name for item in data)
    seen = {o.name: [o.visible_get(), o.hide_get(), o.hide_viewport, o.hide_render] for o in bpy.data.objects}
    maps = [o for o in bpy.data.objects if 'material' in getattr(o.data, 'attributes', {})]
    worlds = {o.name: world_materials(o).tolist() for o in maps}
    kinds = ('meshes', 'materials', 'node_groups', 'collections', 'images')
    return json.dumps([seen, worlds, [names(getattr(bpy.data, kind)) for kind in kinds]], sort_keys=True)
"""


def test_blender_takes_it_and_gives_it_back_without_a_word(tmp_path: Path):
    blender = Blender(tmp_path / "blender")
    archive = build(tmp_path)[0]
    assert "wheel" not in blender.install(archive).lower()
    answer, said = blender.run(
        "".join(SWITCH.format(how) for how in ("disable", "enable", "disable", "enable")) + THERE
    )
    assert answer[:2] == [True, True]
    assert said == ""
    answer, said = blender.run(SWITCH.format("disable") + THERE)
    assert answer == [False, False, []]
    assert said == ""


def test_the_zip_holds_no_compiled_code_and_writes_nothing_beside_itself(blender: Blender):
    folder = blender.folder / "extensions" / "user_default" / "optimize_materials"
    before = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    blender.run(DEMO + "bpy.ops.blocks.optimize_materials()")
    after = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    assert before == after
    assert not [path for path in after if path.suffix in (".so", ".pyd", ".dll", ".dylib")]


def test_the_operator_finds_what_the_api_finds(blender: Blender, tmp_path: Path):
    (found, summary), _ = blender.run(
        DEMO
        + SHOWN
        + "from bridge.blender.extract import extract\n"
        + f"extract(group.object).write({str(tmp_path / 'scene')!r})\n"
        + "assert bpy.ops.blocks.optimize_materials() == {'FINISHED'}\n"
        + "answer = [shown(), part('session').session.outcome.summary.to_dict()]",
        cwd="/proc",  # where nobody can write
    )
    settings = OptimizeSettings(**summary["settings"])
    assert settings.method == "gradient"
    wanted = optimize_materials(BlockScene.read(tmp_path / "scene"), settings)
    assert found == wanted.materials.tolist()
    assert_no_engine(blender.folder)


def test_a_saved_job_gives_the_same_without_the_panel(blender: Blender, tmp_path: Path):
    blend, job, out = tmp_path / "a b ü.blend", tmp_path / "job.json", tmp_path / "out ü.blend"
    found, _ = blender.run(
        DEMO
        + SHOWN
        + "group.settings.seed, group.settings.steps = 7, 120\n"
        + "part('status').refresh(bpy.context.scene)\n"
        + "group.views[2].use = False\n"
        + "group.materials['Snow'].use = False\n"
        + f"bpy.ops.wm.save_as_mainfile(filepath={str(blend)!r})\n"
        + f"bpy.ops.blocks.save_job(filepath={str(job)!r})\n"
        + "assert bpy.ops.blocks.optimize_materials() == {'FINISHED'}\n"
        + "answer = shown()"
    )
    said = json.loads(job.read_text())
    assert (said["settings"]["seed"], len(said["cameras"]), "Snow" in said["settings"]["allowed"]) == (7, 7, False)
    again, _ = blender.run(
        f"bpy.ops.wm.open_mainfile(filepath={str(blend)!r})\n"
        + "bpy.context.scene.optimize_materials.settings.seed = 1\n"
        + f"assert part('command').run(['--job', {str(job)!r}, '--out', {str(out)!r},"
        + f" '--report', {str(tmp_path / 'report')!r}]) == 0\n"
        + f"bpy.ops.wm.open_mainfile(filepath={str(out)!r})\n"
        + SHOWN
        + "answer = shown()"
    )
    assert again == found
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.alone
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_run_that_is_stopped_leaves_everything_as_it_was(blender: Blender, how: str):
    moments = np.random.default_rng(0 if how == "cancel" else 1).uniform(0.0, 6.0, 3).round(2).tolist()
    answers, _ = blender.run(
        DEMO
        + SHOWN
        + STATE
        + f"how, moments = {how!r}, {moments}\n"
        + """
group.settings.steps, group.settings.patience = 90000, 0
import os, signal, threading, time
session = part('session').session
def stop(run):
    if how == 'cancel':
        run.cancel()
        return
    while run._engine is None:
        time.sleep(0.01)
    os.kill(run._engine.pid, signal.SIGKILL)
def stop_after(seconds):
    while session.run is None:
        time.sleep(0.01)
    time.sleep(seconds)
    stopped.append(time.monotonic())
    stop(session.run)
answer = []
before = state()
for moment in moments:
    stopped = []
    thread = threading.Thread(target=stop_after, args=(moment,))
    thread.start()
    try:
        how_it_ended = sorted(bpy.ops.blocks.optimize_materials())
    except RuntimeError as error:  # how bpy.ops tells of an error report
        how_it_ended = ['CANCELLED']
    late = time.monotonic() - stopped[0]
    thread.join()
    answer.append([how_it_ended, state() == before, session.message, late, session.run is None])
"""
    )
    for ended, is_same, message, late, is_over in answers:
        assert ended == ["CANCELLED"] and is_same and is_over
        assert ("Cancelled" if how == "cancel" else "signal 9") in message
        assert late < 1.0 or how == "kill"
    assert_no_engine(blender.folder)


def test_what_cannot_be_done_is_one_line_and_changes_nothing(blender: Blender):
    answers, _ = blender.run(
        DEMO
        + SHOWN
        + STATE
        + """
session = part('session').session
def attempt():
    try:
        return sorted(bpy.ops.blocks.optimize_materials()), session.message
    except RuntimeError as error:
        return ['CANCELLED'], session.message
answer, before = [], state()
group.views.clear(); part('status').refresh(bpy.context.scene)
for view in group.views: view.use = False
answer.append(attempt())
for view in group.views: view.use = True
group.blocks_kind, group.collection = 'collection', bpy.data.collections.new('Empty')
answer.append(attempt())
bpy.data.collections.remove(group.collection)
group.blocks_kind = 'object'
bpy.context.scene.render.resolution_x = 300
answer.append(attempt())
bpy.context.scene.render.resolution_x = 512
group.palette, group.palette_file = 'file', '//nowhere.json'
answer.append(attempt())
group.palette = 'webgpu'
answer.append(state() == before)
"""
    )
    *attempts, is_same = answers
    assert is_same
    for (ended, message), words in zip(attempts, ("tick", "Empty", "512", "nowhere"), strict=True):
        assert ended == ["CANCELLED"] and words in message and "\n" not in message


def test_the_panel_mirrors_every_setting(blender: Blender):
    answer, _ = blender.run(
        "from blockcore.model.settings import OptimizeSettings\n"
        "properties, wording = part('properties'), part('wording')\n"
        "group = bpy.context.scene.optimize_materials.settings\n"
        "defaults = properties.settings_of(group)\n"
        "other = OptimizeSettings(method='gradient', steps=17, learning_rate=0.123, hard=True, seed=9, init='map')\n"
        "properties.show_settings(other, group)\n"
        "from blockcore.model.settings import SETTINGS\n"
        "answer = [defaults == OptimizeSettings(), properties.settings_of(group) == other, group.quality]\n"
        "shown = {name for names in wording.GROUPS.values() for name in names} | {'smoothness'}\n"
        "answer.append(sorted(shown ^ SETTINGS.keys()))"
    )
    assert answer[:3] == [True, True, "CUSTOM"]
    assert answer[3] == [], "these settings are not in the panel"


def test_tooltips_on_everything_and_names_as_blender_writes_them(blender: Blender):
    answer, _ = blender.run(
        """
names = ('preferences', 'properties', 'operators', 'result', 'helpers', 'menus', 'words')
answer = []
for cls in [cls for name in names for cls in part(name).CLASSES]:
    rna, inherited = cls.bl_rna, set(cls.bl_rna.base.properties.keys())
    if issubclass(cls, bpy.types.Operator):
        answer.append([cls.__name__, cls.bl_label, cls.bl_description])
        rna = getattr(bpy.ops.blocks, cls.bl_idname.split('.')[1]).get_rna_type()
        inherited = set(bpy.ops.wm.read_homefile.get_rna_type().base.properties.keys()) | {'filepath', 'check_existing'}
    for p in rna.properties:
        if p.identifier not in inherited and not p.is_hidden and p.type != 'COLLECTION' and p.identifier != 'settings':
            where = cls.__name__ + '.' + p.identifier
            answer.append([where, p.name, p.description])
            if p.type == 'ENUM':
                answer += [[where + '.' + i.identifier, i.name, i.description] for i in p.enum_items]
"""
    )
    assert len(answer) > 60
    small = {"of", "per", "by", "with", "from", "and", "the", "in", "as", "nvdiffrast"}
    for where, name, description in answer:
        assert name and description, where
        assert not description.endswith("."), where
        assert all(word[0].isupper() or not word[0].isalpha() or word in small for word in name.split()), (where, name)


def test_maps_go_in_and_out_through_the_menus(blender: Blender, tmp_path: Path):
    answer, _ = blender.run(
        "bpy.ops.wm.read_homefile(use_empty=True)\n"
        f"bpy.ops.blocks.import_map(filepath={str(map_path(1))!r}, dataset={str(dataset_path(1))!r})\n"
        "group = bpy.context.scene.optimize_materials\n"
        "part('status').refresh(bpy.context.scene)\n"
        f"bpy.ops.blocks.export_map(filepath={str(tmp_path / 'map.json')!r}, with_dataset=True)\n"
        "answer = [group.source.name, len(group.views), [m.name for m in group.materials]]"
    )
    assert answer == ["1", 8, ["Grass", "Dirt", "Stone", "Plank", "Snow", "Sand", "Water"]]
    ours, theirs = (json.loads(path.read_text()) for path in (tmp_path / "map.json", map_path(1)))
    by_place = {tuple(b["position"]): b["blockType"] for b in theirs["blocks"]}
    assert {tuple(b["position"]): b["blockType"] for b in ours["blocks"]} == by_place
    assert json.loads((tmp_path / "dataset" / "metadata.json").read_text())["viewCount"] == 8


def test_files_of_blocks_go_in_and_out_and_what_is_lost_is_told(blender: Blender, tmp_path: Path):
    cells = np.random.default_rng(2).integers(0, 3, (5, 6, 7)).astype(np.int32)
    blocks = BlockStates(cells, ("minecraft:air", "minecraft:red_concrete", "minecraft:oak_log[axis=x]"), (1, 2, 3))
    formats.write(tmp_path / "in.litematic", blocks)
    (told, names, drop, menus), said = blender.run(
        f"""
bpy.ops.wm.read_homefile(use_empty=True)
from blockcore.formats import formats
told = [sorted(bpy.ops.blocks.import_blocks(filepath={str(tmp_path / "in.litematic")!r}))]
part('status').refresh(bpy.context.scene)
names = [m.name for m in bpy.context.scene.optimize_materials.materials]
for end in ('schem', 'litematic', 'nbt', 'vox', 'csv', 'glb'):
    told.append(sorted(bpy.ops.blocks.export_blocks(filepath={str(tmp_path / "out.")!r} + end)))
menus = part('menus')
read = {{suffix for form in formats().values() if form.is_read for suffix in form.suffixes}} - {{'', '.json'}}
drop = sorted(read) == menus.BLOCKS_FH_blocks.bl_file_extensions.split(';')
answer = [told, names, drop, [menus._entries('is_read'), menus._entries('is_written')]]
"""
    )
    assert told == [["FINISHED"]] * 7 and drop
    assert "Not carried over: 1 of the materials, such as minecraft:oak_log[axis=x], are grey" in said
    assert {"minecraft:red_concrete", "minecraft:oak_log[axis=x]"} <= set(names)
    for end in ("schem", "litematic", "nbt"):
        again, _ = formats.read(tmp_path / f"out.{end}")
        low = np.argwhere(cells).min(axis=0)
        places = np.argwhere(np.array([state != "minecraft:air" for state in again.states])[again.cells])
        np.testing.assert_array_equal(places - places.min(axis=0), np.argwhere(cells) - low)
        shown = [again.states[index] for index in again.cells[tuple(places.T)]]
        assert shown == [blocks.states[index] for index in cells[cells > 0]]
    assert {suffix for _, suffix in menus[0]} == {".litematic", ".schematic", ".vox", ".schem", ".nbt"}
    assert {suffix for _, suffix in menus[1]} == {".litematic", ".vox", ".schem", ".nbt", ".csv", ".glb"}


def test_packs_become_the_palette_listed_by_groups(blender: Blender, tmp_path: Path):
    kinds = ("white_wool", "stone", "sand", "oak_log")
    states = {kind: {"variants": {"": {"model": f"block/{kind}"}}} for kind in kinds}
    models = {kind: cube(same(f"block/{kind}")) for kind in kinds}
    game = files_of(states, models, {kind: picture(k) for k, kind in enumerate(kinds)})
    write_zip(tmp_path / "client.jar", game)
    write_zip(tmp_path / "mine.zip", files_of({}, {}, {"stone": picture(9)}))
    (names, path, listed, ticked, texel, called), _ = blender.run(
        f"""
bpy.ops.blocks.demo_scene()
group = bpy.context.scene.optimize_materials
chosen = [{{'name': 'client.jar'}}, {{'name': 'mine.zip'}}]
assert bpy.ops.blocks.resource_packs(directory={str(tmp_path)!r}, files=chosen) == {{'FINISHED'}}
names = [m.name for m in group.materials]
palettes = part('palettes')
def shown(kind):
    return [m.name for m in group.materials if palettes.is_listed(m, kind)]
listed = {{kind: shown(kind) for kind in ('all', 'wool', 'wood', 'other')}}
group.listed = 'stone'
bpy.ops.blocks.tick_materials(use=False)
ticked = [m.name for m in group.materials if m.use]
from bridge.blender.jobs import palette_of
palette = palette_of(part('properties').job_of(bpy.context.scene))
texel = palette.tiles[palette.index('minecraft:stone'), 4][0, 0].tolist()
called = [[m.title for m in group.materials]]
for title in ('oak_log', '', 'spruce_log', 'mine:log'):
    group.materials[0].title = title
    called.append([group.palette, group.materials[0].name])
answer = [names, group.palette_file, listed, ticked, texel, called]
"""
    )
    assert names == ["minecraft:oak_log", "minecraft:stone", "minecraft:white_wool"]
    assert Path(path).name == "mine.json" and blender.folder in Path(path).parents
    wanted = {"all": names, "wool": ["minecraft:white_wool"], "wood": ["minecraft:oak_log"], "other": []}
    assert listed == wanted
    assert ticked == ["minecraft:oak_log", "minecraft:white_wool"]
    file, own = ["file", "minecraft:oak_log"], ["own", "minecraft:spruce_log"]
    assert called == [["oak_log", "stone", "white_wool"], file, file, own, ["own", "mine:log"]]
    assert texel == picture(9)[0, 0].tolist()


def test_a_result_is_listed_and_exported(blender: Blender, tmp_path: Path):
    (texts, counts, shown), said = blender.run(
        DEMO
        + f"""
assert bpy.ops.blocks.optimize_materials() == {{'FINISHED'}}
texts = []
class Layout:  # what the panel draws on, where there is no window
    def panel(self, name, default_closed):
        return self, self
    def label(self, text='', **options):
        texts.append(text)
    def operator(self, name, text='', **options):
        texts.append(text)
        return self
    def __getattr__(self, name):
        return lambda *values, **options: self
outcome = part('session').session.outcome
from types import SimpleNamespace
system = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
here = SimpleNamespace(region=SimpleNamespace(width=300), preferences=system, scene=bpy.context.scene)
part('result').draw(here, Layout(), outcome)
part('panel')._draw_palette(here, Layout(), group, None)
assert bpy.ops.blocks.export_blocks(filepath={str(tmp_path / "o.csv")!r}) == {{'FINISHED'}}
assert bpy.ops.blocks.export_blocks(filepath={str(tmp_path / "o.json")!r}) == {{'FINISHED'}}
answer = [texts, outcome.summary.materials, part('outcome').shown_world().name]
"""
    )
    rows = (tmp_path / "o.csv").read_text().splitlines()[1:]
    assert sum(int(row.split(",")[1]) for row in rows) == sum(counts.values())
    most = max(counts, key=counts.get)
    place = texts.index("Blocks to Gather")
    wanted = ["Material", "Stacks of 64", "Shulker Boxes", most, f"{counts[most] // 64} + {counts[most] % 64}"]
    assert texts[place + 1 : place + 6] == wanted
    assert "Export List…" in texts and "Resource Packs…" not in texts
    assert f"blocks of {shown} to" in said
    blocks = json.loads((tmp_path / "o.json").read_text())["blocks"]
    assert sum(block["blockType"] == most for block in blocks) == counts[most]


def test_operators_that_cannot_be_used_say_why(blender: Blender):
    answer, _ = blender.run(
        """
bpy.ops.wm.read_homefile(use_empty=True)
session = part('session').session
answer = {}
def ask(when, *names):
    for name in names:
        try:
            getattr(bpy.ops.blocks, name)()
        except RuntimeError as error:
            answer[f'{name} {when}'] = str(error).partition('.poll() ')[2].strip()
ask('at first', 'optimize_materials', 'cancel', 'apply_result', 'open_report')
bpy.ops.blocks.demo_scene()
bpy.ops.object.mode_set(mode='EDIT')
ask('in edit mode', 'optimize_materials')
bpy.ops.object.mode_set(mode='OBJECT')
bpy.context.scene.optimize_materials.result = 'in_place'
session.run = object()
ask('in a run', 'optimize_materials', 'revert_result')
session.run = None
bpy.ops.blocks.optimize_materials()
ask('once applied', 'apply_result', 'show_original')
bpy.ops.blocks.revert_result()
ask('once reverted', 'revert_result', 'show_original')
"""
    )
    assert answer == {
        "optimize_materials at first": "Choose the collection or object that holds the blocks first",
        "cancel at first": "No run is under way",
        "apply_result at first": "There is no result yet; optimize the materials first",
        "open_report at first": "There is no report yet; optimize the materials first",
        "optimize_materials in edit mode": "Leave this mode first; this works in Object Mode",
        "optimize_materials in a run": "A run is under way; wait for it, or cancel it",
        "revert_result in a run": "Wait for the run to end, or cancel it",
        "apply_result once applied": "The result is applied already",
        "show_original once applied": "The result was applied in place; use Revert and Apply to compare",
        "revert_result once reverted": "The result is not applied",
        "show_original once reverted": "The result is not applied",
    }


def test_helpers_lead_from_cubes_to_a_result_in_place(blender: Blender):
    """A user's own cubes, no camera yet: cameras around them, targets rendered by Blender, and what is found fits."""
    answer, _ = blender.run(HELPERS)
    cameras, sizes, finished, found, counts, reverted = answer
    assert cameras == 4 and sizes == [[64, 48]] * 4
    assert finished == ["FINISHED"]
    assert found == ["Leaf", "Leaf", "Leaf", "Leaf"]
    assert counts == {"Leaf": [0, 4], "Rock": [4, 0]}
    assert reverted == ["Rock"] * 4


HELPERS = """
bpy.ops.wm.read_homefile(use_empty=True)
scene = bpy.context.scene
def material(name, color):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    made.node_tree.nodes.clear()
    shader, output = (made.node_tree.nodes.new('ShaderNode' + n) for n in ('Emission', 'OutputMaterial'))
    shader.inputs['Color'].default_value = (*color, 1)
    made.node_tree.links.new(shader.outputs[0], output.inputs[0])
    made.diffuse_color = (*color, 1)
    return made
leaf, rock = material('Leaf', (0.02, 0.5, 0.02)), material('Rock', (0.6, 0.3, 0.3))
mesh = bpy.data.meshes.new('Cube')
mesh.from_pydata([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], [],
    [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
mesh.materials.append(rock)
mine, model = (bpy.data.collections.new(n) for n in ('Mine', 'Model'))
for collection, kind in ((mine, rock), (model, leaf)):
    scene.collection.children.link(collection)
    for i in range(4):
        cube = bpy.data.objects.new(f'{collection.name} {i}', mesh)
        cube.location = (2 * i, 0, 0)
        collection.objects.link(cube)
        cube.material_slots[0].link = 'OBJECT'
        cube.material_slots[0].material = kind
scene.render.engine = 'CYCLES'
scene.cycles.samples = 1
scene.cycles.device = 'CPU'
scene.render.resolution_x, scene.render.resolution_y = 64, 48
group = scene.optimize_materials
group.collection = mine
group.palette, group.result = 'file', 'in_place'
import pathlib, tempfile
palette = pathlib.Path(tempfile.mkdtemp()) / 'p.json'
palette.write_text(json.dumps({'Leaf': '#1bb71b', 'Rock': '#c99595'}))
group.palette_file = str(palette)
bpy.ops.blocks.orbit_cameras(count=4, rings=1)
group.model_collection = bpy.data.collections['Model']
assert bpy.ops.blocks.render_targets() == {'FINISHED'}
from bridge.blender.targets import background_image
finished = sorted(bpy.ops.blocks.optimize_materials())
session = part('session').session
def names():
    shown = [o.material_slots[0].material for o in mine.objects]
    return [material.get('blockcore_material', material.name) for material in shown]
found = names()
counts = session.outcome and session.outcome.counts
bpy.ops.blocks.revert_result()
sizes = [list(background_image(view.camera).size) for view in group.views]
answer = [len(group.views), sizes, finished, found, counts, names()]
"""
