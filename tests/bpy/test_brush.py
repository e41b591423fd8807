"""Painting blocks where a ray meets them: what is hidden stays, and what is painted is kept."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Matrix, Vector  # noqa: E402

from blockcore.errors import SceneError  # noqa: E402
from blockcore.model.grid import BlockGrid  # noqa: E402
from blockcore.model.scene import BlockScene  # noqa: E402
from bridge.blender.apply import apply  # noqa: E402
from bridge.blender.brush import Brush, material_at, paint  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.world import add_world, world_materials  # noqa: E402
from bridge.blender.world_edit import PAINTED, paint_selected  # noqa: E402

CUBE = np.argwhere(np.ones((4, 4, 4), bool))
SNOW = 5


def world_of(cells, materials):
    scene = BlockScene(BlockGrid((4, 4, 4), 0.5, cells), materials)
    world = add_world(scene, "World", bpy.context.scene.collection)
    world.matrix_world = Matrix.Translation((2, 3, 4)) @ Matrix.Rotation(0.7, 4, "X") @ world.matrix_world
    bpy.context.view_layer.update()
    return world


def center(world, block):
    return world.matrix_world @ world.data.vertices[block].co


def test_a_ray_meets_the_first_block_on_its_way():
    world = world_of(CUBE, np.full(64, 3))
    brush = Brush(world)
    for direction in (Vector(v) for v in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))):
        aim = (world.matrix_world.to_3x3() @ direction).normalized()
        for block in range(64):
            line = [
                b for b in range(64)
                if (center(world, b) - center(world, block)).cross(aim).length < 0.01
            ]  # fmt: skip
            first = min(line, key=lambda b: center(world, b).dot(aim))
            assert brush.block_at(world, center(world, block) - 10 * aim, aim) == first
    assert brush.block_at(world, (90, 90, 90), (0, 0, 1)) is None


def test_painted_blocks_are_a_region():
    world = world_of(CUBE, np.full(64, 3))
    assert paint(world, 7, SNOW) and not paint(world, 7, SNOW) and paint(world, 8, 3)
    assert material_at(world, 7) == "Snow" and material_at(world, 8) == "Stone"
    assert np.flatnonzero(world_materials(world) == SNOW).tolist() == [7]
    scene = extract(world, cameras=(), need_targets=False, bake=False)
    assert scene.regions[PAINTED].tolist() == [7, 8]
    bpy.context.view_layer.objects.active = world
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    assert paint_selected(world, "Sand") == 64
    bpy.ops.object.mode_set(mode="OBJECT")
    assert len(extract(world, cameras=(), need_targets=False, bake=False).regions[PAINTED]) == 64


def test_the_next_result_keeps_what_was_painted_on_the_last():
    source = world_of(CUBE, np.full(64, 3))
    scene = extract(source, cameras=(), need_targets=False, bake=False)
    result = apply(scene, np.full(64, 2))
    paint(result, 5, SNOW)
    again = apply(scene, np.full(64, 4))
    assert again == result
    assert world_materials(again)[5] == SNOW and (np.delete(world_materials(again), 5) == 4).all()
    third = apply(scene, np.full(64, 1))
    assert world_materials(third)[5] == SNOW and material_at(third, 6) == "Grass"


def test_what_is_no_world_is_refused():
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(SceneError, match="no world of blocks"):
        Brush(bpy.context.object)
