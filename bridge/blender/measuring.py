# SPDX-License-Identifier: GPL-3.0-or-later
"""What the second Blender does: measures the light on a scene's blocks, and says so as the engine does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from blockcore.model.baked_light import BakedLight
from blockcore.model.scene import BlockScene
from blockcore.report.events import Baked, Baking
from bridge.blender.files import open_file
from bridge.blender.light import baked
from bridge.blender.speaking import heard_out, say
from bridge.engine.materials import read_materials

_SAME = 0.01  # of the brightest light: what measuring may differ by without more light


def measure(blend: Path, scene: Path, out: Path, bounce: Path) -> None:
    """Writes a BlockScene with the light that its blocks receive in a .blend.

    Says ``baking`` events and ``baked`` or ``error`` on standard output, and ends at once where standard input closes.

    Args:
        blend: the file; it is only read.
        scene: folder of the BlockScene, which was extracted from it.
        out: folder of the same with its light; the light that was there before is compared with the new one.
        bounce: materials (N,) whose colours bounce, if that file is there.

    Raises:
        BlockcoreError: the file or the scene cannot be read, or the light not be measured.
    """
    began = time.monotonic()
    with heard_out():
        open_file(blend)
        found = BlockScene.read(scene)
        colors = read_materials(bounce) if bounce.is_file() else None
        before = BlockScene.read(out).lighting if colors is not None else None
        lit = baked(found, colors, progress=lambda faces, of: say(Baking(faces, of, time.monotonic() - began)))
        lit.write(out)
    changed = not isinstance(before, BakedLight) or not _same(before, lit.lighting)
    say(Baked(str(out), time.monotonic() - began, changed))


def _same(before: BakedLight, after: Any) -> bool:
    return float(np.abs(before.received - after.received).max()) <= _SAME * float(before.received.max())
