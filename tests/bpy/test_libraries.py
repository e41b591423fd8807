"""Blocks of other files, scenes and layers: each is seen once, and the result goes where the user sees it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene
from bridge import cli
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender import marks, world_nodes  # noqa: E402
from bridge.blender.apply import apply, apply_in_place, revert, revert_in_place  # noqa: E402
from bridge.blender.extract import extract, find_source  # noqa: E402
from bridge.blender.files import open_file, save_file  # noqa: E402
from bridge.blender.targets import set_background_image  # noqa: E402
from tests.bpy import scenes  # noqa: E402

COUNT = 3


def row(where: Any, count: int = COUNT, y: float = 0.0) -> None:
    for x in range(count):
        scenes.add(
            scenes.cube_mesh(materials=(scenes.material(f"Paint {x}", (x / 4, 0.5, 0.5)),)),
            f"Block {x}",
            (x, y, 0),
            where,
        )


def empty() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def shown() -> list[str]:
    """The materials of all that the view layer shows, of each cube's first face."""
    found = []
    with world_nodes.instanced(obj for obj in bpy.data.objects if marks.is_world(obj)):
        bpy.context.view_layer.update()
        for instance in bpy.context.evaluated_depsgraph_get().object_instances:
            obj = instance.object
            if obj.type == "MESH" and len(obj.data.polygons):
                found.append(obj.material_slots[0].material.name)
    return sorted(name.removesuffix(" top").removesuffix(" side") for name in found)


def linked_collection(library: Path) -> Any:
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["Blocks"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    return wanted.collections[0]


def linked_objects(library: Path) -> Any:
    """Beside objects of the file's own that are called alike."""
    own = scenes.collection("Own")
    row(own, y=1.0)
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = [f"Block {x}" for x in range(COUNT)]
    for obj in wanted.objects:
        own.objects.link(obj)
    return own


def overridden(library: Path) -> Any:
    collection = linked_collection(library)
    own = collection.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
    bpy.context.scene.collection.children.unlink(collection)
    return own


def appended(library: Path) -> Any:
    with bpy.data.libraries.load(str(library), link=False) as (_, wanted):
        wanted.collections = ["Blocks"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    return wanted.collections[0]


def instanced(library: Path) -> Any:
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["Blocks"]
    empty_one = scenes.add(None, "Set", (0, 0, 0), bpy.context.scene.collection)
    empty_one.instance_type, empty_one.instance_collection = "COLLECTION", wanted.collections[0]
    return empty_one


WAYS: list[Callable[[Path], Any]] = [linked_collection, linked_objects, overridden, appended, instanced]


@pytest.mark.parametrize("in_place", [False, True], ids=["one object", "in place"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_librarys_blocks_are_shown_once_and_come_back(
    way: Callable[[Path], Any], in_place: bool, tmp_path: Path
) -> None:
    row(scenes.collection())
    save_file(tmp_path / "library.blend")
    empty()
    source = way(tmp_path / "library.blend")
    before = shown()
    scene = extract(source, (), WEBGPU_PALETTE, need_targets=False)
    count = COUNT * (2 if way is linked_objects else 1)
    assert len(scene.grid) == count
    sand = np.full(count, WEBGPU_PALETTE.index("Stone"), np.int32)
    if in_place and way is instanced:
        with pytest.raises(BlockcoreError, match="object 'Set': emits several blocks"):
            apply_in_place(scene, sand)
        return
    made = apply_in_place(scene, sand) if in_place else apply(scene, sand)
    assert shown() == ["Stone"] * count
    save_file(tmp_path / "applied.blend")
    revert_in_place(made) if in_place else revert(made)
    assert shown() == before
    open_file(tmp_path / "applied.blend")
    assert shown() == ["Stone"] * count


def test_the_result_goes_where_the_layer_in_use_shows_it() -> None:
    backup, blocks = scenes.collection("A backup"), scenes.collection("Blocks")
    row(blocks)
    for obj in blocks.objects:
        backup.objects.link(obj)
    second = bpy.context.scene.view_layers.new("Second")
    second.layer_collection.children["A backup"].exclude = True
    bpy.context.window.view_layer = second
    world = apply(extract(blocks, (), need_targets=False))
    assert world.visible_get(view_layer=second)
    assert [one.name for one in world.users_collection] == ["Blocks"]


def test_blocks_of_another_scene_are_none_of_this_one() -> None:
    row(scenes.collection())
    act = bpy.data.scenes.new("Act 2")
    cubes = bpy.data.collections.new("Cubes")
    act.collection.children.link(cubes)
    row(cubes, 5)
    bpy.context.window.scene = act
    assert len(extract(None, (), need_targets=False).grid) == 5
    world = apply(extract(None, (), need_targets=False))
    assert world.name in act.objects
    assert world.visible_get()


def test_a_library_that_is_gone_is_named(tmp_path: Path) -> None:
    row(scenes.collection())
    save_file(tmp_path / "library.blend")
    empty()
    linked_collection(tmp_path / "library.blend")
    save_file(tmp_path / "set.blend")
    (tmp_path / "library.blend").unlink()
    open_file(tmp_path / "set.blend")
    with pytest.raises(BlockcoreError, match=r"library .*library.blend.* is missing"):
        extract(None, (), need_targets=False)


# Names as other systems write them


def test_names_are_found_however_they_are_composed(tmp_path: Path) -> None:
    blocks = scenes.collection(unicodedata.normalize("NFD", "Würfel"))
    row(blocks)
    scenes.picture_size(8, 8)
    eye = scenes.camera(unicodedata.normalize("NFD", "Bäume/1"))
    set_background_image(eye, "Picture", np.zeros((8, 8, 3), np.uint8))
    assert find_source("Würfel") == blocks
    name = eye.name
    save_file(tmp_path / "a.blend")
    arguments = ["export", str(tmp_path / "a.blend"), "--blocks", "Würfel", "--camera", "Bäume/1"]
    assert cli.main([*arguments, "--out", str(tmp_path / "scene")]) == 0
    assert [view.camera.name for view in BlockScene.read(tmp_path / "scene").views] == [name]


def test_long_names_and_paths_are_saved(tmp_path: Path) -> None:
    row(scenes.collection())
    save_file(tmp_path / f"{'方' * 80}.blend")  # 246 bytes, of the 255 that file systems allow
    assert [len(path.name) for path in tmp_path.iterdir()] == [86]
    deep = tmp_path.joinpath(*["d" * 200] * 6, "deep.blend")  # longer than Blender's paths
    save_file(deep)
    assert [path.name for path in deep.parent.iterdir()] == ["deep.blend"]
    with pytest.raises(BlockcoreError, match=r"deep.blend: its path is too long for Blender; move it"):
        open_file(deep)
