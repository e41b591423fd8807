"""The add-on as a user meets it: a window, a mouse, and what is to be seen."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.extension import assert_no_engine
from tests.gui.liveliness import DRAW_LITTLE, MEASURE, assert_alive, time_of_a_frame
from tests.gui.window import PROJECT, Window

ADDON = "bl_ext.user_default.optimize_materials"
SESSION = f"import importlib\nsession = importlib.import_module('{ADDON}.session').session\n"
DATA = PROJECT / "tests" / "data"


def press_the_button(window: Window) -> None:
    """The panel's title says the same as its button, further up."""
    x, y, width, height = window.sidebar()
    window.click("Optimize Materials", (x, y + 60, width, height - 60))


def changed_part(window: Window, one: Path, other: Path) -> float:
    """Returns how much of the view differs between two pictures of the screen, 0…1."""
    x, y, width, height = window.view()
    a, b = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (one, other))
    return float((np.abs(a - b).max(axis=2) > 20)[y + 60 : y + height, x + 60 : x + width - 120].mean())


def has_ended(window: Window) -> bool:
    return window.ask(SESSION + "answer = session.run is None")


def visible_blocks(window: Window) -> list[str]:
    return window.ask(
        "answer = sorted(o.name for o in bpy.context.scene.objects if o.type == 'MESH' and o.visible_get())"
    )


def materials(window: Window, name: str) -> list[int]:
    return window.ask(
        "from bridge.blender.world import world_materials\n"
        f"answer = world_materials(bpy.data.objects[{name!r}]).tolist()"
    )


