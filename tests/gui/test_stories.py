"""An artist's day in a real window: what is done with a result, cameras, rules and poor matches, all in one Blender."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from blockcore.io.pictures import encode_png
from tests.bpy.stories import CHANGES, LOOKS, ROW
from tests.extension import ADDON
from tests.gui.conftest import PICTURES
from tests.gui.test_window import ENDLESS
from tests.gui.window import Tree, Window

PRELUDE = f"""
import importlib, json, pathlib, time
import numpy as np
def part(name):
    return importlib.import_module({ADDON!r} + '.' + name)
"""
OPEN = "bpy.ops.wm.open_mainfile(filepath=str(folder / 'row.blend'), load_ui=False)\n"
BUTTON = "Optimize"  # in the header, where it never scrolls away
ROCKS, LEAVES = ["Rock"] * 4, ["Leaf"] * 4


@pytest.fixture(scope="module")
def window(tree: Tree) -> Iterator[Window]:
    """One Blender for all of these; each begins with a file of its own."""
    with Window(tree, PICTURES / "stories") as window:
        folder = tree.folder / "stories"
        folder.mkdir(exist_ok=True)
        window.open_tab("Blocks")
        window.ask(PRELUDE + LOOKS.replace("FOLDER", repr(str(folder))) + ROW)
        yield window
        assert "Traceback" not in window.log.read_text(), window.log.read_text()


@pytest.fixture(scope="module")
def row(window: Window) -> Window:
    """The row of cubes, optimized and saved."""
    window.ask("flat_row()\n")
    run(window)
    window.ask("bpy.ops.wm.save_as_mainfile(filepath=str(folder / 'row.blend'))")
    return window


def middle(window: Window) -> tuple[int, int]:
    x, y, width, height = window.view()
    return x + width // 2, y + height // 2


def is_running(window: Window) -> bool:
    return bool(window.ask("answer = session.run is not None"))


def wait_for_the_end(window: Window, seconds: float = 120.0) -> None:
    window.wait_until(lambda: not is_running(window), seconds, "the end of the run")


def header(window: Window) -> tuple[int, int, int, int]:
    return window.region("HEADER")


def run(window: Window, press: str = BUTTON) -> None:
    """Presses a button that starts a run, in the header, and waits for what it finds: it may be over in no time."""
    window.ask("before = session.outcome")
    window.click(press, header(window))
    found = "now = session.outcome\nanswer = session.run is None and now is not None and now is not before"
    window.wait_until(lambda: window.ask(found), 80.0, "the end of a run")


def press(window: Window, words: str) -> None:
    window.scroll_down()
    window.click(words)


def shown(window: Window) -> Any:
    """What cubes the scene shows, whether it shows the world, and of which materials that is."""
    return window.ask(
        "there = [o for o in bpy.context.scene.objects if 'blockcore_world' in o]\n"
        "answer = [cubes(), there[0].visible_get() if there else None, wanted_everywhere() if there else None]"
    )


def wait_for_shown(window: Window, wanted: Any) -> None:
    window.wait_until(lambda: shown(window) == wanted, 20.0, str(wanted))


@pytest.mark.parametrize("change", CHANGES)
def test_a_result_is_compared_reverted_and_found_again_after(change: str, row: Window) -> None:
    window = row
    begin = OPEN + CHANGES[change]
    window.ask(begin)
    if change == "scene":  # the user comes back
        assert shown(window) == [[], True, LEAVES]
    press(window, "Show Original")
    wait_for_shown(window, [ROCKS, False, LEAVES])
    window.picture(f"{change} 1 the original")
    window.click("Show Original")
    wait_for_shown(window, [[], True, LEAVES])
    run(window)
    assert shown(window) == [[], True, LEAVES] and window.ask("answer = session.outcome.changed") == 0
    window.picture(f"{change} 2 run again")
    press(window, "Revert")
    window.wait_until(lambda: shown(window)[0] == ROCKS, 20.0, "the cubes")
    window.ask(begin)
    press(window, "Revert")
    window.wait_until(lambda: shown(window)[0] == ROCKS, 20.0, "the cubes")
    window.picture(f"{change} 3 reverted")


CAMERAS = """
import bmesh
flat_row()
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = 'CYCLES', 4, False
for name, place in (('Alone', (60.0, 0.0, 2.0)), ('By Hand', (1.5, 0.0, 9.0))):
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location = place
    scene.collection.objects.link(camera)
