"""What a builder asks, as text, so that panel, command line and job file say it alike.

::

    allowed   "Stone, Plank; roof: Snow"       everywhere these; in the region roof only that
    limits    "Stone = 100, Plank = 20"        at most so many blocks, unseen ones included
    locked    "floor, wall"                    regions whose blocks keep their material; "all" locks every block
    seams     "Grass/Dirt = 0.2, Sand/Water = 2"   factors of the cost of a seam between two materials; else 1

A name that holds one of ``, ; : = /`` stands in double quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockcore.errors import SettingsError

EVERYWHERE = "all"


@dataclass(frozen=True)
class RuleText:
    """A rule's two forms.

    Attributes:
        parse: text to a structure; raises SettingsError.
        check: any structure to one with the right types; raises TypeError or ValueError.
        write: a structure to text.
    """

    parse: Callable[[str], Any]
    check: Callable[[Any], Any]
    write: Callable[[Any], str]

    def read(self, value: Any, name: str) -> Any:
        """Returns text, or a structure, as a structure.

        Raises:
            SettingsError: it is malformed.
        """
        if isinstance(value, str):
            return self.parse(value)
        try:
            return self.check(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise SettingsError(f"{name} {value!r} must be text, or a structure as documented ({error})") from error


def _split(text: str, separator: str) -> list[str]:
    """Splits at a separator outside quotes."""
    return [part.strip() for part in re.split(rf'{separator}(?=(?:[^"]*"[^"]*")*[^"]*$)', text)]


def _name(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1] if quoted else text


def _quoted(name: str) -> str:
    return f'"{name}"' if re.search(r"[,;:=/]", name) else name


def _names(text: str) -> tuple[str, ...]:
    return tuple(_name(part) for part in _split(text, ",") if part)


def _assignments(text: str, what: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, _split(text, ",")):
        pieces = _split(part, "=")
        if len(pieces) != 2 or not all(pieces):
            raise SettingsError(f"{what}: {part!r} is not of the form NAME = NUMBER")
        pairs.append((pieces[0], pieces[1]))
    return pairs


def _parse_limits(text: str) -> dict[str, int]:
    limits = {}
    for name, value in _assignments(text, "limits"):
        if not value.isdecimal():
            raise SettingsError(f"limits: {name} = {value} must be a whole number of at least 0")
        limits[_name(name)] = int(value)
    return limits


def _parse_seams(text: str) -> dict[tuple[str, str], float]:
    seams = {}
    for pair, value in _assignments(text, "seams"):
        names = [_name(name) for name in _split(pair, "/")]
        if len(names) != 2:
            raise SettingsError(f"seams: {pair!r} is not two materials; write for example Grass/Dirt = 0.5")
        try:
            seams.update(_check_seams({(names[0], names[1]): float(value)}))
        except ValueError:
            raise SettingsError(
                f"seams: {pair} = {value} must be a number of at least 0, for two different materials"
            ) from None
    return seams


def _parse_allowed(text: str) -> dict[str, tuple[str, ...]]:
    allowed: dict[str, tuple[str, ...]] = {}
    for part in filter(None, _split(text, ";")):
        *region, names = _split(part, ":")
        where, chosen = _name(":".join(region)) if region else EVERYWHERE, _names(names)
        if not chosen:
            raise SettingsError(f"allowed: {part!r} allows no material; name at least one")
        before = allowed.get(where, chosen)
        allowed[where] = tuple(name for name in before if name in chosen)
        if not allowed[where]:
            raise SettingsError(f"allowed: {text!r} leaves {where!r} without any material; name {where!r} once")
    return allowed


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is not a name")
    return name


def _check_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_text(name) for name in names)


def _check_limits(limits: Mapping[str, int]) -> dict[str, int]:
    for most in limits.values():
        if type(most) is not int or most < 0:
            raise ValueError(f"{most!r} must be a whole number of at least 0")
    return {_text(name): most for name, most in limits.items()}


def _check_seams(seams: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    for (first, second), factor in seams.items():
        if first == second or not 0.0 <= factor < math.inf:
            raise ValueError(f"{factor!r} must be a number of at least 0, for two different materials")
    return {(_text(first), _text(second)): float(factor) for (first, second), factor in seams.items()}


def _check_allowed(allowed: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    for names in allowed.values():
        if isinstance(names, str) or not names:
            raise ValueError(f"{names!r} must be names of materials, at least one")
    return {_text(region): _check_names(names) for region, names in allowed.items()}


def _write_names(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _write_allowed(allowed: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        ("" if region == EVERYWHERE else f"{_quoted(region)}: ") + _write_names(names)
        for region, names in allowed.items()
    )


LIMITS = RuleText(
    _parse_limits, _check_limits, lambda limits: ", ".join(f"{_quoted(name)} = {most}" for name, most in limits.items())
)
SEAMS = RuleText(
    _parse_seams,
    _check_seams,
    lambda seams: ", ".join(f"{_quoted(a)}/{_quoted(b)} = {factor!r}" for (a, b), factor in seams.items()),
)
ALLOWED = RuleText(_parse_allowed, _check_allowed, _write_allowed)
LOCKED = RuleText(_names, _check_names, _write_names)
