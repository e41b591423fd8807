"""Cameras drawn at random around a world, each step anew, with the light and the background that go with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError, quoted
from blockcore.model.camera import look_at, perspective
from blockcore.model.grid import BlockGrid, lattice_to_world
from blockcore.model.lighting import Lighting

Range = tuple[float, float]
_BOUNDS = {"distance": (0.05, 100.0), "elevation": (-89.0, 89.0), "azimuth": (-360.0, 360.0), "fov": (1.0, 150.0)}
_STREAM = 0x5407  # what is drawn here is not what else is drawn with the same seed


@dataclass(frozen=True, eq=False)
class Shots:
    """B cameras of one step.

    Attributes:
        view: (B, 4, 4) float64, world to view space.
        proj: (B, 4, 4) float64, view to clip space.
        azimuth: (B,) degrees around the world; 0 stands south of it, in front, 90 east.
        elevation: (B,) degrees above the horizon.
        distance: (B,) from the point that is looked at, in world units.
        fov: (B,) degrees, vertical.
        background: (B, 3) RGB display values behind the blocks, or None for that of the light.
        lighting: the light, the same for all; None for the world's own.
    """

    view: npt.NDArray[np.float64]
    proj: npt.NDArray[np.float64]
    azimuth: npt.NDArray[np.float64]
    elevation: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    fov: npt.NDArray[np.float64]
    background: npt.NDArray[np.float64] | None
    lighting: Lighting | None

    def __len__(self) -> int:
        return len(self.view)


@dataclass(frozen=True)
class CameraSampler:
    """Draws cameras around a ball; every number in its range is as likely as any other.

    Attributes:
        center: (x, y, z) of the ball, world space.
        radius: of the ball, world units, above 0.
        distance: as a share of that from where the ball just fills the picture's height.
        elevation: degrees above the horizon.
        azimuth: degrees around the ball; 0 stands south (+Z), 90 east (+X).
        fov: vertical field of view, degrees.
        jitter: how far the point that is looked at strays from the centre, as a share of the radius.
        light: ``"scene"``: the world's own; ``"random"``: a sun above the horizon and sky of random strength, drawn
            anew for each step.
        background: ``"scene"``: that of the light; ``"random"``: a colour for each picture, so that no background can
            be taken for a part of the world.
        seed: of all that is drawn.
    """

    center: tuple[float, float, float]
    radius: float
    distance: Range = (0.9, 1.2)
    elevation: Range = (-10.0, 60.0)
    azimuth: Range = (0.0, 360.0)
    fov: Range = (30.0, 50.0)
    jitter: float = 0.1
    light: str = "scene"
    background: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise SettingsError(
                    f"cameras: {name} {quoted((low, high))} must be two numbers from {least:g} to {most:g}, in order"
                )
        for name in ("light", "background"):
            if getattr(self, name) not in ("scene", "random"):
                raise SettingsError(f"cameras: {name} {quoted(getattr(self, name))} is not one of scene, random")
        if not 0.0 < self.radius < math.inf or not 0.0 <= self.jitter <= 1.0 or not np.isfinite(self.center).all():
            raise SettingsError("cameras: radius must be above 0, jitter from 0 to 1, and the centre finite")

    @staticmethod
    def around(
        grid: BlockGrid,
        *,
        distance: Range = (0.9, 1.2),
        elevation: Range = (-10.0, 60.0),
        azimuth: Range = (0.0, 360.0),
        fov: Range = (30.0, 50.0),
        jitter: float = 0.1,
        light: str = "scene",
        background: str = "random",
        seed: int = 0,
    ) -> CameraSampler:
        """Returns a sampler around all blocks of a grid; arguments as the attributes."""
        if not len(grid):
            raise SettingsError("cameras: there is no block to look at")
        ends = np.stack([grid.positions.min(axis=0), grid.positions.max(axis=0) + 1])
        low, high = lattice_to_world(ends, grid.size, grid.world_scale).astype(np.float64)
        x, y, z = ((low + high) / 2.0).tolist()
        radius = float(np.linalg.norm(high - low)) / 2.0
        return CameraSampler((x, y, z), radius, distance, elevation, azimuth, fov, jitter, light, background, seed)

    def shots(self, step: int, count: int, aspect: float = 1.0) -> Shots:
        """Draws the cameras of one step: the same for the same step, whatever was drawn before.

        Args:
            step: how many steps were taken before.
            count: B.
            aspect: width / height of the pictures.
        """
        rng = np.random.default_rng([_STREAM, self.seed, step])
        azimuth, elevation, fov = (rng.uniform(*r, count) for r in (self.azimuth, self.elevation, self.fov))
        distance = rng.uniform(*self.distance, count) * self.radius / np.sin(np.radians(fov) / 2.0)
        aims = np.asarray(self.center) + self.jitter * self.radius * _in_ball(rng, count)
        lighting = _random_light(rng) if self.light == "random" else None
        background = rng.uniform(0.0, 1.0, (count, 3)) if self.background == "random" else None
        return self._looking(azimuth, elevation, distance, fov, aims, aspect, background, lighting)

    def turntable(self, count: int, aspect: float = 1.0) -> Shots:
        """Returns cameras that go once around, at the middle of every range, in the world's own light."""
        azimuth = np.arange(count) * (360.0 / count)
        elevation, fov = (np.full(count, sum(r) / 2.0) for r in (self.elevation, self.fov))
        distance = sum(self.distance) / 2.0 * self.radius / np.sin(np.radians(fov) / 2.0)
        aims = np.tile(np.asarray(self.center), (count, 1))
        return self._looking(azimuth, elevation, distance, fov, aims, aspect, None, None)

    def _looking(
        self,
        azimuth: npt.NDArray[np.float64],
        elevation: npt.NDArray[np.float64],
        distance: npt.NDArray[np.float64],
        fov: npt.NDArray[np.float64],
        aims: npt.NDArray[np.float64],
        aspect: float,
        background: npt.NDArray[np.float64] | None,
        lighting: Lighting | None,
    ) -> Shots:
        around, above = np.radians(azimuth), np.radians(elevation)
        out = np.stack([np.cos(above) * np.sin(around), np.sin(above), np.cos(above) * np.cos(around)], axis=1)
        eyes = aims + distance[:, None] * out
        view = np.stack([look_at(eye, aim) for eye, aim in zip(eyes, aims, strict=True)])
        ranges = [(max(d - 2.5 * self.radius, 1e-3 * d), d + 2.5 * self.radius) for d in distance.tolist()]
        # WebGPU's clip volume cuts at about twice the near plane of this projection.
        proj = [perspective(a, aspect, near / 2.0, far) for a, (near, far) in zip(np.radians(fov), ranges, strict=True)]
        return Shots(view, np.stack(proj), azimuth, elevation, distance, fov, background, lighting)


def _in_ball(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Returns points (count, 3), evenly distributed in the unit ball."""
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * rng.uniform(0.0, 1.0, (count, 1)) ** (1.0 / 3.0))


def _random_light(rng: np.random.Generator) -> Lighting:
    """Returns a white sun somewhere above the horizon and a sky; together about as bright as the WebGPU editor's."""
    around, height = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.2, 1.0)
    flat = math.sqrt(1.0 - height * height)
    ambient = rng.uniform(0.4, 0.8)
    sun = rng.uniform(0.7, 1.0) * (1.0 - ambient / 2.0)
    return Lighting(
        sun_direction=(flat * math.sin(around), height, flat * math.cos(around)),
        sun_color=(sun, sun, sun),
        ambient_strength=ambient,
        ground_color=(0.6, 0.6, 0.6),
        sky_color=(1.0, 1.0, 1.0),
    )
