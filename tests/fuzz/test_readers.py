"""Damaged files in every reader: it gives what it reads, or one short line; never anything else, and soon.

Damage knows the structure: any value of a JSON file becomes another, arrays change shape, kind and values, and
bytes change, also beneath right check sums. BLOCKCORE_FUZZ sets how many cases each test runs, and
BLOCKCORE_FUZZ_RANDOM has them drawn anew. Every past finding is a test of its own further down.
"""

from __future__ import annotations

import copy
import io
import json
import os
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockcore.errors import BlockcoreError
from blockcore.formats.palette_file import read_palette
from blockcore.formats.webgpu import read_dataset, read_map, write_dataset, write_map
from blockcore.io.archives import read_array
from blockcore.io.pictures import decode_picture, encode_png
from blockcore.model.camera import Camera, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, Source, View
from blockcore.report.events import Done, line_of, parse
from bridge.engine.materials import read_materials
from bridge.job import Job
from tests.unit.test_engine import SUMMARY

CASES = int(os.environ.get("BLOCKCORE_FUZZ", "50"))
LONGEST, SLOWEST = 300, 2.0

hostile = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 2**31, 2**32 + 5, 2**34, 2**63, 10**400, 1e308, float("inf"), float("nan"), -0.0, 0.5]
    ),
    st.sampled_from(["", "\0", "\ud800", "../../x", "/dev/zero", "x" * 5000, "a\nb", "Air", [], {}, [[[]]], "é😀"]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(-2, 9), st.text(max_size=2), st.none()), max_size=20),
    st.dictionaries(st.sampled_from(["x", "position", "name", "top"]), st.integers(-2, 9), max_size=3),
)


def small_scene() -> BlockScene:
    grid = BlockGrid((4, 3, 4), 2.0, np.array([[0, 0, 0], [1, 0, 0], [2, 1, 3]]))
    camera = Camera(np.eye(4), perspective(1.0, 1.0, 0.1, 100.0), 8, 8, "cam")
    target = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    palette = WEBGPU_PALETTE.with_tiles({(1, 2): np.full((2, 2, 4), 99, np.uint8)})
    source = Source("x.blend", ("a", "b", "c"), np.eye(4))
    regions = {"roof": np.array([0, 2])}
    return BlockScene(grid, [1, 2, 3], palette, (View(camera, target),), source=source, regions=regions)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    scene = small_scene()
    scene.write(folder / "scene")
    write_map(folder / "map" / "map.json", scene.grid, scene.materials, scene.palette)
    write_dataset(folder / "dataset", scene.views)
    Job("blocks").write(folder / "job.json")
    colors = {"Brick": "#9c4a3a", "Grass": {"top": "#57ad5c", "bottom": [0.4, 0.3, 0.16], "side": "#73944d"}}
    (folder / "palette.json").write_text(json.dumps(colors))
    return folder


def check(read: Callable[[], Any]) -> None:
    """Reads; what comes out must be a value or one short line of ours, soon."""
    began = time.process_time()
    try:
        read()
    except BlockcoreError as error:
        message = str(error)
        assert len(message) <= LONGEST and message.isprintable(), message
    assert time.process_time() - began < SLOWEST


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the ways to all values in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items)[:20]:
        found += spots(item, (*path, key))
    return found


def damaged_json(draw: Any, text: str) -> str:
    value = json.loads(text)
    for _ in range(draw(st.integers(1, 2))):
        ways = spots(value)
        if not ways:
            break
        way = draw(st.sampled_from(ways))
        holder = value
        for key in way[:-1]:
            holder = holder[key]
        what = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if what == "replace":
            holder[way[-1]] = copy.deepcopy(draw(hostile))
        elif what == "remove":
            del holder[way[-1]]
        elif isinstance(holder, list):
            holder += [copy.deepcopy(holder[way[-1]])] * draw(st.sampled_from([1, 50]))
    return json.dumps(value)


