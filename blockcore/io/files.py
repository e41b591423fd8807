"""Files that are either whole or not there: results are written beside their place and renamed."""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import time
import unicodedata
import zlib
from pathlib import Path
from typing import Any

from blockcore.errors import BlockcoreError
from blockcore.io.leftovers import fresh_path, leftover

Json = dict[str, Any]
"""A JSON object of any contents, as a file holds it: who reads one checks what it uses."""
LARGEST_JSON = 1 << 29
"""The most bytes that a JSON file may have."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SYSTEMS = re.compile("/(dev(?!/shm/)|proc|sys)/")
"""Names of devices and of streams, some of which lead to ordinary files that others have open."""
BESIDE = "blockcore-"
"""What follows the name of a file or folder in the names of those that are made beside it, for a while."""
_PATIENCE = 1.0 if os.name == "nt" else 0.0  # seconds
_LONGEST = 200  # bytes of a name that another is made of; file systems take 255


def beside(path: Path) -> str:
    """Returns what the names of files begin with that stand beside one for a while, short enough for file systems."""
    name = path.name.encode()
    if len(name) > _LONGEST:
        name = name[:_LONGEST] + b"~%08x" % zlib.crc32(name)
    return f".{name.decode(errors='ignore')}.{BESIDE}"


def write_file(path: Path, data: bytes | str) -> None:
    """Writes a file so that a crash leaves the old one or the new one, never a part. Makes the folder if needed.

    Raises:
        BlockcoreError: it cannot be written there, or what is there is no file.
    """
    path = check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = fresh_path(path.parent, beside(path))
        with leftover(fresh):
            try:
                with fresh.open("xb") as file:
                    file.write(data.encode() if isinstance(data, str) else data)
                put(fresh, path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def put(fresh: Path, place: Path) -> None:
    """Renames what is made to its place, in one step.

    Windows does not while somebody has either of them open, be it to look for a virus or to read the one before; there
    this waits a little for them.

    Raises:
        OSError: it cannot be renamed.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fresh.replace(place)
            return
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.02)


def check_file(path: Path | str) -> Path:
    """Returns where a file is to be written, links followed.

    Raises:
        BlockcoreError: there is something that is no file, such as a device or a folder, or it is the system's.
    """
    real = real_path(path)
    try:
        if _SYSTEMS.match(f"{path if Path(path).is_absolute() else Path.cwd() / path}"):
            raise OSError(22, "it is the system's")
        there = real.stat()
    except FileNotFoundError:
        return real
    except (OSError, ValueError) as error:
        raise BlockcoreError(f"{path}: cannot be written ({_reason(error)}); choose another place") from error
    if not stat.S_ISREG(there.st_mode):
        what = "a folder" if stat.S_ISDIR(there.st_mode) else "no ordinary file"
        raise BlockcoreError(f"{path}: is {what}; name a file to write")
    return real


def real_path(path: Path | str) -> Path:
    """Returns where a path leads, links followed.

    Raises:
        BlockcoreError: it is no path, or cannot be followed.
    """
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # the working folder is gone, or half a surrogate
        raise BlockcoreError(f"{path}: cannot be followed ({_reason(error)}); choose another place") from error


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as readable JSON, numbers that are not finite as null; see ``write_file``."""
    write_file(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """Returns a JSON value with None in the place of numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_array(path: Path, values: Any) -> None:
    """Writes an array as .npy, without pickle; see ``write_file``."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_file(path, buffer.getvalue())


def read_bytes(path: Path | str, most: int) -> bytes:
    """Reads an ordinary file; never waits, as a pipe or a device would have it.

    Args:
        path: the file.
        most: the most bytes that it may have.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a name with NUL or half a surrogate
        raise OSError(22, "not a file's name") from error
    with os.fdopen(handle, "rb") as file:
        there = os.fstat(handle)
        if not stat.S_ISREG(there.st_mode):
            raise OSError(22, "it is not an ordinary file")
        if there.st_size > most:
            raise OSError(27, f"it has {there.st_size >> 20} MiB, {most >> 20} are allowed")
        return file.read(there.st_size)


def read_json(path: Path, error: type[BlockcoreError], remedy: str) -> Any:
    """Reads a JSON file; see ``parse_json``.

    Args:
        path: the file.
        error: what to raise, with ``remedy`` at the end of its message.
        remedy: what the user should do.
    """
    try:
        return parse_json(read_bytes(path, LARGEST_JSON))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}); {remedy}") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: is not valid JSON ({problem}); {remedy}") from problem


def parse_json(data: bytes | str) -> Any:
    """Parses JSON from anywhere. Numbers may be any, NaN and Infinity as well: who uses them checks them.

    Raises:
        ValueError: it is not JSON, or has a text with half a surrogate, which could not be written again.
        RecursionError: it is nested too deep.
    """
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    value = json.loads(text)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate is a UnicodeEncodeError, a ValueError
    return value


def inside(folder: Path, relative: str) -> Path | None:
    """Returns ``folder / relative``, or None where that leads out of the folder or is no name of a file."""
    try:
        path = Path(os.path.realpath(Path(folder) / relative))
        return path if path.is_relative_to(os.path.realpath(folder)) else None
    except (OSError, ValueError):
        return None


def as_called(folder: Path, relative: str) -> str:
    """Returns a path in a folder as its files are called there, where another system wrote it otherwise.

    Slashes may lean, capitals differ, and an "ü" be one character or two; what is there just so is itself.
    """
    place = folder
    for part in relative.replace("\\", "/").split("/"):
        names = _listed(place)
        alike = [name for name in names if part not in names and _plain(name) == _plain(part)]
        place /= alike[0] if len(alike) == 1 else part
    return str(place.relative_to(folder))


def _listed(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (OSError, ValueError):
        return []


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
