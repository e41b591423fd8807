"""Blocks, materials and targets out of Blender scenes, however the cubes come about."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from blockcore.errors import BlockcoreError
from blockcore.io.pictures import encode_png
from blockcore.model.display import srgb_to_linear
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import OUTSIDE, BlockScene
from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Matrix, Vector  # noqa: E402

from bridge.blender import marks  # noqa: E402
from bridge.blender.apply import apply  # noqa: E402
from bridge.blender.build import build  # noqa: E402
from bridge.blender.extract import extract, find_source  # noqa: E402
from bridge.blender.targets import background_image, set_background_image  # noqa: E402
from tests.bpy import scenes  # noqa: E402

Pixels = npt.NDArray[np.uint8]


def blocks_of(source: Any, **options: Any) -> BlockScene:
    return extract(source, (), need_targets=False, **options)


def blockcore_cells(cells: list[tuple[int, ...]]) -> npt.NDArray[np.int64]:
    """Cells in Blender's axes as cells of the tight grid in blockcore's: (x, y, z) is (x, z, -y)."""
    x, y, z = np.array(cells).T
    return np.stack([x - x.min(), z - z.min(), y.max() - y], axis=1)


def centers_in_blender(scene: BlockScene) -> npt.NDArray[np.float64]:
    """Where a scene says its blocks are in Blender's world."""
    assert scene.source is not None
    sx, _, sz = scene.grid.size
    places = (scene.grid.positions + 0.5 - (sx / 2, 0.0, sz / 2)) * scene.grid.world_scale
    return places @ scene.source.grid_to_source[:3, :3].T + scene.source.grid_to_source[:3, 3]


