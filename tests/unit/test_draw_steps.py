"""The figures of how it works show what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blockcore.io.pictures import read_picture
from tests.captures import captured
from tools.draw_steps import VIEW, draw_steps


def test_the_blocks_found_look_like_the_picture_before_it_was_spoiled(tmp_path: Path):
    draw_steps(tmp_path)
    clean = captured(1).views[VIEW].target
    spoiled, means, found = (
        read_picture(tmp_path / f"{step}.png").astype(np.int16) for step in ("target", "means", "found")
    )
    assert np.abs(spoiled - clean).mean() > 20
    blocks = (means != 255).any(axis=2)
    assert np.abs(means - clean)[blocks].mean() < 5
    assert (found != clean).any(axis=2).mean() < 1e-3
