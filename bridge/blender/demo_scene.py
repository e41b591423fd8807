# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo scene: a village of 1,408 blocks with scrambled materials, and eight cameras with the pictures to match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from blockcore.formats.webgpu import read_scene
from bridge.blender.build import build

_FOLDER = Path(__file__).parents[1] / "demo"
NAME = "Village"


def build_demo(seed: int = 0) -> Any:
    """Adds the demo to the open scene; returns the object that shows its blocks."""
    scene = read_scene(_FOLDER / "map.json", _FOLDER / "dataset")
    materials = np.random.default_rng(seed).integers(1, len(scene.palette), len(scene.grid))
    return build(scene.with_materials(materials), NAME)