WAYS: dict[str, Callable[[], Any]] = {
    "linked cubes": lambda: scenes.linked_cubes(size=1.0),
    "collection instances": scenes.collection_instances,
    "vertex instances": lambda: scenes.vertex_instances("VERTS"),
    "face instances": lambda: scenes.vertex_instances("FACES"),
    "node instances of an object": lambda: scenes.node_instances(primitive=False),
    "node instances of a primitive": lambda: scenes.node_instances(primitive=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_instance_is_found(way: str) -> None:
    scene = blocks_of(WAYS[way]())
    assert scene.source is not None
    assert scene.grid.world_scale == pytest.approx(1.0)
    assert scene.grid.size == (4, 2, 3)
    order = np.lexsort(scene.grid.positions.T)
    wanted = blockcore_cells(scenes.CELLS)
    assert np.array_equal(scene.grid.positions[order], wanted[np.lexsort(wanted.T)])
    distance = np.linalg.norm(centers_in_blender(scene)[:, None] - _cube_centers(way)[None], axis=2)
    assert distance.min(axis=1).max() < 1e-5
    own = way in ("linked cubes", "collection instances")
    names = [f"Block {i}" for i in range(len(scenes.CELLS))] if own else ["Emitter"] * len(scenes.CELLS)
    assert list(scene.source.block_objects) == names
    materials = [WEBGPU_PALETTE.names[i] for i in scene.materials]
    assert materials == (list(scenes.MATERIALS) if own else ["Stone"] * len(scenes.CELLS))


def _cube_centers(way: str) -> npt.NDArray[np.float64]:
    return np.add(scenes.CELLS, (0.0, 5.0 if way == "collection instances" else 0.0, 0.0))


def test_an_object_can_be_the_source() -> None:
    scenes.node_instances(primitive=True)
    assert len(blocks_of(bpy.data.objects["Emitter"]).grid) == len(scenes.CELLS)


def test_children_belong_to_an_object() -> None:
    blocks = scenes.linked_cubes()
    parent = scenes.add(None, "Parent", (0.0, 0.0, 0.0), blocks)
    for cube in list(blocks.objects)[:3]:
        cube.parent = parent
    assert len(blocks_of(parent).grid) == 3


def test_a_turned_and_moved_lattice() -> None:
    blocks = scenes.linked_cubes(size=0.5)
    move = Matrix.Translation((3.0, -2.0, 7.0)) @ Matrix.Rotation(math.radians(30.0), 4, "Z")
    centers = np.array([(move @ cube.matrix_basis).translation for cube in blocks.objects])
    for cube in blocks.objects:
        cube.matrix_world = move @ cube.matrix_basis
    scene = blocks_of(blocks)
    assert scene.grid.size == (4, 2, 3)
    np.testing.assert_allclose(centers_in_blender(scene), centers, atol=1e-5)
    sun = np.array(scene.source.grid_to_source)[:3, :3] @ scene.lighting.sun_direction
    x, y, z = WEBGPU_LIGHTING.sun_direction
    np.testing.assert_allclose(sun, (x, -z, y), atol=1e-6)


def test_quarter_turns_and_mirrors_do_not_matter() -> None:
    blocks = scenes.linked_cubes()
    straight = blocks_of(blocks)
    cubes = list(blocks.objects)
    cubes[0].rotation_euler.z = math.pi / 2
    cubes[2].scale.x = -1.0
    assert blocks_of(blocks).grid == straight.grid


def test_a_world_of_noted_size_keeps_its_grid() -> None:
    blocks = scenes.linked_cubes(size=2.0)
    for cube in blocks.objects:
        cube.location += Vector((1.0, 1.0, 1.0))  # centres of cells of a 16 x 16 x 16 world
    marks.write_world(blocks, marks.WorldMark((16, 16, 16), 2.0, WEBGPU_PALETTE, WEBGPU_LIGHTING))
    scene = blocks_of(blocks)
    assert scene.grid.size == (16, 16, 16)
    assert np.array_equal(scene.source.grid_to_source[:3, 3], (0.0, 0.0, 0.0))
    np.testing.assert_allclose(centers_in_blender(scene), [cube.location for cube in blocks.objects], atol=1e-6)
    next(iter(blocks.objects)).location.x -= 200.0  # outside of it
    assert blocks_of(blocks).grid.size[0] == 104


def test_materials_by_name_property_and_slot() -> None:
    blocks = scenes.collection()
    by_slots = tuple(scenes.material(f"Grass {slot}") for slot in ("top", "bottom", "side"))
    scenes.add(scenes.cube_mesh(materials=by_slots), "slots", (0, 0, 0), blocks)
    scenes.material("Stone")
    scenes.add(scenes.cube_mesh(materials=(scenes.material("Stone"),)), "copy", (1, 0, 0), blocks)  # Stone.001
    scenes.add(scenes.cube_mesh(), "object property", (2, 0, 0), blocks)[marks.MATERIAL] = "Water"
    painted = scenes.material("anything")
    painted[marks.MATERIAL] = "Sand"
    scenes.add(scenes.cube_mesh(materials=(painted,)), "material property", (3, 0, 0), blocks)
    scenes.add(scenes.cube_mesh(), "unpainted", (4, 0, 0), blocks)
    scene = blocks_of(blocks, palette=WEBGPU_PALETTE)
    assert scene.palette == WEBGPU_PALETTE
    assert [scene.palette.names[i] for i in scene.materials] == ["Grass", "Stone", "Water", "Sand", "Grass"]


def test_a_palette_of_the_scenes_own_materials() -> None:
    blocks = scenes.collection()
    colors = np.array([(0.2, 0.4, 0.6), (0.9, 0.1, 0.5), (0.3, 0.7, 0.0)])
    trunk = tuple(
        scenes.material(f"Trunk {s}", srgb_to_linear(c)) for s, c in zip(("top", "bottom", "side"), colors, strict=True)
    )
    scenes.add(scenes.cube_mesh(materials=trunk), "trunk", (0, 0, 0), blocks)
    scenes.add(
        scenes.cube_mesh(materials=(scenes.material("Leaf", srgb_to_linear(colors[0])),)), "leaf", (1, 0, 0), blocks
    )
    scene = blocks_of(blocks)
    assert scene.palette.names == ("Air", "Trunk", "Leaf")
    np.testing.assert_allclose(scene.palette.colors[1], colors, atol=1e-6)
    np.testing.assert_allclose(scene.palette.colors[2], colors[[0, 0, 0]], atol=1e-6)
    assert scene.materials.tolist() == [1, 2]


def test_a_given_palette_wins_and_unknown_materials_start_as_its_first() -> None:
    palette = Palette(("Air", "Brick", "Stone"), np.full((3, 3, 3), 0.5))
    scene = blocks_of(scenes.linked_cubes(), palette=palette)
    assert scene.palette == palette
    assert [palette.names[i] for i in scene.materials] == ["Brick", "Stone", *["Brick"] * 4]


def test_a_bevelled_cube_is_a_cube_and_modifiers_count() -> None:
    blocks = scenes.linked_cubes()
    for cube in blocks.objects:
        cube.modifiers.new("Bevel", "BEVEL").width = 0.05
    assert blocks_of(blocks).grid.world_scale == pytest.approx(2.0)


def test_collections_and_vertex_groups_are_regions() -> None:
    blocks = scenes.linked_cubes()
    roof = bpy.data.collections.new("Roof")
    blocks.children.link(roof)
    for name in ("Block 1", "Block 4"):
        roof.objects.link(bpy.data.objects[name])
    scene = blocks_of(blocks)
    assert list(scene.regions) == ["Roof"]
    assert {scene.source.block_objects[i] for i in scene.regions["Roof"]} == {"Block 1", "Block 4"}
    world = apply(scene)  # one object: its regions are vertex groups
    world.vertex_groups.new(name="Wall").add([0, 2], 0.7, "REPLACE")
    world.vertex_groups["Wall"].add([3], 0.2, "REPLACE")
    again = blocks_of(world)
    assert {name: found.tolist() for name, found in again.regions.items()} == {
        "Roof": scene.regions["Roof"].tolist(),
        "Wall": [0, 2],
    }


# Targets


def with_target(pixels: Pixels) -> Any:
    scenes.linked_cubes()
    camera = scenes.camera()
    scenes.picture_size(pixels.shape[1], pixels.shape[0])
    set_background_image(camera, "target", pixels)
    return camera


def noise(channels: int, height: int = 33, width: int = 47) -> Pixels:
    return np.random.default_rng(channels).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("space", ["sRGB", "Non-Color"])
def test_packed_targets_are_exact(channels: int, space: str, tmp_path: Any) -> None:
    pixels = noise(channels)
    camera = with_target(pixels)
    background_image(camera).colorspace_settings.name = space
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert np.array_equal(extract().views[0].target, pixels)


def test_targets_from_files_are_exact(tmp_path: Any) -> None:
    pixels = noise(3)
    camera = with_target(pixels)
    (tmp_path / "picture.png").write_bytes(encode_png(pixels))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    image = bpy.data.images.load("//picture.png")
    camera.data.background_images[0].image = image
    assert np.array_equal(extract().views[0].target, pixels)


def test_generated_and_painted_targets_are_exact() -> None:
    pixels = noise(3)
    camera = with_target(pixels)
    image = bpy.data.images.new("painted", 47, 33)
    painted = np.concatenate([pixels[::-1] / 255.0, np.ones((33, 47, 1))], axis=2)
    image.pixels.foreach_set(painted.astype(np.float32).ravel())
    camera.data.background_images[0].image = image
    assert np.array_equal(extract().views[0].target, pixels)


def test_floating_point_targets_are_scene_linear() -> None:
    pixels = noise(3)
    camera = with_target(pixels)
    image = bpy.data.images.new("render", 47, 33, float_buffer=True)
    linear = np.concatenate([srgb_to_linear(pixels[::-1] / 255.0), np.ones((33, 47, 1))], axis=2)
    image.pixels.foreach_set(linear.astype(np.float32).ravel())
    camera.data.background_images[0].image = image
    assert np.array_equal(extract().views[0].target, pixels)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"use_flip_x": True}, lambda p: p[:, ::-1]),
        ({"use_flip_y": True}, lambda p: p[::-1]),
        ({"use_flip_x": True, "use_flip_y": True, "alpha": 0.3, "display_depth": "FRONT"}, lambda p: p[::-1, ::-1]),
    ],
)
def test_the_target_is_what_the_camera_view_shows(change: dict[str, Any], wanted: Callable[[Pixels], Pixels]) -> None:
    pixels = noise(3)
    camera = with_target(pixels)
    for name, value in change.items():
        setattr(camera.data.background_images[0], name, value)
    assert np.array_equal(extract().views[0].target, wanted(pixels))


