# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid that a model's blocks will lie in, drawn over the 3D view as wires."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from . import model_status

_MOST_LINES = 64  # along an edge; a finer grid is drawn in larger steps
_BOX, _CELLS = (1.0, 0.6, 0.1, 0.9), (1.0, 0.6, 0.1, 0.25)
_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
_handles: list[Any] = []


def grid_lines(
    low: npt.NDArray[np.float64], block_size: float, cells: tuple[int, int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the wires of a grid, as ends of lines, (2·L, 3): of the box around it, and of its cells on three sides.

    Args:
        low: the grid's lowest corner.
        block_size: edge of a cell.
        cells: how many along each axis.
    """
    size = np.array(cells) * block_size
    corners = np.array([[k & 1, k >> 1 & 1, k >> 2] for k in range(8)]) * size
    box = corners[np.array(_EDGES).ravel()]
    lines = []
    for axis in range(3):
        step = -(-cells[axis] // _MOST_LINES)
        for other in {0, 1, 2} - {axis}:
            places = np.arange(step, cells[axis], step) * block_size
            ends = np.zeros((len(places), 2, 3))
            ends[:, :, axis] = places[:, None]
            ends[:, 1, other] = size[other]
            lines.append(ends.reshape(-1, 3))
    return low + box, low + np.concatenate(lines)


def _draw() -> None:
    context = bpy.context
    group = context.scene.optimize_materials.model
    if not group.show_grid or not context.space_data.overlay.show_overlays:
        return
    look = model_status.of(context)
    if look is None or look.sampled is None:
        return
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    wires = grid_lines(look.sampled.low, look.block_size(group.across), look.cells(group.across))
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    for ends, color in zip(wires, (_BOX, _CELLS), strict=True):
        shader.uniform_float("color", color)
        batch_for_shader(shader, "LINES", {"pos": (ends @ look.turn.T).astype(np.float32)}).draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def register() -> None:
    """Draws in all 3D views."""
    if not bpy.app.background:
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW"))


def unregister() -> None:
    """Draws no longer."""
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
