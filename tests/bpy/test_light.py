"""The scene's own light: what Cycles bakes is what a matt face shows, and materials planted in it come back."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import Lighting
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.visibility import rasterize
from bridge.blender import quality_scenes
from bridge.blender.bake import bake_received
from bridge.blender.display import read_display, show
from bridge.blender.extract import extract
from bridge.convert import TO_BLENDER
from tests.bpy import scenes


def lit(sun: float = 0.0, world: tuple[float, ...] | None = None, turn: tuple[float, ...] = (0.9, 0.0, 0.4)):
    """Empties the file and lights it."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.max_bounces = "CYCLES", 32, 2
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.film_transparent, scene.render.dither_intensity = True, 0.0
    scene.render.resolution_x = scene.render.resolution_y = 96
    scene.view_settings.view_transform = "Standard"
    if world is not None:
        scenes.light_world(world)
    if sun:
        light = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
        light.data.energy, light.data.angle, light.rotation_euler = sun, 0.0, turn
        scene.collection.objects.link(light)
    return scene


def plant(scene, count: int = 8) -> list[int]:
    draws, materials = np.random.default_rng(0), []
    for index in range(count):
        material = scenes.material(f"Wool {chr(65 + index)}")
        shader = material.node_tree.nodes["Principled BSDF"]
        shader.inputs["Base Color"].default_value = (*(draws.uniform(0.05, 0.9, 3) ** 2), 1.0)
        shader.inputs["Roughness"].default_value, shader.inputs["Specular IOR Level"].default_value = 1.0, 0.0
        materials.append(material)
    cells = [(x, y, z) for x in range(4) for y in range(4) for z in range(1 + (x > 1 and y > 1))]
    for index, cell in enumerate(cells):
        bpy.ops.mesh.primitive_cube_add(size=1.0, location=cell)
        bpy.context.object.data.materials.append(materials[index % count])


def photograph(scene, folder) -> None:
    for index, (place, turn) in enumerate((((7, -4, 6), 0.85), ((-4, 7, 6), 0.85 + math.pi))):
        camera = bpy.data.objects.new(f"C{index}", bpy.data.cameras.new(f"C{index}"))
        camera.location, camera.rotation_euler = place, (0.95, 0.0, turn)
        scene.collection.objects.link(camera)
        scene.camera, scene.render.filepath = camera, str(folder / f"{index}.png")
        bpy.ops.render.render(write_still=True)
        entry = camera.data.background_images.new()
        entry.image = bpy.data.images.load(scene.render.filepath)
        camera.data.show_background_images = True


def test_a_face_receives_what_optics_says():
    lit(sun=3.0, world=(0.2, 0.3, 0.4))
    grid = BlockGrid((1, 1, 1), 1.0, [[0, 0, 0]])
    received = bake_received(grid, np.array([3], np.int32), WEBGPU_PALETTE, TO_BLENDER, [], 2, 64)
    turn = bpy.data.objects["Sun"].rotation_euler.to_matrix()
    towards = np.array(turn) @ (0.0, 0.0, 1.0)
    normals = np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1], [0, -1, 0], [0, 1, 0]])  # Blender's axes
    wanted = np.array((0.2, 0.3, 0.4)) + 3.0 * np.maximum(normals @ towards, 0.0)[:, None] / np.pi
    assert np.abs(received - wanted[:, None, None]).max() < 0.02 * wanted.max()


def test_baking_leaves_the_scene_as_it_is(tmp_path):
    scene = lit(sun=3.0)
    plant(scene)
    photograph(scene, tmp_path)
    scene.render.engine = "BLENDER_WORKBENCH"

    def state():
        data = [
            sorted(x.name for x in getattr(bpy.data, kind)) for kind in ("objects", "meshes", "materials", "images")
        ]
        hidden = [obj.hide_render for obj in scene.objects]
        return data, hidden, scene.render.engine, scene.cycles.samples, scene.render.image_settings.file_format

    before = state()
    assert isinstance(extract(scene.collection).lighting, BakedLight)
    assert state() == before


LIGHTS = {
    "sun": {"sun": 3.0, "world": (0.3, 0.3, 0.3)},
    "evening": {"sun": 2.0, "world": (0.03, 0.04, 0.07), "turn": (1.35, 0.0, 0.7)},
    "flat": {"world": (1.0, 1.0, 1.0)},
    "lamps": {"world": (0.02, 0.02, 0.02)},
    "photographed sky": {},
}
_WELL_SEEN = 20  # pixels


@pytest.mark.parametrize("transform", ["Standard", "AgX"])
@pytest.mark.parametrize("name", LIGHTS)
def test_planted_materials_come_back(tmp_path, name, transform):
    scene = lit(**LIGHTS[name])
    scene.view_settings.view_transform = transform
    if name == "lamps":
        for place, color in (((6, -3, 7), (1.0, 0.7, 0.4)), ((-4, 6, 7), (0.4, 0.6, 1.0))):
            lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "AREA"))
            lamp.data.energy, lamp.data.size, lamp.data.color, lamp.location = 900.0, 2.0, color, place
            lamp.rotation_euler = (lamp.location * -1.0).to_track_quat("-Z", "Y").to_euler()
            scene.collection.objects.link(lamp)
    if name == "photographed sky":
        quality_scenes.LIGHTS["sky"]()
        scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = "MANUAL", 64
    plant(scene)
    photograph(scene, tmp_path)
    found = extract(scene.collection)
    solved = optimize_materials(found.with_materials(np.ones_like(found.materials)), OptimizeSettings(device="cpu"))
    seen = well_seen(found)
    assert len(seen) > 10 and (solved.materials[seen] == found.materials[seen]).all()


def well_seen(scene) -> np.ndarray:
    shown = np.zeros(len(scene.grid), np.int64)
    for view in rasterize(scene.grid.exposed_faces, [view.camera for view in scene.views], "cpu"):
        face = np.asarray(view.face)
        shown += np.bincount(scene.grid.exposed_faces.block[face[face >= 0]], minlength=len(shown))
    return np.flatnonzero(shown >= _WELL_SEEN)


def test_a_scene_without_light_keeps_the_editors(tmp_path):
    scene = lit()
    plant(scene)
    photograph(scene, tmp_path)
    assert isinstance(extract(scene.collection).lighting, Lighting)


def test_a_dark_scene_is_one_clear_line(tmp_path):
    scene = lit(world=(0.0, 0.0, 0.0))
    plant(scene)
    photograph(scene, tmp_path)
    with pytest.raises(SceneError, match="reaches no block"):
        extract(scene.collection)
    assert (extract(scene.collection, bake=False).lighting.received == 1.0).all()


@pytest.mark.parametrize(
    ("transform", "exposure", "off"),
    [("Standard", 0.0, 0.2), ("Standard", 1.0, 0.2), ("Filmic", 0.0, 0.2), ("AgX", 0.0, 0.5), ("AgX", -1.0, 0.5)],
)
def test_the_table_shows_what_blender_shows(transform, exposure, off):
    scene = lit()
    scene.view_settings.view_transform, scene.view_settings.exposure = transform, exposure
    colors = np.exp2(np.random.default_rng(1).uniform(-6.0, 1.0, (3000, 3)))
    shown = show(scene, colors)
    assert np.abs(read_display(scene).show(colors) - shown).mean() * 255.0 < off
    if transform == "Standard" and not exposure:
        assert np.abs(shown - np.clip(linear_to_srgb(colors), 0.0, 1.0)).max() < 1e-4
