# SPDX-License-Identifier: GPL-3.0-or-later
"""Image textures as arrays of scene-linear colours, read as their colour space says, and looked at by UV."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.folders import scratch_folder
from blockcore.model.display import srgb_to_linear
from bridge.blender.stills import frame_of, still
from bridge.blender.working_space import from_rec709

Floats = npt.NDArray[np.float64]

_CURVED = ("sRGB", "sRGB - Texture", "srgb_display")


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture.

    Attributes:
        pixels: (H, W, 4) float64, row 0 at v = 0: scene-linear RGB in the file's working space, and opacity.
        faded: the same with the colours that renders take where nobody asks for the opacity: multiplied with it.
    """

    pixels: Floats
    faded: Floats


@dataclass(frozen=True, eq=False)
class Album:
    """The textures that were read while a scene is looked at; images must not change meanwhile."""

    _read: dict[tuple[str, int | None], Texture] = field(default_factory=dict)

    def texture(self, image: Any, user: Any) -> Texture:
        """Returns what an image of the open file shows at the current frame.

        Raises:
            SceneError: it shows no still picture, or it cannot be found.
        """
        moves = image.source in ("SEQUENCE", "MOVIE")
        key = image.name_full, frame_of(user, bpy.context.scene.frame_current) if moves else None
        if key not in self._read:
            with still(image, user) as shown:
                self._read[key] = _read_texture(shown)
        return self._read[key]


def _read_texture(image: Any) -> Texture:
    width, height = image.size
    if not width or not height:
        place = image.filepath or "packed data"
        raise SceneError(f"image {image.name!r} ({place}): cannot be read; find the file, or choose a palette")
    values = np.empty(len(image.pixels), dtype=np.float32)
    image.pixels.foreach_get(values)
    found = values.reshape(height, width, -1).astype(np.float64)
    if found.shape[2] < 3:
        found = np.concatenate([np.repeat(found[..., :1], 3, axis=2), found[..., 1:]], axis=2)
    alpha = found[..., 3:] if found.shape[2] == 4 and image.alpha_mode != "NONE" else np.ones((height, width, 1))
    return Texture(*_layers(image, found[..., :3], alpha))


def _layers(image: Any, rgb: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Byte pictures come as straight bytes, floating point ones scene-linear and multiplied with their opacity."""
    mode = image.alpha_mode
    if image.is_float and mode in ("STRAIGHT", "PREMUL"):
        rgb = np.divide(rgb, alpha, out=rgb.copy(), where=alpha > 0.0)
    pixels = np.concatenate([_linear(image, rgb), alpha], axis=2)
    fades = mode in ("STRAIGHT", "PREMUL") and not image.colorspace_settings.is_data and alpha.min() < 1.0
    return pixels, np.concatenate([_linear(image, rgb * alpha), alpha], axis=2) if fades else pixels


def sample(pixels: Floats, uv: Floats, extension: str) -> Floats:
    """Returns the texels (n, 4) at (n, 2) UVs; ``extension`` as the Image Texture node has it."""
    height, width = pixels.shape[:2]
    place = np.floor(np.round(uv * (width, height), 4)).astype(np.int64)
    size = np.array([width, height])
    if extension == "REPEAT":
        inside = place % size
    elif extension == "MIRROR":
        inside = place % (2 * size)
        inside = np.where(inside >= size, 2 * size - 1 - inside, inside)
    else:
        inside = np.clip(place, 0, size - 1)
    found: Floats = pixels[inside[:, 1], inside[:, 0]]
    if extension == "CLIP":
        found = np.where((place == inside).all(axis=1, keepdims=True), found, 0.0)
    return found


def _linear(image: Any, rgb: Floats) -> Floats:
    if image.is_float or image.colorspace_settings.is_data:
        return rgb
    if image.colorspace_settings.name in _CURVED:
        return from_rec709(srgb_to_linear(rgb))
    return _converted(rgb, image.colorspace_settings.name)


def _converted(rgb: Floats, space: str) -> Floats:
    """Returns scene-linear colours (H, W, 3) of values in a colour space: Blender converts them as it reads a file."""
    height, width = rgb.shape[:2]
    plain = bpy.data.images.new("blockcore colours", width, height, alpha=True, float_buffer=True, is_data=True)
    try:
        plain.pixels.foreach_set(np.concatenate([rgb, np.ones((height, width, 1))], axis=2).astype(np.float32).ravel())
        with scratch_folder() as folder:
            plain.filepath_raw, plain.file_format = str(folder / "colours.exr"), "OPEN_EXR"
            plain.save()
            plain.source = "FILE"
            plain.colorspace_settings.name = space
            plain.reload()
            values = np.empty(height * width * 4, dtype=np.float32)
            plain.pixels.foreach_get(values)
    finally:
        bpy.data.images.remove(plain)
    return values.reshape(height, width, 4)[..., :3].astype(np.float64)