def test_the_whole_way_with_the_mouse(window: Window):
    window.open_tab("Blocks")
    window.picture("1 the panel")
    window.click("Demo Scene")
    window.wait_for("1,408")
    before = window.settled_picture("2 the demo scene")
    scrambled = materials(window, "Village")
    assert visible_blocks(window) == ["Village"]

    window.ask("bpy.context.scene.optimize_materials.settings.quality = 'THOROUGH'")
    press_the_button(window)
    window.wait_until(
        lambda: window.ask(SESSION + "answer = not session.run or session.run.factor > 0.05"), 60.0, "a step"
    )
    window.picture("3 the run")
    window.wait_until(lambda: has_ended(window), 120.0, "the end of the run")
    window.wait_for("Result")
    after = window.picture("4 the result")
    assert visible_blocks(window) == ["Optimized Blocks"]
    found = materials(window, "Optimized Blocks")
    summary = window.ask(SESSION + "answer = session.outcome.summary.to_dict()")
    assert summary["psnr_after"] is None or summary["psnr_after"] > 60.0
    assert found != scrambled
    assert changed_part(window, before, after) > 0.05

    x, y, width, height = window.view()
    window.key("ctrl+z", x + width // 2, y + height // 2)
    window.wait_until(lambda: visible_blocks(window) == ["Village"], 20.0, "the undo")
    undone = window.settled_picture("5 undone")
    assert materials(window, "Village") == scrambled
    assert changed_part(window, before, undone) < 0.001


def import_map(window: Window, number: int) -> None:
    window.ask(
        "bpy.ops.wm.read_homefile(use_empty=True)\n"
        f"bpy.ops.blocks.import_map(filepath={str(DATA / 'maps' / str(number) / 'map.json')!r},"
        f" dataset={str(DATA / 'datasets' / str(number))!r})\n"
        "world = bpy.context.scene.optimize_materials.object\n"
        "from bridge.blender.world import update_materials\n"
        "import numpy as np\n"
        "update_materials(world, np.random.default_rng(0).integers(1, 8, len(world.data.vertices)))\n",
        seconds=120.0,
    )


@pytest.mark.parametrize("window", [((800, 640),)], indirect=True)
def test_the_window_stays_alive_during_a_run_of_the_hills(window: Window):
    import_map(window, 2)
    window.ask(DRAW_LITTLE)
    window.open_tab("Blocks")
    window.wait_for("88,767")
    x, y, width, height = window.view()
    window.key("Home", x + width // 2, y + height // 2)
    window.ask(MEASURE + "bpy.context.scene.optimize_materials.settings.quality = 'GRADUAL'")
    window.ask("bpy.ops.ed.undo_push(message='Import')")  # what undoing a run comes back to; a script pushes none
    frame = time_of_a_frame(window, window.ask("answer = world.name"))
    window.scroll_down()
    assert_alive(window, frame, lambda: run_of_the_hills(window))


def run_of_the_hills(window: Window) -> None:
    press_the_button(window)
    window.wait_until(lambda: window.ask(SESSION + "answer = bool(session.run and session.run.factor)"), 60.0, "a step")
    window.picture("the run")
    window.wait_until(lambda: has_ended(window), 300.0, "the end of the run")


STATE = """
from bridge.blender.world import world_materials
import json
def state():
    seen = {o.name: [o.visible_get(), o.hide_get(), o.hide_viewport] for o in bpy.context.scene.objects}
    shown = {o.name: world_materials(o).tolist() for o in bpy.context.scene.objects if o.name == 'Village'}
    kinds = ('objects', 'meshes', 'materials', 'node_groups')
    return json.dumps([seen, shown, [sorted(i.name for i in getattr(bpy.data, k)) for k in kinds]], sort_keys=True)
"""
SETTINGS = "settings = bpy.context.scene.optimize_materials.settings\n"
ENDLESS = f"""
{SETTINGS}
settings.quality = 'THOROUGH'
settings.steps, settings.patience = 90000, 0
"""


def test_a_run_that_is_stopped_leaves_the_scene_as_it_was(window: Window):
    window.open_tab("Blocks")
    window.click("Demo Scene")
    window.wait_for("1,408")
    window.ask(ENDLESS)
    before = window.ask(SESSION + STATE + "answer = state()")
    for how, times in (("Esc", 5), ("Cancel", 5), ("kill", 10)):
        for moment in np.random.default_rng(len(how)).uniform(0.0, 4.0, times):
            stop_a_run(window, how, moment)
            assert window.ask("answer = state()") == before
        window.wait_for("(signal 9);" if how == "kill" else "Cancelled;")
        window.picture(f"stopped by {how}")
    assert_no_engine(window.tree.folder)


def stop_a_run(window: Window, how: str, moment: float) -> None:
    x, y, width, height = window.view()
    window.wait_until(lambda: has_ended(window), 10.0, "the end of the last run")
    press_the_button(window)
    window.wait_until(lambda: not has_ended(window), 20.0, "the run")
    assert visible_blocks(window) == ["Optimizing…"]
    time.sleep(moment)
    if how == "Esc":
        window.key("Escape", x + width // 2, y + height // 2)
    elif how == "Cancel":
        window.click("Cancel")
    else:
        window.wait_until(lambda: window.ask("answer = session.run._engine is not None"), 20.0, "the engine")
        window.ask("import os, signal\nos.kill(session.run._engine.pid, signal.SIGKILL)")
    pressed = time.monotonic()
    window.wait_until(lambda: has_ended(window), 20.0, "the end of the run")
    print(f"{how} after {moment:.1f} s: ended in {time.monotonic() - pressed:.2f} s")
    assert time.monotonic() - pressed < 2.0  # a second, and what asking takes
    assert ("signal 9" if how == "kill" else "Cancelled") in window.ask("answer = session.message")
    window.key("Escape", x + 100, y + height - 50)  # away from the error's pop-up, which closes it


def test_every_part_of_the_panel_can_be_read(window: Window):
    window.open_tab("Blocks")
    window.click("Demo Scene")
    window.wait_for("1,408")
    for part, words in (
        ("Palette", ("Built-in", "Stone", "Plank", "Sand", "Water")),
        ("Cameras and Targets", ("Use Background Images", "Load", "Replace Targets", "Add Orbit")),
    ):
        window.click(part)
        for text in words:
            window.wait_for(text)
        window.picture(part)
        window.click(part)
    window.ask(SETTINGS + "settings.quality, settings.loss = 'GRADUAL', 'huber'")  # what is not used is grey
    window.click("Advanced")
    for part, words in (
        ("Difference", ("Samples", "Outlier Width")),
        ("Light", ("Lighting", "Exposure")),
        ("Search", ("Steps", "Seed", "Patience")),
        ("Engine", ("Device", "Rasterizer")),
    ):
        window.click(part)
        window.scroll_down()
        for text in words:
            window.wait_for(text)
        window.picture(part)
        window.click(part)
    window.click("Advanced")
    window.ask(SETTINGS + "settings.quality, settings.loss = 'DIRECT', 'l2'")
    press_the_button(window)
    window.wait_until(lambda: not has_ended(window), 20.0, "the run")
    window.wait_until(lambda: has_ended(window), 120.0, "the end of the run")
    window.wait_for("Result")
    window.scroll_down()
    for text in ("Revert", "Show Original", "Open Report", "Water"):
        window.wait_for(text)
    window.picture("the result")
    window.click("Show Original")
    window.wait_until(lambda: visible_blocks(window) == ["Village"], 10.0, "the original")
    window.click("Show Original")
    window.wait_until(lambda: visible_blocks(window) == ["Optimized Blocks"], 10.0, "the result")
    window.click("Revert")
    window.wait_until(lambda: visible_blocks(window) == ["Village"], 10.0, "the original")
    window.click("Apply")
    window.wait_until(lambda: visible_blocks(window) == ["Optimized Blocks"], 10.0, "the result")


def test_the_preferences_check_the_engine(window: Window):
    window.ask(
        "bpy.context.preferences.active_section = 'ADDONS'\n"
        "bpy.context.window_manager.addon_search = 'Optimize'\n"
        "area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')\n"
        "area.type = 'PREFERENCES'\n"
        f"bpy.ops.preferences.addon_expand(module='{ADDON}')\n"
    )
    preferences = (170, 280, window.size[0] - 460, 500)
    button = window.wait_for("Check Engine", (window.size[0] // 2 - 200, 320, 400, 80))
    window.click_at(button.x, button.y)
    window.wait_for("Version", preferences, 60.0)
    window.wait_for("Rasterizer", preferences)
    window.picture("the preferences")
    assert window.ask(
        f"import importlib\nanswer = importlib.import_module('{ADDON}.preferences').check.info is not None"
    )
    window.ask(f"bpy.context.preferences.addons['{ADDON}'].preferences.engine_python = '/usr/bin/python3'")
    window.click_at(button.x, button.y)
    window.wait_for("Copy Install Command", preferences, 60.0)
    window.picture("the preferences, without an engine")
