"""The blocks as a plain triangle mesh with attributes, for other renderers and for looking at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from blockcore.model.grid import FACE_NORMALS, FACE_SLOTS, FACE_UVS, TRIANGLE_CORNERS, BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.shading.radiance import material_probabilities
from blockcore.visibility.faces import face_indices


def build_block_mesh(
    positions: Sequence[tuple[int, int, int]] | npt.ArrayLike | torch.Tensor,
    material_logits: torch.Tensor,
    grid_size: tuple[int, int, int] = (64, 48, 64),
    world_scale: float = 2.0,
    temperature: float = 1.0,
    hard_materials: bool = False,
    palette: Palette = WEBGPU_PALETTE,
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Builds the mesh of the faces that are exposed to air.

    Args:
        positions: N cells (x, y, z).
        material_logits: (N, M).
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        temperature: of the soft-max over materials.
        hard_materials: one material per block, straight-through.
        palette: M materials.

    Returns:
        ``vertices`` (4F, 3) float, world space; ``faces`` (2F, 3) int32, counter-clockwise seen from outside; and
        ``attributes`` per vertex: ``normals`` (4F, 3), ``colors`` (4F, 3) unlit RGB, ``uvs`` (4F, 2) with v = 0 the
        image's first row. Gradients flow from ``colors`` to ``material_logits``.

    Raises:
        MapError: a position is outside the grid, repeated, or not whole.
    """
    device, dtype = material_logits.device, material_logits.dtype
    exposed = BlockGrid(grid_size, world_scale, cell_array(positions)).exposed_faces
    block, direction = face_indices(exposed, device)

    def per_corner(table: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.tensor(table, device=device, dtype=dtype)[direction]

    shares = material_probabilities(material_logits, temperature, hard_materials)
    colors = torch.tensor(palette.colors, device=device, dtype=dtype)
    slots = torch.tensor(FACE_SLOTS.astype(np.int64), device=device)[direction]
    surface = torch.einsum("nm,msc->nsc", shares, colors)[block, slots]
    first = torch.arange(len(exposed), device=device, dtype=torch.int32)[:, None, None] * 4
    triangles = first + torch.tensor(TRIANGLE_CORNERS.copy(), device=device)
    return (
        torch.tensor(exposed.corners(), device=device, dtype=dtype).reshape(-1, 3),
        triangles.reshape(-1, 3),
        {
            "normals": per_corner(FACE_NORMALS).repeat_interleave(4, dim=0),
            "colors": surface.repeat_interleave(4, dim=0),
            "uvs": per_corner(FACE_UVS).reshape(-1, 2),
        },
    )


def cell_array(positions: Sequence[tuple[int, int, int]] | npt.ArrayLike | torch.Tensor) -> npt.NDArray[Any]:
    """Returns block positions given as a list, an array or a tensor as an array."""
    if isinstance(positions, torch.Tensor):
        return positions.detach().cpu().numpy()
    return np.asarray(positions)
