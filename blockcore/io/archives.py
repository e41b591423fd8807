"""Arrays in files, .npy and .npz: read member by member, known names alone, never more than a header says and we allow.

Nothing is unpickled, and what a file claims is checked before memory is taken for it: a few bytes can be packed to
unfold to a thousand times as many.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError, quoted
from blockcore.io.damage import DAMAGE
from blockcore.io.files import read_bytes

LARGEST_ARCHIVE = 1 << 32
"""The most bytes that a file of arrays may have."""
_FREELY, _UNFOLDING = 64 << 20, 250  # bytes that may always come out, and beyond that how many per packed byte
_KINDS = "biufU"
_MOST_AXES = 4
_READ_HEADER: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PROBLEMS = (
    *(OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError),
    *(SyntaxError, tokenize.TokenError, *DAMAGE),  # a header is a Python literal
)


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Returns arrays as a compressed .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_arrays(
    path: Path | str, names: Collection[str], error: type[BlockcoreError], remedy: str
) -> dict[str, npt.NDArray[Any]]:
    """Reads those arrays of an .npz that are known.

    Args:
        path: the file.
        names: the arrays to read; others are left alone.
        error: what to raise, with ``remedy`` at the end of its message.
        remedy: what the user should do.

    Returns:
        The arrays that are there, by name.
    """
    try:
        data = read_bytes(path, LARGEST_ARCHIVE)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _members(archive, {f"{name}.npy": name for name in names}, _FREELY + _UNFOLDING * len(data))
    except _PROBLEMS as problem:
        raise error(f"{path}: cannot be read ({_reason(problem)}); {remedy}") from problem


def read_array(path: Path | str, error: type[BlockcoreError], remedy: str) -> npt.NDArray[Any]:
    """Reads a .npy; see ``read_arrays``."""
    try:
        data = read_bytes(path, LARGEST_ARCHIVE)
        return _array(io.BytesIO(data), len(data))
    except _PROBLEMS as problem:
        raise error(f"{path}: cannot be read ({_reason(problem)}); {remedy}") from problem


def _members(archive: zipfile.ZipFile, names: Mapping[str, str], most: int) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for member in archive.infolist():
        name = names.get(member.filename)
        if name is None:
            continue
        if name in arrays:
            raise ValueError(f"{name} is there twice")
        if member.compress_type not in _PACKINGS:
            raise ValueError(f"{name} is packed in a way that is not allowed")
        most -= member.file_size
        if most < 0:
            raise ValueError(f"{name} would unfold to more than is allowed")
        with archive.open(member) as file:
            arrays[name] = _array(file, member.file_size)
    return arrays


def _array(file: IO[bytes], length: int) -> npt.NDArray[Any]:
    """Reads one .npy of ``length`` bytes, of which the header has to account for all."""
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    if version not in _READ_HEADER:
        raise ValueError(f"its arrays are of the unknown version {version}")
    shape, is_fortran, dtype = _READ_HEADER[version](file)
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise ValueError(f"holds values of the kind {quoted(str(dtype))}")
    if len(shape) > _MOST_AXES or any(side < 0 for side in shape):
        raise ValueError(f"has the shape {quoted(shape)}")
    size = dtype.itemsize
    for side in shape:
        size *= side
    if file.tell() + size != length:
        raise ValueError("its header does not fit its length")
    data = file.read(size)
    if len(data) != size:
        raise ValueError("cut short")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _reason(problem: BaseException) -> str:
    return (problem.strerror if isinstance(problem, OSError) else None) or str(problem) or type(problem).__name__
