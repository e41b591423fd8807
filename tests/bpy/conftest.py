"""Every test here starts and ends with an empty Blender."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.engine.kept import FOLDER_VARIABLE
from tests.extension import Blender
from tests.parts import need
from tools.build_extension import build


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Light measured in one test is not found in another."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def empty_blender() -> Iterator[None]:
    need("bpy")
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Blender:
    """A Blender with the extension installed, in a folder of a difficult name."""
    folder = tmp_path_factory.mktemp("größer als Ü")
    blender = Blender(folder / "blender")
    blender.install(*build(folder))
    return blender
