"""The errors users meet: one line each, naming the thing, what is wrong with it and what to do.

Command lines print the message and exit with code 2; Blender operators report it and return CANCELLED.
"""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Iterable
from typing import Any

_LONGEST, _TAIL = 300, 100  # characters of a message, and of its end, which has the remedy
_QUOTE = 80
_LISTED, _LONGEST_LIST = 50, 120


class BlockcoreError(Exception):
    """Base of every error that a user's input or machine can cause. Its text is one line of at most 300 characters."""

    def __str__(self) -> str:
        line = " ".join("".join(c if c.isprintable() else " " for c in super().__str__()).split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - _TAIL - 3]} … {line[-_TAIL:]}"


def listed(names: Iterable[str]) -> str:
    """Returns what a message says there is to choose from: names with commas between them, at most 120 characters."""
    text = ", ".join(str(name)[:_QUOTE] for name in itertools.islice(names, _LISTED))
    return text if len(text) <= _LONGEST_LIST else f"{text[: _LONGEST_LIST - 1].rpartition(',')[0]}, …"


def quoted(value: Any) -> str:
    """Returns what a message says of a value that a file holds: at most 80 characters, on one line."""
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxtuple, short.maxdict = 3, 4, 4, 2
    short.maxstring = short.maxlong = short.maxother = _QUOTE - 2
    try:
        text = short.repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _QUOTE else f"{text[: _QUOTE - 1]}…"


class MapError(BlockcoreError):
    """A map.json or an array of blocks that cannot be a block world."""


class DatasetError(BlockcoreError):
    """A set of captures (metadata.json and pictures) that cannot be used."""


class SceneError(BlockcoreError):
    """A BlockScene folder, or a Blender scene, that cannot be used."""


class PaletteError(BlockcoreError):
    """A palette that is damaged, or a material it does not have."""


class CameraError(BlockcoreError):
    """A camera whose matrices or picture size make no picture."""


class SettingsError(BlockcoreError):
    """A setting outside its range, or settings that contradict each other."""


class BackendError(BlockcoreError):
    """A device, rasteriser or library that was asked for and is not to be had."""


class Busy(BlockcoreError):
    """An output that another process is writing."""


class Cancelled(BlockcoreError):
    """The user stopped the job; nothing was written."""
