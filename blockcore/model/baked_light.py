"""Baked light: what each exposed face of a world receives, measured by a renderer, and how that renderer shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.files import Json
from blockcore.model.display import SRGB, Display
from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.lighting import Lighting, Rgb


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


Light = Lighting | BakedLight
"""What lights a scene."""
LIGHT_ARRAYS = ("light_received", "display_levels", "display_table")
"""The names of all arrays that ``light_arrays`` may give."""


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