data = bpy.data.meshes.new('Statue')
shape = bmesh.new()
bmesh.ops.create_icosphere(shape, subdivisions=2, radius=1.0)
shape.to_mesh(data)
statue = bpy.data.objects.new('Statue', data)
scene.collection.objects.link(statue)
scene.collection.objects.link(bpy.data.objects.new('Lamp', bpy.data.lights.new('Lamp', 'SUN')))
group = scene.optimize_materials
group.model_kind = 'object'
part('status').refresh(scene)
group.active_view = [view.camera.name for view in group.views].index('Alone')
"""
TICKED = "answer = [view.camera.name for view in bpy.context.scene.optimize_materials.views if view.use]"
SIZES = """
from bridge.blender.targets import background_image
images = [(view.camera.name, background_image(view.camera)) for view in bpy.context.scene.optimize_materials.views]
answer = {name: list(image.size) for name, image in images if image is not None}
"""
MESSAGE = "answer = session.message"


def test_cameras_and_pictures_as_they_come(window: Window) -> None:
    """A new camera is left out with a word; targets are rendered beside the window, and fail in one line."""
    window.ask(CAMERAS)
    assert not {"Alone", "By Hand"} & set(window.ask(TICKED))
    window.scroll_up()
    window.wait_for("left out")
    offered = window.ask("answer = [o.name for o in bpy.data.objects if part('offered').has_surface(o)]")
    assert "Statue" in offered and not {"Lamp", "Alone"} & set(offered)
    sized = window.ask(SIZES)
    window.ask(
        "for view in group.views: view.use = view.camera.name in ('Alone', 'By Hand')\ngroup.model_object = statue"
    )
    window.click("Cameras and Targets")
    window.scroll_down()
    window.picture("cameras 1 before rendering")
    window.click("Render Targets")
    window.wait_until(lambda: is_running(window), 20.0, "the run")
    window.picture("cameras 2 rendering beside the window")
    wait_for_the_end(window)
    window.wait_for_answer(SIZES, sized | {"Alone": [64, 48], "By Hand": [64, 48]})
    assert window.ask(MESSAGE) == ""
    assert window.ask("answer = bpy.data.objects['Alone'].location.x") < 10.0, "the model is framed"
    window.picture("cameras 3 rendered")
    refused(window, "every ticked camera has a target")
    window.picture("cameras 4 no target is replaced unasked")
    window.key("Escape", *middle(window))
    window.ask("group.replace_targets = True\nbpy.context.scene.collection.objects.unlink(statue)")
    refused(window, "show nothing of it")
    window.picture("cameras 5 a failure in one line")
    window.key("Escape", *middle(window))
    odd = window.tree.folder / "stories" / "odd.png"
    odd.write_bytes(encode_png(np.full((48, 40, 3), 128, np.uint8)))
    window.ask(
        "group.active_view = [view.camera.name for view in group.views].index('By Hand')\n"
        "bpy.ops.blocks.load_target(filepath=str(folder / 'odd.png'))"
    )
    window.scroll_up()
    window.click("Frame by")
    window.wait_for_answer("answer = part('status').note_of(bpy.data.objects['By Hand']).problem", "")
    window.picture("cameras 6 a picture of another shape")
    window.scroll_up()
    window.click("Cameras and Targets")


def refused(window: Window, why: str) -> None:
    """Presses *Render Targets*, and waits for why it does not."""
    window.scroll_down()
    window.click("Render Targets")
    window.wait_until(lambda: why in window.ask(MESSAGE).lower() and not is_running(window), 60.0, "the refusal")
    assert "\n" not in window.ask(MESSAGE)


RULES = """
import json
flat_row()
group = bpy.context.scene.optimize_materials
path = pathlib.Path(group.palette_file)
others = {f'Pink {number}': '#ff00ff' for number in range(12)}
path.write_text(json.dumps({'Leaf': '#1bb71b', 'Rock': '#c99595', 'Leaf Too': '#1cb71b', **others}))
end = bpy.data.collections.new('Left End')
bpy.context.scene.collection.children.link(end)
end.objects.link(bpy.data.objects['Cube 0'])
part('status').refresh(bpy.context.scene)
"""


def test_rules_with_the_mouse(window: Window) -> None:
    """A material is searched and ticked off, another limited, a region locked; the run heeds it all."""
    window.ask(RULES)
    window.scroll_up()
    window.click("Palette")
    rock = window.wait_for("Rock")
    window.key("ctrl+f", rock.x, rock.y)
    window.write("too")
    too = window.wait_for("Leaf Too")
    window.picture("rules 1 a material searched")
    window.click_at(too.x - 60, too.y)
    window.wait_for_answer("answer = [m.name for m in group.materials if not m.use]", ["Leaf Too"])
    window.key("ctrl+f", too.x, too.y)
    window.press("BackSpace")
    window.press("Return")
    window.click("Leaf")
    most = window.wait_for("At Most")
    window.click_at(most.x + 100, most.y + 22)
    window.write("2")
    window.wait_for_answer("answer = group.materials['Leaf'].limit", 2)
    window.click("Left End")
    window.wait_for_answer("answer = group.settings.locked", "Left End")
    window.picture("rules 2 a limit and a lock")
    run(window)
    assert window.ask("answer = session.outcome.counts") == {"Leaf": [0, 2], "Rock": [4, 2]}
    window.scroll_down()
    window.picture("rules 3 the result")
    window.scroll_up()
    window.click("Palette")


UNLIKE = """
flat_row()
rng = np.random.default_rng(0)
for view in bpy.context.scene.optimize_materials.views:
    pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    set_background_image(view.camera, 'Noise', pixels)