@pytest.mark.parametrize(("name", "value"), [("offset", (0.2, 0.0)), ("scale", 1.5), ("rotation", 0.5)])
def test_moved_background_images_are_refused(name: str, value: Any) -> None:
    camera = with_target(noise(3))
    setattr(camera.data.background_images[0], name, value)
    refused(f"target of camera 'Camera': its background image has {name}; clear that")


def test_several_background_images_are_refused() -> None:
    camera = with_target(noise(3))
    camera.data.background_images.new().image = background_image(camera)
    refused("target of camera 'Camera': 2 background images are shown; switch off all but one")


def test_cameras_without_target_are_left_out_unless_chosen() -> None:
    camera = with_target(noise(3))
    blind = scenes.camera("Blind")
    assert [view.camera.name for view in extract().views] == [camera.name]
    with pytest.raises(BlockcoreError, match="camera 'Blind': has no target"):
        extract(cameras=[camera, blind])


# What cannot be used


def refused(words: str, source: Any = None) -> None:
    with pytest.raises(BlockcoreError, match=words) as caught:
        extract(source)
    assert "\n" not in str(caught.value)


def test_a_stray_cube() -> None:
    blocks = scenes.linked_cubes()
    for cube in (blocks.objects[0], blocks.objects[4]):  # also the first one, that others could be measured by
        cube.location.y += 0.7
        refused(rf"object '{cube.name}': sits 0.35 of a block off the others' lattice; move it", blocks)
        cube.location.y -= 0.7


