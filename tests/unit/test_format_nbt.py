"""Trees of tags are what nbtlib has them be, both ways, and damaged ones end in one clear error."""

from __future__ import annotations

import gzip
import io
import random
import struct

import nbtlib
import numpy as np
import pytest

from blockcore.formats import nbt

TREE = {
    "byte": np.int8(-3),
    "short": np.int16(-300),
    "int": np.int32(70_000),
    "long": np.int64(-(1 << 40)),
    "float": np.float32(0.25),
    "double": np.float64(-1e100),
    "text": "grüß dich, 世界",
    "bytes": np.array([-128, 0, 127], np.int8),
    "ints": np.array([1 << 30, -5], np.int32),
    "longs": np.array([1 << 60, -5, 7], np.int64),
    "none": [],
    "list": [{"a": np.int8(1)}, {}],
    "lists": [[np.int32(1)], []],
}


def plain(value):
    """Returns values of either library as (name of the kind, Python value)."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.dtype.itemsize, value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def judge(data: bytes):
    return nbtlib.File.parse(io.BytesIO(gzip.decompress(data)))


def test_nbtlib_reads_what_we_write():
    theirs = judge(nbt.pack("root", TREE))
    assert theirs.root_name == "root"
    assert plain(theirs) == plain(TREE)
    kinds = ("Byte", "Short", "Int", "Long", "Float", "Double", "String", "ByteArray", "IntArray", "LongArray")
    assert [type(value).__name__ for value in theirs.values()][: len(kinds)] == list(kinds)


def test_we_read_what_nbtlib_writes():
    buffer = io.BytesIO()
    judge(nbt.pack("root", TREE)).write(buffer)
    name, tree = nbt.unpack(buffer.getvalue())
    assert name == "root"
    assert plain(tree) == plain(TREE)
    assert all(type(tree[key]) is type(TREE[key]) for key in TREE)


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "😀 block", "é" * 32_767])
def test_text_comes_back(text):
    assert nbt.unpack(nbt.pack(text, {text: text})) == (text, {text: text})


def test_text_is_javas():
    assert b"\x00\x02\xc0\x80" in gzip.decompress(nbt.pack("\0", {}))
    assert b"\xed\xa0\xbd\xed\xb8\x80" in gzip.decompress(nbt.pack("😀", {}))


@pytest.mark.parametrize("value", [1, None, np.uint8(1), "é" * 32_768, [np.int8(1), "a"], np.zeros(2, np.float32)])
def test_what_no_tag_holds_is_refused(value):
    with pytest.raises(ValueError, match=r"tag|one kind"):
        nbt.pack("", {"value": value})


def root(payload: bytes) -> bytes:
    return b"\x0a\x00\x00" + payload


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\x01\x00\x00\x05", "no tree"),
        (root(b"\x07\x00\x00" + struct.pack(">i", 0x7FFFFFFF)), "cut short"),
        (root(b"\x0c\x00\x00" + struct.pack(">i", -1)), "negative length"),
        (root(b"\x09\x00\x00" + struct.pack(">Bi", 0, 0x7FFFFFFF)), "list of nothing"),
        (root(b"\x09\x00\x00" + b"\x09\x00\x00\x00\x01" * 100_000), "deep"),
        (root(b"\x0a\x00\x00" * 100_000), "deep"),
        (root(b"\x09\x00\x00" + struct.pack(">Bi", 10, 2_000_000) + bytes(2_000_000)), "more than 500000 values"),
        (root(b"\x09\x00\x00" + struct.pack(">Bi", 1, 5_000_000) + bytes(5_000_000)), "more than 500000 values"),
        (root(b"\x0d\x00\x00"), "unknown kind 13"),
        (root(b"\x01\x00\x01\xff\x05"), "not Unicode"),
        (root(b"\x01\x00\x00\x05" * 2), "twice"),
        (gzip.compress(bytes(nbt.LARGEST + 1)), "unfolds to more"),
        (gzip.compress(root(b"\x00"))[:-5], "cut short"),
        (b"\x1f\x8b" + bytes(40), "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        nbt.unpack(data)


def test_random_damage_is_an_error_or_a_tree():
    chance = random.Random(18)
    packed = nbt.pack("root", TREE)
    whole = gzip.decompress(packed)
    refused = 0
    for number in range(2_000):
        damaged = bytearray(packed if number % 2 else whole)
        if number % 3:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(damaged)) :]
        try:
            nbt.unpack(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 1_000
