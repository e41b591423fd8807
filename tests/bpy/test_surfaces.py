"""What materials show, whatever their nodes: as Cycles shows it in white light, with no light between surfaces."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.display import linear_to_srgb
from blockcore.visibility.texels import lay_over
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.extract import extract  # noqa: E402
from tests.bpy import scenes  # noqa: E402

Make = Callable[["Nodes", Any], Any]
TOP = 2


class Nodes:
    """A material's nodes, made one by one."""

    def __init__(self, name: str) -> None:
        self.material = scenes.material(name)
        self.tree = self.material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]
        self.shader.inputs["Roughness"].default_value = 1.0
        self.shader.inputs["Specular IOR Level"].default_value = 0.0
        self.output = self.tree.nodes["Material Output"]

    def add(self, kind: str, *values: Any, **settings: Any) -> Any:
        """A node with values in its usable inputs; a node or a socket as a value is linked to it."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in settings.items():
            setattr(node, name, value)
        for socket, value in zip([one for one in node.inputs if one.enabled], values, strict=False):
            self.put(socket, value)
        return node

    def put(self, socket: Any, value: Any) -> None:
        if isinstance(value, bpy.types.Node):
            value = next(one for one in value.outputs if one.enabled)
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def show(self, value: Any) -> None:
        self.put(self.output.inputs["Surface"], value)

    def glow(self, value: Any) -> None:
        self.show(self.add("Emission", value))

    def picture(self, alpha: bool = False, space: str = "sRGB", **settings: Any) -> Any:
        """Four by four texels, of which a cube as Blender makes it shows two halves on its top."""
        image = bpy.data.images.new("Picture", 4, 4, alpha=True)
        texels = np.random.default_rng(5).uniform(0.05, 0.95, (16, 4)).astype(np.float32)
        texels[:, 3] = np.arange(16) % 3 > 0 if alpha else 1.0
        image.pixels.foreach_set(texels.ravel())
        image.pack()
        image.colorspace_settings.name = space
        return self.add("TexImage", image=image, interpolation="Closest", **settings)


A, B = (0.3, 0.6, 0.2, 1.0), (0.7, 0.2, 0.5, 1.0)


def group(nodes: Nodes, cube: Any) -> None:
    """A group in a group, with a value of its own and one that is left as the group has it."""
    inner, outer = (bpy.data.node_groups.new(name, "ShaderNodeTree") for name in ("Inner", "Outer"))
    for tree in (inner, outer):
        tree.interface.new_socket("Tint", in_out="INPUT", socket_type="NodeSocketColor")
        tree.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
        entry, leave = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
        use = tree.nodes.new("ShaderNodeEmission" if tree == inner else "ShaderNodeGroup")
        if tree == outer:
            use.node_tree = inner
        tree.links.new(entry.outputs[0], use.inputs[0])
        tree.links.new(use.outputs[0], leave.inputs[0])
    nodes.show(nodes.add("Group", A, node_tree=outer))


def number_of_a_group(nodes: Nodes, cube: Any) -> None:
    """A colour becomes a number at the group's own socket."""
    tree = bpy.data.node_groups.new("Number", "ShaderNodeTree")
    tree.interface.new_socket("In", in_out="INPUT", socket_type="NodeSocketFloat")
    tree.interface.new_socket("Out", in_out="OUTPUT", socket_type="NodeSocketColor")
    entry, leave = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    tree.links.new(entry.outputs[0], leave.inputs[0])
    nodes.glow(nodes.add("Group", nodes.add("RGBCurve", 1.0, A), node_tree=tree))


def premultiplied(nodes: Nodes, cube: Any) -> None:
    """Colours that nobody asks the opacity of; the file has them multiplied with it."""
    image = bpy.data.images.new("Soft", 4, 4, alpha=True)
    texels = np.random.default_rng(6).uniform(0.2, 0.9, (16, 4)).astype(np.float32)
    texels[:, :3] *= texels[:, 3:]
    image.pixels.foreach_set(texels.ravel())
    image.pack()
    image.alpha_mode = "PREMUL"
    nodes.glow(nodes.add("TexImage", image=image, interpolation="Closest"))


def cut_out(nodes: Nodes, cube: Any) -> None:
    picture = nodes.picture(alpha=True)
    nodes.put(nodes.shader.inputs["Base Color"], picture)
    nodes.put(nodes.shader.inputs["Alpha"], picture.outputs["Alpha"])


def of_attribute(kind: str, domain: str, output: str) -> Make:
    def make(nodes: Nodes, cube: Any) -> None:
        values = cube.data.attributes.new("tint", kind, domain).data
        name, value = ("value", [0.4]) if kind == "FLOAT" else ("color", A)
        values.foreach_set(name, np.tile(value, len(values)))
        nodes.glow(nodes.add("Attribute", attribute_name="tint").outputs[output])

    return make