def test_a_turned_cube() -> None:
    blocks = scenes.linked_cubes()
    blocks.objects[3].rotation_euler.z = 0.3
    refused("object 'Block 3': is turned against object 'Block 0'; give all cubes the same rotation", blocks)


def test_cubes_of_two_sizes() -> None:
    blocks = scenes.linked_cubes()
    blocks.objects[2].scale = (1.5, 1.5, 1.5)
    refused("object 'Block 2': is a cube of 3, object 'Block 0' one of 2; make all blocks one size", blocks)


def test_a_stretched_cube() -> None:
    blocks = scenes.linked_cubes()
    blocks.objects[2].scale = (1.0, 1.0, 1.5)
    refused("object 'Block 2': is 2 × 2 × 3, not a cube", blocks)


def test_two_blocks_in_one_place() -> None:
    blocks = scenes.linked_cubes()
    blocks.objects[5].location = blocks.objects[1].location
    refused("object 'Block 1' and object 'Block 5' are in one place; remove one of them", blocks)


def test_instances_are_named_with_their_place() -> None:
    blocks = scenes.vertex_instances(cells=[(0, 0, 0), (1, 0, 0), (2.5, 0, 0)])
    refused(r"the cube of object 'Emitter' at \(2.5, 0, 0\): sits 0.5 of a block off", blocks)


def test_something_else_than_a_cube() -> None:
    blocks = scenes.linked_cubes()
    bpy.ops.mesh.primitive_uv_sphere_add()
    ball = bpy.context.object
    blocks.objects.link(ball)
    refused("object 'Sphere': its mesh 'Sphere' is not a cube; leave only cubes", blocks)


