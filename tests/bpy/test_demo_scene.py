"""The demo leaves no scrambled block in sight: what no picture shows follows from what pictures show."""

from __future__ import annotations

import numpy as np

from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from blockcore.model.settings import OptimizeSettings  # noqa: E402
from blockcore.optimize import optimize_materials  # noqa: E402
from bridge.blender.demo_scene import build_demo  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from tests.extension import Blender  # noqa: E402


def test_what_no_view_shows_does_not_depend_on_the_scramble() -> None:
    found = []
    for seed in (0, 1):
        bpy.ops.wm.read_homefile(use_empty=True)
        scene = extract(build_demo(seed))
        result = optimize_materials(scene, OptimizeSettings(unseen="fill"))
        assert 0 < len(result.visible_blocks) < len(scene.grid)
        assert not np.array_equal(result.materials, scene.materials)
        found.append(result.materials)
    np.testing.assert_array_equal(*found)


def test_the_panels_demo_fills_it(blender: Blender) -> None:
    answer, _ = blender.run(
        "bpy.ops.blocks.demo_scene()\nanswer = bpy.context.scene.optimize_materials.settings.unseen"
    )
    assert answer == "fill"
