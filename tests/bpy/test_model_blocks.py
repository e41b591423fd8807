"""Models to blocks: their triangles as Blender shows them, files of all kinds, and the whole way by one command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from blockcore.errors import BlockcoreError, SceneError, SettingsError  # noqa: E402
from blockcore.model.palette import WEBGPU_PALETTE  # noqa: E402
from blockcore.model.scene import BlockScene, Source  # noqa: E402
from blockcore.model.settings import OptimizeSettings  # noqa: E402
from blockcore.voxelize import reference  # noqa: E402
from blockcore.voxelize.cells import positions_of  # noqa: E402
from blockcore.voxelize.surface import surface_cells  # noqa: E402
from bridge import cli  # noqa: E402
from bridge.blender.apply import revert  # noqa: E402
from bridge.blender.files import save_file  # noqa: E402
from bridge.blender.model_blocks import chosen_objects, fit_blocks  # noqa: E402
from bridge.blender.model_cameras import CAMERAS, remove_cameras  # noqa: E402
from bridge.blender.model_import import open_model  # noqa: E402
from bridge.blender.model_world import Order, edits_of, model_of, order_of, put_blocks  # noqa: E402
from bridge.blender.triangles import read_model  # noqa: E402
from bridge.blender.world import update_materials, world_materials  # noqa: E402
from bridge.model.wish import Wish  # noqa: E402


def add(kind, **options):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**options)
    return bpy.context.object


def extent(model) -> np.ndarray:
    return np.ptp(model.triangles.reshape(-1, 3), axis=0)


@pytest.mark.parametrize("kind", ["monkey", "torus", "ico_sphere", "cone", "uv_sphere"])
def test_surfaces_of_blenders_models_are_the_reference(kind):
    triangles = read_model([add(kind, rotation=(0.3, 0.2, 0.1))]).triangles
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    placed = (triangles - low) / (high - low).max() * 36
    size = tuple((np.floor(placed.max(axis=(0, 1))).astype(int) + 1).tolist())
    found = positions_of(surface_cells(placed, size))
    np.testing.assert_array_equal(found, reference.surface_positions(placed, size))


def test_modifiers_count_and_the_scene_stays():
    cube = add("cube", size=2)
    array = cube.modifiers.new("Array", "ARRAY")
    array.count = 3
    model = read_model([cube])
    assert len(model.triangles) == 36
    np.testing.assert_allclose(extent(model), (6, 2, 2), atol=1e-6)
    assert len(cube.data.polygons) == 6


def test_curves_text_and_metaballs_have_surfaces():
    made = []
    for kind, data in (("FONT", bpy.data.curves.new("T", "FONT")), ("CURVE", bpy.data.curves.new("C", "CURVE"))):
        if kind == "FONT":
            data.body, data.extrude = "A", 0.1
        else:
            data.dimensions, data.bevel_depth = "3D", 0.1
            data.splines.new("POLY").points.add(1)
            data.splines[0].points[1].co = (1, 0, 0, 1)
        made.append(bpy.data.objects.new(kind, data))
    ball = bpy.data.metaballs.new("M")
    ball.elements.new()
    made.append(bpy.data.objects.new("META", ball))
    for obj in made:
        bpy.context.scene.collection.objects.link(obj)
    model = read_model(made)
    assert set(model.objects) == {"FONT", "CURVE", "META"}
    alone = [len(read_model([obj]).triangles) for obj in made]
    assert min(alone) > 0
    assert sum(alone) == len(model.triangles)


def test_instances_of_a_collection_are_where_they_are_shown():
    cube = add("cube", size=1)
    part = bpy.data.collections.new("Part")
    part.objects.link(cube)
    bpy.context.scene.collection.objects.unlink(cube)
    for x in (0.0, 5.0):
        empty = bpy.data.objects.new("Copy", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", part
        empty.location = (x, 0, 0)
        bpy.context.scene.collection.objects.link(empty)
    model = read_model(bpy.context.scene.objects)
    assert len(model.triangles) == 24
    np.testing.assert_allclose(extent(model), (6, 1, 1), atol=1e-6)


def test_mirrored_objects_still_face_outwards():
    cube = add("cube", size=2)
    cube.scale = (-1, 1, 1)
    a, b, c = read_model([cube]).triangles.transpose(1, 0, 2)
    assert ((a * np.cross(b, c)).sum(axis=1) > 0).all()


def test_what_renders_hide_is_left_out_and_what_has_no_surface_named():
    shown, hidden = add("cube"), add("cube", location=(9, 0, 0))
    hidden.hide_render = True
    volume = bpy.data.objects.new("Fog", bpy.data.volumes.new("Fog"))
    bpy.context.scene.collection.objects.link(volume)
    model = read_model([shown, hidden, volume])
    assert len(model.triangles) == 12
    assert model.left_out == ("Fog",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("none", "no model is chosen"), ("no face", "no face that is shown"), ("hidden", "is hidden; show it")],
)
def test_models_without_a_face_are_refused(kind, message):
    objects = []
    if kind == "no face":
        objects = [bpy.data.objects.new("Empty", bpy.data.meshes.new("Empty"))]
        bpy.context.scene.collection.objects.link(objects[0])
    if kind == "hidden":
        objects = [add("cube")]
        objects[0].hide_render = True
    with pytest.raises(SceneError, match=message):
        fit_blocks(objects, Wish())
    assert CAMERAS not in bpy.data.collections


_EXPORTERS = {
    ".obj": lambda path: bpy.ops.wm.obj_export(filepath=path),
    ".stl": lambda path: bpy.ops.wm.stl_export(filepath=path),
    ".ply": lambda path: bpy.ops.wm.ply_export(filepath=path),
    ".glb": lambda path: bpy.ops.export_scene.gltf(filepath=path),
    ".gltf": lambda path: bpy.ops.export_scene.gltf(filepath=path, export_format="GLTF_SEPARATE"),
    ".fbx": lambda path: bpy.ops.export_scene.fbx(filepath=path),
    ".usd": lambda path: bpy.ops.wm.usd_export(filepath=path),
    ".usda": lambda path: bpy.ops.wm.usd_export(filepath=path),
    ".usdc": lambda path: bpy.ops.wm.usd_export(filepath=path),
    ".usdz": lambda path: bpy.ops.wm.usd_export(filepath=path),
    ".abc": lambda path: bpy.ops.wm.alembic_export(filepath=path),
}


@pytest.mark.parametrize("kind", _EXPORTERS)
def test_model_files_become_blocks(kind, tmp_path):
    wanted = len(fit_blocks([add("torus")], Wish(across=12, views=3)).fit.voxels.grid)
    path = tmp_path / f"torus{kind}"
    _EXPORTERS[kind](str(path))
    assert open_model(path) is False
    model = read_model(bpy.context.scene.objects)
    assert len(model.triangles) == 1152
    np.testing.assert_allclose(sorted(extent(model)), sorted((2.5, 2.5, 0.5)), rtol=1e-3)
    fitted = fit_blocks(list(bpy.context.scene.objects), Wish(across=12, views=3)).fit
    assert len(fitted.voxels.grid) == pytest.approx(wanted, rel=0.05)  # a file may turn it
    assert fitted.match > 0.8


def test_unusable_files_are_refused(tmp_path):
    damaged = tmp_path / "damaged.glb"
    damaged.write_bytes(b"no model")
    for path, message in (
        (tmp_path / "x.step", "no importer"),
        (tmp_path / "x.obj", "no such file"),
        (damaged, "damaged.glb: "),
    ):
        with pytest.raises(BlockcoreError, match=message) as caught:
            open_model(path)
        assert "\n" not in str(caught.value)


def test_blocks_stand_where_the_model_does_and_know_it():
    model = add("cube", size=4, location=(10, 20, 30))
    fitted = fit_blocks([model], Wish(across=4, views=3))
    assert len(fitted.fit.voxels.grid) == 4**3 - 2**3
    assert fitted.fit.match > 0.99
    count = len(fitted.fit.voxels.grid)
    scene = BlockScene(
        fitted.fit.voxels.grid,
        np.ones(count, np.int32),
        WEBGPU_PALETTE,
        source=Source("", ("",) * count, fitted.grid_to_source),
    )
    world = put_blocks(scene, [model], Order(Wish(), OptimizeSettings()))
    bpy.context.view_layer.update()
    points = np.array([world.matrix_world @ vertex.co for vertex in world.data.vertices])
    np.testing.assert_allclose(points.min(axis=0), (8.5, 18.5, 28.5), atol=1e-4)
    np.testing.assert_allclose(points.max(axis=0), (11.5, 21.5, 31.5), atol=1e-4)
    assert model_of(world) == [model]
    assert model.hide_render
    remove_cameras()
    assert not [obj for obj in bpy.data.objects if obj.type == "CAMERA"]


def test_the_grid_follows_a_turned_object():
    model = add("cube", size=4, rotation=(0.3, 0.5, 0.7))
    assert len(fit_blocks([model], Wish(across=4, axes="object", views=3)).fit.voxels.grid) == 4**3 - 2**3
    assert len(fit_blocks([model], Wish(across=4, axes="world", views=3)).fit.voxels.grid) != 4**3 - 2**3


@pytest.mark.parametrize("wish", [Wish(across=1e7), Wish(block_size=1e-9), Wish(budget=10**7)])
def test_too_many_blocks_are_refused_and_nothing_is_added(wish):
    model = add("cube")
    with pytest.raises(SettingsError):
        fit_blocks([model], wish)
    assert bpy.data.objects[:] == [model]
    assert CAMERAS not in bpy.data.collections


@pytest.mark.parametrize("scale", [0.001, 10_000.0])
def test_tiny_and_huge_models_are_seen(scale):
    fitted = fit_blocks([add("cube", size=scale)], Wish(across=4, views=3))
    assert fitted.fit.match > 0.99


def test_the_whole_way_by_one_command(tmp_path, capfd):
    model = add("uv_sphere")
    red = bpy.data.materials.new("red")
    red.use_nodes = True
    red.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.5, 0.02, 0.02, 1)
    model.data.materials.append(red)
    path, palette = tmp_path / "ball.blend", tmp_path / "palette.json"
    save_file(path)
    palette.write_text(json.dumps({"Blue": "#2030c0", "Red": "#c03030", "Green": "#30a030"}))
    out = tmp_path / "out.blend"
    capfd.readouterr()
    options = ["--across", "8", "--views", "4", "--palette", str(palette), "--out", str(out), "--json", "-"]
    assert cli.main(["blocks", str(path), *options]) == 0
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])  # pytest lets Blender's remarks past
    assert figures["outline_match"] > 0.85
    assert figures["blocks"] >= figures["visible_blocks"] > 50
    bpy.ops.wm.open_mainfile(filepath=str(out))
    world = bpy.data.objects["Model Blocks"]
    values = np.empty(figures["blocks"], dtype=np.int32)
    world.data.attributes["material"].data.foreach_get("value", values)
    assert (values == 2).sum() >= figures["visible_blocks"]
    assert model_of(world)[0].name == "Sphere"


def test_bad_input_ends_with_2_and_nothing_written(tmp_path, capsys):
    out = tmp_path / "out.blend"
    assert cli.main(["blocks", str(tmp_path / "none.step"), "--out", str(out)]) == 2
    assert "no importer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SceneError, match="no object"):
        chosen_objects(["nobody"])


def blocks_of(model, tmp_path, *words) -> dict:
    """Makes blocks of an object of the open file by the command, and opens what it wrote."""
    path, out = tmp_path / "in.blend", tmp_path / "out.blend"
    save_file(path)
    options = ["--across", "6", "--views", "3", "--lighting", "unlit", *words]
    assert cli.main(["blocks", str(path), "--object", model.name, *options, "--out", str(out)]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    return bpy.data.objects["Model Blocks"]


def test_an_update_keeps_settings_and_what_was_painted_by_hand(tmp_path):
    world = blocks_of(add("cube", size=3), tmp_path, "--smoothness", "0.25")
    painted = np.flatnonzero([vertex.co.z > 2.0 and vertex.co.x > 0.0 for vertex in world.data.vertices])
    found = world_materials(world)
    hand = 1 + found[painted[0]] % 4
    found[painted] = hand
    update_materials(world, found)
    (model,) = model_of(world)
    model.name = "Renamed"
    model.scale.x = 1.5
    path, out = tmp_path / "painted.blend", tmp_path / "updated.blend"
    save_file(path)
    assert cli.main(["blocks", str(path), "--update", "Model Blocks", "--out", str(out)]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    (world,) = [obj for obj in bpy.data.objects if model_of(obj)]
    assert order_of(world).wish == Wish(across=6, views=3)
    assert order_of(world).settings.smoothness == 0.25
    edits = edits_of(world)
    assert 0 < len(edits.painted) <= len(painted)
    assert set(edits.materials[edits.painted].tolist()) == {hand}
    assert np.ptp([vertex.co.x for vertex in world.data.vertices]) == pytest.approx(3.75)
    assert model_of(world)[0].hide_viewport
    revert(world)
    assert not bpy.data.objects["Renamed"].hide_viewport


def test_blocks_beside_the_model_leave_it_in_sight(tmp_path):
    world = blocks_of(add("cube", size=3), tmp_path, "--beside")
    (model,) = model_of(world)
    assert not model.hide_render
    assert min((world.matrix_world @ vertex.co).x for vertex in world.data.vertices) > 1.5


def test_blocks_are_exported_in_other_formats(tmp_path):
    add("cube", size=3)
    save_file(tmp_path / "in.blend")
    exports = [tmp_path / "blocks.schem", tmp_path / "scene"]
    words = [word for path in exports for word in ("--export", str(path))]
    assert cli.main(["blocks", str(tmp_path / "in.blend"), "--across", "4", "--views", "2", *words]) == 0
    assert len(BlockScene.read(exports[1]).grid) == 4**3 - 2**3
    assert exports[0].stat().st_size > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocks.schem", "in.blend", "scene"]


def broken(kind: str) -> list[str]:
    """Adds a model that cannot be used, or returns the words of an order that cannot be met."""
    if kind == "empty":
        return []
    obj = add("cube")
    if kind == "not finite":
        obj.data.vertices[0].co.x = float("nan")
    elif kind == "no face":
        obj.data.clear_geometry()
    elif kind == "hidden":
        obj.hide_render = True
    elif kind == "one point":
        obj.scale = (0, 0, 0)
    elif kind == "sheared":
        parent = add("cube")
        parent.scale, obj.parent, obj.rotation_euler = (3, 1, 1), parent, (0.5, 0.5, 0.5)
        return ["--object", obj.name, "--axes", "object"]
    return {"blocks": ["--budget", "10000000"], "across": ["--across", "1e7"], "nobody": ["--object", "Nobody"]}.get(
        kind, []
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "no model is chosen; select an object"),
        ("no face", "has no face"),
        ("hidden", "is hidden; show it in renders"),
        ("not finite", "not finite numbers; remove them"),
        ("one point", "all its corners are in one place; give it a size"),
        ("sheared", "no axes at right angles; apply its scale"),
        ("blocks", "10,000,000 blocks is out of range; give"),
        ("across", "too fine; ask for fewer"),
        ("nobody", "no object 'Nobody'"),
    ],
)
def test_bad_models_and_orders_end_with_one_line_and_nothing_written(kind, message, tmp_path, capfd):
    words = broken(kind)
    save_file(tmp_path / "model.blend")
    capfd.readouterr()
    assert cli.main(["blocks", str(tmp_path / "model.blend"), *words, "--out", str(tmp_path / "out.blend")]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and said.startswith("bridge: ") and message in said
    assert [path.name for path in tmp_path.iterdir()] == ["model.blend"]


def test_a_flat_plane_is_one_layer_wherever_it_lies():
    for rotation in ((0, 0, 0), (np.pi / 2, 0, 0), (0, np.pi / 2, 0)):
        plane = add("plane", size=8, rotation=rotation)
        grid = fit_blocks([plane], Wish(across=8, views=3)).fit.voxels.grid
        assert sorted(grid.size) == [1, 8, 8]
        assert len(grid) == 64
