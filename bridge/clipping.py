# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blocks a camera's near plane cuts open; plain geometry, without bpy."""

from __future__ import annotations

import numpy as np

from blockcore.model.camera import Camera
from blockcore.model.grid import BlockGrid, lattice_to_world


def cut_open(camera: Camera, grid: BlockGrid) -> int:
    """Returns how many blocks in the frame the near plane of a camera goes through: Blender shows their insides.

    Args:
        camera: with depth 0 on its near plane.
        grid: the blocks; what lies beside the frame by less than a block may count.
    """
    proj, turn = camera.proj, camera.view[:3, :3]
    near = proj[2, 3] / proj[2, 2]
    half = np.abs(turn).sum(axis=1) * grid.world_scale / 2.0
    seen = lattice_to_world(grid.positions + 0.5, grid.size, grid.world_scale) @ turn.T + camera.view[:3, 3]
    seen = seen[np.abs(seen[:, 2] + near) < half[2] * (1.0 - 1e-6)]
    across = np.diag(proj)[:2] / (near if camera.is_perspective else 1.0)
    shift = proj[:2, 3] if not camera.is_perspective else -proj[:2, 2]
    return int((np.abs(seen[:, :2] * across + shift) < 1.0 + half[:2] * across).all(axis=1).sum())