def by_object(nodes: Nodes, cube: Any) -> None:
    cube.color = A
    nodes.glow(nodes.add("ObjectInfo").outputs["Color"])


def by_named_uv(nodes: Nodes, cube: Any) -> None:
    values = cube.data.uv_layers.new(name="Second").data
    values.foreach_set("uv", np.tile([0.3, 0.6], len(values)))
    cube.data.uv_layers["UVMap"].active_render = True
    nodes.glow(nodes.picture())
    picture = nodes.output.inputs["Surface"].links[0].from_node.inputs["Color"].links[0].from_node
    nodes.put(picture.inputs["Vector"], nodes.add("UVMap", uv_map="Second"))


def placed(nodes: Nodes, coordinates: str) -> Any:
    picture = nodes.picture()
    nodes.put(picture.inputs["Vector"], nodes.add("TexCoord").outputs[coordinates])
    return picture


def mapped(nodes: Nodes, cube: Any) -> None:
    picture = nodes.picture()
    place = nodes.add("Mapping", nodes.add("TexCoord").outputs["UV"], (0.25, 0.5, 0), (0, 0, math.pi / 2), (2, 1, 1))
    nodes.put(picture.inputs["Vector"], place)
    nodes.glow(picture)


def camera_ray(nodes: Nodes, cube: Any) -> None:
    part = nodes.add("LightPath").outputs["Is Camera Ray"]
    nodes.show(nodes.add("MixShader", part, nodes.shader, nodes.add("Emission", B)))


def muted(nodes: Nodes, cube: Any) -> None:
    nodes.glow(nodes.add("Mix", 0.5, A, B, data_type="RGBA", mute=True))


MATERIALS: dict[str, Make] = {
    "colour as surface": lambda n, c: n.show(n.add("RGB")),
    "number as surface": lambda n, c: n.show(n.add("Math", 0.2, 0.1)),
    "picture as surface": lambda n, c: n.show(n.picture()),
    "picture": lambda n, c: n.glow(n.picture()),
    "clipped picture": lambda n, c: n.glow(n.picture(extension="CLIP")),
    "transparent picture, opacity unused": lambda n, c: n.glow(n.picture(alpha=True)),
    "cut out": cut_out,
    "linear picture": lambda n, c: n.glow(n.picture(space="Linear Rec.709")),
    "picture of other primaries": lambda n, c: n.glow(n.picture(space="Linear Rec.2020")),
    "picture as mix factor": lambda n, c: n.glow(n.add("Mix", n.picture(), A, B, data_type="RGBA")),
    "picture by place": lambda n, c: n.glow(placed(n, "Generated")),
    "picture by object": lambda n, c: n.glow(placed(n, "Object")),
    "named UV map": by_named_uv,
    "mapping": mapped,
    "groups": group,
    "camera ray": camera_ray,
    "muted": muted,
    "same shaders, mixed by the viewing angle": lambda n, c: n.show(
        n.add("MixShader", n.add("Fresnel"), n.add("Emission", A), n.add("Emission", A))
    ),
    "half of nothing": lambda n, c: n.show(n.add("AddShader", n.add("Emission", A))),
    "front and back": lambda n, c: n.show(
        n.add("MixShader", n.add("NewGeometry").outputs["Backfacing"], n.add("Emission", A), n.add("Emission", B))
    ),
    "colour as number": lambda n, c: n.glow(n.add("Math", n.add("RGBCurve", 1.0, B), 0.0, operation="ADD")),
    "vector as number": lambda n, c: n.glow(n.add("Math", n.add("CombineXYZ", 0.1, 0.2, 0.9), 0.0, operation="ADD")),
    "mixed numbers": lambda n, c: n.glow(n.add("Mix", 0.3, 0.2, 0.8, data_type="FLOAT")),
    "dodge": lambda n, c: n.glow(n.add("Mix", 0.7, A, B, data_type="RGBA", blend_type="DODGE")),
    "burn": lambda n, c: n.glow(n.add("Mix", 0.7, B, A, data_type="RGBA", blend_type="BURN")),
    "hue": lambda n, c: n.glow(n.add("Mix", 0.7, A, B, data_type="RGBA", blend_type="HUE")),
    "saturation": lambda n, c: n.glow(n.add("Mix", 0.7, A, B, data_type="RGBA", blend_type="SATURATION")),
    "hue, saturation, lightness": lambda n, c: n.glow(n.add("CombineColor", 0.6, 0.35, 0.4, mode="HSL")),
    "range": lambda n, c: n.glow(n.add("MapRange", 0.4, 0.2, 0.9, 0.1, 0.7, interpolation_type="SMOOTHSTEP")),
    "clamp": lambda n, c: n.glow(n.add("Clamp", 0.4, 0.9, 0.6, clamp_type="RANGE")),
    "corner colours": of_attribute("BYTE_COLOR", "CORNER", "Color"),
    "face colours": of_attribute("FLOAT_COLOR", "FACE", "Color"),
    "point numbers": of_attribute("FLOAT", "POINT", "Fac"),
    "object colour": by_object,
    "number of a group": number_of_a_group,
    "premultiplied picture": premultiplied,
    "logarithm of what has none": lambda n, c: n.glow(n.add("Math", -0.8, 0.6, operation="LOGARITHM")),
    "the world's up": lambda n, c: n.glow(n.add("NewGeometry").outputs["Normal"]),
    "the mesh's up": lambda n, c: n.glow(n.add("TexCoord").outputs["Normal"]),
    "worked out by Cycles": lambda n, c: n.glow(n.add("Math", 0.4, operation="TANH")),
    "black body": lambda n, c: n.glow(n.add("Mix", 0.9, n.add("Blackbody", 3000.0), (0, 0, 0, 1), data_type="RGBA")),
}


