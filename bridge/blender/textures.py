# SPDX-License-Identifier: GPL-3.0-or-later
"""Image textures as arrays of scene-linear colours, read as their colour space says, and looked at by UV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.display import srgb_to_linear
from bridge.blender.working_space import from_rec709

Floats = npt.NDArray[np.float64]

_PLAIN = ("Non-Color", "Raw", "Linear", "Linear Rec.709", "scene_linear", "")
_CURVED = ("sRGB", "sRGB - Texture", "srgb_display")


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture.

    Attributes:
        pixels: (H, W, 4) float64, row 0 at v = 0: scene-linear RGB in the file's working space, and opacity.
    """

    pixels: Floats


def read_texture(image: Any) -> Texture:
    """Reads an image of the open file.

    Raises:
        SceneError: it is not a still picture, cannot be found, or has a colour space that is not known here.
    """
    what = f"image {image.name!r}"
    if image.source not in ("FILE", "GENERATED") or image.type not in ("IMAGE", "UV_TEST"):
        raise SceneError(f"{what}: is not one still picture; save it as a PNG and use that, or choose a palette")
    width, height = image.size
    if not width or not height:
        place = image.filepath or "packed data"
        raise SceneError(f"{what} ({place}): cannot be read; find the file, or choose a palette")
    values = np.empty(len(image.pixels), dtype=np.float32)
    image.pixels.foreach_get(values)
    found = values.reshape(height, width, -1).astype(np.float64)
    if found.shape[2] < 3:
        found = np.concatenate([np.repeat(found[..., :1], 3, axis=2), found[..., 1:]], axis=2)
    alpha = found[..., 3:] if found.shape[2] == 4 and image.alpha_mode != "NONE" else np.ones((height, width, 1))
    return Texture(np.concatenate([_linear(image, found[..., :3], alpha), alpha], axis=2))


def sample(texture: Texture, uv: Floats, extension: str) -> Floats:
    """Returns the texels (n, 4) at (n, 2) UVs; ``extension`` as the Image Texture node has it."""
    height, width = texture.pixels.shape[:2]
    place = np.floor(np.round(uv * (width, height), 4)).astype(np.int64)
    size = np.array([width, height])
    if extension == "REPEAT":
        inside = place % size
    elif extension == "MIRROR":
        inside = place % (2 * size)
        inside = np.where(inside >= size, 2 * size - 1 - inside, inside)
    else:
        inside = np.clip(place, 0, size - 1)
    found: Floats = texture.pixels[inside[:, 1], inside[:, 0]]
    if extension == "CLIP":
        found = np.where((place == inside).all(axis=1, keepdims=True), found, 0.0)
    return found


def _linear(image: Any, rgb: Floats, alpha: Floats) -> Floats:
    """Byte pictures come as their bytes, floating point ones scene-linear and multiplied with their opacity."""
    if image.is_float:
        straight = np.divide(rgb, alpha, out=rgb.copy(), where=alpha > 0.0)
        return straight if image.alpha_mode in ("STRAIGHT", "PREMUL") else rgb
    space = image.colorspace_settings.name
    if image.alpha_mode == "PREMUL":
        rgb = np.clip(np.divide(rgb, alpha, out=rgb.copy(), where=alpha > 0.0), 0.0, 1.0)
    if image.colorspace_settings.is_data or space in _PLAIN:
        return rgb if image.colorspace_settings.is_data else from_rec709(rgb)
    if space in _CURVED:
        return from_rec709(srgb_to_linear(rgb))
    raise SceneError(f"image {image.name!r}: its colour space {space!r} is not read here; choose sRGB or Non-Color")
