"""Display transforms: how scene-linear colours come out on a screen, as a table that a renderer's own transform filled.

Between the values of a table colours are interpolated linearly, per channel where the transform treats each channel by
itself (a curve), else within the cell of a cube (trilinearly).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.frozen import ByValue, frozen_array

Colors = npt.NDArray[np.float64]
_AT_ONCE = 1 << 20  # colours, so that what lies between stays small


def srgb_to_linear(display: npt.ArrayLike) -> Colors:
    """Display values in 0…1 to scene-linear ones, any shape (IEC 61966-2-1)."""
    c = np.asarray(display, dtype=np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((np.maximum(c, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: npt.ArrayLike) -> Colors:
    """Scene-linear values to display values, any shape, not clamped (IEC 61966-2-1)."""
    c = np.asarray(linear, dtype=np.float64)
    return np.where(c <= 0.0031308, c * 12.92, 1.055 * np.maximum(c, 0.0031308) ** (1 / 2.4) - 0.055)


@dataclass(frozen=True, eq=False)
class Display(ByValue):
    """A view transform, known at some colours.

    Attributes:
        levels: (n,) float64, ascending scene-linear values; what is below the first or above the last shows as that.
        table: (n, 3) float32, what a channel at each level shows as, where channels do not mix; or (n, n, n, 3), what
            the colour of those levels of red, green and blue shows as. Display values in 0…1.
    """

    levels: npt.NDArray[np.float64]
    table: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        levels, table = np.asarray(self.levels, dtype=np.float64), np.asarray(self.table, dtype=np.float32)
        n = len(levels)
        if n < 2 or not np.isfinite(levels).all() or (np.diff(levels) <= 0.0).any():
            raise SceneError("display: its levels must be at least two, finite and ascending")
        if table.shape not in ((n, 3), (n, n, n, 3)) or not np.isfinite(table).all():
            raise SceneError(f"display: a table of {n} levels cannot have shape {table.shape}, or is not finite")
        object.__setattr__(self, "levels", frozen_array(levels, np.float64))
        object.__setattr__(self, "table", frozen_array(table, np.float32))

    @property
    def mixes(self) -> bool:
        """Whether a channel shown depends on the others."""
        return self.table.ndim == 4

    def show(self, linear: npt.ArrayLike) -> Colors:
        """Returns the display values (..., 3) float64 of scene-linear colours (..., 3)."""
        colors = np.asarray(linear, dtype=np.float64)
        flat = colors.reshape(-1, 3)
        shown = np.empty(flat.shape)
        for start in range(0, len(flat), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            shown[some] = self._mixed(flat[some]) if self.mixes else self._by_channel(flat[some])
        return shown.reshape(colors.shape)

    def _by_channel(self, colors: Colors) -> Colors:
        return np.stack([np.interp(colors[:, c], self.levels, self.table[:, c]) for c in range(3)], axis=1)

    def _mixed(self, colors: Colors) -> Colors:
        cell = np.clip(np.searchsorted(self.levels, colors, side="right") - 1, 0, len(self.levels) - 2)
        low, high = self.levels[cell], self.levels[cell + 1]
        part = np.clip((colors - low) / (high - low), 0.0, 1.0)
        shown = np.zeros(colors.shape)
        for corner in np.ndindex(2, 2, 2):
            share = np.where(corner, part, 1.0 - part).prod(axis=1)
            red, green, blue = (cell + corner).T
            shown += share[:, None] * self.table[red, green, blue]
        return shown


_SRGB_LEVELS = np.concatenate([[0.0], np.geomspace(2.0**-14, 1.0, 4096)])
SRGB = Display(_SRGB_LEVELS, np.repeat(linear_to_srgb(_SRGB_LEVELS)[:, None], 3, axis=1).astype(np.float32))
"""The sRGB curve, clipped at 1: what Blender calls Standard."""
