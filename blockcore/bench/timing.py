"""Timing several things in turn, so that a slow moment of the machine falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from blockcore.errors import SettingsError


def median_milliseconds(tasks: Mapping[str, Callable[[], Any]], rounds: int = 15, warm_up: int = 2) -> dict[str, float]:
    """Runs each task once a round, one after the other.

    Args:
        tasks: what to time, by name.
        rounds: how many times each is timed.
        warm_up: rounds before those, not counted.

    Returns:
        The median milliseconds of each task.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_number in range(warm_up + rounds):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if round_number >= warm_up:
                times[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def data_folder(given: Path | None) -> Path:
    """Returns the folder that holds ``maps/`` and ``datasets/``: the one given, or that of a source checkout.

    Raises:
        SettingsError: it is not there.
    """
    folder = given or Path(__file__).parents[2] / "tests" / "data"
    if not (folder / "maps").is_dir():
        raise SettingsError(
            f"{folder}: has no maps to measure with; give --data DIR, a folder with maps/ and datasets/"
        )
    return folder
