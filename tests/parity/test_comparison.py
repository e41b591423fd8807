"""The comparison itself: what is off is counted, kept and reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blockcore.formats.webgpu import read_map
from blockcore.io.pictures import read_picture
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.scene import BlockScene, View
from tests.parity.comparison import Tally


def test_what_differs_is_kept_and_named(tmp_path: Path) -> None:
    camera = Camera(look_at((5.0, 5.0, 5.0), (0.0, 0.0, 0.0)), perspective(1.0, 1.0, 0.1, 100.0), 8, 8)
    scene = BlockScene(BlockGrid((2, 1, 2), 2.0, np.array([[0, 0, 1]])), np.array([3]), views=(View(camera),))
    theirs = np.full((8, 8, 4), 100, np.uint8)
    ours = theirs.copy()
    ours[0, :6, 1] += 1  # within rounding
    ours[3, :2, 2] += 2
    tally = Tally(tmp_path, most=2)
    tally.add(scene, 0, ours, theirs)
    assert (tally.pictures, tally.pixels, tally.covered, tally.off) == (1, 64, 64, 2)
    ours[5, 0, 0] = 0
    with pytest.raises(AssertionError, match=r"3 of 64 pixels differ; see .*too-many"):
        tally.add(scene, 0, ours, theirs)
    kept = tmp_path / "too-many"
    np.testing.assert_array_equal(read_picture(kept / "theirs.png"), theirs)
    assert np.count_nonzero(read_picture(kept / "difference.png")[..., 0]) == 3
    assert read_map(kept / "map.json").grid == scene.grid
    assert '"pixels": [[3, 0], [3, 1], [5, 0]]' in (kept / "camera.json").read_text()
