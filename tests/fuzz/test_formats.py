"""Damaged files of other programs: worlds, packs and pictures, and the notes that a .blend carries."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blockcore import formats
from blockcore.errors import BlockcoreError
from blockcore.formats import nbt
from blockcore.formats.exchange import adapted
from blockcore.formats.resource_pack import read_packs
from blockcore.io.pictures import decode_picture
from blockcore.model.camera import Camera
from blockcore.model.lighting import Lighting
from blockcore.model.scene import View
from bridge.blender import marks
from bridge.farm.records import hash_of
from tests.fuzz.test_readers import check, damaged_array, damaged_bytes, damaged_json, hostile, many, small_scene, spots
from tests.packs import cube, files_of, picture, same, write_zip
from tests.unit.test_format_schematic import file as old_schematic

TREES = (".schem", ".litematic", ".nbt", ".schematic")
tags = st.one_of(
    st.sampled_from(
        [np.int8(-1), np.int16(-1), np.int32(2**31 - 1), np.int64(-(2**63)), np.float32("nan"), "", "x" * 99]
    ),
    st.sampled_from([{}, [], np.zeros(0, np.int32), np.full(9, -1, np.int8), np.full(3, 2**62, np.int64)]),
    st.integers(-3, 70).map(np.int32),
)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, scene = tmp_path_factory.mktemp("worlds"), small_scene()
    for suffix in (".schem", ".litematic", ".nbt", ".vox"):
        path = folder / f"world{suffix}"
        formats.write(path, adapted(scene, formats.writer(path).holds, None)[0])
    (folder / "world.schematic").write_bytes(old_schematic([1, 17, 0, 35], [0, 5, 0, 14]))
    return folder


def damaged_tree(draw: Any, data: bytes) -> bytes:
    """Gives some tags of a tree other values, other shapes, or takes them out."""
    name, root = nbt.unpack(data)
    for _ in range(draw(st.integers(1, 2))):
        ways = spots(root)
        if not ways:
            break
        way = draw(st.sampled_from(ways))
        holder = root
        for key in way[:-1]:
            holder = holder[key]
        old = holder[way[-1]]
        if isinstance(old, np.ndarray) and old.ndim and draw(st.booleans()):
            holder[way[-1]] = damaged_array(draw, old).astype(old.dtype, casting="unsafe")
        elif draw(st.booleans()):
            holder[way[-1]] = draw(tags)
        else:
            del holder[way[-1]]
    return nbt.pack(name, root)


@pytest.mark.parametrize("suffix", [*TREES, ".vox"])
@pytest.mark.parametrize("how", ["bytes", "tree"])
def test_damaged_worlds(how: str, suffix: str, worlds: Path) -> None:
    path = worlds / f"world{suffix}"
    whole = path.read_bytes()
    is_packed = whole.startswith(b"\x1f\x8b")

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        if how == "tree" and suffix in TREES:
            try:
                spoilt = damaged_tree(data.draw, whole)
            except (BlockcoreError, ValueError, TypeError):
                return  # no such tree can be written
        elif is_packed and data.draw(st.booleans()):
            spoilt = gzip.compress(damaged_bytes(data.draw, gzip.decompress(whole)), 1)
        else:
            spoilt = damaged_bytes(data.draw, whole)
        path.write_bytes(spoilt)
        check(lambda: formats.read(path))

    try:
        cases()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "BMP", "TGA"])
def test_damaged_pictures_of_other_kinds(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(buffer, kind)

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        check(lambda: decode_picture(damaged_bytes(data.draw, buffer.getvalue()), "picture"))

    cases()


def test_damaged_packs(tmp_path: Path) -> None:
    states = {"rock": {"variants": {"": {"model": "block/rock", "y": 90}}}}
    whole = files_of(states, {"rock": cube(same("block/rock"))}, {"rock": picture(1)})

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(whole)))
        spoil = damaged_bytes if name.endswith("png") or data.draw(st.booleans()) else damaged_text
        path = write_zip(tmp_path / "pack.zip", whole | {name: spoil(data.draw, whole[name])})
        if data.draw(st.integers(0, 4)) == 0:
            path.write_bytes(damaged_bytes(data.draw, path.read_bytes()))
        check(lambda: read_packs([path]))

    cases()


def damaged_text(draw: Any, data: bytes) -> bytes:
    return damaged_json(draw, data.decode()).encode()


def test_damaged_notes_of_a_blend() -> None:
    scene, noted = small_scene(), {}
    marks.write_world(noted, marks.WorldMark(scene.grid.size, 2.0, scene.palette, Lighting()))
    (name,) = noted

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        mark = marks.read_world({name: damaged_json(data.draw, noted[name])})
        assert mark is None or (all(0 < side <= 1 << 20 for side in mark.grid_size) and 0 < mark.world_scale < np.inf)
        assert marks.read_world({name: data.draw(hostile)}) is None
        weight = marks.read_weight({"blockcore_weight": data.draw(hostile)})
        check(lambda: View(Camera(np.eye(4), np.eye(4), 8, 8, "cam"), weight=weight))

    cases()


@pytest.mark.parametrize("weight", [10**400, float("nan"), float("inf"), 0, -1.0])
def test_a_weight_that_is_none_is_refused_by_the_view(weight: Any) -> None:
    with pytest.raises(BlockcoreError, match=r"weight .* must be a number above 0"):
        View(Camera(np.eye(4), np.eye(4), 8, 8, "cam"), weight=marks.read_weight({"blockcore_weight": weight}))


@pytest.mark.parametrize(
    "change", [{"grid_size": [2**34, 1, 1]}, {"world_scale": float("nan")}, {"grid_size": [1, "2", 1]}]
)
def test_a_note_of_no_world_is_none(change: dict[str, Any]) -> None:
    scene, noted = small_scene(), {}
    marks.write_world(noted, marks.WorldMark(scene.grid.size, 2.0, scene.palette, None))
    (name,) = noted
    assert marks.read_world(noted) is not None
    assert marks.read_world({name: json.dumps(json.loads(noted[name]) | change)}) is None


def test_a_file_that_is_a_pipe_is_not_waited_for_by_a_batch(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not an ordinary file"):
        hash_of(tmp_path / "pipe")
