"""What materials show: node trees, textures by UV, names; right values by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.display import linear_to_srgb
from blockcore.model.palette import Palette
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.materials import display_color  # noqa: E402
from tests.bpy import scenes  # noqa: E402

COLOR = np.array([0.2, 0.4, 0.6])


def tree() -> tuple[Any, Any, Any, Any]:
    made = scenes.material("Painted")
    return made, made.node_tree.nodes, made.node_tree.links, made.node_tree.nodes["Principled BSDF"]


def through_rgb_and_reroute() -> Any:
    made, nodes, links, shader = tree()
    color, turn = nodes.new("ShaderNodeRGB"), nodes.new("NodeReroute")
    color.outputs[0].default_value = (*COLOR, 1.0)
    links.new(color.outputs[0], turn.inputs[0])
    links.new(turn.outputs[0], shader.inputs["Base Color"])
    return made


def through_a_group() -> Any:
    made, nodes, links, shader = tree()
    inner = bpy.data.node_groups.new("Tint", "ShaderNodeTree")
    inner.interface.new_socket("In", in_out="INPUT", socket_type="NodeSocketColor")
    inner.interface.new_socket("Out", in_out="OUTPUT", socket_type="NodeSocketColor")
    begin, end = inner.nodes.new("NodeGroupInput"), inner.nodes.new("NodeGroupOutput")
    inner.links.new(begin.outputs[0], end.inputs[0])
    group = nodes.new("ShaderNodeGroup")
    group.node_tree = inner
    group.inputs[0].default_value = (*COLOR, 1.0)
    links.new(group.outputs[0], shader.inputs["Base Color"])
    return made


def mixed_constants() -> Any:
    made, nodes, links, shader = tree()
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    factor, one, other = [socket for socket in mix.inputs if socket.enabled]
    factor.default_value = 0.25
    one.default_value, other.default_value = (*(COLOR - 0.1), 1.0), (*(COLOR + 0.3), 1.0)
    links.new(next(socket for socket in mix.outputs if socket.enabled), shader.inputs["Base Color"])
    return made


def emission_with_strength() -> Any:
    return scenes.emission("Painted", tuple(COLOR / 2), 2.0)


def the_active_output() -> Any:
    made, nodes, links, _ = tree()
    light, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    light.inputs["Color"].default_value = (*COLOR, 1.0)
    links.new(light.outputs[0], out.inputs["Surface"])
    nodes["Material Output"].is_active_output, out.is_active_output = False, True
    return made


def cut_out_by_a_mix_shader() -> Any:
    made, nodes, links, shader = tree()
    shader.inputs["Base Color"].default_value = (*COLOR, 1.0)
    mix, clear = nodes.new("ShaderNodeMixShader"), nodes.new("ShaderNodeBsdfTransparent")
    mix.inputs[0].default_value = 0.7
    links.new(clear.outputs[0], mix.inputs[1])
    links.new(shader.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], nodes["Material Output"].inputs["Surface"])
    return made


TREES: list[Callable[[], Any]] = [
    *(through_rgb_and_reroute, through_a_group, mixed_constants, emission_with_strength, the_active_output),
    cut_out_by_a_mix_shader,
]


@pytest.mark.parametrize("make", TREES, ids=lambda make: make.__name__)
def test_node_trees_show_their_colour(make: Callable[[], Any]) -> None:
    np.testing.assert_allclose(display_color(make()), linear_to_srgb(COLOR), atol=1e-4)


def test_what_cannot_be_read_is_refused_by_name_unless_a_palette_is_given() -> None:
    made, nodes, links, shader = tree()
    links.new(nodes.new("ShaderNodeParticleInfo").outputs["Random"], shader.inputs["Base Color"])
    blocks = scenes.collection()
    scenes.add(scenes.cube_mesh(materials=(made,)), "Cube", (0, 0, 0), blocks)
    with pytest.raises(BlockcoreError, match=r"material 'Painted': its node 'Particle Info'.* cannot be read; bake it"):
        extract(blocks, (), need_targets=False)


# Textures


def picture(pixels: Any, name: str = "atlas") -> Any:
    """An image of (H, W, 3) display values, row 0 on top."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height)
    values = np.concatenate([pixels[::-1], np.ones((height, width, 1))], axis=2)
    image.pixels.foreach_set(values.astype(np.float32).ravel())
    image.pack()
    return image


def textured_cube(image: Any, low: tuple[float, float], high: tuple[float, float]) -> Any:
    """A cube of which each face shows the rectangle of an image between two UVs, upright; its object."""
    made, nodes, links, shader = tree()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    cube = bpy.context.object
    cube.data.materials.append(made)
    uv = cube.data.uv_layers.active.data
    for polygon in cube.data.polygons:
        for loop in polygon.loop_indices:
            x, y, z = cube.data.vertices[cube.data.loops[loop].vertex_index].co
            side = abs(polygon.normal.x) > 0.5
            across, up = (y * polygon.normal.x, z) if side else (-x * polygon.normal.y, z)
            if abs(polygon.normal.z) > 0.5:
                across, up = x, y * polygon.normal.z
            uv[loop].uv = [a + (b - a) * (t + 0.5) for a, b, t in zip(low, high, (across, up), strict=True)]
    return cube


