"""Which texel each pixel shows: texture coordinates per view, and the parts into which tiles cut a face.

Tiles of several sizes may lie on the same face, one per material. Every texel border of each of them cuts the face, and
within one *part* every material shows a single texel. A part takes the place that a whole face has without tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.display import srgb_to_linear
from blockcore.model.frozen import frozen_array
from blockcore.model.grid import FACE_NAMES, FACE_SLOTS, ExposedFaces
from blockcore.model.palette import Palette, lay_over

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility

WHOLE_FACES = frozen_array([[direction, 0, 0] for direction in range(len(FACE_NAMES))], np.int64)
"""(6, 3): the looks of faces that are not cut; see ``looks_radiance``."""


def texture_coordinates(
    faces: ExposedFaces, camera: Camera, visibility: Visibility, snapped_bits: int | None = None
) -> npt.NDArray[np.float32]:
    """Finds the texture coordinates of each pixel's centre on the triangle it shows.

    They are interpolated with perspective from the corners' float32 clip positions, in homogeneous form, so that
    corners behind the camera need no cutting (Olano and Greer 1997, "Triangle Scan Conversion using 2D Homogeneous
    Coordinates").

    Args:
        faces: the exposed faces.
        camera: the view.
        visibility: which triangle each pixel shows.
        snapped_bits: interpolate between the corners as they were snapped to 1/2^bits of a pixel, as SwiftShader does,
            instead of between the corners themselves, as lavapipe does. Triangles that reach behind the camera stay.

    Returns:
        (H, W, 2) float32: u and v, 0…1 up to rounding, v = 0 at the tile's first row; 0 where there is no block.
    """
    from blockcore.visibility import texels_numba

    uv = texels_numba.texture_coordinates(faces, camera.view_proj, triangle_array(visibility), snapped_bits)
    return np.moveaxis(uv, 0, -1)


def triangle_array(visibility: Visibility) -> npt.NDArray[np.int32]:
    """Returns a view's triangle ids, (H, W) int32, as a contiguous numpy array, wherever they live."""
    shown = visibility.triangle_id
    return np.ascontiguousarray(shown if isinstance(shown, np.ndarray) else shown.cpu().numpy())


@dataclass(frozen=True)
class TileCuts:
    """Where the tiles of a palette cut faces.

    Attributes:
        widths: per face direction, the different widths of the tiles there.
        heights: likewise the heights.
    """

    widths: tuple[tuple[int, ...], ...]
    heights: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(palette: Palette) -> TileCuts:
        """Returns the cuts that a palette's tiles make."""

        def sides(axis: int) -> tuple[tuple[int, ...], ...]:
            every = [{tile.shape[axis] for (_, d), tile in palette.tiles.items() if d == k} for k in range(6)]
            return tuple(tuple(sorted(some)) for some in every)

        return TileCuts(widths=sides(1), heights=sides(0))

    @property
    def most(self) -> tuple[int, int]:
        """Rows and columns of parts in the direction that is cut most."""
        rows, columns = (
            max(1 + sum(side - 1 for side in some) for some in sides) for sides in (self.heights, self.widths)
        )
        return rows, columns

    def padded(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Returns widths and heights as (6, n) float32 each, filled up with 1, which cuts nothing."""

        def table(sides: tuple[tuple[int, ...], ...]) -> npt.NDArray[np.float32]:
            most = max(map(len, sides))
            return np.array([(*some, *(1,) * (most - len(some))) for some in sides], np.float32)

        return table(self.widths), table(self.heights)


def _texel_at(part: npt.NDArray[np.int64], sides: tuple[int, ...], side: int) -> npt.NDArray[np.int64]:
    """Returns the texel index, in a tile of one of the ``sides``, of parts as ``code_parts`` counts them."""
    borders = np.concatenate([np.arange(1, s) / s for s in sides])
    own = np.concatenate([np.full(s - 1, s == side) for s in sides])
    counted = np.concatenate([[0], np.cumsum(own[np.argsort(borders, kind="stable")])])
    return np.asarray(counted[part])


def looks_surface(palette: Palette, looks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Returns the unlit display colours (M, L, 3) of each material's faces or parts; see ``looks_radiance``."""
    cuts = TileCuts.of(palette)
    surface = palette.colors.astype(np.float64)[:, FACE_SLOTS[looks[:, 0]]]
    for (material, direction), tile in palette.tiles.items():
        here = np.flatnonzero(looks[:, 0] == direction)
        x = _texel_at(looks[here, 1], cuts.widths[direction], tile.shape[1])
        y = _texel_at(looks[here, 2], cuts.heights[direction], tile.shape[0])
        surface[material, here] = lay_over(surface[material, here], tile[y, x])
    return np.asarray(surface)


def looks_texels(palette: Palette, looks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns which texel each material shows in each look, (M, L), counted through all tiles; -1 where it has none."""
    cuts = TileCuts.of(palette)
    texels = np.full((len(palette), len(looks)), -1, np.int64)
    first = 0
    for (material, direction), tile in palette.tiles.items():
        here = np.flatnonzero(looks[:, 0] == direction)
        x = _texel_at(looks[here, 1], cuts.widths[direction], tile.shape[1])
        y = _texel_at(looks[here, 2], cuts.heights[direction], tile.shape[0])
        texels[material, here] = first + y * tile.shape[1] + x
        first += tile.shape[0] * tile.shape[1]
    return texels


def looks_radiance(
    palette: Palette,
    lighting: Light,
    looks: npt.NDArray[np.int64],
    received: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Returns the display colours of each material's faces, or of the parts into which tiles cut them.

    Args:
        palette: M materials.
        lighting: the light.
        looks: (L, 3): face direction, and column and row of the part as by ``parts_numba.code_parts``.
        received: (L, 3), what each look receives of a baked light.

    Returns:
        (M, L, 3) RGB in 0…1. Takes 24·M·L bytes.
    """
    if not isinstance(lighting, BakedLight):
        lit = looks_surface(palette, looks) * lighting.face_light()[looks[:, 0]]
        return np.asarray(np.clip(lit, 0.0, 1.0))
    if received is None:
        raise SceneError("light: what faces receive is known of the faces it was baked for alone; look at those")
    from blockcore.ops import display_numba

    code = (looks[:, 0] << 42) + (looks[:, 1] << 21) + looks[:, 2]
    _, first, surface = np.unique(code, return_index=True, return_inverse=True)
    albedo = srgb_to_linear(looks_surface(palette, looks[first]))
    return display_numba.show(lighting.display, albedo, received, surface)
