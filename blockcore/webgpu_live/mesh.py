"""The mesher: exposed faces as the arrays that the terrain shader draws from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.grid import FACE_SLOTS, TRIANGLE_CORNERS, BlockGrid
from blockcore.model.palette import Palette
from blockcore.model.tile_table import tile_table
from blockcore.shading.frames import FrameColors

SURFACES_PER_MATERIAL = 6


@dataclass(frozen=True, eq=False)
class TerrainMesh(ByValue):
    """The triangles of a block world, in the order of ``BlockGrid.exposed_faces``.

    Attributes:
        position: (4F, 3) float32, read-only: the corners of each face, world space.
        surface: (F,) uint32, read-only: 6 × material + direction of each face.
        index: (6F,) uint32, read-only: two triangles a face, counter-clockwise seen from outside.
    """

    position: npt.NDArray[np.float32]
    surface: npt.NDArray[np.uint32]
    index: npt.NDArray[np.uint32]


def build_mesh(grid: BlockGrid, materials: npt.NDArray[np.int32]) -> TerrainMesh:
    """Builds the mesh of a grid whose blocks have ``materials``, (N,) palette indices."""
    faces = grid.exposed_faces
    corners = np.arange(4 * len(faces), dtype=np.uint32).reshape(-1, 4)
    return TerrainMesh(
        position=frozen_array(faces.corners().reshape(-1, 3), np.float32),
        surface=frozen_array(SURFACES_PER_MATERIAL * np.asarray(materials)[faces.block] + faces.direction, np.uint32),
        index=frozen_array(corners[:, TRIANGLE_CORNERS.ravel()].ravel(), np.uint32),
    )


SURFACE = np.dtype([("color", "<f4", 3), ("first_texel", "<u4"), ("tile_size", "<u4", 2), ("padding", "<u4", 2)])
"""One entry of the shader's ``surfaces``."""


def surface_table(palette: Palette) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint8]]:
    """Packs a palette for the shader.

    Returns:
        The surfaces, (6M,) of ``SURFACE``, and the texels that they point to, (T, 4) uint8 RGBA.
    """
    tiles = tile_table(palette)
    surfaces = np.zeros((len(palette), SURFACES_PER_MATERIAL), SURFACE)
    surfaces["color"] = palette.colors[:, FACE_SLOTS]
    surfaces["first_texel"] = tiles.first
    surfaces["tile_size"] = tiles.size
    return surfaces.ravel(), tiles.texels


def finished_surfaces(
    colors: FrameColors,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.void], npt.NDArray[np.uint8]]:
    """Packs the colours of faces in baked light for the shader: each face is a surface of its own, lit already.

    Args:
        colors: of a world in baked light, in which every face has a tile.

    Returns:
        The surface of each face (F,), the surfaces and their texels as ``surface_table`` does; to be drawn ``UNLIT``.
    """
    direction = colors.faces.direction.astype(np.int64)
    order = np.argsort(direction, kind="stable")
    begins = np.searchsorted(direction[order], np.arange(SURFACES_PER_MATERIAL))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - begins[direction[order]]
    number = SURFACES_PER_MATERIAL * rank + direction
    surfaces = np.zeros(SURFACES_PER_MATERIAL * int(rank.max(initial=0) + 1), SURFACE)
    texels = colors.table.view(np.uint8).reshape(-1, 4)
    surfaces["color"][number] = texels[colors.tile[:, 0], :3] / 255.0
    surfaces["first_texel"][number] = colors.tile[:, 0]
    surfaces["tile_size"][number] = colors.tile[:, 1:]
    return number.astype(np.uint32), surfaces, texels