def test_a_material_called_air() -> None:
    blocks = scenes.linked_cubes()
    blocks.objects[1].material_slots[0].material = scenes.material("Air")
    refused("object 'Block 1': its material is Air", blocks)


def test_nothing_there() -> None:
    blocks = scenes.collection("Empty")
    refused("collection 'Empty': has no cube", blocks)
    scenes.add(scenes.cube_mesh(), "hidden", (0, 0, 0), blocks).hide_render = True
    refused("collection 'Empty': has no visible cube; show its hidden objects", blocks)
    refused("collection 'Scene Collection': has no visible cube")
    with pytest.raises(BlockcoreError, match="there is no collection or object called 'Nix'"):
        find_source("Nix")


def test_no_camera_and_no_target() -> None:
    blocks = scenes.linked_cubes()
    refused("there is no camera; add one", blocks)
    scenes.camera("Eye")
    refused("camera 'Eye': has no target; give it a background image", blocks)


def test_a_target_of_another_size() -> None:
    with_target(noise(3))
    scenes.picture_size(100, 50)
    refused("target of camera 'Camera': is 47 × 33 pixels, but the camera's picture is 100 × 50")


def test_a_missing_target_file(tmp_path: Any) -> None:
    camera = with_target(noise(3))
    (tmp_path / "gone.png").write_bytes(encode_png(noise(3)))
    camera.data.background_images[0].image = bpy.data.images.load(str(tmp_path / "gone.png"))
    (tmp_path / "gone.png").unlink()
    refused("target of camera 'Camera': image 'gone.png' .*cannot be read; find the file or load another")


def test_two_worlds_must_be_told_apart() -> None:
    for name in ("One", "Two"):
        obj = scenes.add(scenes.cube_mesh(), name, (0, 0, 0), bpy.context.scene.collection)
        marks.write_world(obj, marks.WorldMark((1, 1, 1), 1.0, WEBGPU_PALETTE, WEBGPU_LIGHTING))
    with pytest.raises(BlockcoreError, match="there are 2 block worlds, 'One', 'Two'; name the one to use"):
        extract()


@pytest.mark.alone
def test_a_large_lattice_is_found_in_no_time() -> None:
    from bridge.lattice import find_lattice

    cells = np.stack(np.meshgrid(*[np.arange(45)] * 3), axis=-1).reshape(-1, 3)[:88_767]
    cubes = np.tile(np.eye(4), (len(cells), 1, 1))
    cubes[:, :3, 3] = cells
    began = time.perf_counter()
    lattice = find_lattice(cubes, str)
    assert time.perf_counter() - began < 1.0  # measured: 0.05 s
    assert np.array_equal(lattice.cells, cells)


def test_blocks_of_an_imported_world_that_a_palette_lacks_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    names = ("Air", "minecraft:glass", "minecraft:oak_log[axis=x]", "Moss")
    own = Palette(names, np.linspace(0.0, 1.0, 36).reshape(4, 3, 3))
    grid = BlockGrid((4, 1, 1), 2.0, np.arange(4)[:, None] * [1, 0, 0])
    world = build(BlockScene(grid, [1, 2, 3, 1], own))
    grays = np.array([0.0, 0.2, 0.5, 0.9])[:, None, None].repeat(3, axis=1).repeat(3, axis=2)
    wanted = Palette(("Air", "a:dark", "minecraft:oak_log", "a:light"), grays)
    scene = blocks_of(world, palette=wanted)
    assert scene.palette.names == (*wanted.names, "minecraft:glass")
    assert [scene.palette.names[material] for material in scene.materials] == [
        *("minecraft:glass", "minecraft:oak_log", "a:light", "minecraft:glass")
    ]
    np.testing.assert_allclose(scene.palette.colors[4], own.colors[1], atol=1e-6)
    assert scene.regions[OUTSIDE].tolist() == [0, 3]
    assert "2 blocks keep their 1 materials, such as minecraft:glass" in caplog.text
