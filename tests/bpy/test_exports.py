"""A world of blocks leaves Blender as it is seen: by Convert, Join and each exporter, with their own defaults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.parts import need

need("bpy")

import bpy  # noqa: E402

import addon  # noqa: E402
from blockcore.model.grid import FACE_SLOTS, BlockGrid  # noqa: E402
from blockcore.model.palette import WEBGPU_PALETTE  # noqa: E402
from blockcore.model.scene import BlockScene, Source  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.materials import display_color  # noqa: E402
from bridge.blender.world import add_world  # noqa: E402
from bridge.convert import TO_BLENDER  # noqa: E402

Faces = dict[tuple[float, ...], tuple[int, ...]]
CELLS = np.argwhere(np.random.default_rng(3).random((6, 5, 4)) < 0.6)


@pytest.fixture
def world():
    frame = TO_BLENDER.copy()
    frame[:3, 3] = (3.0, 4.0, 5.0)
    scene = BlockScene(
        BlockGrid((6, 5, 4), 0.5, CELLS),
        np.random.default_rng(1).integers(1, len(WEBGPU_PALETTE), len(CELLS)),
        source=Source("", ("",) * len(CELLS), frame),
    )
    made = add_world(scene, "World", bpy.context.scene.collection)
    bpy.context.view_layer.objects.active = made
    made.select_set(True)
    return made


def wanted(world) -> Faces:
    """Returns the colour of each face that shows, in 0 … 255, by its centre in Blender's world."""
    scene = extract(world, cameras=(), need_targets=False, bake=False)
    faces = scene.grid.exposed_faces
    frame = scene.source.grid_to_source
    centers = faces.corners().mean(axis=1) @ frame[:3, :3].T + frame[:3, 3]
    colors = np.rint(scene.palette.colors[scene.materials[faces.block], FACE_SLOTS[faces.direction]] * 255)
    return {place(c): tuple(rgb) for c, rgb in zip(centers, colors.astype(int).tolist(), strict=True)}


def place(point) -> tuple[float, ...]:
    return tuple((np.rint(np.asarray(point) * 20) / 20 + 0.0).tolist())


def by_material(mesh, polygon) -> tuple[int, ...]:
    rgb = display_color(mesh.materials[polygon.material_index])
    return tuple(round(channel * 255) for channel in rgb[:3])


def found(color=by_material) -> Faces:
    """Returns the faces of the scene's meshes; two triangles that make up a square are one."""
    faces: Faces = {}
    for obj in bpy.context.scene.objects:
        for polygon in obj.data.polygons if obj.type == "MESH" else ():
            corners = np.array([obj.matrix_world @ obj.data.vertices[v].co for v in polygon.vertices])
            center = place((corners.min(axis=0) + corners.max(axis=0)) / 2)
            rgb = color(obj.data, polygon)
            assert faces.setdefault(center, rgb) == rgb
    return faces


def same(one: Faces, other: Faces, tolerance: int = 1) -> bool:
    assert one.keys() == other.keys()
    return all(max(abs(a - b) for a, b in zip(one[at], other[at], strict=True)) <= tolerance for at in one)


WAYS = {
    "glb": (bpy.ops.export_scene.gltf, bpy.ops.import_scene.gltf),
    "fbx": (bpy.ops.export_scene.fbx, bpy.ops.import_scene.fbx),
    "obj": (bpy.ops.wm.obj_export, bpy.ops.wm.obj_import),
    "usdc": (bpy.ops.wm.usd_export, bpy.ops.wm.usd_import),
    "abc": (bpy.ops.wm.alembic_export, bpy.ops.wm.alembic_import),
    "stl": (bpy.ops.wm.stl_export, bpy.ops.wm.stl_import),
    "ply": (bpy.ops.wm.ply_export, bpy.ops.wm.ply_import),
}
"""How each format is written and read, with Blender's own defaults."""
COLORLESS = {"stl", "ply", "abc"}
"""Formats without materials; an Alembic file names them alone."""


@contextmanager
def switched_on(module: ModuleType) -> Iterator[None]:
    """Lists an add-on as one that is switched on: Blender's glTF exporter asks those to take part."""
    entry = bpy.context.preferences.addons.new()
    entry.module = module.__name__
    try:
        yield
    finally:
        bpy.context.preferences.addons.remove(entry)


def names() -> list[str]:
    return sorted(one.name for one in (*bpy.data.objects, *bpy.data.meshes))


@pytest.mark.parametrize("suffix", WAYS)
def test_each_format_carries_the_faces_that_show(world, suffix: str, tmp_path: Path):
    expected = wanted(world)
    export, read = WAYS[suffix]
    path = str(tmp_path / f"blocks.{suffix}")
    before = names()
    with switched_on(addon):
        export(filepath=path)
    assert names() == before
    bpy.ops.wm.read_homefile(use_empty=True)
    read(filepath=path)
    if suffix in COLORLESS:
        assert found(lambda mesh, polygon: ()).keys() == expected.keys()
    else:
        assert same(found(), expected)


def test_what_is_converted_can_be_joined(world):
    expected = wanted(world)
    bpy.ops.object.convert(target="MESH")
    assert same(found(), expected)
    assert {layer.name for layer in world.data.uv_layers} == {"UVMap"}
    bpy.ops.mesh.primitive_cube_add(location=(20, 0, 0))
    world.select_set(True)
    bpy.context.view_layer.objects.active = world
    bpy.ops.object.join()
    assert len(bpy.context.scene.objects) == 1
    assert len(world.data.polygons) == len(expected) + 6
