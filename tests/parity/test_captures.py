"""Our WebGPU renderer against the stored captures, which another program drew with the same engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blockcore.formats.webgpu import read_scene
from blockcore.webgpu_live.renderer import WebGpuRenderer
from tests.parts import need

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("dataset", [1, 2, 3, 4])
def test_webgpu_redraws_the_captures(dataset: int) -> None:
    need("wgpu")
    scene = read_scene(DATA / f"maps/{dataset}/map.json", DATA / f"datasets/{dataset}")
    renderer = WebGpuRenderer(scene)
    # the adapter that drew them shows the same texels; others differ in 0.02 % of the pixels with tiles
    allowed = 0 if "llvmpipe" in renderer.adapter else 50 if scene.palette.tiles else 1
    for view in scene.views:
        assert view.target is not None
        difference = np.abs(renderer.draw(view.camera)[..., :3].astype(int) - view.target[..., :3])
        assert np.count_nonzero(difference.max(axis=-1) > 1) <= allowed, view.camera.name
    drawing, reading = renderer.time_frame(scene.views[0].camera, repeats=3)
    assert drawing > 0.0
    assert reading > 0.0
