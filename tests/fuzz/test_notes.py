"""Damaged notes that runs leave for later ones, and lists that users write: none, or one short line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockcore.commands.voxelize import read_cameras, write_cameras
from blockcore.errors import BlockcoreError
from blockcore.formats.resource_pack import read_names
from blockcore.io.damage import DAMAGE, fits
from blockcore.model.camera import Camera, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.settings import OptimizeSettings
from blockcore.report.summary import ModelSummary, Summary
from blockcore.voxelize.voxels import Fit, Voxels
from bridge.engine.kept import FOLDER_VARIABLE, find_light, keep_light
from bridge.farm.records import LIST, MARKER, Task, check_notes, find_done, find_failed, write_done
from bridge.farm.sources import Source, find_sources
from bridge.model.wish import Wish
from tests.fuzz.test_readers import check, damaged_array, damaged_bytes, damaged_json, many
from tests.unit.test_engine import SUMMARY

LIGHT = np.linspace(0.0, 1.0, 5 * 4 * 3, dtype=np.float32).reshape(5, 2, 2, 3)


def spoilt_text(draw: Any, text: str) -> bytes:
    return damaged_json(draw, text).encode() if draw(st.booleans()) else damaged_bytes(draw, text.encode())


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "x.blend").write_bytes(b"input")
    made = Task(Source(tmp_path / "x.blend", "x.blend"), tmp_path / "results" / "x.blend", "optimize", {}, "key")
    made.out.mkdir(parents=True)
    (made.out / "x.blend").write_bytes(b"result")
    return made


def test_damaged_notes_of_a_batch(task: Task) -> None:
    write_done(task.out, task, "x.blend", {str(task.source.path): "00"}, 1.5, SUMMARY)
    done, beside, told = task.out / MARKER, task.out.with_name("x.blend.failed.json"), task.out.with_name(LIST)
    whole = done.read_text()
    before = json.loads(whole)
    assert find_done(task) is None  # what it reads has another hash
    done.write_text(json.dumps(before | {"reads": {}}))
    assert find_done(task) is not None
    whole = done.read_text()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        done.write_bytes(spoilt_text(data.draw, whole))
        beside.write_bytes(spoilt_text(data.draw, whole))
        told.write_bytes(data.draw(st.sampled_from([b"", b"\n", whole.encode()])) + spoilt_text(data.draw, whole))
        for outcome in (find_done(task), find_failed(task)):
            assert outcome is None or (outcome.line().count("\n") == 0 and isinstance(outcome.stops_all, bool))
        check(lambda: check_notes([task], told))

    cases()


def test_damaged_lists(tmp_path: Path) -> None:
    for name in ("a.blend", "b.blend"):
        (tmp_path / name).write_bytes(b"")
    path, whole = tmp_path / "list.txt", b"# mine\na.blend\nb.blend\n../x.blend\n"

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        path.write_bytes(damaged_bytes(data.draw, whole))
        check(lambda: find_sources(path, (".blend",)))
        check(lambda: read_names(path))

    cases()


@pytest.mark.parametrize("how", ["bytes", "array"])
def test_damaged_light_is_not_taken(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    keep_light("key", LIGHT)
    (path,) = (tmp_path / "light").iterdir()
    whole = path.read_bytes()

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        if how == "bytes":
            path.write_bytes(damaged_bytes(data.draw, whole))
        else:
            buffer = io.BytesIO()
            np.save(buffer, damaged_array(data.draw, LIGHT))
            path.write_bytes(buffer.getvalue())
        found = find_light("key", LIGHT.shape)
        assert found is None or (np.isfinite(found).all() and (found >= 0.0).all())

    cases()


def test_damaged_figures() -> None:
    model = ModelSummary(9, 5, (3, 3, 1), 0.5, 0.9, None, 1.0, {"draw": 0.5}, 0, ("lamp",), {"Stone": 9})
    kinds = {kind: json.dumps(made.to_dict()) for kind, made in ((Summary, SUMMARY), (ModelSummary, model))}

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(list(kinds)))
        try:
            found = kind.from_dict(json.loads(damaged_json(data.draw, kinds[kind])))
        except DAMAGE:  # who reads it takes that for no note
            return
        assert all(isinstance(count, int) for count in found.materials.values())
        f"{found.blocks:,} {found.seconds:.1f} {sum(found.materials.values())}"

    cases()


def test_damaged_orders() -> None:
    whole = json.dumps({"wish": Wish().to_dict(), "settings": OptimizeSettings().to_dict()})

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        try:
            values = json.loads(damaged_json(data.draw, whole))
            wish = Wish.from_dict(values["wish"])
            check(lambda: OptimizeSettings.from_dict(values["settings"]))
        except (BlockcoreError, *DAMAGE):
            return
        assert all(isinstance(word, str) for word in wish.words())

    cases()


@pytest.mark.parametrize("what", ["fit", "cameras"])
def test_damaged_arrays_of_blocks(what: str, tmp_path: Path) -> None:
    path, read = tmp_path / "x.npz", Fit.read if what == "fit" else read_cameras
    if what == "fit":
        grid = BlockGrid((3, 1, 2), 1.0, np.array([[0, 0, 0], [2, 0, 1]]))
        Fit(Voxels(grid, np.zeros(3), 0), 0.5).write(path)
    else:
        write_cameras(path, [Camera(np.eye(4), perspective(1.0, 1.0, 0.1, 10.0), 8, 8)])
    whole = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)

    @many
    @given(st.data())
    def cases(data: st.DataObject) -> None:
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(arrays)))
            np.savez(path, **(arrays | {name: damaged_array(data.draw, arrays[name])}))
        else:
            path.write_bytes(damaged_bytes(data.draw, whole))
        check(lambda: read(path))

    cases()


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        *((1, int, True), (True, int, False), (1.5, int, False), (10**400, int, False), (1, float, True)),
        *((None, float | None, True), ("x", float | None, False), ({"a": 1}, dict[str, int], True)),
        *(({"a": "b"}, dict[str, int], False), ([1], dict[str, int], False), ((1, 2), tuple[int, ...], True)),
        *(((1, 2), tuple[int, int, int], False), ([1], tuple[int, ...], False), ({"a": []}, dict[str, Any], True)),
    ],
)
def test_what_fits_an_annotation(value: Any, kind: Any, expected: bool) -> None:
    assert fits(value, kind) is expected
