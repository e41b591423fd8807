"""Lighting: one sun, a hemisphere of ambient light, a clear colour. Depends on the normal alone.

A block face has one of six normals, so all lighting there is comes down to six RGB factors (``face_light``).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.display import linear_to_srgb
from blockcore.model.grid import FACE_NORMALS

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

    @staticmethod
    def from_sun_and_world(
        sun_direction: Rgb, sun_radiance: Rgb, world_radiance: Rgb, background: Rgb | None = None
    ) -> Lighting:
        """Builds the light of a physically lit scene: one sun, and a world of one colour.

        A matt surface sends ``albedo · (world + sun · cos / π)``, linear; a display shows its sRGB curve. That curve is
        nearly a power, and a power of a product is the product of powers, so palette colours, which are display values,
        are multiplied by the curve of the light.

        Args:
            sun_direction: towards the sun, world space.
            sun_radiance: linear RGB: the sun's colour times its strength (W/m²).
            world_radiance: linear RGB: the world's colour times its strength.
            background: RGB display value where there is no block; the world's own if None.

        Returns:
            The light; exact for white faces that the sun shines on straight or not at all.
        """
        world, sun = (np.maximum(np.asarray(v, dtype=np.float64), 0.0) for v in (world_radiance, sun_radiance))
        ambient = linear_to_srgb(world)
        straight = linear_to_srgb(world + sun / np.pi) - ambient
        sky = tuple(float(v) for v in np.clip(ambient, 0.0, 1.0)) if background is None else background
        colors = tuple(float(v) for v in ambient)
        return Lighting(
            sun_direction=sun_direction,
            sun_color=tuple(float(v) for v in straight),  # type: ignore[arg-type]
            ambient_strength=1.0,
            ground_color=colors,  # type: ignore[arg-type]
            sky_color=colors,  # type: ignore[arg-type]
            background=sky,  # type: ignore[arg-type]
        )

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
UNLIT = Lighting(
    sun_color=(0.0, 0.0, 0.0), ambient_strength=1.0, ground_color=(1.0, 1.0, 1.0), sky_color=(1.0, 1.0, 1.0)
)
"""No light and shade: every face shows its palette colour."""
