"""Blender scenes made of cubes, one way or another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blockcore.model.lighting import UNLIT
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from bridge.blender import marks
from bridge.blender.extract import extract

CELLS = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1), (3, 2, 1)]
"""Cells in Blender's axes; no symmetry maps them onto themselves."""
MATERIALS = ("Grass", "Stone", "Sand", "Water", "Snow", "Dirt")


def cube_mesh(name: str = "Cube", size: float = 1.0, materials: tuple[Any, ...] = ()) -> Any:
    """A cube around its origin; given three materials, its top, bottom and sides have one each."""
    h = size / 2
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-h, h) for y in (-h, h) for z in (-h, h)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    for material in materials:
        mesh.materials.append(material)
    if len(materials) == 3:
        mesh.polygons.foreach_set("material_index", [2, 2, 2, 2, 1, 0])
    mesh.update()
    return mesh


def material(name: str, color: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> Any:
    """A Principled material with that scene-linear base colour."""
    made = bpy.data.materials.new(name)
    if name in MATERIALS:  # as a world of the WebGPU editor says it
        made[marks.MATERIAL] = name
    if made.node_tree is None:
        made.use_nodes = True
    made.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1.0)
    return made


def light_world(color: tuple[float, ...] = (1.0, 1.0, 1.0)) -> None:
    """Lights the scene alike from everywhere."""
    made = bpy.data.worlds.new("World")
    if made.node_tree is None:  # Blender 5 makes it by itself
        made.use_nodes = True
    made.node_tree.nodes["Background"].inputs["Color"].default_value = (*color, 1.0)
    bpy.context.scene.world = made


def collection(name: str = "Blocks") -> Any:
    made = bpy.data.collections.new(name)
    bpy.context.scene.collection.children.link(made)
    return made


def add(obj_data: Any, name: str, place: tuple[float, ...], where: Any) -> Any:
    obj = bpy.data.objects.new(name, obj_data)
    obj.location = place
    where.objects.link(obj)
    return obj


def linked_cubes(cells: list[tuple[int, ...]] = CELLS, size: float = 2.0) -> Any:
    """Cube objects that share one mesh, each with a material of its own in an object slot; their collection."""
    blocks = collection()
    mesh = cube_mesh(size=size, materials=(None,))
    for i, cell in enumerate(cells):
        cube = add(mesh, f"Block {i}", tuple(size * v for v in cell), blocks)
        cube.material_slots[0].link = "OBJECT"
        name = MATERIALS[i % len(MATERIALS)]
        cube.material_slots[0].material = bpy.data.materials.get(name) or material(name)
    return blocks


def collection_instances(cells: list[tuple[int, ...]] = CELLS) -> Any:
    """Empties that instance collections, which instance the cube's collection in turn."""
    blocks = collection()
    for i, cell in enumerate(cells):
        inner, outer = bpy.data.collections.new(f"Inner {i}"), bpy.data.collections.new(f"Outer {i}")
        add(cube_mesh(materials=(material(MATERIALS[i]),)), f"Model {i}", (0.0, 0.0, 0.0), inner)
        nested = add(None, f"Nested {i}", (0.0, 5.0, 0.0), outer)
        nested.instance_type, nested.instance_collection = "COLLECTION", inner
        empty = add(None, f"Block {i}", cell, blocks)
        empty.instance_type, empty.instance_collection = "COLLECTION", outer
    return blocks


def vertex_instances(kind: str = "VERTS", cells: list[tuple[int, ...]] = CELLS) -> Any:
    """One object that copies its child cube to each of its vertices, or faces."""
    blocks = collection()
    mesh = bpy.data.meshes.new("Places")
    if kind == "VERTS":
        mesh.from_pydata(cells, [], [])
    else:
        h = 0.1
        corners = [(x + dx, y + dy, z) for x, y, z in cells for dx, dy in ((-h, -h), (h, -h), (h, h), (-h, h))]
        mesh.from_pydata(corners, [], np.arange(len(corners)).reshape(-1, 4).tolist())
    emitter = add(mesh, "Emitter", (0.0, 0.0, 0.0), blocks)
    emitter.instance_type = kind
    child = add(cube_mesh(materials=(material("Stone"),)), "Template", (0.0, 0.0, 0.0), blocks)
    child.parent = emitter
    return blocks


