"""Named binary tags, the tree of values that Minecraft's files are made of.

A compound is a dict, a list a list, text a str; numbers are numpy scalars, whose dtype is the tag: int8, int16, int32,
int64, float32, float64. Arrays are one-dimensional numpy arrays of int8, int32 or int64. All of it is big-endian.
The layout is that of https://minecraft.wiki/w/NBT_format.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

import numpy as np

Compound = dict[str, Any]
"""Values by name."""
LARGEST = 1 << 27
"""The most bytes that a file may unfold to."""
MOST_VALUES = 500_000
"""The most values that a file may have; the elements of an array are not counted, and ``_LIGHT`` numbers of a list are
one."""
_LIGHT = 8
DEEPEST = 200
_END, _LIST, _COMPOUND, _STRING = 0, 9, 10, 8
_SCALARS: dict[int, type[np.generic]] = {
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.int64,
    5: np.float32,
    6: np.float64,
}
_ARRAYS: dict[int, type[np.generic]] = {7: np.int8, 11: np.int32, 12: np.int64}
_LAYOUTS = {1: struct.Struct(">b"), 2: struct.Struct(">h"), 3: struct.Struct(">i"), 4: struct.Struct(">q")} | {
    5: struct.Struct(">f"),
    6: struct.Struct(">d"),
}
_BYTES = [bytes([kind]) for kind in range(13)]
_SHORT, _LENGTH, _LIST_HEAD = struct.Struct(">H"), struct.Struct(">i"), struct.Struct(">Bi")
_KINDS: dict[type[object], int] = {str: _STRING, list: _LIST, dict: _COMPOUND} | {
    held: kind for kind, held in _SCALARS.items()
}
_ARRAY_KINDS: dict[type[object], int] = {held: kind for kind, held in _ARRAYS.items()}
_LONGEST_TEXT = 0xFFFF


def unpack(data: bytes) -> tuple[str, Compound]:
    """Reads a file, packed by gzip or not.

    Returns:
        The name of the root, and its values. Arrays are read-only views of the unpacked bytes.

    Raises:
        ValueError: it is damaged, too large, too deep, or has too many values.
    """
    reader = _Reader(_unfold(data) if data[:2] == b"\x1f\x8b" else data)
    if reader.kind() != _COMPOUND:
        raise ValueError("is no tree of tags")
    name = reader.text()
    return name, reader.compound(0)


def pack(name: str, root: Compound) -> bytes:
    """Returns a file, packed by gzip without a date, so that equal trees make equal files.

    Raises:
        ValueError: a value that no tag holds, a list of unlike values, or text of more than 65,535 bytes.
    """
    parts = [bytes([_COMPOUND]), _text(name)]
    _write(root, parts)
    return gzip.compress(b"".join(parts), compresslevel=6, mtime=0)


def _unfold(data: bytes) -> bytes:
    try:
        unfolder = zlib.decompressobj(wbits=31)
        unfolded = unfolder.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError("its packed bytes are damaged") from error
    if unfolder.unconsumed_tail:
        raise ValueError(f"unfolds to more than {LARGEST >> 20} MB")
    if not unfolder.eof:
        raise ValueError("cut short")
    return unfolded


class _Reader:
    """Walks through bytes; every length is held against what is left before anything is made of it."""

    def __init__(self, data: bytes):
        self._data = data
        self._place = 0
        self._left = MOST_VALUES

    def compound(self, depth: int) -> Compound:
        values: Compound = {}
        while (kind := self.kind()) != _END:
            name = self.text()
            if name in values:
                raise ValueError("has a name twice")
            values[name] = self._value(kind, depth + 1)
        return values

    def kind(self) -> int:
        return self._take(1)[0]

    def text(self) -> str:
        encoded = self._take(_SHORT.unpack(self._take(2))[0])
        if encoded.isascii():
            return encoded.decode()
        try:
            half = encoded.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
            return half.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise ValueError("has text that is not Unicode") from error

    def _value(self, kind: int, depth: int) -> Any:
        self._count(1)
        if depth > DEEPEST:
            raise ValueError(f"is nested more than {DEEPEST} deep")
        if kind in _SCALARS:
            layout = _LAYOUTS[kind]
            return _SCALARS[kind](layout.unpack(self._take(layout.size))[0])
        if kind in _ARRAYS:
            return self._numbers(_ARRAYS[kind], self._length())
        if kind == _STRING:
            return self.text()
        if kind == _COMPOUND:
            return self.compound(depth)
        if kind == _LIST:
            inner, length = self.kind(), self._length()
            if inner == _END and length > 0:
                raise ValueError("has a list of nothing")
            if inner in _SCALARS:
                self._count(max(0, length) // _LIGHT)
                return list(self._numbers(_SCALARS[inner], max(0, length)))
            return [self._value(inner, depth + 1) for _ in range(length)]
        raise ValueError(f"has a tag of the unknown kind {kind}")

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError(f"has more than {MOST_VALUES} values")

    def _length(self) -> int:
        return int(_LENGTH.unpack(self._take(_LENGTH.size))[0])

    def _numbers(self, dtype: type[np.generic], length: int) -> Any:
        if length < 0:
            raise ValueError("has an array of negative length")
        big = np.dtype(dtype).newbyteorder(">")
        return np.frombuffer(self._take(length * big.itemsize), big).astype(dtype, copy=False)

    def _take(self, length: int) -> bytes:
        end = self._place + length
        if end > len(self._data):
            raise ValueError("cut short")
        taken = self._data[self._place : end]
        self._place = end
        return taken


def _kind(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return _ARRAY_KINDS.get(value.dtype.type) or _refuse(value)
    return _KINDS.get(type(value)) or _refuse(value)


def _refuse(value: Any) -> int:
    raise ValueError(f"no tag holds a {type(value).__name__}")


def _write(value: Any, parts: list[bytes]) -> None:
    kind = _kind(value)
    if kind in _ARRAYS:
        parts += [struct.pack(">i", value.size), value.astype(value.dtype.newbyteorder(">")).tobytes()]
    elif kind in _SCALARS:
        parts.append(_LAYOUTS[kind].pack(value))
    elif kind == _STRING:
        parts.append(_text(value))
    elif kind == _LIST:
        kinds = {_kind(item) for item in value}
        if len(kinds) > 1:
            raise ValueError("a list has values of one kind")
        inner = kinds.pop() if kinds else _END
        parts.append(_LIST_HEAD.pack(inner, len(value)))
        if inner in _SCALARS:
            parts.append(np.array(value, np.dtype(_SCALARS[inner]).newbyteorder(">")).tobytes())
            return
        for item in value:
            _write(item, parts)
    else:
        for name, item in value.items():
            parts += [_BYTES[_kind(item)], _text(name)]
            _write(item, parts)
        parts.append(bytes([_END]))


def _text(text: str) -> bytes:
    """Encodes as Java does: a NUL in two bytes, and each half of a surrogate pair in three."""
    if text.isascii() and "\0" not in text and len(text) <= _LONGEST_TEXT:
        return _SHORT.pack(len(text)) + text.encode()
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
    encoded = "".join(map(chr, units.tolist())).encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
    if len(encoded) > _LONGEST_TEXT:
        raise ValueError(f"text of {len(encoded)} bytes is longer than a tag holds")
    return struct.pack(">H", len(encoded)) + encoded
