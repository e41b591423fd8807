# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings a run would heed as the others stand: the panel shows the rest as inactive."""

from blockcore.plan import reason_for_torch

_DESCENT = (
    *("steps", "learning_rate", "relaxation", "hard", "temperature_start", "temperature_end"),
    *("commitment", "objective", "init", "patience", "seed"),
)


def unused(settings) -> set[str]:
    """Returns the names of the settings that change nothing.

    Args:
        settings: ``OptimizeSettings``.
    """
    found = set()
    if settings.method == "solve" or (settings.method == "auto" and not reason_for_torch(settings)):
        found.update(_DESCENT)
    elif settings.relaxation != "gumbel" and settings.init != "random":
        found.add("seed")
    for name, is_used in (
        ("huber_width", settings.loss == "huber"),
        ("blur", settings.loss == "lowpass"),
        ("smoother", settings.smoothness > 0.0),
        ("seams", settings.smoothness > 0.0),
        ("exposure", settings.lighting != "fitted"),
    ):
        if not is_used:
            found.add(name)
    return found
