"""What every reader does with damage: whatever is wrong in a file's values becomes one line about the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blockcore.errors import BlockcoreError, quoted

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
