"""Frames: finished 8-bit pictures of a world with one material per block, as a screen would show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.grid import FACE_SLOTS, ExposedFaces
from blockcore.lighting import Lighting
from blockcore.palette import Palette

if TYPE_CHECKING:
    from blockcore.visibility import Visibility


def face_bytes(
    faces: ExposedFaces, materials: npt.NDArray[Any], palette: Palette, lighting: Lighting
) -> npt.NDArray[np.uint32]:
    """Returns what an 8-bit target stores for each face: ``round(255 * clamp(surface * light, 0, 1))``.

    Args:
        faces: the exposed faces.
        materials: (N,) palette indices of the grid's blocks.
        palette: the materials.
        lighting: the light.

    Returns:
        (F + 1,) uint32, each the four bytes R, G, B, 255 in memory order; the last is the background.
    """
    radiance = palette.colors.astype(np.float64)[:, FACE_SLOTS] * lighting.face_light()
    quads = np.full((len(palette), 6, 4), 255, dtype=np.uint8)
    quads[..., :3] = _to_bytes(radiance)
    shown = quads.view(np.uint32)[..., 0][materials[faces.block], faces.direction]
    background = np.append(_to_bytes(np.asarray(lighting.background)), np.uint8(255)).view(np.uint32)
    return np.concatenate([shown, background])


def draw(visibility: Visibility, colors: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Colours a view.

    Args:
        visibility: which face each pixel shows.
        colors: (F + 1,) uint32, from ``face_bytes``.

    Returns:
        (H, W, 4) uint8 RGBA, opaque, row 0 on top.
    """
    from blockcore import kernels

    shown = visibility.triangle_id
    shown = shown if isinstance(shown, np.ndarray) else shown.cpu().numpy()
    pixels = kernels.look_up(colors, np.ascontiguousarray(shown).ravel())
    return np.asarray(pixels.view(np.uint8).reshape(*shown.shape, 4), dtype=np.uint8)


def _to_bytes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.rint(255.0 * np.clip(values, 0.0, 1.0)).astype(np.uint8)