part('status').refresh(bpy.context.scene)
"""


def test_a_poor_match_is_said_with_its_cause(window: Window) -> None:
    window.ask(UNLIKE)
    run(window)
    window.scroll_down()
    window.wait_for("look little like")
    window.picture("a poor match")


def test_esc_belongs_to_what_is_open_first(window: Window) -> None:
    window.ask("flat_row()\n" + ENDLESS)
    window.scroll_down()  # the header has button and progress wherever the panel is scrolled to
    window.click(BUTTON, header(window))
    window.wait_until(lambda: window.ask("answer = bool(session.run and session.run.factor)"), 60.0, "a step")
    window.wait_for("Step", header(window))
    window.picture("esc 1 progress in the header")
    window.key("ctrl+a", *middle(window))
    escape(window, "All Transforms")
    window.key("F3", *middle(window))
    window.type("origin")
    escape(window, "Geometry to Origin")
    window.press("Escape")
    pressed = time.monotonic()
    wait_for_the_end(window, 10.0)
    assert time.monotonic() - pressed < 2.0, "the run goes on for too long"
    window.wait_for("Cancelled;")
    window.ask("settings.smoothness = 0.01")
    window.wait_until_gone("Cancelled;")


def escape(window: Window, words: str) -> None:
    """Waits for what shows such words, and closes it."""
    window.wait_for(words, window.view())
    window.picture(f"esc 2 {words}")
    window.press("Escape")
    window.wait_until_gone(words, window.view())
    assert is_running(window), f"Esc of {words} ended the run"
