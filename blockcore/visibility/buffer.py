"""The visibility buffer: which triangle each pixel of a view shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Visibility:
    """Which triangle each pixel of one view shows.

    Attributes:
        triangle_id: (H, W) int32, row 0 on top: 0 where the background shows, else 1 + 2·face + (0 or 1), with face an
            index into the ``ExposedFaces`` that were drawn. A numpy array, or a torch tensor on the device from the
            CUDA path. No gradient flows through it.
    """

    triangle_id: Any

    @property
    def face(self) -> Any:
        """(H, W) int32: index of the exposed face that each pixel shows, or -1 for the background."""
        return (self.triangle_id + 1) // 2 - 1
