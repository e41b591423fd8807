"""An artist's day in a real window: what is done with a result, and a poor match, all in one Blender."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bpy.stories import CHANGES, LOOKS, ROW
from tests.extension import ADDON
from tests.gui.conftest import PICTURES
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
