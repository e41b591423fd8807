# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine says of its work: one JSON object a line on its standard output, read as these events."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Started:
    """The engine begins: its version, where it runs, and how much there is to do."""

    version: str
    device: str
    rasterizer: str
    blocks: int
    views: int
    steps: int


@dataclass(frozen=True)
class Baking:
    """The light of ``faces`` faces, of how many, is measured; ``seconds`` since the start."""

    faces: int
    of: int
    seconds: float


@dataclass(frozen=True)
class Step:
    """One step was taken; ``changed`` is how many blocks now prefer another material, ``seconds`` since the start."""

    step: int
    steps: int
    loss: float
    temperature: float
    seconds: float
    changed: int


@dataclass(frozen=True)
class Preview:
    """The assignment so far is in the file ``path``; see ``optimize.read_materials``."""

    step: int
    path: str


@dataclass(frozen=True)
class Done:
    """The result is in the folder ``out``; ``result`` is what its result.json holds."""

    out: str
    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The engine refused its input, or died; ``message`` is for the user."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The engine stopped because it was asked to."""


Event = Started | Baking | Step | Preview | Done | Failed | Stopped
_EVENTS: dict[str, type] = {
    "start": Started,
    "baking": Baking,
    "step": Step,
    "preview": Preview,
    "done": Done,
    "error": Failed,
}


def parse(line: bytes) -> Event | None:
    """Reads one line of the engine's; None where it is something else, such as a library's chatter."""
    try:
        values = json.loads(line)
        name = values.pop("event")
        if name == "cancelled":
            return Stopped()
        kind = _EVENTS[name]
        return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
