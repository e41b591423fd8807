# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's part: here where this interpreter can compute, else in a process of its own.

Blender's Python has numpy and no compiler; where bpy is a package of an interpreter that has both, starting another
process would cost more than the work.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.commands.voxelize import write_cameras
from blockcore.errors import BackendError
from blockcore.io.files import write_array
from blockcore.io.folders import scratch_folder
from blockcore.model.camera import Camera
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.summary import Summary
from blockcore.voxelize.voxels import Fit
from bridge.engine.interpreter import find_engine
from bridge.engine.optimize import find_materials
from bridge.engine.process import run_to_end
from bridge.model.wish import Wish


def fit(triangles: npt.NDArray[np.float64], cameras: Sequence[Camera], wish: Wish, python: str | None = None) -> Fit:
    """Makes blocks of a model where their outline matches best.

    Args:
        triangles: (T, 3, 3) corners, right-handed with +Y up.
        cameras: whose outlines count, in the same world.
        wish: how many, and of what fill.
        python: the engine's interpreter; None for this one where it can, or the one that is found.

    Raises:
        BlockcoreError: the model or the wish cannot be used.
    """
    if _computes_here(python):
        from blockcore.voxelize.outline import fit_blocks

        return fit_blocks(triangles, cameras, wish.across, wish.block_size, wish.budget, wish.fill)
    with scratch_folder() as folder:
        model, views, out = (folder / name for name in ("triangles.npy", "cameras.npz", "blocks.npz"))
        write_array(model, triangles)
        write_cameras(views, cameras)
        words = ["-m", "blockcore", "voxelize", str(model), "--cameras", str(views), "--out", str(out), "--watch-stdin"]
        told = run_to_end([python or find_engine(), *words, *_size_words(wish)])
        if told:
            raise BackendError(told.removeprefix("blockcore: "))
        return Fit.read(out)


def choose(
    scene: BlockScene, settings: OptimizeSettings, python: str | None = None, report: Path | None = None
) -> tuple[npt.NDArray[np.int32], Summary]:
    """Finds the materials of a scene.

    Args:
        scene: the scene, in its light.
        settings: how to look for them.
        python: as for ``fit``.
        report: folder for the result; None for none.

    Returns:
        (N,) palette indices, and the figures.

    Raises:
        BlockcoreError: the scene cannot be used.
    """
    if not _computes_here(python):
        materials, done = find_materials(scene, settings, python, report)
        return materials, done.result
    from blockcore.optimize import optimize
    from blockcore.plan import Plan
    from blockcore.report.results import summarise, write_results

    result = optimize(Plan.of(scene, settings))
    summary = write_results(report, scene, settings, result) if report else summarise(scene, settings, result)
    return result.materials, summary


def _computes_here(python: str | None) -> bool:
    return python is None and importlib.util.find_spec("numba") is not None


def _size_words(wish: Wish) -> list[str]:
    words = [f"--fill={wish.fill}"]
    if wish.budget is not None:
        return [*words, f"--budget={wish.budget}"]
    return [*words, f"--across={wish.across}" if wish.block_size is None else f"--block-size={wish.block_size}"]
