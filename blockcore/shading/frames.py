"""Frames: finished 8-bit pictures of a world with one material per block, as a screen would show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import Camera
from blockcore.model.grid import FACE_SLOTS, ExposedFaces
from blockcore.model.lighting import Lighting
from blockcore.model.palette import Palette
from blockcore.model.tile_table import tile_table
from blockcore.visibility.texels import lay_over, triangle_array

if TYPE_CHECKING:
    from blockcore.visibility import Visibility


@dataclass(frozen=True, eq=False)
class FrameColors:
    """What an 8-bit target stores, as the four bytes R, G, B, 255 in memory order.

    Attributes:
        faces: the F exposed faces.
        table: (F + 1 + T,) uint32: of each face, as it is without a tile; of the background; of each texel.
        tile: (F, 3) int32, of each face: where in ``table`` its tile starts, the tile's width and height; width 0 where
            it has none. (0, 3) where no face has one.
    """

    faces: ExposedFaces
    table: npt.NDArray[np.uint32]
    tile: npt.NDArray[np.int32]


def frame_colors(faces: ExposedFaces, materials: npt.NDArray[Any], palette: Palette, lighting: Lighting) -> FrameColors:
    """Works out the colours of a world: ``round(255 * clamp(surface * light, 0, 1))``.

    Args:
        faces: the exposed faces.
        materials: (N,) palette indices of the grid's blocks.
        palette: the materials.
        lighting: the light.

    Returns:
        The colours.
    """
    light = lighting.face_light()
    surface = palette.colors.astype(np.float64)[:, FACE_SLOTS]
    flat = _packed(surface * light)[materials[faces.block], faces.direction]
    tile, texels = np.zeros((0, 3), np.int32), np.zeros(0, np.uint32)
    if palette.tiles:
        table = tile_table(palette)
        where = np.concatenate([table.first[..., None], table.size], axis=-1).astype(np.int32)
        where[..., 0] += len(faces) + 1
        tile = where[materials[faces.block], faces.direction]
        texels = np.concatenate(
            [
                _packed(lay_over(surface[material, direction], texture.reshape(-1, 4)) * light[direction])
                for (material, direction), texture in palette.tiles.items()
            ]
        )
    background = _packed(np.asarray(lighting.background)[None])
    return FrameColors(faces, np.concatenate([flat, background, texels]), tile)


def draw(
    visibility: Visibility, camera: Camera, colors: FrameColors, snapped_bits: int | None = None
) -> npt.NDArray[np.uint8]:
    """Colours a view.

    Args:
        visibility: which face each pixel shows.
        camera: of the view.
        colors: from ``frame_colors``.
        snapped_bits: see ``texels.texture_coordinates``; matters to tiles alone.

    Returns:
        (H, W, 4) uint8 RGBA, opaque, row 0 on top.
    """
    from blockcore.ops import pixels_numba
    from blockcore.visibility import texels_numba

    shown = triangle_array(visibility)
    if len(colors.tile):
        pixels = texels_numba.look_up(colors.faces, camera.view_proj, shown, snapped_bits, colors.table, colors.tile)
    else:
        pixels = pixels_numba.look_up(colors.table[: len(colors.faces) + 1], shown.ravel())
    return np.asarray(pixels.view(np.uint8).reshape(*shown.shape, 4), dtype=np.uint8)


def _packed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Packs colours (..., 3) as an 8-bit target stores them, (...) uint32."""
    quads = np.full((*values.shape[:-1], 4), 255, dtype=np.uint8)
    quads[..., :3] = np.rint(255.0 * np.clip(values, 0.0, 1.0))
    packed: npt.NDArray[np.uint32] = quads.view(np.uint32)[..., 0]
    return packed
