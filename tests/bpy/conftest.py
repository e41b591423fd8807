"""Every test here starts and ends with an empty Blender."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import need


@pytest.fixture(autouse=True)
def empty_blender() -> Iterator[None]:
    need("bpy")
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