def node_instances(primitive: bool, cells: list[tuple[int, ...]] = CELLS) -> Any:
    """Geometry nodes that instance a cube object, or a cube primitive, on the vertices of a mesh."""
    blocks = collection()
    mesh = bpy.data.meshes.new("Places")
    mesh.from_pydata(cells, [], [])
    emitter = add(mesh, "Emitter", (0.0, 0.0, 0.0), blocks)
    tree = bpy.data.node_groups.new("Cubes", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    points, output, instances = (
        tree.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeInstanceOnPoints")
    )
    stone = material("Stone")
    if primitive:
        cube, paint = tree.nodes.new("GeometryNodeMeshCube"), tree.nodes.new("GeometryNodeSetMaterial")
        paint.inputs["Material"].default_value = stone
        tree.links.new(cube.outputs["Mesh"], paint.inputs["Geometry"])
        instance = paint.outputs["Geometry"]
    else:
        info = tree.nodes.new("GeometryNodeObjectInfo")
        info.inputs["Object"].default_value = bpy.data.objects.new("Model", cube_mesh(materials=(stone,)))
        info.inputs["As Instance"].default_value = True
        instance = info.outputs["Geometry"]
    tree.links.new(points.outputs["Geometry"], instances.inputs["Points"])
    tree.links.new(instance, instances.inputs["Instance"])
    tree.links.new(instances.outputs["Instances"], output.inputs["Geometry"])
    emitter.modifiers.new("Cubes", "NODES").node_group = tree
    return blocks


def camera(name: str = "Camera", place: tuple[float, float, float] = (3.0, -9.0, 5.0)) -> Any:
    data = bpy.data.cameras.new(name)
    obj = add(data, name, place, bpy.context.scene.collection)
    obj.rotation_euler = (1.1, 0.0, 0.3)
    return obj


def picture_size(width: int, height: int, percentage: int = 100) -> None:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, percentage


def emission(name: str, color: tuple[float, ...], strength: float = 1.0) -> Any:
    """A material that shows its scene-linear colour whatever the light."""
    made = material(name)
    nodes = made.node_tree.nodes
    nodes.clear()
    light, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    light.inputs["Color"].default_value, light.inputs["Strength"].default_value = (*color, 1.0), strength
    made.node_tree.links.new(light.outputs[0], out.inputs["Surface"])
    return made


def flat_blocks() -> Any:
    """3 × 3 × 3 cubes of four colours that need no light; their collection."""
    paints = [
        emission(f"M{i}x", c) for i, c in enumerate([(0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.2, 0.9), (1, 1, 0)])
    ]
    blocks = collection()
    for i, cell in enumerate(np.ndindex(3, 3, 3)):
        add(cube_mesh(materials=(paints[i % 4],)), f"Block {i}", cell, blocks)
    return blocks


def rendered(camera: Any, folder: Path, size: tuple[int, int] = (160, 120), samples: int = 1) -> Any:
    """What Cycles shows in the Standard view, (H, W, 4) in 0 … 255, of each pixel's centre."""
    scene, render = bpy.context.scene, bpy.context.scene.render
    render.engine, scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.filter_width = (
        "CYCLES",
        samples,
        False,
        0.01,
    )
    scene.view_settings.view_transform, render.film_transparent, render.dither_intensity = "Standard", True, 0
    picture_size(*size)
    scene.camera, render.filepath = camera, str(folder / "rendered.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(render.filepath)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return np.rint(pixels.reshape(size[1], size[0], 4)[::-1] * 255).astype(int)


def differs_from_cycles(camera: Any, folder: Path, size: tuple[int, int] = (160, 120)) -> float:
    """The part of the pixels that show blocks in which the extracted scene's picture is not Cycles'."""
    wanted = rendered(camera, folder, size)
    scene = extract(bpy.context.scene.collection, [camera], need_targets=False, bake=False)
    posed = scene.views[0].camera
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, UNLIT)
    found = draw(rasterize(scene.grid.exposed_faces, [posed], "cpu")[0], posed, colors).astype(int)
    shown = wanted[..., 3] > 0
    assert shown.mean() > 0.05
    return float((np.abs(wanted - found)[shown][:, :3].max(axis=-1) > 2).mean())
