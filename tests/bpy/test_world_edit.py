"""Working on blocks that were made: in Object Mode and in Edit Mode, without losing what is noted about each."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402, I001
import bmesh  # noqa: E402

from blockcore.errors import SceneError  # noqa: E402
from blockcore.model.grid import BlockGrid  # noqa: E402
from blockcore.model.scene import BlockScene  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.world import add_world, world_materials  # noqa: E402
from bridge.blender.world_edit import (  # noqa: E402
    counts_of,
    grid_of,
    material_names,
    paint_selected,
    remove_blocks,
    replace_material,
    select_material,
)
from bridge.model.pieces import floating, surrounded  # noqa: E402

CUBE = np.argwhere(np.ones((4, 4, 4), bool))


def world_of(cells, materials=None, regions=None):
    cells = np.asarray(cells)
    size = tuple((cells.max(axis=0) + 1).tolist())
    materials = np.arange(len(cells)) % 7 + 1 if materials is None else np.asarray(materials)
    scene = BlockScene(BlockGrid(size, 0.5, cells), materials, regions=regions or {})
    world = add_world(scene, "World", bpy.context.scene.collection)
    bpy.context.view_layer.objects.active = world
    return world


def edited(world, chosen):
    """Goes to Edit Mode with some points selected."""
    bpy.ops.object.mode_set(mode="EDIT")
    mesh = bmesh.from_edit_mesh(world.data)
    for number, point in enumerate(mesh.verts):
        point.select = number in chosen
    bmesh.update_edit_mesh(world.data)
    return world


def after(world) -> list[int]:
    bpy.ops.object.mode_set(mode="OBJECT")
    return world_materials(world).tolist()


def test_a_material_is_replaced_everywhere_or_where_selected():
    world = world_of(CUBE[:7])
    assert replace_material(world, "Stone", "Snow") == 1
    assert world_materials(world).tolist() == [1, 2, 5, 4, 5, 6, 7]
    edited(world, {4})
    assert replace_material(world, "Snow", "Water") == 1
    assert after(world) == [1, 2, 5, 4, 7, 6, 7]


def test_blocks_are_counted_by_name():
    assert counts_of(world_of(CUBE[:9])) == {
        "Grass": 2, "Dirt": 2, "Stone": 1, "Plank": 1, "Snow": 1, "Sand": 1, "Water": 1
    }  # fmt: skip


def test_selected_blocks_are_painted():
    world = edited(world_of(CUBE[:7]), {0, 6})
    assert paint_selected(world, "Plank") == 2
    assert after(world) == [4, 2, 3, 4, 5, 6, 4]


def test_blocks_are_selected_by_material():
    world = edited(world_of(CUBE[:14]), {0})
    assert select_material(world, "Dirt") == 2
    chosen = [point.index for point in bmesh.from_edit_mesh(world.data).verts if point.select]
    assert chosen == [0, 1, 8]
    bpy.ops.object.mode_set(mode="OBJECT")


def test_hollowing_out_keeps_all_that_is_noted_about_the_rest():
    world = world_of(CUBE, regions={"roof": np.flatnonzero(CUBE[:, 1] == 3)})
    before = dict(zip(map(tuple, CUBE.tolist()), world_materials(world).tolist(), strict=True))
    assert remove_blocks(world, surrounded(grid_of(world))) == 8
    grid = grid_of(world)
    left = dict(zip(map(tuple, grid.positions.tolist()), world_materials(world).tolist(), strict=True))
    assert left == {cell: material for cell, material in before.items() if set(cell) & {0, 3}}
    scene = extract(world, cameras=(), need_targets=False, bake=False)
    assert len(scene.grid) == 56
    assert (scene.grid.positions[scene.regions["roof"], 1] == 3).all() and len(scene.regions["roof"]) == 16


def test_what_floats_is_found():
    cells = [(0, 0, 0), (0, 1, 0), (1, 2, 1), (4, 3, 4), (4, 4, 4), (3, 0, 3)]
    assert floating(BlockGrid((5, 5, 5), 1.0, cells)).tolist() == [False, False, False, True, True, False]
    assert not floating(BlockGrid((4, 4, 4), 1.0, CUBE)).any()
    assert floating(BlockGrid((1, 1, 1), 1.0, np.zeros((0, 3), int))).tolist() == []
    world = world_of(cells)
    assert remove_blocks(world, floating(grid_of(world))) == 2
    assert sorted(map(tuple, grid_of(world).positions.tolist())) == [(0, 0, 0), (0, 1, 0), (1, 2, 1), (3, 0, 3)]


def test_a_long_chain_hangs_together():
    cells = np.array([(k, abs(k % 40 - 20), 0) for k in range(300)])
    assert not floating(BlockGrid((300, 21, 1), 1.0, cells)).any()


def test_what_cannot_be_worked_on_is_refused():
    world = world_of(CUBE[:3])
    assert material_names(world)[:2] == ("Grass", "Dirt")
    with pytest.raises(SceneError, match="no material 'Gold'"):
        replace_material(world, "Gold", "Snow")
    bpy.ops.mesh.primitive_cube_add()
    for work in (lambda obj: paint_selected(obj, "Snow"), grid_of):
        with pytest.raises(SceneError, match="no world of blocks"):
            work(bpy.context.object)
    world.data.vertices[0].co.x += 0.2
    with pytest.raises(SceneError, match="off the grid"):
        grid_of(world)
