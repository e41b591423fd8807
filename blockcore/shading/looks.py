"""A palette and a light that are learned along with the materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from blockcore.errors import SettingsError, listed, quoted
from blockcore.model.baked_light import Light
from blockcore.model.grid import FACE_NORMALS, FACE_SLOTS
from blockcore.model.lighting import Lighting
from blockcore.model.palette import Palette
from blockcore.shading.radiance import clamp_display
from blockcore.visibility.texels import looks_texels

TRAINABLE = ("colors", "tiles", "light")
_LIGHT = ("sun_direction", "sun_color", "ambient_strength", "ground_color", "sky_color", "background")


class Looks(nn.Module):
    """What materials look like, as parameters: those that were asked for, and the rest as it is.

    Attributes:
        palette: the palette that it began with.
        lighting: the light that it began with.
        colors: (M, 3, 3), as of a palette.
        tiles: (T, 4) RGBA in 0…1, the texels of all tiles, tile after tile as the palette orders them.
        sun_direction, sun_color, ground_color, sky_color, background: (3,) each, as of a ``Lighting``.
        ambient_strength: (1,).
    """

    def __init__(
        self, palette: Palette, lighting: Light, trained: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        """Begins with a palette and a light.

        Args:
            palette: M materials.
            lighting: the light; none that is baked.
            trained: what is learned, of ``TRAINABLE``.
            device: where the parameters live.

        Raises:
            SettingsError: a name is unknown, the light is baked, or there are no tiles to train.
        """
        super().__init__()
        for name in trained:
            if name not in TRAINABLE:
                raise SettingsError(f"trained {quoted(name)} is not one of {listed(TRAINABLE)}")
        if not isinstance(lighting, Lighting):
            raise SettingsError("trained: baked light is given to render as a tensor, light=, and trained there")
        if "tiles" in trained and not palette.tiles:
            raise SettingsError("trained 'tiles': the palette has none; give it tiles")
        self.palette, self.lighting = palette, lighting

        def parameter(values: npt.ArrayLike, kind: str) -> nn.Parameter:
            tensor = torch.tensor(np.asarray(values), dtype=torch.float32, device=device)
            return nn.Parameter(tensor, requires_grad=kind in trained)

        self.colors = parameter(palette.colors, "colors")
        texels = [tile.reshape(-1, 4) for tile in palette.tiles.values()]
        self.tiles = parameter(np.concatenate(texels) / 255.0 if texels else np.zeros((0, 4)), "tiles")
        for name, value in zip(_LIGHT, astuple(lighting), strict=True):
            self.register_parameter(name, parameter(np.atleast_1d(value), "light"))
        self.background: nn.Parameter

    def radiance(self, looks: npt.NDArray[np.int64]) -> torch.Tensor:
        """Returns the display colours (M, L, 3) float64 of looks (L, 3), as ``looks_radiance`` does, with gradients."""
        direction = torch.from_numpy(looks[:, 0].copy()).to(self.colors.device)
        slots = torch.from_numpy(FACE_SLOTS.astype(np.int64)).to(direction)[direction]
        surface = self.colors.double()[:, slots]
        if len(self.tiles):
            texel = torch.from_numpy(looks_texels(self.palette, looks)).to(direction)
            rgba = self.tiles.double()[texel.clamp_min(0)] * (texel >= 0)[..., None]
            surface = surface + rgba[..., 3:] * (rgba[..., :3] - surface)
        return clamp_display(surface * self.face_light()[direction])

    def face_light(self) -> torch.Tensor:
        """Returns the light on each of the six faces, (6, 3) float64; see ``Lighting.light``."""
        sun, sun_color, strength, ground, sky, _ = (getattr(self, name).double() for name in _LIGHT)
        normals = torch.tensor(FACE_NORMALS.copy(), dtype=torch.float64, device=sun.device)
        diffuse = (normals @ torch.nn.functional.normalize(sun, dim=0)).clamp_min(0.0)[:, None] * sun_color
        share = normals[:, 1:2] * 0.5 + 0.5
        light: torch.Tensor = strength * ((1.0 - share) * ground + share * sky) + diffuse
        return light

    def settled(self) -> tuple[Palette, Lighting]:
        """Returns the palette and the light as they were learned, colours brought into 0…1."""
        with torch.no_grad():
            colors = self.colors.clamp(0.0, 1.0).cpu().numpy()
            texels = (self.tiles.clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy()
            values = {name: tuple(getattr(self, name).tolist()) for name in _LIGHT}
        ends = np.cumsum([tile.shape[0] * tile.shape[1] for tile in self.palette.tiles.values()])[:-1]
        parts = np.split(texels, ends) if self.palette.tiles else []
        pairs = zip(self.palette.tiles.items(), parts, strict=True)
        tiles = {key: part.reshape(tile.shape) for (key, tile), part in pairs}
        strength = values.pop("ambient_strength")[0]
        light = replace(self.lighting, ambient_strength=strength, **values)
        return Palette(self.palette.names, colors, tiles), light
