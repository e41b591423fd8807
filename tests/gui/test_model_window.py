"""*Blocks from Model* as a user meets it: a model, one button, and blocks that follow the model afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.gui.liveliness import DRAW_LITTLE, MEASURE, assert_alive, time_of_a_frame
from tests.gui.window import PROJECT, Window

PAGE = (PROJECT / "docs" / "first-result.md").read_text(encoding="utf-8")
LOOKED = (1, 2)  # the click on Show Grid, and the keys that turn the view to the model, are for the pictures alone
SESSION = (
    "import importlib\nsession = importlib.import_module('bl_ext.user_default.optimize_materials.session').session\n"
)
EMPTY = "bpy.ops.wm.read_homefile(use_empty=True)"
MODEL = """
bpy.ops.mesh.primitive_monkey_add()
bpy.ops.ed.undo_push(message='Model')
group = bpy.context.scene.optimize_materials.model
group.across, group.views = 20, 6
"""
RENDERS = "answer = session.run is None or session.run.factor > 0.1"
STATE = """
def state():
    return [sorted(o.name for o in bpy.context.scene.objects), sorted(c.name for c in bpy.data.collections),
            bpy.data.objects['Suzanne'].visible_get()]
"""


def open_panel(window: Window) -> None:
    window.ask(EMPTY)
    window.ask(MODEL + STATE)
    window.open_tab("Blocks")
    window.click("Blocks from Model")
    window.wait_for("about")
    x, y, width, height = window.view()
    window.key("Home", x + width // 2, y + height // 2)


def press(window: Window, button: str) -> None:
    x, y, width, height = window.view()
    window.key("Home", x + width // 2, y + height // 2)  # a button made anew under a mouse at rest takes no click
    window.click(button)
    try:
        window.wait_until(lambda: window.ask(SESSION + "answer = session.run is not None"), 20.0, "the run")
    except AssertionError:
        window.picture("not started")
        raise


def wait_for_the_end(window: Window) -> None:
    window.wait_until(lambda: window.ask(SESSION + "answer = session.run is None"), 500.0, "the end of the run")


def orange_part(window: Window, picture) -> float:
    x, y, width, height = window.view()
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)[y : y + height, x : x + width]
    red, green, blue = pixels.transpose(2, 0, 1)
    return float(((red > green + 25) & (green > blue + 25)).mean())


def test_from_a_model_to_blocks_with_the_mouse(window: Window):
    open_panel(window)
    plain = orange_part(window, window.settled_picture("1 the panel"))
    window.click("Show Grid")
    window.wait_until(lambda: orange_part(window, window.picture("2 the grid")) > plain + 0.002, 20.0, "the grid")
    press(window, "Make Blocks")
    path = f"{window.clicks - LOOKED[0]} clicks and {window.keys - LOOKED[1]} key"
    assert path in PAGE, f"the page says another way than {path}"
    window.wait_until(
        lambda: window.ask(SESSION + "answer = not session.run or session.run.factor > 0.1"), 120.0, "views"
    )
    window.wait_for("left", seconds=60.0)
    window.picture("3 the run")
    wait_for_the_end(window)
    window.wait_for("Blocks Made")
    window.picture("4 the blocks")
    names, collections, is_shown = window.ask("answer = state()")
    assert {"Model Blocks", "Suzanne", "Model View 05"} <= set(names)
    assert "Model Cameras" in collections and not is_shown
    made = window.ask(SESSION + "answer = session.made.to_dict()")
    assert made["outline_match"] > 0.9
    window.wait_for("Snow")

    x, y, width, height = window.view()
    window.key("ctrl+z", x + width // 2, y + height // 2)
    window.wait_until(lambda: window.ask("answer = state()")[0] == ["Suzanne"], 20.0, "the undo")
    assert window.ask("answer = state()")[2]
    window.key("ctrl+shift+z", x + width // 2, y + height // 2)
    window.wait_until(lambda: len(window.ask("answer = state()")[0]) > 1, 20.0, "the redo")


@pytest.mark.parametrize("window", [((800, 640),)], indirect=True)
def test_the_window_stays_alive_while_a_model_becomes_blocks(window: Window):
    open_panel(window)
    window.ask(DRAW_LITTLE + MEASURE + "group.across, group.views = 36, 12\nbpy.ops.ed.undo_push(message='Size')")

    def run() -> None:
        press(window, "Make Blocks")
        wait_for_the_end(window)

    assert_alive(window, time_of_a_frame(window, "Suzanne"), run)


PAINT = """
from bridge.blender.world import update_materials, world_materials
world = bpy.context.object
found = world_materials(world)
found[:5] = 1 + found[0] % 4
update_materials(world, found)
bpy.data.objects['Suzanne'].scale.x = 1.3
group.across = 24
bpy.ops.ed.undo_push(message='Painted')
"""
BLOCKS = """
from bridge.blender.model_world import edits_of, model_of, order_of
def blocks():
    (world,) = [o for o in bpy.context.scene.objects if model_of(o)]
    painted = edits_of(world).painted.tolist()
    return [world.name, len(world.data.vertices), order_of(world).wish.across, len(painted), state()]
"""
CANCELLED = (
    ("Make Blocks", 0.05, "Cancel"),
    ("Update", 0.0, "Escape"),
)


def test_blocks_follow_their_model_and_a_cancelled_run_leaves_them(window: Window):
    """What an artist does next: paint some blocks, change the model, think better of it twice, and *Update*."""
    open_panel(window)
    window.ask("group.across, group.views = 12, 4" + BLOCKS)
    press(window, "Make Blocks")
    wait_for_the_end(window)
    window.wait_for("Blocks Made")
    window.ask(PAINT)
    painted = window.ask("answer = blocks()")
    assert painted[1:4] == [painted[1], 12.0, 5]

    window.ask("group.views = 16")
    x, y, width, height = window.view()
    for button, moment, how in CANCELLED:
        press(window, button)
        reached = SESSION + f"answer = session.run is None or session.run.factor >= {moment}"
        window.wait_until(lambda code=reached: window.ask(code), 300.0, f"{moment:.0%} of the run")
        if how == "Cancel":
            window.click(how)
        else:
            window.key(how, x + width // 2, y + height // 2)
        wait_for_the_end(window)
        window.wait_for("Cancelled;")
        assert window.ask("answer = blocks()") == painted
    window.picture("1 cancelled")

    press(window, "Update")
    wait_for_the_end(window)
    window.wait_for("Painted by Hand")
    window.picture("2 updated")
    updated = window.ask("answer = blocks()")
    made = window.ask(SESSION + "answer = session.made.to_dict()")
    assert updated[1] != painted[1] and updated[2] == 12.0
    assert made["kept"] + made["lost"] == 5 and 0 < updated[3] <= made["kept"]  # two may have become one
