"""Which meshes are blocks, and which objects renders show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.apply import apply, revert  # noqa: E402
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


def test_a_subdivided_cube_is_a_cube() -> None:
    cube = scenes.add(scenes.cube_mesh(), "Fine", (0, 0, 0), bpy.context.scene.collection)
    finer = cube.modifiers.new("Subdivision", "SUBSURF")
    finer.subdivision_type, finer.levels, finer.render_levels = "SIMPLE", 3, 3
    assert count() == 1


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


def keyed(cube: Any, collection: Any) -> None:
    cube.hide_render = True
    cube.keyframe_insert("hide_render", frame=5)
    cube.hide_render = False
    cube.keyframe_insert("hide_render", frame=1)
    bpy.context.scene.frame_set(7)


@pytest.mark.parametrize(
    "hide", [hide_object, hide_collection, no_camera_rays, hold_out, hold_out_of_layer, keyed], ids=lambda h: h.__name__
)
def test_what_renders_do_not_show_is_no_block(hide: Callable[[Any, Any], None]) -> None:
    scenes.add(scenes.cube_mesh(), "Shown", (0, 0, 0), bpy.context.scene.collection)
    inner = scenes.collection("Inner")
    hide(scenes.add(scenes.cube_mesh(), "Hidden", (1, 0, 0), inner), inner)
    assert count() == 1


def test_eye_icons_do_not_count() -> None:
    cube = scenes.add(scenes.cube_mesh(), "Hidden", (0, 0, 0), bpy.context.scene.collection)
    cube.hide_set(True)
    assert count() == 1
    assert cube.hide_get()


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
