"""A light that was found, put into Blender as a sun and a world: faces receive there what was matched."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import WEBGPU_PALETTE
from bridge.blender.bake import bake_received
from bridge.blender.files import open_file, save_file
from bridge.blender.sunlight import NAME, add_light, physical
from bridge.cli import main
from bridge.convert import TO_BLENDER
from tests.bpy.test_light import lit, photograph, plant

LIGHTS = {
    "noon": Lighting.from_sun_and_world((0.3, 0.9, 0.2), (3.0, 2.8, 2.5), (0.2, 0.3, 0.4)),
    "evening": Lighting.from_sun_and_world((0.9, 0.2, -0.5), (2.0, 1.2, 0.6), (0.03, 0.05, 0.1)),
    "no sun": Lighting(sun_color=(0.0, 0.0, 0.0), ambient_strength=1.0),
}


# A sun straight on or not at all is matched exactly; aslant, and where sky and ground meet, the sRGB curve bends.
@pytest.mark.parametrize(("name", "most"), [("noon", 0.05), ("evening", 0.07), ("no sun", 0.15)])
def test_faces_receive_what_was_matched(name, most):
    lit()
    add_light(LIGHTS[name], TO_BLENDER)
    grid = BlockGrid((1, 1, 1), 1.0, [[0, 0, 0]])
    received = bake_received(grid, np.array([3], np.int32), WEBGPU_PALETTE, TO_BLENDER, [], 1, 64)[:, 0, 0]
    off = np.abs(linear_to_srgb(received) - LIGHTS[name].face_light())
    assert off.max() < most and off.mean() < most / 2
    assert (np.stack(physical(LIGHTS[name])) >= 0.0).all()


def test_a_turned_grid_turns_the_sun():
    lit()
    turn = np.array([[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    sun = add_light(LIGHTS["noon"], turn @ TO_BLENDER)
    bpy.context.view_layer.update()
    towards = np.array(sun.matrix_world.to_3x3()) @ (0.0, 0.0, 1.0)
    wanted = (turn @ TO_BLENDER)[:3, :3] @ LIGHTS["noon"].sun_direction
    assert towards == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)


def test_other_lights_no_longer_render_and_an_earlier_one_is_replaced():
    scene = lit(sun=3.0, world=(0.2, 0.3, 0.4))
    own = scene.world
    for light in (WEBGPU_LIGHTING, LIGHTS["evening"]):
        add_light(light, TO_BLENDER)
    assert [obj.name for obj in scene.objects if not obj.hide_render] == [NAME]
    assert bpy.data.objects["Sun"].hide_render and own.use_fake_user
    assert [world.name for world in bpy.data.worlds if world.name.startswith(NAME)] == [scene.world.name]


def test_the_command_puts_it_in_where_asked(tmp_path, capsys):
    scene = lit(sun=3.0, world=(0.2, 0.3, 0.4))
    plant(scene, 3)
    scene.cycles.samples = 1
    photograph(scene, tmp_path)
    save_file(tmp_path / "a.blend")
    given = ["optimize", str(tmp_path / "a.blend"), "--out", str(tmp_path / "b.blend"), "--add-light"]
    assert main(given) == 2
    assert "add --lighting fitted" in capsys.readouterr().err and not (tmp_path / "b.blend").exists()
    assert main([*given, "--lighting", "fitted"]) == 0
    assert "light: a sun and a sky found with the materials: asked for" in capsys.readouterr().out
    open_file(tmp_path / "b.blend")
    assert bpy.context.scene.world.name == NAME and not bpy.data.objects[NAME].hide_render
