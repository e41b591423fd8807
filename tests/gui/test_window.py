"""The add-on as a user meets it: a window, a mouse, and what is to be seen."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.gui.window import PROJECT, Window

ADDON = "bl_ext.user_default.optimize_materials"
SESSION = f"import importlib\nsession = importlib.import_module('{ADDON}.session').session\n"
MEASURE = Path(__file__).with_name("measure.py").read_text()
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
        f"from bridge.world import world_materials\nanswer = world_materials(bpy.data.objects[{name!r}]).tolist()"
    )


def test_the_whole_way_with_the_mouse(window: Window):
    window.open_tab("Blocks")
    window.picture("1 the panel")
    window.click("Demo Scene")
    window.wait_for("1,408")
    before = window.picture("2 the demo scene")
    scrambled = materials(window, "Village")
    assert visible_blocks(window) == ["Village"]

    press_the_button(window)
    window.wait_for("Cancel")
    window.picture("3 the run")
    window.wait_until(lambda: has_ended(window), 120.0, "the end of the run")
    window.wait_for("Result")
    after = window.picture("4 the result")
    assert visible_blocks(window) == ["Optimized Blocks"]
    found = materials(window, "Optimized Blocks")
    summary = window.ask(SESSION + "answer = session.outcome.summary")
    assert summary["psnr_after"] is None or summary["psnr_after"] > 60.0
    assert found != scrambled
    assert changed_part(window, before, after) > 0.05

    x, y, width, height = window.view()
    window.key("ctrl+z", x + width // 2, y + height // 2)
    window.wait_until(lambda: visible_blocks(window) == ["Village"], 20.0, "the undo")
    time.sleep(1.0)
    undone = window.picture("5 undone")
    assert materials(window, "Village") == scrambled
    assert changed_part(window, before, undone) < 0.001


def import_map(window: Window, number: int) -> None:
    window.ask(
        "bpy.ops.wm.read_homefile(use_empty=True)\n"
        f"bpy.ops.blocks.import_map(filepath={str(DATA / 'maps' / str(number) / 'map.json')!r},"
        f" dataset={str(DATA / 'datasets' / str(number))!r})\n"
        "world = bpy.context.scene.optimize_materials.object\n"
        "from bridge.world import update_materials\n"
        "import numpy as np\n"
        "update_materials(world, np.random.default_rng(0).integers(1, 8, len(world.data.vertices)))\n",
        seconds=120.0,
    )


# There is no graphics card here: a large view, drawn eight times for antialiasing, takes longer than that by itself.
@pytest.mark.parametrize("window", [((1024, 720),)], indirect=True)
def test_the_window_stays_alive_during_a_run_of_the_hills(window: Window):
    window.ask("bpy.context.preferences.system.viewport_aa = 'OFF'")
    import_map(window, 2)
    window.open_tab("Blocks")
    window.wait_for("88,767")
    x, y, width, height = window.view()
    window.key("Home", x + width // 2, y + height // 2)
    window.ask(MEASURE + "bpy.context.scene.optimize_materials.settings.quality = 'THOROUGH'")
    window.scroll_down()
    press_the_button(window)
    window.wait_until(lambda: window.ask(SESSION + "answer = bool(session.run and session.run.factor)"), 60.0, "a step")
    window.picture("the run")
    window.wait_until(lambda: has_ended(window), 300.0, "the end of the run")
    window.picture("the result")
    ticks, sizes = np.array(window.ask("answer = ticks")), np.array(window.ask("answer = sizes"))
    gaps, added = np.diff(ticks[:-1]) * 1e3, sizes.max() - sizes[0]
    print(f"\n{len(gaps)} gaps: median {np.median(gaps):.0f} ms, longest {np.round(np.sort(gaps)[-5:])} ms")
    print(f"apply {ticks[-1] - ticks[-2]:.2f} s; memory {sizes[0]:.0f} MB, at most {added:.0f} MB more")
    assert gaps.max() < 100.0
    assert added < 200.0
