"""The cache of measured light: it gives back what it got, and never grows past its bound, fails or believes damage."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bridge.engine.kept import FOLDER_VARIABLE, cache_folder, find_light, keep_light

SHAPE = (5, 2, 2, 3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "light"


def light(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def test_it_gives_back_what_it_got():
    assert find_light("a", SHAPE) is None
    keep_light("a", light(0.5))
    assert (find_light("a", SHAPE) == light(0.5)).all()
    assert find_light("a", (6, 2, 2, 3)) is None and find_light("b", SHAPE) is None


def test_what_was_used_longest_ago_makes_room(folder):
    for age, key in enumerate("abc"):
        keep_light(key, light(1.0))
        os.utime(folder / f"{key}.npy", (1000 + age, 1000 + age))
    assert find_light("a", SHAPE) is not None  # used now
    keep_light("d", light(1.0), most_bytes=3 * (folder / "a.npy").stat().st_size)
    assert sorted(path.stem for path in folder.iterdir()) == ["a", "c", "d"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"nonsense" * 100])
def test_damage_is_not_believed(folder, content):
    keep_light("a", light(1.0))
    (folder / "a.npy").write_bytes(content)
    assert find_light("a", SHAPE) is None
    keep_light("a", light(2.0))
    assert (find_light("a", SHAPE) == light(2.0)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_light_that_no_face_can_receive_is_not_believed(value):
    keep_light("a", light(value))
    assert find_light("a", SHAPE) is None


def test_what_a_killed_process_left_goes(folder):
    keep_light("a", light(1.0))
    for name, age in ((".b.npy.blockcore-old", 100), (".b.npy.blockcore-new", 0)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    keep_light("c", light(1.0))
    assert sorted(path.name for path in folder.iterdir()) == [".b.npy.blockcore-new", "a.npy", "c.npy"]


def test_where_nothing_can_be_kept_nothing_happens(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in ("", str(tmp_path / "file")):
        monkeypatch.setenv(FOLDER_VARIABLE, place)
        keep_light("a", light(1.0))
        assert find_light("a", SHAPE) is None
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="places of Linux")
def test_it_lies_in_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/blockcore")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "blockcore"
