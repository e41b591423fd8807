# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of blocks as the processes hand them to each other: a file with one palette index a block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError
from blockcore.io.archives import read_array
from blockcore.io.damage import reading


def read_materials(path: Path | str) -> npt.NDArray[np.int32]:
    """Reads an assignment that the engine wrote, (N,) int32 palette indices in block order.

    Raises:
        BlockcoreError: the file is missing or damaged.
    """
    remedy = "run the engine again"
    with reading(path, BlockcoreError, remedy):
        materials = read_array(path, BlockcoreError, remedy)
        if materials.ndim != 1 or materials.dtype.kind not in "iu":
            raise ValueError("it does not hold one whole number a block")
        return materials.astype(np.int32)
