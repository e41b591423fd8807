"""What every reader does with damage: whatever is wrong in a file's values becomes one line about the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from blockcore.errors import BlockcoreError, quoted

D = TypeVar("D")
DAMAGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError)
"""What Python and numpy raise at values of the wrong type, shape, length or size. LinAlgError is a ValueError."""


@contextmanager
def reading(what: object, error: type[BlockcoreError], remedy: str) -> Iterator[None]:
    """Turns what damage raises into ``error``; leaves errors that users can read as they are.

    Args:
        what: what the message calls the file, or the part of it.
        error: what to raise.
        remedy: the end of its message.
    """
    try:
        yield
    except BlockcoreError:
        raise
    except DAMAGE as problem:
        raise error(f"{what}: is damaged, or lacks a part ({quoted(problem)}); {remedy}") from problem


def made(kind: type[D], values: Mapping[str, Any]) -> D:
    """Makes a dataclass of JSON values, lists as tuples already; names that it does not know are left out.

    Raises:
        TypeError: a value is missing, or does not fit its annotation.
    """
    hints = get_type_hints(kind)
    given = {part.name: values[part.name] for part in fields(kind) if part.name in values}  # type: ignore[arg-type]
    for name, value in given.items():
        if not fits(value, hints[name]):
            raise TypeError(f"{name} is {quoted(value)}")
    return kind(**given)


def fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value is of the kind that an annotation says: whole numbers of at most 64 bits, no bool as one.

    Args:
        value: it; lists may be tuples already.
        kind: such as ``int``, ``float | None``, ``Mapping[str, int]``, ``tuple[str, ...]`` or a class.
    """
    inner = get_args(kind)
    if isinstance(kind, UnionType):
        return any(fits(value, one) for one in inner)
    if get_origin(kind) is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is ... and isinstance(value, tuple) else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(fits, value, kinds))
    if inner:
        return isinstance(value, dict) and all(fits(key, inner[0]) and fits(value[key], inner[1]) for key in value)
    if kind in (int, float):
        is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        return is_number and (isinstance(value, float) or abs(value) < 1 << 63)
    return kind is Any or isinstance(value, kind)


def whole(value: Any, what: str, low: int, high: int) -> int:
    """Returns a whole number that a file holds.

    Raises:
        ValueError: it is something else, or outside ``low`` to ``high``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{what} is {quoted(value)}, not a whole number")
    if not low <= value <= high:
        raise ValueError(f"{what} is {quoted(value)}, not from {low} to {high}")
    return int(value)


def entries(value: Any, what: str, most: int) -> list[Any]:
    """Returns a list that a file holds.

    Raises:
        ValueError: it is something else, or longer than ``most``.
    """
    if not isinstance(value, list):
        raise ValueError(f"{what} are {quoted(value)}, not a list")
    if len(value) > most:
        raise ValueError(f"{what} are {len(value)}; at most {most} are allowed")
    return value


def text(value: Any, what: str) -> str:
    """Returns a text that a file holds.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str):
        raise ValueError(f"{what} is {quoted(value)}, not text")
    return value
