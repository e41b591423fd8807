# SPDX-License-Identifier: GPL-3.0-or-later
"""The open scene's colour management as a table: view transform, look, exposure, gamma, curves and white balance.

Blender itself does the work: colours go into a floating point image, which is saved as a render would be.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError
from blockcore.io.folders import scratch_folder
from blockcore.model.display import Display
from bridge.blender.held import held

Colors = npt.NDArray[np.float64]

_DARKEST, _BRIGHTEST = -14.0, 8.0  # stops about 1
_CURVE, _CUBE = 4096, 64  # levels of a table for channels that do not mix, and of one for those that do
_UNMIXED = 0.5 / 255.0
_WIDE = 4096  # pixels of a row of the image


def read_display(scene: Any = None) -> Display:
    """Returns the display transform of a scene (the open one if None) as renders are saved with it.

    Raises:
        BlockcoreError: Blender cannot save or read a picture.
    """
    scene = bpy.context.scene if scene is None else scene
    levels = np.concatenate([[0.0], np.exp2(np.linspace(_DARKEST, _BRIGHTEST, _CURVE - 1))])
    grey = show(scene, np.repeat(levels[:, None], 3, axis=1))
    curve = Display(levels, grey.astype(np.float32))
    draws = np.random.default_rng(0)
    some = np.exp2(draws.uniform(-8.0, 2.0, (2048, 3))) * draws.integers(0, 2, (2048, 3))
    if np.abs(curve.show(some) - show(scene, some)).max() < _UNMIXED:
        return curve
    spread = _well_spread(levels, grey.mean(axis=1))
    cube = np.stack(np.meshgrid(spread, spread, spread, indexing="ij"), axis=-1)
    return Display(spread, show(scene, cube.reshape(-1, 3)).reshape(cube.shape).astype(np.float32))


def _well_spread(levels: Colors, grey: Colors) -> Colors:
    """Returns levels between which greys differ alike, and which reach as far as ``levels`` do."""
    risen = np.maximum.accumulate(grey - grey[0])
    stops = np.arange(len(levels)) / (len(levels) - 1)
    way = 0.7 * risen / max(float(risen[-1]), 1e-9) + 0.3 * stops
    return np.interp(np.linspace(0.0, 1.0, _CUBE), way, levels)


def show(scene: Any, colors: Colors) -> Colors:
    """Returns the display values (n, 3) of scene-linear colours (n, 3), as a saved render of the scene shows them."""
    count = len(colors)
    width, height = min(count, _WIDE), -(-count // _WIDE)
    values = np.ones((width * height, 4), dtype=np.float32)
    values[:count, :3] = colors
    image = bpy.data.images.new("blockcore display", width, height, alpha=False, float_buffer=True)
    try:
        image.pixels.foreach_set(values.ravel())
        with scratch_folder() as folder, _as_png(scene.render):
            path = str(folder / "shown.png")
            image.save_render(path, scene=scene)
            pixels = _raw_values(path)
    except RuntimeError as error:
        raise BlockcoreError(f"the display transform cannot be read: Blender says {str(error).strip()}") from error
    finally:
        bpy.data.images.remove(image)
    if len(pixels) < width * height * 3:  # Blender says nothing where a disk is full
        raise BlockcoreError("the display transform cannot be read: no temporary picture can be written; make room")
    return pixels.reshape(width * height, -1)[:count, :3].astype(np.float64)


def _raw_values(path: str) -> npt.NDArray[np.float32]:
    image = bpy.data.images.load(path)
    try:
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(pixels)
        return pixels
    finally:
        bpy.data.images.remove(image)


def _as_png(render: Any) -> AbstractContextManager[None]:
    """Saves with 16 bits a channel and without dither; the colour management stays the scene's."""
    settings = render.image_settings
    return held(
        [
            (settings, "file_format", "PNG"),
            (settings, "color_mode", "RGB"),
            (settings, "color_depth", "16"),
            (render, "dither_intensity", 0.0),
        ]
    )