def lit_white() -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 64, False
    scene.cycles.max_bounces, scene.cycles.pixel_filter_type = 0, "BOX"
    scenes.light_world()
    scene.view_settings.view_transform, scene.render.film_transparent = "Raw", True
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "32", "RGBA"


def from_above(count: int, size: int, folder: Path) -> np.ndarray:
    """What Cycles shows of a row of cubes, (count, size, size, 4) scene-linear, north on top."""
    scene = bpy.context.scene
    camera = scenes.camera("Above", ((count - 1) / 2, 0.0, 5.0))
    camera.rotation_euler, camera.data.type, camera.data.ortho_scale = (0.0, 0.0, 0.0), "ORTHO", float(count)
    scene.camera, scene.render.filepath = camera, str(folder / "row.exr")
    scenes.picture_size(count * size, size)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(size, count, size, 4)[::-1].transpose(1, 0, 2, 3)


def test_materials_show_what_cycles_shows(tmp_path: Path) -> None:
    lit_white()
    for place, (name, make) in enumerate(MATERIALS.items()):
        bpy.ops.mesh.primitive_cube_add(size=1.0, location=(2 * place, 0, 0))
        cube, nodes = bpy.context.object, Nodes(name)
        make(nodes, cube)
        cube.data.materials.append(nodes.material)
    palette = extract(bpy.context.scene.collection, (), need_targets=False, bake=False).palette
    shown = from_above(2 * len(MATERIALS), 16, tmp_path)[::2].astype(np.float64)  # none touches another
    wrong = []
    for name, wanted in zip(MATERIALS, shown, strict=True):
        index = palette.index(name)
        solid = wanted[..., 3] > 0.99
        display = linear_to_srgb(np.clip(wanted[..., :3], 0.0, 1.0))
        color = palette.colors[index, 0].astype(np.float64)
        tile = palette.tiles.get((index, TOP))
        found = np.broadcast_to(color, display.shape)
        if tile is not None:
            rows, columns = (np.arange(16) * side // 16 for side in tile.shape[:2])
            found = lay_over(color, tile)[::-1][rows][:, columns]  # a top's first row lies in the south
        average = linear_to_srgb(np.clip(wanted[solid, :3].mean(axis=0), 0.0, 1.0))
        if np.abs(color - average).max() > 0.01 or np.abs(found - display)[solid].max() > 0.02:
            wrong.append(f"{name}: {color.round(3)}, Cycles shows {average.round(3)}")
    assert not wrong


def tinted_coat(nodes: Nodes, cube: Any) -> None:
    nodes.put(nodes.shader.inputs["Coat Weight"], 1.0)
    nodes.put(nodes.shader.inputs["Coat Tint"], A)


UNREADABLE: dict[str, tuple[Make, str]] = {
    "glass": (lambda n, c: n.show(n.add("BsdfGlass")), "'Glass BSDF'"),
    "transmission": (lambda n, c: n.put(n.shader.inputs["Transmission Weight"], 0.5), "which lets light through,"),
    "coat": (
        lambda n, c: (n.put(n.shader.inputs["Coat Weight"], 1.0), n.put(n.shader.inputs["Coat Tint"], A)),
        "coat,",
    ),
    "place in the world": (lambda n, c: n.glow(n.add("TexNoise", n.add("NewGeometry"))), "'Geometry'"),
    "noise by the world's up": (
        lambda n, c: n.glow(n.add("TexNoise", n.add("NewGeometry").outputs["Normal"])),
        "a procedure by the world's directions",
    ),
    "no picture": (lambda n, c: n.glow(n.add("TexImage")), "'Image Texture'"),
    "volume": (lambda n, c: n.put(n.output.inputs["Volume"], n.add("VolumePrincipled")), "its volume"),
    "holdout": (lambda n, c: n.show(n.add("Holdout")), "'Holdout'"),
    "viewing angle": (lambda n, c: n.show(n.add("MixShader", n.add("Fresnel"), n.add("Emission"))), "'Fresnel'"),
    "no attribute": (lambda n, c: n.glow(n.add("VertexColor", layer_name="Nix")), "'Color Attribute'"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_refused_with_material_and_node(kind: str) -> None:
    make, node = UNREADABLE[kind]
    cube = scenes.add(scenes.cube_mesh(), "Cube", (0, 0, 0), bpy.context.scene.collection)
    nodes = Nodes("Odd one")
    make(nodes, cube)
    cube.data.materials.append(nodes.material)
    with pytest.raises(BlockcoreError, match=f"material 'Odd one': .*{node}.* cannot be read; bake it"):
        extract(bpy.context.scene.collection, (), need_targets=False, bake=False)


def in_a_group(nodes: Nodes, cube: Any) -> None:
    """A shader, cut out by a noise, in a group."""
    tree = bpy.data.node_groups.new("Noisy", "ShaderNodeTree")
    tree.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    noise, shader, leave = (
        tree.nodes.new(kind) for kind in ("ShaderNodeTexNoise", "ShaderNodeBsdfDiffuse", "NodeGroupOutput")
    )
    tree.links.new(noise.outputs["Color"], shader.inputs["Color"])
    tree.links.new(shader.outputs[0], leave.inputs[0])
    nodes.show(nodes.add("Group", node_tree=tree))


def turned(nodes: Nodes, cube: Any) -> None:
    cube.rotation_euler = (math.pi / 2, 0.0, math.pi)
    nodes.glow(nodes.add("TexVoronoi", nodes.add("TexCoord").outputs["Object"]).outputs["Color"])


def painted_over(nodes: Nodes, cube: Any) -> None:
    values = cube.data.attributes.new("tint", "FLOAT_COLOR", "CORNER").data
    values.foreach_set("color", np.random.default_rng(2).uniform(0.1, 0.9, 4 * len(values)).astype(np.float32))
    color = nodes.add(
        "Mix", 1.0, nodes.add("TexWave"), nodes.add("VertexColor"), data_type="RGBA", blend_type="MULTIPLY"
    )
    nodes.put(nodes.shader.inputs["Base Color"], color)


PROCEDURES: dict[str, Make] = {
    "noise": lambda n, c: n.put(n.shader.inputs["Base Color"], n.add("TexNoise").outputs["Color"]),
    "bricks": lambda n, c: n.show(n.add("BsdfDiffuse", n.add("TexBrick"))),
    "checks by UV": lambda n, c: n.glow(n.add("TexChecker", n.add("TexCoord").outputs["UV"])),
    "picture on all sides": lambda n, c: n.glow(n.picture(projection="BOX")),
    "in a group": in_a_group,
    "turned": turned,
    "painted over": painted_over,
}


def test_procedures_are_read_as_cycles_shows_them_and_leave_nothing_behind(tmp_path: Path) -> None:
    lit_white()
    for place, (name, make) in enumerate(PROCEDURES.items()):
        bpy.ops.mesh.primitive_cube_add(size=1.0, location=(place, 0, 0))
        cube, nodes = bpy.context.object, Nodes(name)
        make(nodes, cube)
        cube.data.materials.append(nodes.material)
    kinds = ("scenes", "objects", "meshes", "materials", "node_groups", "cameras", "images")
    before = [len(getattr(bpy.data, kind)) for kind in kinds]
    palette = extract(bpy.context.scene.collection, (), need_targets=False, bake=False).palette
    assert [len(getattr(bpy.data, kind)) for kind in kinds] == before
    for name, wanted in zip(PROCEDURES, from_above(len(PROCEDURES), 32, tmp_path).astype(np.float64), strict=True):
        index = palette.index(name)
        display = linear_to_srgb(np.clip(wanted[..., :3], 0.0, 1.0))
        found = lay_over(palette.colors[index, 0].astype(np.float64), palette.tiles[index, TOP])[::-1]
        assert np.abs(found.mean(axis=(0, 1)) - display.mean(axis=(0, 1))).max() < 0.005, name
        assert np.abs(found - display).mean() < 0.02, name  # of the noise of few samples, too