def damaged_bytes(draw: Any, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(spoilt) - 1)) if spoilt else 0
        what = draw(st.sampled_from(["set", "cut", "insert", "double"]))
        if what == "set" and spoilt:
            spoilt[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del spoilt[at:]
        elif what == "insert":
            spoilt[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            spoilt += spoilt[at:]
    return bytes(spoilt)


def damaged_array(draw: Any, values: np.ndarray) -> np.ndarray:
    what = draw(st.sampled_from(["kind", "cut", "shape", "value", "empty", "none"]))
    with np.errstate(all="ignore"):
        if what == "kind":
            kinds = ["f8", "i8", "u1", "?", "U3", "f2", "i1"]
            return np.zeros(values.shape, draw(st.sampled_from(kinds)))
        if what == "cut":
            return values[: draw(st.integers(0, max(0, len(values))))] if values.ndim else values
        if what == "shape":
            return values.reshape(draw(st.sampled_from([(-1,), (1, -1), (-1, 1, 1)])))
        if what == "value" and values.size and values.dtype.kind in "iuf":
            values = values.copy()
            worst = [0, 1, 9] if values.dtype.kind == "u" else [-1, 0, 7, 2**31 - 1]
            if values.dtype.kind == "f":
                worst += [np.nan, np.inf, 1e30, -1e-30]
            values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(worst))
    return np.zeros(0, values.dtype) if what == "empty" else values


many = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize="BLOCKCORE_FUZZ_RANDOM" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
JSON = {
    "map": ("map/map.json", read_map),
    "dataset": ("dataset/metadata.json", read_dataset),
    "scene": ("scene/scene.json", lambda path: BlockScene.read(path.parent)),
    "palette": ("palette.json", read_palette),
    "job": ("job.json", Job.read),
}


@pytest.mark.parametrize("reader", JSON)
def test_damaged_json(reader: str, seeds: Path) -> None:
    name, read = JSON[reader]
    path = seeds / name
    whole = path.read_text()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        path.write_text(damaged_json(data.draw, whole), encoding="utf-8")
        check(lambda: read(path))

    try:
        cases()
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("reader", JSON)
def test_damaged_bytes_of_json(reader: str, seeds: Path) -> None:
    name, read = JSON[reader]
    path = seeds / name
    whole = path.read_bytes()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        path.write_bytes(damaged_bytes(data.draw, whole))
        check(lambda: read(path))

    try:
        cases()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("how", ["arrays", "bytes"])
def test_damaged_archives(how: str, seeds: Path) -> None:
    path = seeds / "scene" / "arrays.npz"
    whole = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        if how == "arrays":
            name = data.draw(st.sampled_from(sorted(arrays)))
            np.savez(path, **(arrays | {name: damaged_array(data.draw, arrays[name])}))
        else:
            path.write_bytes(damaged_bytes(data.draw, whole))
        check(lambda: BlockScene.read(path.parent))

    try:
        cases()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("pillow", [True, False])
def test_damaged_pictures(pillow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode_png(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    if not pillow:
        monkeypatch.setitem(__import__("sys").modules, "PIL", None)

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        spoilt = damaged_bytes(data.draw, whole)
        if data.draw(st.booleans()):
            spoilt = with_sums(spoilt)
        check(lambda: decode_picture(spoilt, "picture"))

    cases()


def with_sums(data: bytes) -> bytes:
    """Gives the chunks of a PNG the check sums that their damaged contents have."""
    spoilt, at = bytearray(data), 8
    while at + 12 <= len(spoilt):
        length = int.from_bytes(spoilt[at : at + 4], "big")
        if at + 12 + length > len(spoilt):
            break
        sum_ = zlib.crc32(bytes(spoilt[at + 4 : at + 8 + length]))
        spoilt[at + 8 + length : at + 12 + length] = struct.pack(">I", sum_)
        at += 12 + length
    return bytes(spoilt)


def test_damaged_tiles(seeds: Path) -> None:
    (path,) = (seeds / "map" / "tiles").iterdir()
    whole = path.read_bytes()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        path.write_bytes(with_sums(damaged_bytes(data.draw, whole)))
        check(lambda: read_map(seeds / "map" / "map.json"))

    try:
        cases()
    finally:
        path.write_bytes(whole)


def test_damaged_results(tmp_path: Path) -> None:
    path = tmp_path / "materials.npy"
    np.save(path, np.arange(5, dtype=np.int32))
    whole = path.read_bytes()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        path.write_bytes(damaged_bytes(data.draw, whole))
        check(lambda: read_materials(path))

    cases()


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


FORGED = {
    "huge": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"\x80\x04N.",
    "negative": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
    "code": npy("__import__('os').abort()"),
    "no width": npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1099511627776,), }"),
}


@pytest.mark.parametrize("header", FORGED)
def test_forged_arrays_are_refused(header: str, seeds: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(FORGED[header])
    with pytest.raises(BlockcoreError, match=r"x\.npy: cannot be read"):
        read_array(tmp_path / "x.npy", BlockcoreError, "write it again")
    path = seeds / "scene" / "arrays.npz"
    whole = path.read_bytes()
    try:
        path.write_bytes(npz(positions=FORGED[header]))
        with pytest.raises(BlockcoreError, match=r"arrays\.npz: cannot be read"):
            BlockScene.read(path.parent)
    finally:
        path.write_bytes(whole)


def test_an_archive_that_unfolds_to_gigabytes_is_refused_before_it_does(seeds: Path) -> None:
    path = seeds / "scene" / "arrays.npz"
    whole = path.read_bytes()
    zeros = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (314572672,), }")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("positions.npy", "w") as member:
        member.write(zeros)
        for _ in range(300):
            member.write(bytes(1 << 20))
    path.write_bytes(buffer.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(BlockcoreError, match="unfold"):
            BlockScene.read(path.parent)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
        path.write_bytes(whole)


def test_a_picture_is_never_a_program(tmp_path: Path) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
    with pytest.raises(BlockcoreError, match="none of PNG, JPEG, WEBP, TIFF, BMP, TGA"):
        decode_picture(eps, "tile.png")


def test_a_picture_of_millions_of_pieces_is_refused_at_once() -> None:
    whole = encode_png(np.zeros((4, 4, 3), np.uint8))
    empty = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    began = time.process_time()
    with pytest.raises(BlockcoreError, match="pieces"):
        decode_picture(whole[:33] + empty * 2_000_000 + whole[33:], "picture")
    assert time.process_time() - began < 1.0


def test_a_position_beyond_32_bits_is_not_another_one(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    world = {"worldConfig": {"dimensions": {"x": 2**34, "y": 1, "z": 1}}}
    path.write_text(json.dumps(world | {"blocks": [{"position": [2**32 + 5, 0, 0], "blockType": "Stone"}]}))
    with pytest.raises(BlockcoreError, match=r"map\.json"):
        read_map(path)


def test_many_views_take_time_in_proportion(tmp_path: Path) -> None:
    matrix = np.eye(4).ravel().tolist()
    proj = perspective(1.0, 1.0, 0.1, 100.0).T.ravel().tolist()
    views = [{"viewMatrix": [*matrix[:12], i, 0, 0, 1], "projectionMatrix": proj} for i in range(4000)]
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({"imageSize": {"width": 8, "height": 8}, "views": views + views[:10]}))
    began = time.process_time()
    assert len(read_dataset(path, need_pictures=False)) == 4000
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    "make", [lambda p: os.mkfifo(p), lambda p: p.symlink_to("/dev/zero"), lambda p: p.symlink_to(p)]
)
@pytest.mark.parametrize("reader", JSON)
def test_what_is_no_file_is_refused_and_not_waited_for(make: Any, reader: str, tmp_path: Path) -> None:
    name, read = JSON[reader]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(BlockcoreError, match="cannot be read"):
        read(path)


def test_damaged_events() -> None:
    step = json.dumps({"event": "step", "step": 1, "steps": 5, "loss": 0.5, "temperature": 1.0, "seconds": 1.0})
    lines = [step, line_of(Done("out", 1.0, SUMMARY))]

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(lines))
        check(lambda: parse(damaged_bytes(data.draw, line.encode())))
        check(lambda: parse(damaged_json(data.draw, line).encode()))

    cases()


def test_a_colour_beyond_float64_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "palette.json"
    path.write_text(json.dumps({"Brick": [10**400, 0, 0]}))
    with pytest.raises(BlockcoreError, match=r"palette\.json: is damaged"):
        read_palette(path)
