"""Light measured before is taken again where all it depends on is the same, and never where something changed."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from bridge.blender import light
from bridge.blender.apply import apply
from bridge.blender.extract import extract
from bridge.blender.files import open_file, save_file
from bridge.blender.fingerprint import light_fingerprint
from tests.bpy.test_light import lit, photograph, plant


@pytest.fixture
def street(tmp_path):
    """Blocks in a collection, beside a wall with a picture, under a sun."""
    scene = lit(sun=3.0, world=(0.2, 0.3, 0.4))
    plant(scene, 4)
    scene.cycles.samples = 1
    blocks = bpy.data.collections.new("Blocks")
    scene.collection.children.link(blocks)
    for obj in [obj for obj in scene.objects if obj.type == "MESH"]:
        scene.collection.objects.unlink(obj)
        blocks.objects.link(obj)
    photograph(scene, tmp_path)
    bpy.ops.mesh.primitive_plane_add(size=9.0, location=(-2.0, 0.0, 0.0), rotation=(0.0, 1.2, 0.0))
    wall = bpy.context.object
    wall.name = "Wall"
    wall.data.materials.append(bpy.data.materials.new("Paint"))
    bpy.data.materials["Paint"].use_nodes = True
    nodes = bpy.data.materials["Paint"].node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.new("Picture", 4, 4)
    bpy.data.materials["Paint"].node_tree.links.new(
        texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"]
    )
    save_file(tmp_path / "street.blend")
    open_file(tmp_path / "street.blend")
    return tmp_path


def number():
    bpy.context.view_layer.update()
    return light_fingerprint(list(bpy.data.collections["Blocks"].objects))


def test_copies_of_a_scene_have_one_number(street):
    save_file(street / "again.blend")
    before = number()
    open_file(street / "again.blend")
    assert number() == before and len(before) == 64


CHANGES = {
    "sun": lambda: setattr(bpy.data.lights["Sun"], "energy", 2.0),
    "turned sun": lambda: setattr(bpy.data.objects["Sun"], "rotation_euler", (0.3, 0.0, 0.0)),
    "moved wall": lambda: setattr(bpy.data.objects["Wall"], "location", (-3.0, 0.0, 0.0)),
    "wall's shape": lambda: setattr(bpy.data.objects["Wall"].data.vertices[0], "co", (-3.0, 0.0, 0.5)),
    "hidden wall": lambda: setattr(bpy.data.objects["Wall"], "hide_render", True),
    "wall's modifier": lambda: bpy.data.objects["Wall"].modifiers.new("Thick", "SOLIDIFY"),
    "paint": lambda: setattr(node("Principled BSDF").inputs["Roughness"], "default_value", 0.1),
    "unlinked": lambda: bpy.data.materials["Paint"].node_tree.links.clear(),
    "picture": lambda: setattr(bpy.data.images["Picture"], "pixels", [0.25] * 64),
    "bounces": lambda: setattr(bpy.context.scene.cycles, "max_bounces", 5),
    "world": lambda: setattr(
        bpy.context.scene.world.node_tree.nodes["Background"].inputs["Strength"], "default_value", 0.5
    ),
    "one more lamp": lambda: bpy.ops.object.light_add(type="POINT", location=(3.0, 3.0, 4.0)),
}


def node(name):
    return bpy.data.materials["Paint"].node_tree.nodes[name]


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_the_light_changes_the_number(street, name):
    before = number()
    CHANGES[name]()
    assert number() not in (before, None)


def test_cameras_and_blocks_do_not_change_it(street):
    before = number()
    bpy.data.objects["C0"].location.x += 1.0
    bpy.data.collections["Blocks"].objects[0].material_slots[0].material.diffuse_color[0] = 0.9
    assert number() == before


def test_smoke_has_no_number(street):
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Smoke", bpy.data.volumes.new("Smoke")))
    assert number() is None


def test_a_second_run_takes_the_light_of_the_first(street, monkeypatch):
    baked: list[int] = []
    plain = light.bake_received
    monkeypatch.setattr(light, "bake_received", lambda *given: baked.append(1) or plain(*given))
    scene = extract(bpy.data.collections["Blocks"], bake=False)
    first = light.baked(scene, samples=4, keep=True)
    apply(scene, np.full(len(scene.grid), 2, np.int32))
    save_file(street / "later.blend")
    open_file(street / "later.blend")
    again = light.baked(scene, samples=4, keep=True)
    assert len(baked) == 1 and (again.lighting.received == first.lighting.received).all()
    others = np.where(scene.materials == 1, 2, 1).astype(np.int32)
    light.baked(scene, others, 4, keep=True)
    light.baked(scene, samples=4)
    assert len(baked) == 3


def test_an_applied_result_casts_no_shadow_on_the_next_light(street):
    scene = extract(bpy.data.collections["Blocks"], bake=False)
    first = light.baked(scene, samples=16).lighting.received
    apply(scene)
    assert np.abs(light.baked(scene, samples=16).lighting.received - first).max() < 1e-6
