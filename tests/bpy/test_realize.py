"""Blocks as plain Blender data: just the faces that show, in the right colours, or an object each."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Matrix  # noqa: E402

from blockcore.errors import SceneError  # noqa: E402
from blockcore.model.grid import BlockGrid  # noqa: E402
from blockcore.model.scene import BlockScene, Source  # noqa: E402
from bridge.blender.realize import realize_mesh, realize_objects  # noqa: E402
from bridge.blender.world import add_world  # noqa: E402
from bridge.blender.world_nodes import instanced  # noqa: E402
from bridge.convert import TO_BLENDER  # noqa: E402


def world_of(cells, materials):
    cells = np.asarray(cells)
    frame = TO_BLENDER.copy()
    frame[:3, 3] = (5.0, 6.0, 7.0)
    size = tuple((cells.max(axis=0) + 1).tolist())
    source = Source("", ("",) * len(cells), frame)
    scene = BlockScene(BlockGrid(size, 0.5, cells), np.asarray(materials), source=source)
    return add_world(scene, "World", bpy.context.scene.collection)


def instances(world) -> list[tuple[tuple[float, ...], str]]:
    """Returns where the world shows which cube."""
    with instanced([world]):
        bpy.context.view_layer.update()
        shown = bpy.context.evaluated_depsgraph_get().object_instances
        return sorted((place(one.matrix_world), one.object.data.name) for one in shown if one.is_instance)


def place(matrix) -> tuple[float, ...]:
    return tuple(np.round(np.array(matrix)[:3].ravel(), 4).tolist())


def test_a_mesh_has_the_faces_that_show_and_no_other():
    cells = np.argwhere(np.ones((3, 4, 2), bool))
    world = world_of(cells, np.arange(24) % 7 + 1)
    before = instances(world)
    mesh = realize_mesh(world).data
    assert len(mesh.polygons) == 2 * (12 + 6 + 8)
    assert len(mesh.vertices) - len(mesh.edges) + len(mesh.polygons) == 2  # closed, with shared corners
    assert sum(polygon.area for polygon in mesh.polygons) == pytest.approx(52 * 0.25)
    points = np.array([vertex.co for vertex in mesh.vertices])
    middle = points.mean(axis=0)
    assert all(polygon.normal.dot(polygon.center - type(polygon.center)(middle)) > 0 for polygon in mesh.polygons)
    placed = np.array([(world.matrix_world @ vertex.co)[:] for vertex in mesh.vertices])
    centers = np.array([values[3::4] for values, _ in before])
    np.testing.assert_allclose(placed.min(axis=0), centers.min(axis=0) - 0.25, atol=1e-5)
    np.testing.assert_allclose(placed.max(axis=0), centers.max(axis=0) + 0.25, atol=1e-5)
    assert world.hide_viewport and world.hide_render


def test_faces_have_the_material_and_the_uv_of_their_block():
    world = world_of([(0, 0, 0), (2, 0, 0)], [1, 3])
    mesh = realize_mesh(world).data
    for polygon in mesh.polygons:
        name = mesh.materials[polygon.material_index].name
        assert name.startswith("Grass" if polygon.center.x < world.data.vertices[0].co.x + 0.5 else "Stone")
        if name.startswith("Grass"):
            side = "top" if polygon.normal.z > 0.5 else "bottom" if polygon.normal.z < -0.5 else "side"
            assert name.lower().split(".")[0].endswith(side)
        uv = np.array([mesh.uv_layers[0].data[loop].uv for loop in polygon.loop_indices])
        assert sorted(map(tuple, uv.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        corners = np.array([mesh.vertices[mesh.loops[loop].vertex_index].co for loop in polygon.loop_indices])
        if abs(polygon.normal.z) < 0.5:  # up in the picture is up in the world
            np.testing.assert_array_equal(np.argsort(uv[:, 1] > 0.5), np.argsort(corners[:, 2] > corners[:, 2].mean()))


def test_objects_are_where_the_blocks_were():
    world = world_of([(0, 0, 0), (1, 0, 0), (1, 2, 1)], [1, 5, 3])
    world.matrix_world = Matrix.Rotation(0.5, 4, "Z") @ world.matrix_world
    before = instances(world)
    objects = realize_objects(world).objects
    bpy.context.view_layer.update()
    assert sorted((place(obj.matrix_world), obj.data.name) for obj in objects) == before


def test_what_cannot_be_realized_is_refused():
    bpy.ops.mesh.primitive_cube_add()
    for work in (realize_mesh, realize_objects):
        with pytest.raises(SceneError, match="no world of blocks"):
            work(bpy.context.object)
    many = world_of(np.argwhere(np.ones((28, 28, 28), bool)), np.ones(28**3, int))
    with pytest.raises(SceneError, match="make it one mesh"):
        realize_objects(many)
    assert not many.hide_viewport
    assert len(realize_mesh(many).data.polygons) == 6 * 28 * 28
