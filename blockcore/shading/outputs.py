"""What a picture shows besides its colours, as tensors: depth, normals, blocks and materials; and what lies behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from blockcore.errors import SettingsError, listed, quoted
from blockcore.model.camera import Camera
from blockcore.model.grid import FACE_NORMALS, BlockGrid, lattice_to_world
from blockcore.model.palette import AIR
from blockcore.shading.radiance import Sight, best_materials

OUTPUTS = ("rgba", "depth", "normal", "block", "material")


def checked_outputs(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of what is wanted.

    Raises:
        SettingsError: one is unknown.
    """
    wanted = (names,) if isinstance(names, str) else tuple(names)
    for name in wanted:
        if name not in OUTPUTS:
            raise SettingsError(f"output {quoted(name)} is not one of {listed(OUTPUTS)}")
    return wanted


def shown_besides(
    sight: Sight,
    grid: BlockGrid,
    cameras: Sequence[Camera],
    rows: Sight,
    logits: torch.Tensor,
    wanted: Sequence[str],
) -> dict[str, torch.Tensor]:
    """Returns what pictures show besides colours, without gradients.

    Args:
        sight: what the cameras see of the grid's blocks.
        grid: the blocks.
        cameras: B of them.
        rows: the same, with as its blocks what has logits of its own.
        logits: (V, M), of those that are visible.
        wanted: of ``depth``: (B, 1, H, W) of the logits' type, along the viewing axis in world units, 0 where there is
            nothing; ``normal``: (B, 3, H, W) of that type, outward in world space, 0 where there is nothing; ``block``:
            (B, 1, H, W) int64, the block's number, -1 where there is nothing; ``material``: likewise, the likeliest
            material, 0 where there is nothing.
    """
    face = sight.face.long()
    device, covered, at = face.device, face >= 0, face.clamp_min(0)
    found: dict[str, torch.Tensor] = {}
    if not len(sight.visible.block):
        empty = {"depth": (1, 0.0), "normal": (3, 0.0), "block": (1, -1), "material": (1, AIR)}
        for name in wanted:
            channels, nothing = empty[name]
            dtype = logits.dtype if isinstance(nothing, float) else torch.int64
            found[name] = torch.full((len(face), channels, *face.shape[1:]), nothing, dtype=dtype, device=device)
        return found
    direction = torch.from_numpy(sight.visible.looks[:, 0].copy()).to(device)[sight.visible.look]
    block = sight.visible.blocks[sight.visible.block]
    if "block" in wanted:
        found["block"] = torch.where(covered, block[at], -1)[:, None]
    if "material" in wanted:
        best = best_materials(logits)[rows.visible.block]
        found["material"] = torch.where(covered, best[at], AIR)[:, None]
    normals = torch.tensor(FACE_NORMALS.copy(), device=device)[direction]
    if "normal" in wanted:
        found["normal"] = (normals[at] * covered[..., None]).movedim(-1, 1).to(logits.dtype)
    if "depth" in wanted:
        axis = normals.abs().argmax(dim=1)
        corners = lattice_to_world(
            grid.positions[:, None] + np.array([[0, 0, 0], [1, 1, 1]]), grid.size, grid.world_scale
        )
        planes = torch.from_numpy(corners.astype(np.float64)).to(device)
        plane = planes[block, (normals.sum(dim=1) > 0).long(), axis]
        depths = [_depth(camera, plane[one], axis[one]) for camera, one in zip(cameras, at, strict=True)]
        found["depth"] = torch.where(covered, torch.stack(depths), 0.0)[:, None].to(logits.dtype)
    return found


def _depth(camera: Camera, plane: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    """Returns how far along the viewing axis each pixel's ray meets its plane, (H, W) float64.

    Args:
        camera: the view.
        plane: (H, W) float64, where on its axis the plane stands, world space.
        axis: (H, W) which axis that is.
    """
    device = plane.device
    unproject = torch.from_numpy(np.linalg.inv(camera.view_proj.astype(np.float64))).to(device)
    across = (torch.arange(camera.width, device=device) + 0.5) / camera.width * 2.0 - 1.0
    down = 1.0 - (torch.arange(camera.height, device=device) + 0.5) / camera.height * 2.0
    near = (
        across[None, :, None].double() * unproject[:, 0]
        + down[:, None, None].double() * unproject[:, 1]
        + unproject[:, 3]
    )
    along = unproject[:, 2]
    start = near.gather(-1, axis[..., None])[..., 0]
    z = (plane * near[..., 3] - start) / (along[axis] - plane * along[3])
    point = near + z[..., None] * along
    view = torch.from_numpy(camera.view.copy()).to(device)
    return -((point[..., :3] @ view[2, :3]) / point[..., 3] + view[2, 3])


def over_background(rgba: torch.Tensor, background: torch.Tensor | Sequence[float]) -> torch.Tensor:
    """Lays pictures made before black over something.

    Args:
        rgba: (B, 4, H, W), RGB times coverage, and coverage.
        background: (3,) a colour, (B, 3) one per item, (3, H, W) a picture or (B, 3, H, W) one per item.

    Returns:
        (B, 4, H, W). Gradients flow to both.

    Raises:
        SettingsError: the background has another shape.
    """
    behind = torch.as_tensor(background, device=rgba.device).to(rgba.dtype)
    size = (3, *rgba.shape[2:])
    if behind.shape in ((3,), (len(rgba), 3)):
        behind = behind[..., None, None]
    elif behind.shape not in (size, (len(rgba), *size)):
        raise SettingsError(
            f"background has shape {tuple(behind.shape)}; give a colour (3,), a picture {size}, or one per item"
        )
    color, coverage = rgba[:, :3], rgba[:, 3:]
    return torch.cat([color + (1.0 - coverage) * behind, coverage], dim=1)
