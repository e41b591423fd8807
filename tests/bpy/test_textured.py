"""Cubes with picture textures, mixed: which of them is where is found again from renders in the scene's own light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from mathutils import Vector  # noqa: E402

from blockcore.model.settings import OptimizeSettings  # noqa: E402
from blockcore.optimize import optimize_materials  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.targets import set_background_image  # noqa: E402
from tests.bpy import scenes  # noqa: E402

SIZE = (6, 6, 2)
FACE_UV = ((0, 0), (1, 0), (1, 1), (0, 1))


def textured(name: str, number: int) -> Any:
    """A material of a noisy picture, a little brighter or redder than the next one's."""
    rng = np.random.default_rng(number)
    pixels = np.ones((8, 8, 4), np.float32)
    pixels[..., :3] = np.clip(rng.normal((0.35 + 0.06 * number, 0.45, 0.55 - 0.05 * number), 0.12, (8, 8, 3)), 0, 1)
    image = bpy.data.images.new(name, 8, 8)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    made = scenes.material(name)
    node = made.node_tree.nodes.new("ShaderNodeTexImage")
    node.image, node.interpolation = image, "Closest"
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value, shader.inputs["Specular IOR Level"].default_value = 1.0, 0.0
    made.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return made


def mixed_cubes() -> tuple[list[Any], list[Any]]:
    """A slab of cubes of five textured materials at random; the cubes, and the materials."""
    paints = [textured(f"Cloth {number}", number) for number in range(5)]
    meshes = []
    for paint in paints:
        mesh = scenes.cube_mesh(paint.name, materials=(paint,))
        mesh.uv_layers.new().data.foreach_set("uv", np.tile(np.float32(FACE_UV).ravel(), 6))
        meshes.append(mesh)
    blocks, rng = scenes.collection(), np.random.default_rng(5)
    cubes = [
        scenes.add(meshes[rng.integers(5)], f"Block {number}", cell, blocks)
        for number, cell in enumerate(np.ndindex(*SIZE))
    ]
    return cubes, meshes


def look_from(angle: float) -> Any:
    """A camera that looks at the slab from above and aside."""
    made = scenes.camera(f"Eye {angle:.1f}", (2.5 + 11 * np.cos(angle), 2.5 + 11 * np.sin(angle), 8.0))
    made.rotation_euler = (Vector((2.5, 2.5, 0.5)) - made.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.view_layer.update()
    return made


def test_five_textured_materials_are_told_apart(tmp_path: Path) -> None:
    cubes, meshes = mixed_cubes()
    scenes.light_world()
    scenes.picture_size(160, 120)
    for angle in np.arange(4) * np.pi / 2 + 0.6:
        eye = look_from(float(angle))
        picture = scenes.rendered(eye, tmp_path, samples=64)
        set_background_image(eye, eye.name, picture.astype(np.uint8))
    truth = [cube.data.name for cube in cubes]
    rng = np.random.default_rng(6)
    for cube in cubes:
        cube.data = meshes[rng.integers(5)]
    scene = extract(bpy.data.collections["Blocks"])
    result = optimize_materials(scene, OptimizeSettings())
    found = [scene.palette.names[index] for index in result.materials[result.visible_blocks]]
    emitters = [scene.source.block_objects[block] for block in result.visible_blocks]
    wanted = dict(zip((cube.name for cube in cubes), truth, strict=True))
    right = np.mean([one == wanted[emitter] for one, emitter in zip(found, emitters, strict=True)])
    print(f"{right:.1%} of {len(found)} visible blocks right")
    assert len(found) > 50 and right >= 0.95
