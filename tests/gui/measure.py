"""Runs inside Blender: notes when the operator's timer ticked, and how large Blender was then."""

import importlib
import time

ADDON = "bl_ext.user_default.optimize_materials"
_operator = importlib.import_module(f"{ADDON}.operators").BLOCKS_OT_optimize_materials
_plain = _operator.modal


def megabytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 1e6


ticks = []
sizes = [megabytes()]


def modal(self, context, event):
    """The last tick is noted twice: the time between is that of the apply."""
    if event.type == "TIMER":
        ticks.append(time.perf_counter())
    how = _plain(self, context, event)
    if event.type == "TIMER" and "PASS_THROUGH" not in how:
        ticks.append(time.perf_counter())
    sizes.append(megabytes())
    return how


_operator.modal = modal
