"""Frames: finished 8-bit pictures of a world with one material per block, as a screen would show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.display import srgb_to_linear
from blockcore.model.grid import FACE_SLOTS, ExposedFaces
from blockcore.model.palette import Palette, lay_over
from blockcore.model.tile_table import tile_table
from blockcore.visibility.texels import triangle_array

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility


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


def frame_colors(faces: ExposedFaces, materials: npt.NDArray[Any], palette: Palette, lighting: Light) -> FrameColors:
    """Works out the colours of a world: ``round(255 * clamp(surface * light, 0, 1))``, or what a baked light shows.

    Args:
        faces: the exposed faces.
        materials: (N,) palette indices of the grid's blocks.
        palette: the materials.
        lighting: the light.

    Returns:
        The colours.
    """
    if isinstance(lighting, BakedLight):
        return _baked_colors(faces, materials, palette, lighting)
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


def _baked_colors(
    faces: ExposedFaces, materials: npt.NDArray[Any], palette: Palette, lighting: BakedLight
) -> FrameColors:
    """Gives every face a tile of its own: as fine as the light on it and the material's tile are together."""
    from blockcore.ops import display_numba

    table = [np.zeros(len(faces), np.uint32), _packed(np.asarray(lighting.background)[None])]
    material = materials[faces.block]
    tile = np.zeros((len(faces), 3), np.int32)
    start = len(faces) + 1
    for size in {(lighting.side, lighting.side)} | {_together(lighting.side, t) for t in palette.tiles.values()}:
        width, height = size
        number, pictures = _surfaces(palette, size, lighting.side)
        here = np.flatnonzero(number[material, faces.direction] >= 0)
        down, across = (np.arange(n) * lighting.side // n for n in (height, width))
        received = lighting.received[here][:, down[:, None], across].astype(np.float64)
        picture = number[material[here], faces.direction[here]]
        surface = (picture[:, None] * (width * height) + np.arange(width * height)).ravel()
        albedo = srgb_to_linear(pictures).reshape(1, -1, 3)
        shown = display_numba.show(lighting.display, albedo, received.reshape(-1, 3), surface)
        tile[here] = np.column_stack(
            [start + np.arange(len(here)) * width * height, np.full((len(here), 2), [width, height])]
        )
        table.append(_packed(shown).ravel())
        start += len(here) * width * height
    return FrameColors(faces, np.concatenate(table), tile)


def _together(side: int, tile: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Returns width and height of the coarsest tile whose texels lie in one of a tile's and in one of a light's."""
    return math.lcm(side, tile.shape[1]), math.lcm(side, tile.shape[0])


def _surfaces(
    palette: Palette, size: tuple[int, int], side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Returns the unlit pictures (P, height, width, 3) of what is as fine as ``size``, and the picture of each (M, 6).

    Where a material and direction have none, the number is -1.
    """
    width, height = size
    number = np.full((len(palette), len(FACE_SLOTS)), -1)
    pictures: list[npt.NDArray[np.float64]] = []
    for material, direction in np.ndindex(*number.shape):
        color = palette.colors[material, FACE_SLOTS[direction]].astype(np.float64)
        tile = palette.tiles.get((material, direction))
        if (size == (side, side)) if tile is None else (size == _together(side, tile)):
            number[material, direction] = len(pictures)
            fine = np.zeros((height, width, 4), np.uint8)
            if tile is not None:
                fine = tile.repeat(height // tile.shape[0], axis=0).repeat(width // tile.shape[1], axis=1)
            pictures.append(lay_over(color, fine))
    return number, np.array(pictures).reshape(-1, height, width, 3)


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
