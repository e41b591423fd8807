"""Baked light: what each exposed face of a world receives, measured by a renderer, and how that renderer shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.files import Json
from blockcore.model.display import SRGB, Display, srgb_to_linear
from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.lighting import Lighting, Rgb

Colors = npt.NDArray[np.float64]
_GAMMA = 1 / 2.4  # in steps of this power light differs about as much as it looks to
_FINEST = 2.0**-18  # of the brightest light: closer than that are the same


@dataclass(frozen=True, eq=False)
class BakedLight(ByValue):
    """Light that was measured face by face, for one set of blocks.

    A matt face of palette colour c shows ``display(srgb_to_linear(c) · received)``: palette colours are what the sRGB
    curve shows of a surface's linear albedo.

    Attributes:
        received: (F, k, k, 3) float32, read-only: scene-linear RGB that a white matt face would send, which is its
            irradiance over π; face in the order of ``BlockGrid.exposed_faces``, row and column as a tile lies on it.
        display: the view transform.
        background: RGB display value of a pixel that shows no block.
    """

    received: npt.NDArray[np.float32]
    display: Display = SRGB
    background: Rgb = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        received = np.asarray(self.received)
        if received.ndim != 4 or received.shape[3] != 3 or received.shape[1] != received.shape[2]:
            raise SceneError(f"light: received has shape {received.shape}, expected (faces, side, side, 3)")
        if received.shape[1] < 1 or not np.isfinite(received).all() or (received < 0.0).any():
            raise SceneError("light: what faces receive must be finite and not below 0; bake it again")
        object.__setattr__(self, "received", frozen_array(received, np.float32))
        background = tuple(float(v) for v in self.background)
        if len(background) != 3 or not np.isfinite(background).all():
            raise SceneError("light: the background must be three finite display values")
        object.__setattr__(self, "background", background)

    @property
    def side(self) -> int:
        """Texels along each edge of a face."""
        return self.received.shape[1]

    def show(self, surface: Colors, received: npt.ArrayLike) -> Colors:
        """Returns the display values in 0…1 of surfaces (..., 3), palette colours, in light received (..., 3)."""
        return np.clip(self.display.show(srgb_to_linear(surface) * np.asarray(received, np.float64)), 0.0, 1.0)


Light = Lighting | BakedLight
"""What lights a scene."""
LIGHT_ARRAYS = ("light_received", "display_levels", "display_table")
"""The names of all arrays that ``light_arrays`` may give."""


def merged(
    received: Colors, groups: npt.NDArray[np.int64], most: int
) -> tuple[Colors, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lets nearly equal lights be one, so that there are at most as many of them as asked for, if groups allow it.

    Steps are even in the light to the power of 1/2.4; each light found is the mean of those it stands for. A light is
    off by less than one step in every channel, and steps are no wider than needed.

    Args:
        received: (P, 3) lights.
        groups: (P,) whole numbers from 0; only lights of the same group may become one.
        most: how many there may be, at least as many as there are groups.

    Returns:
        The lights (Q, 3), the group of each (Q,), and (P,) which of them stands for each.
    """
    shown = np.maximum(received, 0.0) ** _GAMMA
    step = _FINEST * max(float(shown.max(initial=0.0)), 1e-9)
    while True:
        cells = np.rint(shown / step).astype(np.int64)
        span = int(cells.max(initial=0)) + 1
        keys = ((groups * span + cells[:, 0]) * span + cells[:, 1]) * span + cells[:, 2]
        found, first, index = np.unique(keys, return_index=True, return_inverse=True)
        if len(found) <= most or span == 1:
            break
        step *= 1.5
    count = np.bincount(index, minlength=len(found))
    means = np.stack([np.bincount(index, received[:, c], len(found)) for c in range(3)], axis=1) / count[:, None]
    return means, groups[first], index


def light_header(light: Light) -> Json:
    """Returns what JSON can say of a light; arrays are apart, see ``light_arrays``."""
    if isinstance(light, BakedLight):
        return {"baked": True, "background": list(light.background)}
    return asdict(light)


def light_arrays(light: Light) -> dict[str, npt.NDArray[Any]]:
    """Returns the arrays of a light, for a file."""
    if not isinstance(light, BakedLight):
        return {}
    return {
        "light_received": light.received,
        "display_levels": light.display.levels,
        "display_table": light.display.table,
    }


def light_from(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Light:
    """Returns the light that ``light_header`` and ``light_arrays`` told.

    Raises:
        KeyError, TypeError: something is missing or too much.
        SceneError: a value is wrong.
    """
    values: Json = {k: tuple(v) if isinstance(v, list) else v for k, v in header.items()}
    if not values.get("baked"):
        return Lighting(**values)
    display = Display(arrays["display_levels"], arrays["display_table"])
    return BakedLight(arrays["light_received"], display, values["background"])
