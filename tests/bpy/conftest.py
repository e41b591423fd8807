"""Every test here starts and ends with an empty Blender."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.engine.kept import FOLDER_VARIABLE
from tests.parts import need


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
