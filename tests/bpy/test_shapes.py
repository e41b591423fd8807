"""Which meshes are blocks, and which objects renders show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.grid import FACE_SLOTS
from blockcore.model.palette import WEBGPU_PALETTE
from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Euler, Matrix, Vector  # noqa: E402

from bridge.blender.apply import apply, apply_in_place, revert  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from tests.bpy import scenes  # noqa: E402


def count(source: Any = None, **options: Any) -> int:
    return len(extract(source or bpy.context.scene.collection, (), need_targets=False, **options).grid)


def open_box() -> None:
    mesh = scenes.cube_mesh()
    flat = bpy.data.meshes.new("Open")
    flat.from_pydata([v.co[:] for v in mesh.vertices], [], [p.vertices[:] for p in list(mesh.polygons)[:5]])
    scenes.add(flat, "Open", (0, 0, 0), bpy.context.scene.collection)


NOT_CUBES: dict[str, Callable[[], Any]] = {
    "box without a lid": open_box,
    "cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(radius=0.5, depth=1.0),
    "fine cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(vertices=256, radius=0.5, depth=1.0),
    "icosphere": lambda: bpy.ops.mesh.primitive_ico_sphere_add(radius=0.5),
    "torus": lambda: bpy.ops.mesh.primitive_torus_add(),
}


@pytest.mark.parametrize("kind", NOT_CUBES)
def test_what_is_no_closed_box_is_refused_or_taken_as_its_box_on_request(kind: str) -> None:
    NOT_CUBES[kind]()
    obj = bpy.context.scene.objects[0]
    with pytest.raises(BlockcoreError, match="is not a cube; leave only cubes"):
        count()
    if kind != "torus":
        obj["blockcore_as_box"] = True
        obj.dimensions = (1.0, 1.0, 1.0)
        assert count() == 1


def test_joined_cubes_and_arrays_are_blocks_each() -> None:
    cube = scenes.add(scenes.cube_mesh(), "Row", (0, 0, 0), bpy.context.scene.collection)
    array = cube.modifiers.new("Array", "ARRAY")
    array.count = 4
    mirror = cube.modifiers.new("Mirror", "MIRROR")
    mirror.mirror_object = scenes.add(None, "Middle", (-1.0, 0, 0), bpy.context.scene.collection)
    assert count() == 8


def merged_mirror(cube: Any) -> int:
    cube.data.transform(Matrix.Translation((0.5, 0.0, 0.0)))
    cube.modifiers.new("Mirror", "MIRROR")  # which merges by itself
    return 2


def merged_arrays(cube: Any) -> int:
    for axis in np.eye(3)[:2]:
        array = cube.modifiers.new("Array", "ARRAY")
        array.count, array.relative_offset_displace, array.use_merge_vertices = 3, axis, True
    return 9


def sharing_an_edge(cube: Any) -> int:
    array = cube.modifiers.new("Array", "ARRAY")
    array.count, array.relative_offset_displace, array.use_merge_vertices = 3, (1.0, 1.0, 0.0), True
    return 3


def in_triangles(cube: Any) -> int:
    cube.modifiers.new("Triangulate", "TRIANGULATE")
    return merged_arrays(cube)


@pytest.mark.parametrize(
    "weld", [merged_mirror, merged_arrays, sharing_an_edge, in_triangles], ids=lambda weld: weld.__name__
)
def test_welded_cubes_are_blocks_each(weld: Callable[[Any], int]) -> None:
    wanted = weld(scenes.add(scenes.cube_mesh(), "Bar", (0, 0, 0), bpy.context.scene.collection))
    assert count() == wanted


@pytest.mark.parametrize("scale", [(2.0, 1.0, 1.0), (3.0, 2.0, 1.0)])
def test_a_long_box_is_no_row_of_cubes(scale: tuple[float, ...]) -> None:
    cube = scenes.add(scenes.cube_mesh(), "Beam", (0, 0, 0), bpy.context.scene.collection)
    cube.data.transform(Matrix.Diagonal((*scale, 1.0)))
    with pytest.raises(BlockcoreError, match=r"object 'Beam': is .* not a cube"):
        count()


def test_a_subdivided_cube_is_a_cube() -> None:
    cube = scenes.add(scenes.cube_mesh(), "Fine", (0, 0, 0), bpy.context.scene.collection)
    finer = cube.modifiers.new("Subdivision", "SUBSURF")
    finer.subdivision_type, finer.levels, finer.render_levels = "SIMPLE", 3, 3
    assert count() == 1


@pytest.mark.parametrize("joined", [False, True], ids=["single", "joined"])
def test_sides_may_only_touch(joined: bool) -> None:
    """As importers leave them that need a normal a corner."""
    cubes = [scenes.add(scenes.cube_mesh(), f"Cube {x}", (x, 0, 0), bpy.context.scene.collection) for x in range(3)]
    if joined:
        with bpy.context.temp_override(active_object=cubes[0], selected_editable_objects=cubes):
            bpy.ops.object.join()
    for cube in bpy.context.scene.objects:
        cube.modifiers.new("Apart", "EDGE_SPLIT").split_angle = 0.0
    assert count() == 3


def test_a_cube_may_be_turned_in_its_mesh() -> None:
    """Its sides keep their materials, in both ways of applying, and its lattice is turned with it."""
    paints = [scenes.emission(f"Side {i}", color) for i, color in enumerate(np.eye(3).tolist())]
    turn = Euler((0.4, 0.7, 0.2)).to_matrix().to_4x4()
    for x in range(2):
        mesh = scenes.cube_mesh(materials=tuple(paints))
        mesh.transform(turn)
        scenes.add(mesh, f"Cube {x}", turn @ Vector((x, 0, 0)), bpy.context.scene.collection)
    scene = extract(bpy.context.scene.collection, (), need_targets=False)
    assert scene.grid.size == (2, 1, 1)
    sides = [palette_color(scene, direction) for direction in (2, 3, 0)]
    np.testing.assert_allclose(sides, np.eye(3), atol=1e-3)
    sand = np.full(2, WEBGPU_PALETTE.index("Grass"), np.int32)
    cubes = apply_in_place(replace(scene, palette=WEBGPU_PALETTE, materials=sand))
    again = extract(bpy.context.scene.collection, (), WEBGPU_PALETTE, need_targets=False)
    assert again.materials.tolist() == sand.tolist()
    assert [slot.material.name for slot in cubes[0].material_slots] == ["Grass top", "Grass bottom", "Grass side"]


def palette_color(scene: Any, direction: int) -> Any:
    tile = scene.palette.tiles.get((1, direction))
    return scene.palette.colors[1, FACE_SLOTS[direction]] if tile is None else tile[0, 0, :3] / 255.0


def test_a_cube_scaled_to_nothing_is_no_block() -> None:
    for x in range(3):
        cube = scenes.add(scenes.cube_mesh(), f"Cube {x}", (x, 0, 0), bpy.context.scene.collection)
        cube.scale = [float(x < 2)] * 3
    assert count() == 2


def test_particles_are_blocks_if_renders_show_as_many() -> None:
    ground = bpy.data.meshes.new("Ground")
    corners = [(x, y, 0) for x in range(3) for y in range(3)]
    ground.from_pydata(corners, [], [(0, 1, 4, 3), (1, 2, 5, 4), (3, 4, 7, 6)])
    emitter = scenes.add(ground, "Emitter", (0, 0, 0), bpy.context.scene.collection)
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    settings = emitter.particle_systems[0].settings
    settings.type, settings.count, settings.emit_from, settings.use_emit_random = "HAIR", 3, "FACE", False
    settings.distribution, settings.jitter_factor, settings.userjit = "JIT", 0.0, 1
    settings.render_type, settings.particle_size = "OBJECT", 1.0
    settings.hair_length, settings.use_advanced_hair = 1.0, True
    settings.instance_object = scenes.add(scenes.cube_mesh(), "Cube", (9, 0, 0), bpy.context.scene.collection)
    settings.instance_object.hide_render = True
    emitter.show_instancer_for_render = False
    assert count() == 3
    settings.display_percentage = 50
    with pytest.raises(BlockcoreError, match=r"'Emitter': its particle system .* shows 50 % of its particles"):
        count()


def round_in_renders(cube: Any) -> None:
    modifier = cube.modifiers.new("Round", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 2


def array_in_viewport(cube: Any) -> None:
    cube.modifiers.new("Row", "ARRAY").show_render = False


@pytest.mark.parametrize(
    ("change", "words"),
    [(round_in_renders, "rounds it in renders alone"), (array_in_viewport, "is on in the viewport")],
)
def test_what_renders_show_differently_is_refused(change: Callable[[Any], None], words: str) -> None:
    change(scenes.add(scenes.cube_mesh(), "Cube", (0, 0, 0), bpy.context.scene.collection))
    with pytest.raises(BlockcoreError, match=f"object 'Cube': its modifier '.*' {words}"):
        count()


@pytest.mark.parametrize("edge", [0.98, 0.9, 0.82])
def test_cubes_with_gaps_fill_their_lattice(edge: float, caplog: pytest.LogCaptureFixture) -> None:
    for i, cell in enumerate(np.ndindex(3, 2, 2)):
        scenes.add(scenes.cube_mesh(size=edge), f"Cube {i}", cell, bpy.context.scene.collection)
    scene = extract(bpy.context.scene.collection, (), need_targets=False)
    assert scene.grid.size == (3, 2, 2)
    assert scene.grid.world_scale == pytest.approx(1.0)
    assert "leave gaps" in caplog.text


# What renders show


def hide_object(cube: Any, collection: Any) -> None:
    cube.hide_render = True


def hide_collection(cube: Any, collection: Any) -> None:
    collection.hide_render = True


def no_camera_rays(cube: Any, collection: Any) -> None:
    cube.visible_camera = False


def hold_out(cube: Any, collection: Any) -> None:
    cube.is_holdout = True


def hold_out_of_layer(cube: Any, collection: Any) -> None:
    bpy.context.view_layer.layer_collection.children[collection.name].holdout = True


def catch_shadows(cube: Any, collection: Any) -> None:
    cube.is_shadow_catcher = True


def show_indirectly(cube: Any, collection: Any) -> None:
    bpy.context.view_layer.layer_collection.children[collection.name].indirect_only = True


def hide_by_track(cube: Any, collection: Any) -> None:
    cube.hide_render = True
    cube.keyframe_insert("hide_render", frame=1)
    action = cube.animation_data.action
    cube.animation_data.nla_tracks.new().strips.new("Hidden", 1, action)
    cube.animation_data.action, cube.hide_render = None, False
    bpy.context.scene.frame_set(2)


def keyed(cube: Any, collection: Any) -> None:
    cube.hide_render = True
    cube.keyframe_insert("hide_render", frame=5)
    cube.hide_render = False
    cube.keyframe_insert("hide_render", frame=1)
    bpy.context.scene.frame_set(7)


def layer_of(collection: Any, top: Any = None) -> Any:
    top = top or bpy.context.view_layer.layer_collection
    inside = [found for child in top.children if (found := layer_of(collection, child))]
    return top if top.collection == collection else next(iter(inside), None)


def also_held_out(cube: Any, collection: Any) -> None:
    other = scenes.collection("Other")
    other.objects.link(cube)
    layer_of(other).holdout = True


def also_indirect(cube: Any, collection: Any) -> None:
    other = scenes.collection("Other")
    other.objects.link(cube)
    layer_of(other).indirect_only = True


def template_of_vertices(cube: Any, collection: Any) -> None:
    """Vertices do not copy a child that renders do not show."""
    point = bpy.data.meshes.new("Point")
    point.from_pydata([(0, 0, 0)], [], [])
    cube.parent = scenes.add(point, "Parent", (1, 0, 0), collection)
    cube.parent.instance_type, cube.hide_render, cube.location.x = "VERTS", True, 0.0


def instances_by_nodes(source: str, named: Any, where: Any) -> None:
    """An object whose geometry nodes put an object or a collection on its one point, at (1, 0, 0)."""
    point = bpy.data.meshes.new("Point")
    point.from_pydata([(1, 0, 0)], [], [])
    tree = bpy.data.node_groups.new("Instances", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    begin, end, place, info = (
        tree.nodes.new(kind)
        for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeInstanceOnPoints", f"GeometryNode{source}Info")
    )
    info.inputs[0].default_value = named
    if source == "Object":
        info.inputs["As Instance"].default_value = True
    tree.links.new(begin.outputs[0], place.inputs["Points"])
    tree.links.new(next(one for one in info.outputs if one.type == "GEOMETRY"), place.inputs["Instance"])
    tree.links.new(place.outputs[0], end.inputs[0])
    scenes.add(point, "Points", (0, 0, 0), where).modifiers.new("Instances", "NODES").node_group = tree


def off_stage(cube: Any, collection: Any) -> Any:
    """A collection that no scene has, with the cube; the points lie where it was."""
    stage = bpy.data.collections.new("Stage")
    collection.objects.unlink(cube)
    stage.objects.link(cube)
    cube.location.x = 0.0
    return stage


def member_of_nodes_collection(cube: Any, collection: Any) -> None:
    cube.hide_render = True
    instances_by_nodes("Collection", off_stage(cube, collection), collection)


@pytest.mark.parametrize(
    "hide",
    [
        *(also_held_out, also_indirect, template_of_vertices, member_of_nodes_collection),
        *(hide_object, hide_collection, no_camera_rays, hold_out, hold_out_of_layer, catch_shadows, show_indirectly),
        *(hide_by_track, keyed),
    ],
    ids=lambda h: h.__name__,
)
def test_what_renders_do_not_show_is_no_block(hide: Callable[[Any, Any], None]) -> None:
    scenes.add(scenes.cube_mesh(), "Shown", (0, 0, 0), bpy.context.scene.collection)
    inner = scenes.collection("Inner")
    hide(scenes.add(scenes.cube_mesh(), "Hidden", (1, 0, 0), inner), inner)
    assert count() == 1


def include_below_excluded(cube: Any, collection: Any) -> None:
    outer = scenes.collection("Outer")
    bpy.context.scene.collection.children.unlink(collection)
    outer.children.link(collection)
    layer_of(outer).exclude = True
    layer_of(collection).exclude = False


def below_held_out(cube: Any, collection: Any) -> None:
    outer = scenes.collection("Outer")
    bpy.context.scene.collection.children.unlink(collection)
    outer.children.link(collection)
    layer_of(outer).holdout = True


def below_excluded_and_disabled(cube: Any, collection: Any) -> None:
    include_below_excluded(cube, collection)
    bpy.data.collections["Outer"].hide_viewport = True


def named_by_nodes(cube: Any, collection: Any) -> None:
    """Nodes that name an object show it even where renders do not show itself."""
    off_stage(cube, collection)
    cube.hide_render = True
    instances_by_nodes("Object", cube, collection)


def disabled_member_of_nodes_collection(cube: Any, collection: Any) -> None:
    cube.hide_viewport = True
    instances_by_nodes("Collection", off_stage(cube, collection), collection)


@pytest.mark.parametrize(
    "show",
    [
        *(include_below_excluded, below_held_out, below_excluded_and_disabled, named_by_nodes),
        disabled_member_of_nodes_collection,
    ],
    ids=lambda s: s.__name__,
)
def test_what_renders_show_all_the_same_is_a_block(show: Callable[[Any, Any], None]) -> None:
    scenes.add(scenes.cube_mesh(), "Shown", (0, 0, 0), bpy.context.scene.collection)
    inner = scenes.collection("Inner")
    show(scenes.add(scenes.cube_mesh(), "Shown, too", (1, 0, 0), inner), inner)
    assert count() == 2


def close_eye(cube: Any, collection: Any) -> None:
    cube.hide_set(True)


def disable_object(cube: Any, collection: Any) -> None:
    cube.hide_viewport = True


def disable_collection(cube: Any, collection: Any) -> None:
    collection.hide_viewport = True


def close_eye_of_collection(cube: Any, collection: Any) -> None:
    bpy.context.view_layer.layer_collection.children[collection.name].hide_viewport = True


def disable_instanced(cube: Any, collection: Any) -> None:
    """The cube is only to be seen through an instance of its collection."""
    bpy.context.scene.collection.children.unlink(collection)
    empty = scenes.add(None, "Instance", (0, 0, 0), bpy.context.scene.collection)
    empty.instance_type, empty.instance_collection, cube.hide_viewport = "COLLECTION", collection, True


@pytest.mark.parametrize(
    "hide",
    [close_eye, disable_object, disable_collection, close_eye_of_collection, disable_instanced],
    ids=lambda h: h.__name__,
)
def test_what_only_the_viewport_hides_is_a_block_and_stays_hidden(hide: Callable[[Any, Any], None]) -> None:
    inner = scenes.collection("Inner")
    cube = scenes.add(scenes.cube_mesh(), "Hidden", (0, 0, 0), inner)
    hide(cube, inner)
    bpy.context.view_layer.update()
    before = cube.hide_viewport, inner.hide_viewport, cube.visible_get()
    assert count() == 1
    assert before == (cube.hide_viewport, inner.hide_viewport, cube.visible_get())
    assert not before[2]


def test_keyframes_and_drivers_do_not_bring_originals_back() -> None:
    cubes = [scenes.add(scenes.cube_mesh(), f"Cube {i}", (i, 0, 0), bpy.context.scene.collection) for i in range(2)]
    cubes[0].keyframe_insert("hide_render", frame=1)
    cubes[1].driver_add("hide_render").driver.expression = "0"
    world = apply(extract(bpy.context.scene.collection, (), need_targets=False))
    bpy.context.scene.frame_set(9)
    assert [cube.hide_render for cube in cubes] == [True, True]
    revert(world)
    bpy.context.scene.frame_set(12)
    assert [cube.hide_render for cube in cubes] == [False, False]


@pytest.mark.parametrize("turn", [(math.pi / 2, 0, 0), (0, math.pi / 2, 0), (math.pi, 0, 0), (0, 0, math.pi / 2)])
def test_a_turned_cube_shows_its_sides_as_the_world_sees_them(turn: tuple[float, float, float]) -> None:
    paints = tuple(
        scenes.emission(n, c) for n, c in (("Log top", (1, 0, 0)), ("Log bottom", (0, 1, 0)), ("Log side", (0, 0, 1)))
    )
    cube = scenes.add(scenes.cube_mesh(materials=paints), "Log", (0, 0, 0), bpy.context.scene.collection)
    cube.rotation_euler = turn
    bpy.context.view_layer.update()
    scene = extract(bpy.context.scene.collection, (), need_targets=False)
    graph = bpy.context.evaluated_depsgraph_get()
    _, _, _, face, _, _ = bpy.context.scene.ray_cast(graph, (0, 0, 5), (0, 0, -1))
    shown = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1)])[cube.data.polygons[face].material_index]
    tile = scene.palette.tiles.get((1, 2))
    top = scene.palette.colors[1, 0] if tile is None else tile[0, 0, :3] / 255.0
    np.testing.assert_allclose(top, shown, atol=1e-3)
