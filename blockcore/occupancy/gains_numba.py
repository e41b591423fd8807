"""What pictures say of cells that hold no block yet. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.occupancy.walk_numba import Array, first_cell, step

FREE, BLOCK = 1, 2
"""What a cell may be: empty, and a block might be there; a block. Of any other nothing is asked."""


def collected(state: npt.NDArray[np.uint8], matrices: Array, targets: Array, errors: Array) -> npt.NDArray[np.float64]:
    """Sums, for each face of each free cell, what pixels show that the face would cover.

    Args:
        state: (X, Y, Z), of ``FREE`` and ``BLOCK``.
        matrices: (B, 4, 4), as ``rays.unprojection`` gives them.
        targets: (B, H, W, 4) in 0…1; pixels whose fourth channel is 0 do not count.
        errors: (B, H, W) of the picture as it is.

    Returns:
        (X·Y·Z, 6, 6): pixels; sums of red, green and blue, of all their squares, and of errors.
    """
    sums = np.zeros((state.size, 6, 6))
    box = np.array([(0, 0, 0), state.shape], np.int64)
    for matrix, target, error in zip(matrices, targets, errors, strict=True):
        _collect(state, box, matrix, target, error, sums)
    return sums


@kernel
def _collect(state: Array, box: Array, matrix: Array, target: Array, error: Array, sums: Array) -> Any:
    height, width = error.shape
    cells, shape = state.reshape(-1), state.shape
    for row in range(height):
        y = 1.0 - (row + 0.5) / height * 2.0
        for column in range(width):
            x = (column + 0.5) / width * 2.0 - 1.0
            if target[row, column, 3] == 0.0:
                continue
            red, green, blue = target[row, column, 0], target[row, column, 1], target[row, column, 2]
            at, face, ends, plane, start, slowness, signs, faces = first_cell(matrix, box, shape, x, y)
            if face < 0 and ends > 0.0:
                at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
            while face >= 0 and cells[at] != BLOCK:
                if cells[at] == FREE:
                    sums[at, face, 0] += 1.0
                    sums[at, face, 1] += red
                    sums[at, face, 2] += green
                    sums[at, face, 3] += blue
                    sums[at, face, 4] += red * red + green * green + blue * blue
                    sums[at, face, 5] += error[row, column]
                at, face, plane = step(at, ends, plane, start, slowness, signs, faces, shape)
