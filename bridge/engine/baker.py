# SPDX-License-Identifier: GPL-3.0-or-later
"""The second Blender that measures light: how it is started on a copy of a file, and what ties it to the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bridge.engine.itself import bridge_command
from bridge.engine.lit import ROUNDS, LitRun
from bridge.engine.process import EngineRun


def start_bake(blender: str, blend: Path, scene: Path, out: Path, bounce: Path) -> EngineRun:
    """Starts measuring the light of a .blend on the blocks of a scene.

    Args:
        blender: Blender's program; "" where bpy is a package of this interpreter.
        blend: the file; it is only read.
        scene: folder of the BlockScene, beside which Blender's temporary files lie for a while.
        out: folder for the same with its light.
        bounce: a file of materials (N,), whose colours bounce; the scene's own where it is not there.

    Raises:
        BackendError: it cannot be started.
    """
    arguments = ["bake", str(blend), "--scene", str(scene), "--out", str(out), "--bounce", str(bounce)]
    return EngineRun.launch([*bridge_command(blender), *arguments], temporary=scene.parent)


def start_lit(
    blender: str,
    blend: Path,
    folder: Path,
    out: Path,
    choose: Callable[[Path], EngineRun],
    rounds: int = ROUNDS,
    started: Callable[[int], None] = lambda pid: None,
) -> LitRun:
    """Starts choosing materials in the own light of a .blend.

    Args:
        blender: as for ``start_bake``.
        blend: the file.
        folder: holds the BlockScene in "scene"; gets "lit scene" beside it.
        out: folder for the result.
        choose: starts what finds materials for the BlockScene in a folder, and writes them to ``out``.
        rounds: how often the light is measured at most.
        started: told the number of each process.

    Raises:
        BackendError: a process cannot be started.
    """

    def told(run: EngineRun) -> EngineRun:
        started(run.pid)
        return run

    lit, bounce = folder / "lit scene", folder / "bounce.npy"
    return LitRun(
        lambda: told(start_bake(blender, blend, folder / "scene", lit, bounce)),
        lambda: told(choose(lit)),
        Path(out) / "materials.npy",
        bounce,
        rounds,
    )
