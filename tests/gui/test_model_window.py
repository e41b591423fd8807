"""*Blocks from Model* as a user meets it: a model, one button, and blocks that follow the model afterwards."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image

from tests.gui.window import Window

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
    window.click(button)
    window.wait_until(lambda: window.ask(SESSION + "answer = session.run is not None"), 20.0, "the run")


def wait_for_the_end(window: Window) -> None:
    window.wait_until(lambda: window.ask(SESSION + "answer = session.run is None"), 500.0, "the end of the run")


def orange_part(window: Window, picture) -> float:
    x, y, width, height = window.view()
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)[y : y + height, x : x + width]
    red, green, blue = pixels.transpose(2, 0, 1)
    return float(((red > green + 25) & (green > blue + 25)).mean())


def test_from_a_model_to_blocks_with_the_mouse(window: Window):
    open_panel(window)
    plain = window.picture("1 the panel")
    window.click("Show Grid")
    time.sleep(1.0)
    gridded = window.picture("2 the grid")
    assert orange_part(window, gridded) > orange_part(window, plain) + 0.002
    press(window, "Make Blocks")
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
