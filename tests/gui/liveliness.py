"""How alive a window stays during a run: the gaps between the ticks of the operator's timer, and what made them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.gui.window import Window

MEASURE = Path(__file__).with_name("measure.py").read_text()
# There is no graphics card here: drawing an empty scene with grid and antialiasing alone takes longer than 100 ms.
DRAW_LITTLE = """
bpy.context.preferences.system.viewport_aa = 'OFF'
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == 'VIEW_3D':
        area.spaces.active.overlay.show_overlays = False
"""
RUNS = 3  # a machine that does something else for a moment is no fault of the window's


def time_of_a_frame(window: Window, name: str) -> float:
    """Returns the milliseconds of drawing without object ``name``: software takes them, a graphics card does not."""
    look = "hidden.hide_set(True)\nanswer = frames()\nhidden.hide_set(False)\nhidden.select_set(True)"
    return max(window.ask(f"hidden = bpy.data.objects[{name!r}]\n{look}"))


def assert_alive(window: Window, frame: float, run: Callable[[], None]) -> None:
    """Fails where each of a few runs has a gap of 100 ms and more besides ``frame``, what drawing takes."""
    for _ in range(RUNS):
        longest = _longest_gap(window, frame, run)
        if longest < 100.0 + frame:
            return
    raise AssertionError(f"the longest gap is {longest:.0f} ms, of which drawing takes {frame:.0f} ms")


def _longest_gap(window: Window, frame: float, run: Callable[[], None]) -> float:
    """Returns the longest gap between two ticks of the timer, in milliseconds."""
    window.ask("ticks.clear()\nours.clear()\nsizes[:] = [megabytes()]")
    run()
    ticks, ours, sizes = (np.array(window.ask(f"answer = {what}")) for what in ("ticks", "ours", "sizes"))
    gaps, added = np.diff(ticks[:-1]) * 1e3, sizes.max() - sizes[0]
    figures = (
        f"{len(gaps)} gaps between ticks: median {np.median(gaps):.0f} ms, "
        f"99 % up to {np.quantile(gaps, 0.99):.0f} ms, "
        f"longest {gaps.max():.0f} ms\n"
        f"the add-on itself takes at most {ours.max():.1f} ms, drawing an empty frame {frame:.0f} ms, "
        f"applying {ticks[-1] - ticks[-2]:.2f} s\n"
        f"memory {sizes[0]:.0f} MB, at most {added:.0f} MB more\n"
    )
    (window.pictures / "figures.txt").write_text(figures)
    print("\n" + figures)
    window.ask("bpy.ops.ed.undo()")
    assert ours.max() < 100.0
    assert added < 200.0
    return float(gaps.max())