ATLAS = np.random.default_rng(3).integers(0, 256, (32, 64, 3)) / 255.0


@pytest.mark.parametrize(
    ("low", "high"), [((0.0, 0.0), (1.0, 1.0)), ((0.25, 0.5), (0.5, 1.0)), ((0.5, 0.0), (0.625, 0.25))]
)
def test_a_face_shows_its_part_of_an_atlas(low: tuple[float, float], high: tuple[float, float]) -> None:
    textured_cube(picture(ATLAS), low, high)
    palette = extract(bpy.context.scene.collection, (), need_targets=False).palette
    rows = slice(round(32 * (1 - high[1])), round(32 * (1 - low[1])))
    wanted = ATLAS[rows, round(64 * low[0]) : round(64 * high[0])]
    found = palette.tiles[1, 4][..., :3] / 255.0  # south, Blender's front
    if wanted.shape[0] != wanted.shape[1]:
        wanted = np.repeat(wanted, 2, axis=0)
    np.testing.assert_allclose(found, wanted, atol=1.1 / 255.0)


def test_a_picture_without_colour_space_is_read_as_linear() -> None:
    image = picture(np.full((4, 4, 3), 0.5))
    image.colorspace_settings.name = "Non-Color"
    textured_cube(image, (0.0, 0.0), (1.0, 1.0))
    palette = extract(bpy.context.scene.collection, (), need_targets=False).palette
    np.testing.assert_allclose(palette.colors[1], linear_to_srgb(np.full((3, 3), 128 / 255)), atol=3e-3)


# Names


def palette_names(paints: list[tuple[str, tuple[float, float, float]]]) -> tuple[tuple[str, ...], list[int]]:
    blocks = scenes.collection()
    for i, (name, color) in enumerate(paints):
        made = bpy.data.materials.new(name)
        made.use_nodes = True
        made.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1.0)
        scenes.add(scenes.cube_mesh(materials=(made,)), f"Cube {i}", (i, 0, 0), blocks)
    scene = extract(blocks, (), need_targets=False)
    return scene.palette.names, scene.materials.tolist()


RED, BLUE = (0.8, 0.0, 0.0), (0.0, 0.0, 0.8)


@pytest.mark.parametrize(
    ("paints", "names", "materials"),
    [
        ([("Material", RED), ("Material", BLUE)], ("Air", "Material", "Material.001"), [1, 2]),
        ([("Material", RED), ("Material", RED), ("Other", RED)], ("Air", "Material", "Other"), [1, 1, 2]),
        ([("Stone", RED), ("Grass", BLUE)], ("Air", "Stone", "Grass"), [1, 2]),
        ([("Brick.001", RED), ("Brick", BLUE)], ("Air", "Brick.001", "Brick"), [1, 2]),
        ([("brick", RED), ("Brick", BLUE)], ("Air", "brick", "Brick"), [1, 2]),
        ([("a/b", RED), ("No material", BLUE)], ("Air", "a/b", "No material"), [1, 2]),
    ],
    ids=["different", "equal", "a scene's own stone", "the copy first", "capitals", "odd"],
)
def test_names_and_looks_tell_materials_apart(paints: Any, names: Any, materials: Any) -> None:
    assert palette_names(paints) == (names, materials)


def test_linked_and_own_materials_of_one_name_are_two(tmp_path: Any) -> None:
    for number, color in enumerate((RED, BLUE)):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        made = scenes.material("Rock", color)
        scenes.add(scenes.cube_mesh(materials=(made,)), "Cube", (number, 0, 0), bpy.context.scene.collection)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / f"{number}.blend"))
    with bpy.data.libraries.load(str(tmp_path / "0.blend"), link=True) as (_, wanted):
        wanted.objects = ["Cube"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    scene = extract(bpy.context.scene.collection, (), need_targets=False)
    assert scene.palette.names == ("Air", "Rock", "Rock (2)")
    found = dict(zip(scene.source.block_objects, scene.palette.colors[scene.materials, 0].tolist(), strict=True))
    for name, color in (("Cube [0.blend]", RED), ("Cube", BLUE)):
        np.testing.assert_allclose(found[name], linear_to_srgb(np.array(color)), atol=1e-3)


def test_a_palettes_names_are_found_however_they_are_composed() -> None:
    blocks = scenes.collection()
    for x, name in enumerate(("Tu\u0308r", "T\u00fcr", "Wand")):
        scenes.add(scenes.cube_mesh(materials=(scenes.material(name),)), f"Cube {x}", (x, 0, 0), blocks)
    palette = Palette(("Air", "Wand", "T\u00fcr"), np.zeros((3, 3, 3)))
    assert extract(blocks, (), palette, need_targets=False).materials.tolist() == [2, 2, 1]
