"""Files that are either whole or not there: results are written beside their place and renamed."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blockcore.errors import BlockcoreError


def write_file(path: Path, data: bytes | str) -> None:
    """Writes a file so that a crash leaves the old one or the new one, never a part. Makes the folder if needed.

    Raises:
        BlockcoreError: it cannot be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


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


def read_json(path: Path, error: type[BlockcoreError], remedy: str) -> Any:
    """Reads a JSON file.

    Args:
        path: the file.
        error: what to raise, with ``remedy`` at the end of its message.
        remedy: what the user should do.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}); {remedy}") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: is not valid JSON ({problem}); {remedy}") from problem


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """Gives a fresh folder to fill, and puts it in the place of ``path`` once it is filled without an error.

    Args:
        path: where the folder shall be. An empty folder, or one that holds the file ``marker``, is replaced.
        marker: a file every such folder has; protects a folder that is something else.

    Yields:
        The folder to fill, beside ``path``.

    Raises:
        BlockcoreError: ``path`` is something else, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (path / marker).is_file())):
        raise BlockcoreError(f"{path}: exists and has no {marker}; choose another place, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    try:
        fresh.chmod(0o777 & ~_umask())
        yield fresh
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            path.replace(old / "old")
            fresh.replace(path)
            shutil.rmtree(old)
        else:
            fresh.replace(path)
    except OSError as error:
        raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def inside(folder: Path, relative: str) -> Path | None:
    """Returns ``folder / relative``, or None where that leads out of the folder."""
    path = (Path(folder) / relative).resolve()
    return path if path.is_relative_to(Path(folder).resolve()) else None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
