"""Runs inside Blender: notes when the operator's timer ticked, and how large Blender was then."""

import importlib
import time

import bpy

ADDON = "bl_ext.user_default.optimize_materials"
_runs = importlib.import_module(f"{ADDON}.running").RunsBeside
_plain = _runs.modal


def megabytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 1e6


ticks = []
ours = []
sizes = [megabytes()]


def frames(count=5):
    """Times redraws of the whole window, in milliseconds: what Blender takes for them without the add-on."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    times = []
    with bpy.context.temp_override(window=window, area=area, region=region):
        for _ in range(count):
            began = time.perf_counter()
            bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
            times.append((time.perf_counter() - began) * 1e3)
    return times


def modal(self, context, event):
    """The last tick is noted twice: the time between is that of the apply."""
    if event.type != "TIMER":
        return _plain(self, context, event)
    began = time.perf_counter()
    ticks.append(began)
    how = _plain(self, context, event)
    if "PASS_THROUGH" in how:
        ours.append((time.perf_counter() - began) * 1e3)
    else:
        ticks.append(time.perf_counter())
    sizes.append(megabytes())
    return how


_runs.modal = modal
