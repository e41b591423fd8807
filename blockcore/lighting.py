"""Lighting: one sun, a hemisphere of ambient light, a clear colour. Depends on the normal alone.

A block face has one of six normals, so all lighting there is comes down to six RGB factors (``face_light``).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.grid import FACE_NORMALS

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Lighting:
    """The light of a scene. On a surface with unit normal n (world space) it is, as in WebGPU's terrain shader.

    ::

        light = max(n·sun, 0) * sun_color + ambient_strength * mix(ground_color, sky_color, n.y/2 + 1/2)

    Attributes:
        sun_direction: towards the sun, world space; any length but 0.
        sun_color: RGB factor of the sun.
        ambient_strength: factor of the hemisphere.
        ground_color: RGB of the hemisphere below.
        sky_color: RGB of the hemisphere above.
        background: RGB display value of a pixel that shows no block.
    """

    sun_direction: Rgb = (0.4, 0.85, 0.5)
    sun_color: Rgb = (1.0, 0.97, 0.9)
    ambient_strength: float = 0.55
    ground_color: Rgb = (0.18, 0.16, 0.12)
    sky_color: Rgb = (0.53, 0.81, 0.92)
    background: Rgb = (0.53, 0.81, 0.92)

    def __post_init__(self) -> None:
        values = np.concatenate([np.ravel(v) for v in astuple(self)])
        if values.shape != (16,) or not np.isfinite(values).all() or not np.any(self.sun_direction):
            raise SceneError("lighting: every value must be finite, and the sun must have a direction")

    def light(self, normals: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns the light on surfaces with unit ``normals`` (..., 3), as RGB factors (..., 3)."""
        n = np.asarray(normals, dtype=np.float64)
        sun = np.asarray(self.sun_direction) / np.linalg.norm(self.sun_direction)
        diffuse = np.maximum(n @ sun, 0.0)[..., None] * np.asarray(self.sun_color)
        t = np.clip(n[..., 1:2] * 0.5 + 0.5, 0.0, 1.0)
        hemisphere = (1.0 - t) * np.asarray(self.ground_color) + t * np.asarray(self.sky_color)
        return np.asarray(self.ambient_strength * hemisphere + diffuse)

    def face_light(self) -> npt.NDArray[np.float64]:
        """Returns the light on each of the six block faces, (6, 3) RGB factors, in the order of ``grid.FACE_NAMES``."""
        return self.light(FACE_NORMALS)


WEBGPU_LIGHTING = Lighting()
"""The light of the WebGPU block editor."""
