"""The compiled loop behind ``hull``. Importing this module imports numba; nothing is compiled until first called."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel


@kernel
def _is_background(matrix: npt.NDArray[Any], mask: npt.NDArray[Any], x: int, y: int, z: int) -> bool:
    height, width = mask.shape
    for i in range(27):
        a, b, c = x + i % 3 * 0.5, y + i // 3 % 3 * 0.5, z + i // 9 * 0.5
        w = matrix[3, 0] * a + matrix[3, 1] * b + matrix[3, 2] * c + matrix[3, 3]
        if w <= 0.0:
            return False
        across = (matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]) / w
        down = (matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]) / w
        column, row = int(np.floor((across + 1.0) / 2.0 * width)), int(np.floor((1.0 - down) / 2.0 * height))
        if not (0 <= column < width and 0 <= row < height) or mask[row, column]:
            return False
    return True


@kernel
def carve(matrix: npt.NDArray[Any], mask: npt.NDArray[Any], hull: npt.NDArray[Any]) -> None:
    """Takes out of ``hull`` the cells that are background in a view; ``matrix`` takes the lattice to clip space."""
    for x in range(hull.shape[0]):
        for y in range(hull.shape[1]):
            for z in range(hull.shape[2]):
                if hull[x, y, z] and _is_background(matrix, mask, x, y, z):
                    hull[x, y, z] = False
