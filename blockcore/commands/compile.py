"""``compile``: compile the processor's kernels ahead and keep them on disk, so that the first job is fast, too."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from blockcore.model.camera import Camera
    from blockcore.model.scene import BlockScene

_ACROSS, _SIDE = 4, 32  # blocks along the floor, pixels along a picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options: it has none."""


def run(args: argparse.Namespace) -> int:
    """Runs the command: a kernel is compiled when it is first called, so small jobs call those of the usual ones."""
    from blockcore.io.folders import scratch_folder
    from blockcore.model.settings import OptimizeSettings
    from blockcore.optimize import optimize_materials
    from blockcore.report.results import write_results
    from blockcore.voxelize.outline import fit_blocks

    began = time.perf_counter()
    for loss, samples, tiled in (("l2", 2, False), ("l1", 1, False), ("l2", 1, True)):
        settings = OptimizeSettings(device="cpu", loss=loss, samples=samples)
        scene = _floor(tiled)
        with scratch_folder() as folder:
            write_results(folder / "result", scene, settings, optimize_materials(scene, settings))
    fit_blocks(_slope(), [_camera()], _ACROSS)
    print(f"The kernels are compiled ({time.perf_counter() - began:.1f} s)")
    return 0


def _floor(tiled: bool) -> BlockScene:
    """Returns a floor of blocks, seen from above in a picture of noise; with tiles or in plain colours."""
    import numpy as np

    from blockcore.model.grid import BlockGrid
    from blockcore.model.palette import WEBGPU_PALETTE
    from blockcore.model.scene import BlockScene, View

    x, z = np.indices((_ACROSS, _ACROSS)).reshape(2, -1)
    grid = BlockGrid((_ACROSS, 1, _ACROSS), 1.0, np.stack((x, 0 * x, z), axis=1))
    palette = WEBGPU_PALETTE
    if tiled:
        palette = replace(palette, tiles={(1, direction): np.full((2, 2, 4), 255, np.uint8) for direction in range(6)})
    target = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    materials = np.ones(len(grid), np.int32)
    return BlockScene(grid, materials, palette, (View(_camera(), target),))


def _slope() -> npt.NDArray[np.float64]:
    """Returns the one triangle of a model, (1, 3, 3)."""
    import numpy as np

    return np.array([[[0.0, 0.0, 0.0], [3.0, 1.0, 0.0], [0.0, 2.0, 3.0]]])


def _camera() -> Camera:
    from blockcore.model.camera import Camera, look_at, perspective

    return Camera(look_at((9.0, 9.0, 9.0), (0.0, 0.0, 0.0)), perspective(0.6, 1.0, 0.1, 100.0), _SIDE, _SIDE)
