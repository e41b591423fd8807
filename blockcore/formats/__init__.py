"""Files of other programs and of this one, a file a format.

A format is an object ``FORMAT`` in a module of this room, or anybody's own, named in the entry point group
``blockcore.formats``. What formats hold is of two kinds: a ``BlockScene``, whose blocks have materials with colours, or
``BlockStates``, whose blocks have names alone. ``exchange`` makes one of the other.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blockcore.errors import BlockcoreError, listed, quoted
from blockcore.io.damage import reading

if TYPE_CHECKING:
    from blockcore.model.palette import Palette

GROUP = "blockcore.formats"
"""The entry point group of formats from elsewhere."""
Losses = tuple[str, ...]
"""What could not be carried over, a sentence each."""
_START = 4096  # bytes of a file that tell what it is


class Format(Protocol):
    """How files of one kind are read and written.

    What ``read`` and ``write`` raise as ``ValueError`` becomes one line with the file's name and a remedy.

    Attributes:
        name: what users call it.
        suffixes: of its files' names, in lower case; "" is that of a folder.
        holds: ``BlockScene`` or ``BlockStates``.
        marker: the file that every folder of the kind has; "" where the format is a file.
        is_read: whether ``read`` works; where it does not, the format has neither it nor ``sniff``.
        is_written: whether ``write`` works.
    """

    name: str
    suffixes: tuple[str, ...]
    holds: type[Any]
    marker: str
    is_read: bool
    is_written: bool

    def sniff(self, path: Path, start: bytes) -> bool:
        """Whether it may be of this format, by its first bytes, unpacked where gzip packed them."""
        ...

    def read(self, path: Path, palette: Palette | None) -> tuple[Any, Losses]:
        """Returns what a file holds, and what it has besides that was left out.

        Args:
            path: the file.
            palette: the materials, for a format that has names alone; None for the format's own.
        """
        ...

    def write(self, path: Path, what: Any) -> Losses:
        """Writes a file, whole or not at all, and returns what the format cannot carry."""
        ...


def formats() -> dict[str, Format]:
    """Returns the formats by name: those of this room, then those of entry points.

    Raises:
        BlockcoreError: an entry point cannot be loaded, or takes the name of another format.
    """
    from importlib.metadata import entry_points

    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    known: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in modules if hasattr(module, "FORMAT")}
    for point in entry_points(group=GROUP):
        try:
            added = point.load()
            name = str(added.name)
        except Exception as error:
            raise BlockcoreError(f"format {point.value}: cannot be loaded ({error}); update or remove it") from error
        if name in known:
            raise BlockcoreError(f"format {point.value}: the name {quoted(name)} is taken; remove one of the two")
        known[name] = added
    return known


def reader(path: Path) -> Format:
    """Returns the format of a file that is there, by its content and the end of its name.

    Raises:
        BlockcoreError: it cannot be read, or is of no known format.
    """
    known = [one for one in formats().values() if one.is_read]
    start = _start(path)
    named = [one for one in known if path.suffix.lower() in one.suffixes]
    alike = [one for one in known if one.sniff(path, start)]
    for found in ([one for one in named if one in alike], alike if len(alike) == 1 else [], named):
        if found:
            return found[0]
    suffixes = listed(sorted({suffix for one in known for suffix in one.suffixes if suffix}))
    raise BlockcoreError(f"{path}: its format is not known; give a BlockScene folder or a file with one of {suffixes}")


def writer(path: Path) -> Format:
    """Returns the format that the end of a name asks for.

    Raises:
        BlockcoreError: no format that is written has it.
    """
    known = [one for one in formats().values() if one.is_written]
    for one in known:
        if path.suffix.lower() in one.suffixes:
            return one
    suffixes = listed(sorted({suffix for one in known for suffix in one.suffixes if suffix}))
    raise BlockcoreError(f"{path}: no format is written with that ending; end it with one of {suffixes}, or none")


def read(path: Path, palette: Palette | None = None) -> tuple[Any, Losses]:
    """Reads a file of any format; see ``Format.read``.

    Raises:
        BlockcoreError: it cannot be read, is damaged, or is of no known format.
    """
    form = reader(path)
    with reading(path, BlockcoreError, f"save it as {form.name} again"):
        try:
            return form.read(path, palette)
        except OSError as error:
            reason = error.strerror or error
            raise BlockcoreError(f"{path}: cannot be read ({reason}); give another file") from error
        except ValueError as error:
            raise BlockcoreError(f"{path}: {error}; save it as {form.name} again") from error


def write(path: Path, what: Any) -> Losses:
    """Writes a file in the format that its name asks for; see ``Format.write``.

    Raises:
        BlockcoreError: the format does not take it, or it cannot be written there.
    """
    form = writer(path)
    try:
        return form.write(path, what)
    except ValueError as error:
        raise BlockcoreError(f"{path}: {error}; or choose another format") from error


def _start(path: Path) -> bytes:
    if path.is_dir():
        return b""
    try:
        if not path.is_file():  # a pipe or a device would have us wait
            raise OSError(2, "it is not there, or is no ordinary file")
        with path.open("rb") as file:
            start = file.read(_START)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BlockcoreError(f"{path}: cannot be read ({reason}); give another file") from error
    try:
        return zlib.decompressobj(wbits=31).decompress(start, _START) if start[:2] == b"\x1f\x8b" else start
    except zlib.error:
        return b""
