"""What an engine says of its work: one JSON object a line on its standard output, written and read as these events."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from blockcore.io.files import Json, finite
from blockcore.report.summary import ModelSummary, Summary


@dataclass(frozen=True)
class Started:
    """The engine begins: its version, where it runs, how much there is to do, and bytes of GPU memory likely taken."""

    version: str
    device: str
    rasterizer: str
    blocks: int
    views: int
    steps: int
    memory: int = 0


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
    """The assignment so far is in the file ``path``; an ``.npy`` file."""

    step: int
    path: str


@dataclass(frozen=True)
class Done:
    """The result is in the folder ``out``; ``result`` is its figures, as its result.json holds them."""

    out: str
    seconds: float
    result: Summary


@dataclass(frozen=True)
class Baked:
    """The light is in the scene in the folder ``out``; ``changed`` says whether it is another than was there before."""

    out: str
    seconds: float
    changed: bool


@dataclass(frozen=True)
class Working:
    """One of several stages is under way; ``share`` of the whole is done, 0…1, ``seconds`` since the start."""

    stage: str
    share: float
    seconds: float


@dataclass(frozen=True)
class Made:
    """A model's blocks are in ``out``; ``result`` tells about them."""

    out: str
    seconds: float
    result: ModelSummary


@dataclass(frozen=True)
class Rendered:
    """The pictures that were asked for are in the folder ``out``."""

    out: str
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The engine refused its input, or died; ``message`` is for the user.

    ``busy`` says that another process writes the same output, which may be there soon.
    """

    message: str
    busy: bool = False


@dataclass(frozen=True)
class Stopped:
    """The engine stopped because it was asked to."""


Event = Started | Baking | Step | Preview | Done | Baked | Working | Made | Rendered | Failed | Stopped
_EVENTS: dict[str, type[Event]] = {
    "start": Started,
    "baking": Baking,
    "step": Step,
    "preview": Preview,
    "done": Done,
    "baked": Baked,
    "working": Working,
    "made": Made,
    "rendered": Rendered,
    "error": Failed,
    "cancelled": Stopped,
}
_RESULTS: dict[type[Event], Callable[[Json], Any]] = {Done: Summary.from_dict, Made: ModelSummary.from_dict}
_NAMES = {kind: name for name, kind in _EVENTS.items()}


def line_of(event: Event) -> str:
    """Returns an event as a line of JSON, without its end. Infinities, which JSON lacks, become null."""
    return json.dumps(finite({"event": _NAMES[type(event)]} | asdict(event)), ensure_ascii=True)


def parse(line: bytes) -> Event | None:
    """Reads one line of the engine's; None where it is something else, such as a library's chatter."""
    try:
        values = json.loads(line)
        kind = _EVENTS[values.pop("event")]
        if kind in _RESULTS:
            values["result"] = _RESULTS[kind](values["result"])
        given = [f.name for f in fields(kind) if f.name in values or f.default is MISSING]
        return kind(**{name: values[name] for name in given})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
