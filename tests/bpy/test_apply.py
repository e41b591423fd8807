"""Putting materials back: as one object, and on the cubes themselves."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene
from tests.captures import captured
from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Matrix  # noqa: E402

from bridge.blender.apply import apply, apply_in_place, revert, revert_in_place, show_original  # noqa: E402
from bridge.blender.build import build  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.files import save_file  # noqa: E402
from bridge.blender.materials import display_color  # noqa: E402
from bridge.blender.world import ATTRIBUTE, update_materials, world_materials  # noqa: E402
from tests.bpy import scenes  # noqa: E402

BLOCKS = len(scenes.CELLS)
WANTED = np.array([3, 1, 7, 5, 5, 2], dtype=np.int32)


def blocks_of(source: Any = None) -> BlockScene:
    return extract(source, (), need_targets=False)


def everything() -> dict[str, tuple[str, ...]]:
    """The names of all that a world is made of."""
    parts = (bpy.data.objects, bpy.data.meshes, bpy.data.node_groups, bpy.data.collections, bpy.data.cameras)
    return {part.rna_type.identifier: tuple(one.name for one in part) for part in parts}


def turned_cubes() -> Any:
    source = scenes.linked_cubes(size=0.3)
    move = Matrix.Translation((3.0, -2.0, 7.0)) @ Matrix.Rotation(0.5, 4, "Z") @ Matrix.Rotation(0.2, 4, "X")
    for cube in source.objects:
        cube.matrix_world = move @ cube.matrix_basis
    return source


SOURCES = {
    "linked cubes": scenes.linked_cubes,
    "turned cubes": turned_cubes,
    "collection instances": scenes.collection_instances,
    "vertex instances": scenes.vertex_instances,
    "node instances": lambda: scenes.node_instances(primitive=True),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_result_takes_the_place_of_the_cubes_and_can_be_taken_away(kind: str) -> None:
    source = SOURCES[kind]()
    before, things = blocks_of(source), everything()
    world = apply(before, WANTED)
    after = blocks_of(source)
    np.testing.assert_array_equal(after.grid.positions, before.grid.positions)
    assert after.grid.size == before.grid.size
    np.testing.assert_allclose(after.source.grid_to_source, before.source.grid_to_source, atol=1e-6)
    assert np.array_equal(after.materials, WANTED)
    assert np.array_equal(world_materials(world), WANTED)
    assert set(after.source.block_objects) == {world.name}
    revert(world)
    assert everything() == things
    assert blocks_of(source) == before


def test_a_world_that_was_moved_turned_and_scaled_keeps_its_grid() -> None:
    village = captured(1)
    world = build(village)
    before = blocks_of(world)
    world.matrix_world = Matrix.Translation((5.0, 6.0, 7.0)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Scale(1.5, 4)
    after = blocks_of(world)
    assert after.grid.size == before.grid.size
    assert np.array_equal(after.grid.positions, before.grid.positions)
    assert after.grid.world_scale == pytest.approx(1.5 * before.grid.world_scale)
    block = after.grid.positions[17] + 0.5 - (12.0, 0.0, 12.0)
    place = after.source.grid_to_source @ (*(block * after.grid.world_scale), 1.0)
    np.testing.assert_allclose(place[:3], world.matrix_world @ world.data.vertices[17].co, atol=1e-4)


def test_applying_again_replaces_the_result() -> None:
    source = scenes.linked_cubes()
    first = blocks_of(source)
    apply(first, WANTED)
    things = everything()
    apply(first, WANTED[::-1].copy())  # from what was extracted before
    assert everything() == things
    world = apply(blocks_of(source), WANTED)  # from the result itself
    assert everything() == things
    show_original(world, True)
    assert not world.visible_get()
    assert bpy.data.objects["Block 0"].visible_get()
    revert(world)
    assert blocks_of(source) == first


def test_hidden_renders_come_back_as_they_were() -> None:
    source = scenes.linked_cubes()
    bpy.data.objects["Block 2"].hide_render = True  # so it is no block
    before = blocks_of(source)
    assert "Block 2" not in before.source.block_objects
    world = apply(before, WANTED[:5])
    assert all(bpy.data.objects[f"Block {i}"].hide_render for i in range(BLOCKS))
    revert(world)
    assert [bpy.data.objects[f"Block {i}"].hide_render for i in range(BLOCKS)] == [i == 2 for i in range(BLOCKS)]


def test_an_object_whose_cubes_are_hidden_gives_its_result() -> None:
    scenes.node_instances(primitive=True)
    emitter = bpy.data.objects["Emitter"]
    apply(blocks_of(emitter), WANTED)
    assert np.array_equal(blocks_of(emitter).materials, WANTED)


def test_materials_show_the_palettes_colours() -> None:
    palette = Palette(("Air", "Red", "Mixed"), np.array([[[0.0] * 3] * 3, [[0.8, 0.1, 0.2]] * 3, np.eye(3) * 0.6]))
    scene = extract(scenes.linked_cubes(), (), palette, need_targets=False)
    apply(scene, np.array([1, 2, 1, 2, 1, 2]))
    names = {material.name for material in bpy.data.materials if material.get("blockcore_material") in palette.names}
    assert names == {"Red", "Mixed top", "Mixed bottom", "Mixed side"}
    for name, color in [("Red", palette.colors[1, 0]), ("Mixed bottom", palette.colors[2, 1])]:
        np.testing.assert_allclose(display_color(bpy.data.materials[name]), color, atol=1e-6)
        linear = bpy.data.materials[name].diffuse_color[:3]
        np.testing.assert_allclose(np.clip(linear, 0, 1), linear)
    assert extract(None, (), need_targets=False).palette == palette


def test_updating_writes_one_attribute_that_the_viewport_follows() -> None:
    source = scenes.linked_cubes()
    world = apply(blocks_of(source), WANTED)
    update_materials(world, np.full(BLOCKS, 4))
    assert blocks_of(source).materials.tolist() == [4] * BLOCKS
    for wrong in (np.full(BLOCKS, 8), np.zeros(BLOCKS, int), np.full(BLOCKS + 1, 1), np.full(BLOCKS, 1.0)):
        with pytest.raises(BlockcoreError, match="object 'Optimized Blocks': "):
            update_materials(world, wrong)
    with pytest.raises(BlockcoreError, match="object 'Block 0': is not a block world"):
        update_materials(bpy.data.objects["Block 0"], WANTED)


def renamed() -> None:
    """Gives every object another name."""
    for number, obj in enumerate(list(bpy.data.objects)):
        obj.name = f"Other {number}"


def moved() -> None:
    """Moves every object into another collection."""
    attic = scenes.collection("Elsewhere")
    for obj in list(bpy.context.scene.objects):
        for holder in obj.users_collection:
            if holder in bpy.context.scene.collection.children_recursive:
                holder.objects.unlink(obj)
        attic.objects.link(obj)


def reopened(folder: Path) -> None:
    save_file(folder / "saved.blend")
    bpy.ops.wm.open_mainfile(filepath=str(folder / "saved.blend"))


def appended(folder: Path) -> None:
    """Appends the result to an empty file."""
    save_file(folder / "saved.blend")
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(folder / "saved.blend")) as (_, wanted):
        wanted.objects = ["Optimized Blocks"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Optimized Blocks"])


CHANGES = {
    "renamed": lambda folder: renamed(),
    "moved": lambda folder: moved(),
    "reopened": reopened,
    "renamed and reopened": lambda folder: (renamed(), reopened(folder)),
    "appended": appended,
}


def result_world() -> Any:
    (world,) = (obj for obj in bpy.data.objects if "blockcore_world" in obj)
    return world


def shown_cubes() -> list[Any]:
    return [obj for obj in bpy.context.scene.objects if obj.data and obj.data.name == "Cube" and obj.visible_get()]


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_result_hides_is_found_after_all_that_users_do(change: str, tmp_path: Path) -> None:
    before = blocks_of(scenes.linked_cubes())
    bpy.data.objects["Block 2"].hide_viewport = True  # so it shows in renders alone
    apply(before, WANTED)
    CHANGES[change](tmp_path)
    assert not shown_cubes()
    show_original(result_world(), True)
    assert len(shown_cubes()) == BLOCKS - 1 and not result_world().visible_get()
    show_original(result_world(), False)
    assert not shown_cubes() and result_world().visible_get()
    again = blocks_of(result_world())
    apply(again, WANTED[::-1].copy())
    assert np.array_equal(world_materials(result_world()), WANTED[::-1])
    revert(result_world())
    assert len(shown_cubes()) == BLOCKS - 1
    assert sum(obj.hide_viewport for obj in bpy.context.scene.objects if obj.type == "MESH") == 1
    assert not [one for one in bpy.data.collections if "blockcore_reference" in one]
    for obj in bpy.context.scene.objects:
        obj.hide_viewport = False
    after = blocks_of(bpy.context.scene.collection)
    assert after.palette == before.palette and np.array_equal(after.materials, before.materials)


def test_a_result_stays_the_same_object_when_it_is_optimized_again() -> None:
    source = scenes.linked_cubes()
    world = apply(blocks_of(source), WANTED)
    follower = bpy.data.objects.new("Follower", None)
    follower["follows"] = world
    world.name = "My World"
    world.modifiers.new("Mine", "TRIANGULATE")
    palette = Palette(("Air", "Red", "Blue"), np.array([[[0.0] * 3] * 3, [[0.8, 0.1, 0.2]] * 3, [[0.1, 0.2, 0.8]] * 3]))
    again = apply(extract(world, (), palette, need_targets=False), np.array([1, 2, 1, 2, 1, 2]))
    assert again == world and follower["follows"] == world and world.name == "My World"
    assert [modifier.name for modifier in world.modifiers] == ["Blocks", "Mine"]
    assert blocks_of(world).palette == palette
    assert len(bpy.data.node_groups) == 1


def test_what_is_hidden_is_no_region() -> None:
    source = scenes.linked_cubes()
    part = scenes.collection("Part")
    for number in (0, 1):
        part.objects.link(bpy.data.objects[f"Block {number}"])
    world = apply(blocks_of(part), WANTED[:2])
    show_original(world, True)
    assert set(blocks_of(source).regions) == {"Part"}


@pytest.mark.parametrize("change", ["renamed", "reopened"])
def test_materials_come_back_after_all_that_users_do(change: str, tmp_path: Path) -> None:
    source = scenes.linked_cubes()
    cubes = list(source.objects)
    for cube in cubes[:3]:
        cube.material_slots[0].link = "OBJECT"
        cube.material_slots[0].material = scenes.material(f"Own {cube.name}", (0.2, 0.4, 0.6))
    before = blocks_of(source)
    apply_in_place(before, np.full(BLOCKS, 1))
    for number, material in enumerate(list(bpy.data.materials)):
        material.name = f"Any {number}"
    CHANGES[change](tmp_path)
    revert_in_place([obj for obj in bpy.context.scene.objects if obj.type == "MESH"])
    assert blocks_of().palette.colors.tolist() == before.palette.colors.tolist()  # the names are others now
    assert np.array_equal(blocks_of().materials, before.materials)


def test_in_place_leaves_shared_meshes_shared_and_others_alone() -> None:
    source = scenes.linked_cubes()
    before = blocks_of(source)
    mesh = bpy.data.objects["Block 0"].data
    bystander = scenes.add(mesh, "Bystander", (50.0, 0.0, 0.0), bpy.context.scene.collection)
    bystander.material_slots[0].link = "OBJECT"
    bystander.material_slots[0].material = scenes.material("Own")
    cubes = apply_in_place(before, WANTED)
    assert [cube.name for cube in cubes] == [f"Block {i}" for i in range(BLOCKS)]
    assert {cube.data for cube in cubes} == {mesh}
    after = blocks_of(source)
    assert after.grid == before.grid
    assert np.array_equal(after.materials, WANTED)
    assert {slot.material.name for slot in bystander.material_slots} == {"Own"}
    by_side = {polygon.normal.to_tuple(0): polygon.material_index for polygon in mesh.polygons}
    shown = [
        cubes[1].material_slots[by_side[side]].material.name for side in ((0, 0, 1), (0, 0, -1), (1, 0, 0), (0, -1, 0))
    ]
    assert shown == ["Grass top", "Grass bottom", "Grass side", "Grass side"]
    apply_in_place(after, WANTED[::-1].copy())
    assert len(mesh.materials) == 3
    revert_in_place(cubes)
    assert np.array_equal(blocks_of(source).materials, before.materials)


def test_in_place_gives_bare_cubes_slots() -> None:
    source = scenes.collection()
    mesh = scenes.cube_mesh()
    for i in range(3):
        scenes.add(mesh, f"Block {i}", (i, 0.0, 0.0), source)
    apply_in_place(blocks_of(source), [2, 3, 4])
    assert blocks_of(source).materials.tolist() == [2, 3, 4]


def test_in_place_needs_an_object_a_block() -> None:
    scene = blocks_of(scenes.vertex_instances())
    with pytest.raises(BlockcoreError, match="object 'Emitter': emits several blocks"):
        apply_in_place(scene, WANTED)


def test_a_scene_from_elsewhere_is_refused() -> None:
    village = captured(1)
    with pytest.raises(BlockcoreError, match="does not tell which objects"):
        apply(village)
    scene = blocks_of(scenes.linked_cubes())
    bpy.data.objects.remove(bpy.data.objects["Block 3"])
    things = everything()
    with pytest.raises(BlockcoreError, match="there is no object 'Block 3' any more"):
        apply(scene, WANTED)
    with pytest.raises(BlockcoreError, match="material"):
        apply(blocks_of(), np.full(BLOCKS - 1, 99))
    assert everything() == things


@pytest.mark.alone
def test_the_hills_apply_fast_and_stay_small(tmp_path: Path) -> None:
    hills = captured(2)
    build(BlockScene(hills.grid, hills.materials))
    scene = extract(need_targets=False)
    assert scene.grid == hills.grid
    assert np.array_equal(scene.materials, hills.materials)
    materials = np.random.default_rng(0).integers(1, len(WEBGPU_PALETTE), len(hills.grid)).astype(np.int32)
    began = time.perf_counter()
    world = apply(scene, materials)
    bpy.context.view_layer.update()
    assert time.perf_counter() - began < 2.0  # measured: 0.05 s
    assert len(world.data.attributes[ATTRIBUTE].data) == 88_767
    save_file(tmp_path / "hills.blend")
    assert os.path.getsize(tmp_path / "hills.blend") < 10e6  # measured: 0.4 MB  # noqa: PTH202


@pytest.mark.alone
def test_thousands_of_cube_objects_stay_usable() -> None:
    cells = [(x, y, 0) for x in range(40) for y in range(40)]
    source = scenes.linked_cubes(cells)
    scene = blocks_of(source)
    assert isinstance(scene.grid, BlockGrid)
    began = time.perf_counter()
    revert(apply(scene))
    apply_in_place(scene)
    assert time.perf_counter() - began < 5.0
