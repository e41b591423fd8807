"""A region whose every cell may hold a block: which there are is learned with what they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from blockcore.errors import MapError, SettingsError
from blockcore.model.baked_light import Light
from blockcore.model.camera import Camera
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.occupancy.walk import STOP, walk
from blockcore.shading.radiance import radiance_of

SKIP = 1e-3
"""Cells of less opacity are air, as long as nothing else makes them more."""


class BlockField(nn.Module):
    """The cells of a grid, each with logits of what it is, Air among them.

    A cell's opacity is the share of all materials but Air, and it shows their blend. Tiles are left out.

    Attributes:
        logits: (X, Y, Z, M), a parameter.
        grid_size: X, Y, Z.
        world_scale: edge of a block in world units.
        palette: the M materials.
        lighting: the light.
    """

    def __init__(
        self,
        grid_size: tuple[int, int, int],
        world_scale: float = 2.0,
        device: torch.device | str = "cpu",
        palette: Palette = WEBGPU_PALETTE,
        lighting: Light = WEBGPU_LIGHTING,
        opacity: float = 0.1,
    ) -> None:
        """Begins as a fog of which every material is an equal part.

        Args:
            grid_size: cells along x, y, z.
            world_scale: edge of a block in world units.
            device: where the parameter lives.
            palette: the M materials.
            lighting: the light; none that is baked, which belongs to blocks that are there.
            opacity: of each cell, above 0 and below 1.

        Raises:
            SettingsError: the light is baked, or the opacity out of range.
        """
        super().__init__()
        if not isinstance(lighting, Lighting):
            raise SettingsError("occupancy: baked light belongs to blocks that are there; give a sun and a sky")
        if not 0.0 < opacity < 1.0:
            raise SettingsError(f"occupancy: an opacity of {opacity} must lie between 0 and 1")
        self.grid_size, self.world_scale, self.palette, self.lighting = grid_size, world_scale, palette, lighting
        logits = torch.zeros(*grid_size, len(palette), device=torch.device(device))
        logits[..., AIR] = math.log((1.0 - opacity) / opacity * (len(palette) - 1))
        self.logits = nn.Parameter(logits)
        radiance = radiance_of(palette, lighting, logits.device, torch.float64)
        faces = torch.nn.functional.pad(radiance, (0, 1), value=1.0)
        faces[AIR] = 0.0
        self.register_buffer("_faces", faces.flatten(1), persistent=False)  # opacity last, as ``walk.walk`` takes it
        cells = torch.arange(math.prod(grid_size), dtype=torch.int32, device=logits.device)
        self.register_buffer("_cells", cells, persistent=False)
        behind = torch.tensor(lighting.background, dtype=torch.float64, device=logits.device)
        self.register_buffer("_background", behind, persistent=False)
        self._faces: torch.Tensor
        self._cells: torch.Tensor
        self._background: torch.Tensor

    def looks(self) -> npt.NDArray[np.float64]:
        """Returns what each material's faces show, (M, 6, 3) display values; Air's show nothing."""
        return np.asarray(self._faces.reshape(len(self.palette), 6, 4)[..., :3].cpu().numpy())

    def opacity(self, temperature: float = 1.0) -> torch.Tensor:
        """Returns the opacity of each cell, (X, Y, Z) in 0…1."""
        return 1.0 - _shares(self.logits, temperature)[..., AIR]

    def render(
        self,
        cameras: Sequence[Camera],
        temperature: float = 1.0,
        hard: bool = False,
        background: torch.Tensor | Sequence[float] | None = None,
        stop: float = STOP,
    ) -> torch.Tensor:
        """Renders what shows through.

        Args:
            cameras: B of one size.
            temperature: of the soft-max over Air and materials, above 0.
            hard: cells are there or not, and of one material; gradients are those of the blend (straight-through).
            background: (3,), (B, 3), (3, H, W) or (B, 3, H, W); the light's if None.
            stop: see ``walk.STOP``.

        Returns:
            (B, 4, H, W): RGB and coverage. Gradients flow to ``logits`` and ``background``, once.
        """
        logits = self.logits.reshape(-1, len(self.palette))
        exact = logits if logits.dtype == torch.float64 else logits.float()
        with torch.autocast(logits.device.type, enabled=False):
            # One soft-max, and one product with what materials look like: both are as large as the grid.
            shares = _shares(exact, temperature)
            table = self._faces.to(exact.dtype)
            faces = shares @ table
            alpha = faces.detach()[:, 3]
            number = torch.where(alpha >= SKIP, self._cells, -1)
            if hard:
                best = table[shares[:, AIR + 1 :].argmax(dim=1) + AIR + 1]
                faces = (alpha > 0.5)[:, None] * best + (faces - faces.detach())
            behind = self._behind(background, cameras).to(exact.dtype)
            ground = number.reshape(self.grid_size), cameras, self.world_scale, behind, stop
            return walk(faces.reshape(-1, 6, 4), *ground).to(logits.dtype)

    def _behind(self, background: torch.Tensor | Sequence[float] | None, cameras: Sequence[Camera]) -> torch.Tensor:
        """Returns the background (B, H, W, 3)."""
        size = len(cameras), 3, cameras[0].height, cameras[0].width
        behind = self._background if background is None else torch.as_tensor(background, device=self.logits.device)
        if behind.shape in ((3,), (size[0], 3)):
            behind = behind[..., None, None]
        try:
            return behind.expand(size).movedim(1, -1)
        except RuntimeError as error:
            raise SettingsError(
                f"background has shape {tuple(behind.shape)}; give a colour (3,), a picture {size[1:]}, or one per item"
            ) from error

    def hardened(self, least: float = 0.5) -> Hardened:
        """Returns the cells that are at least so opaque, and the likeliest material of each."""
        with torch.no_grad():
            there = self.opacity() >= least
            best = self.logits[..., AIR + 1 :].argmax(dim=-1) + AIR + 1
            return Hardened(there.nonzero().cpu().numpy().astype(np.int32), best[there].cpu().numpy().astype(np.int32))

    def clear(self, there: npt.NDArray[np.bool_], air: float = 20.0) -> None:
        """Makes cells air for good: no ray meets them any more, and no gradient brings them back.

        Args:
            there: (X, Y, Z), false where no block can be, such as ``hull.visual_hull`` finds.
            air: by how much Air is likelier than each material.

        Raises:
            MapError: it is not the grid's size.
        """
        if there.shape != tuple(self.grid_size):
            raise MapError(f"cells that may hold a block: shape {there.shape}, expected {tuple(self.grid_size)}")
        gone = torch.from_numpy(~there).to(self.logits.device)
        with torch.no_grad():
            self.logits[..., AIR][gone] = self.logits[..., AIR + 1 :].amax(dim=-1)[gone] + air

    def entropy(self) -> torch.Tensor:
        """Returns how undecided cells are whether they hold a block, the mean in bits: 0 where all are sure."""
        opacity = self.opacity().clamp(1e-30, 1.0)
        clear = (1.0 - opacity).clamp_min(1e-30)
        nats: torch.Tensor = torch.special.entr(opacity) + torch.special.entr(clear)
        return nats.mean() / math.log(2.0)

    def sparsity(self) -> torch.Tensor:
        """Returns the mean opacity of all cells."""
        return self.opacity().mean()

    def variation(self) -> torch.Tensor:
        """Returns how much the opacity of neighbours differs, the mean of absolute differences along x, y and z."""
        opacity = self.opacity()
        every = [opacity.diff(dim=axis).abs() for axis in range(3) if opacity.shape[axis] > 1]
        return torch.stack([differences.mean() for differences in every]).mean()

    def forward(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Renders; see ``render``."""
        return self.render(*arguments, **named)


def _shares(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Returns the soft-max over the last axis; a temperature of 1 costs nothing."""
    return torch.softmax(logits if temperature == 1.0 else logits / temperature, dim=-1)


@dataclass(frozen=True, eq=False)
class Hardened:
    """Blocks that were decided for.

    Attributes:
        cells: (N, 3) int32.
        materials: (N,) int32, never Air.
    """

    cells: npt.NDArray[np.int32]
    materials: npt.NDArray[np.int32]
