"""Shading: materials to face colours, face colours to pixels; differentiable in the materials.

A block's face has one normal and one palette slot, so it has one colour, and a picture is a gather of face colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from blockcore.model.baked_light import Light
from blockcore.model.display import srgb_to_linear
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import AIR, Palette
from blockcore.ops.blend import blend
from blockcore.ops.pixels import gather_faces
from blockcore.visibility.texels import WHOLE_FACES, looks_radiance, looks_surface

if TYPE_CHECKING:
    from blockcore.visibility.faces import VisibleFaces


def material_probabilities(
    logits: torch.Tensor,
    temperature: float = 1.0,
    hard: bool = False,
    noise: torch.Tensor | None = None,
) -> torch.Tensor:
    """Turns material logits into the share each material has in a block.

    Args:
        logits: (N, M). Air, material 0, never has a share: a placed block is something.
        temperature: of the soft-max, > 0; lower is sharper.
        hard: give the likeliest material the whole share, with the gradient of the soft-max (straight-through,
            Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons").
        noise: (N, M) added to the logits first, such as ``gumbel_noise`` (Jang et al. 2017).

    Returns:
        (N, M), rows sum to 1. Gradients flow to ``logits``.
    """
    scores = logits if noise is None else logits + noise
    solid = torch.softmax(scores[:, AIR + 1 :] / temperature, dim=1)
    shares = torch.nn.functional.pad(solid, (AIR + 1, 0))
    if hard:
        best = torch.nn.functional.one_hot(best_materials(scores), logits.shape[1]).to(shares)
        shares = best + (shares - shares.detach())
    return shares


def gumbel_noise(
    shape: Sequence[int],
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Draws standard Gumbel noise: by the generator on its device, or by torch's own on ``device``."""
    where = device if generator is None else generator.device
    uniform = torch.rand(tuple(shape), generator=generator, device=where, dtype=dtype)
    tiny = torch.finfo(dtype).tiny
    exponential = -torch.log(uniform.clamp_min(tiny))
    return -torch.log(exponential.clamp_min(tiny))


def best_materials(logits: torch.Tensor) -> torch.Tensor:
    """Returns the likeliest material of each block, (N,) int64, never Air; of equals the first."""
    return logits.detach()[:, AIR + 1 :].argmax(dim=1) + AIR + 1


def radiance_of(
    palette: Palette,
    lighting: Light,
    device: torch.device,
    dtype: torch.dtype,
    looks: npt.NDArray[np.int64] = WHOLE_FACES,
    received: npt.NDArray[np.float64] | None = None,
) -> torch.Tensor:
    """Returns the display colours of a palette under a light, as a constant (M, L, 3) tensor.

    Args:
        palette: M materials.
        lighting: the light.
        device: where the tensor shall live.
        dtype: its type.
        looks: (L, 3), the faces or parts of faces; see ``texels.looks_radiance``. By default the six whole faces.
        received: (L, 3), what each of them receives of a baked light.
    """
    return (
        torch.from_numpy(looks_radiance(palette, lighting, looks, received)).to(device=device, dtype=dtype).contiguous()
    )


def lit_radiance(
    palette: Palette, looks: npt.NDArray[np.int64], received: torch.Tensor, levels: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """Returns the display colours of a palette in baked light, differentiably in the light and in its display.

    Args:
        palette: M materials.
        looks: (L, 3), the parts of faces.
        received: (L, 3) scene-linear RGB, what each look receives.
        levels: (n,) ascending, as of a ``Display``.
        table: (n, 3) or (n, n, n, 3), likewise.

    Returns:
        (M, L, 3) float64 in 0…1. Gradients flow to ``received`` and ``table``, through the clamp as well.
    """
    albedo = torch.from_numpy(srgb_to_linear(looks_surface(palette, looks))).to(received.device)
    return clamp_display(displayed(albedo * received.double(), levels.double(), table.double()))


def displayed(linear: torch.Tensor, levels: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Returns what ``Display.show`` does, (..., 3), for tensors of one type; gradients flow to colours and table.

    Outside the levels a colour shows as the outermost one, and no gradient flows to it.
    """
    cell = torch.searchsorted(levels, linear.detach().contiguous(), right=True).sub(1).clamp(0, len(levels) - 2)
    low = levels[cell]
    part = ((linear - low) / (levels[cell + 1] - low)).clamp(0.0, 1.0)
    if table.ndim == 2:
        channel = torch.arange(3, device=linear.device).expand_as(cell)
        return torch.lerp(table[cell, channel], table[cell + 1, channel], part)
    shown = torch.zeros_like(linear)
    for corner in np.ndindex(2, 2, 2):
        on = torch.tensor(corner, device=linear.device)
        share = torch.where(on.bool(), part, 1.0 - part).prod(dim=-1, keepdim=True)
        red, green, blue = (cell + on).unbind(dim=-1)
        shown = shown + share * table[red, green, blue]
    return shown


def clamp_display(values: torch.Tensor) -> torch.Tensor:
    """Clamps to 0…1 as an 8-bit target does, but lets gradients pass where it clamps (straight-through)."""
    return values + (values.clamp(0.0, 1.0) - values).detach()


@dataclass(frozen=True, eq=False)
class Sight:
    """What cameras see, lit: all of a picture but the materials.

    Attributes:
        visible: the V blocks and F faces there are to be seen.
        face: (..., H, W) int32, the face of each pixel, -1 for none.
        radiance: (M, L, 3) float64 from ``radiance_of``, with the looks of ``visible``.
        background: (3,) float64, the colour where there is no face.
    """

    visible: VisibleFaces
    face: torch.Tensor
    radiance: torch.Tensor
    background: torch.Tensor


def shaded_picture(logits: torch.Tensor, sight: Sight, temperature: float = 1.0, hard: bool = False) -> torch.Tensor:
    """Makes pictures of materials: the soft-max, the blend of each face, the gather.

    Args:
        logits: (V, M), of the visible blocks.
        sight: what is seen.
        temperature: of the soft-max.
        hard: one material per block, straight-through.

    Returns:
        (..., 4, H, W): RGB and coverage. Gradients flow to ``logits``.
    """
    shares = material_probabilities(logits, temperature, hard)
    visible, dtype = sight.visible, logits.dtype
    colors = face_colors(shares, sight.radiance.to(dtype), visible.block, visible.look)
    return shade(colors, sight.face, sight.background.to(dtype))


def face_colors(shares: torch.Tensor, radiance: torch.Tensor, block: torch.Tensor, look: torch.Tensor) -> torch.Tensor:
    """Returns the display colour of each face, or of each part into which tiles cut it.

    Args:
        shares: (N, M), the share of each material in each block.
        radiance: (M, L, 3), from ``radiance_of``.
        block: (F,) int64, ascending: the block of each face.
        look: (F,) int64, which of the L looks each face has; its direction, where no face is cut.

    Returns:
        (F, 3) in 0…1. Gradients flow to ``shares`` and ``radiance``.
    """
    return blend(shares, radiance, block, look)


def shade(colors: torch.Tensor, face: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Colours a picture.

    Args:
        colors: (F, 3) face colours.
        face: (..., H, W) int32, the face of each pixel, -1 for none.
        background: (3,) colour where there is none, a constant.

    Returns:
        (..., 4, H, W): RGB and coverage (1 where a block is, 0 where not). Gradients flow to ``colors``.
    """
    with_coverage = torch.nn.functional.pad(colors, (0, 1), value=1.0)
    rgba = gather_faces(with_coverage, face.reshape(-1), torch.nn.functional.pad(background, (0, 1)))
    return rgba.reshape(4, *face.shape).movedim(0, -3)


def composite_over_sky(
    rgb: torch.Tensor, alpha: torch.Tensor, sky_color: Sequence[float] = WEBGPU_LIGHTING.background
) -> torch.Tensor:
    """Lays a picture over the sky.

    Args:
        rgb: (..., 3, H, W).
        alpha: (..., 1, H, W) coverage, 0…1.
        sky_color: RGB of the sky.

    Returns:
        (..., 4, H, W): RGB over the sky, and the coverage. Gradients flow to ``rgb`` and ``alpha``.
    """
    sky = torch.as_tensor(sky_color, device=rgb.device, dtype=rgb.dtype)[:, None, None]
    return torch.cat([rgb * alpha + sky * (1.0 - alpha), alpha], dim=-3)


class TerrainShader:
    """Lights surface colours by their normals, for pictures made of interpolated attributes.

    Attributes:
        lighting: the light.
    """

    def __init__(self, lighting: Lighting = WEBGPU_LIGHTING) -> None:
        self.lighting = lighting

    def shade(self, normals: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
        """Returns lit display colours.

        Args:
            normals: (..., 3) unit normals, world space.
            colors: (..., 3) surface colours.

        Returns:
            (..., 3) in 0…1. Gradients flow to ``normals`` and ``colors``, through the clamp as well.
        """
        light = self.lighting

        def constant(values: Sequence[float]) -> torch.Tensor:
            return torch.as_tensor(values, device=normals.device, dtype=normals.dtype)

        sun = torch.nn.functional.normalize(constant(light.sun_direction), dim=0)
        diffuse = (normals @ sun).clamp_min(0.0)[..., None] * constant(light.sun_color)
        t = (normals[..., 1:2] * 0.5 + 0.5).clamp(0.0, 1.0)
        hemisphere = (1.0 - t) * constant(light.ground_color) + t * constant(light.sky_color)
        return clamp_display(colors * (light.ambient_strength * hemisphere + diffuse))

    __call__ = shade
