"""DifferentiableBlockRenderer: blocks, material logits and cameras in, pictures out."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy.typing as npt
import torch

from blockcore.camera import Camera
from blockcore.errors import CameraError, MapError
from blockcore.geometry import GeometryBuffers, geometry_buffers
from blockcore.grid import BlockGrid
from blockcore.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.mesh import cell_array
from blockcore.palette import WEBGPU_PALETTE, Palette
from blockcore.shading import face_colors, material_probabilities, radiance_of, shade
from blockcore.visibility import rasterize
from blockcore.visible import VisibleFaces, visible_faces

Positions = Sequence[tuple[int, int, int]] | npt.ArrayLike | torch.Tensor
_Value = TypeVar("_Value")


class DifferentiableBlockRenderer:
    """Renders blocks as the WebGPU editor does, differentiably in their materials.

    Visibility does not depend on materials: it is found once for each set of blocks and cameras and remembered, so a
    training loop that looks from the same cameras again pays for the arithmetic alone.

    Attributes:
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        device: where pictures are made; the logits must live there.
        palette: the M materials.
        lighting: the light.
        rasterizer: what fills the visibility: ``"auto"``, ``"cpu"``, ``"triton"``, ``"nvdiffrast"`` or ``"reference"``.
    """

    def __init__(
        self,
        grid_size: tuple[int, int, int] = (64, 48, 64),
        world_scale: float = 2.0,
        device: torch.device | str = "cpu",
        palette: Palette = WEBGPU_PALETTE,
        lighting: Lighting = WEBGPU_LIGHTING,
        rasterizer: str = "auto",
        remembered_views: int = 64,
    ) -> None:
        self.grid_size = grid_size
        self.world_scale = world_scale
        self.device = torch.device(device)
        self.palette = palette
        self.lighting = lighting
        self.rasterizer = rasterizer
        self._grids: _Recent[BlockGrid] = _Recent(4)
        self._seen: _Recent[_Seen] = _Recent(remembered_views)

    def render(
        self,
        positions: Positions,
        material_logits: torch.Tensor,
        camera_view: torch.Tensor,
        camera_proj: torch.Tensor,
        img_h: int,
        img_w: int,
        temperature: float = 1.0,
        hard_materials: bool = False,
    ) -> torch.Tensor:
        """Renders pictures.

        Args:
            positions: N cells (x, y, z).
            material_logits: (N, M) float32 or float64, on ``device``.
            camera_view: (4, 4) or (B, 4, 4), row-major, world to view space.
            camera_proj: (4, 4) or (B, 4, 4), row-major, view to clip space.
            img_h: rows.
            img_w: pixels per row.
            temperature: of the soft-max over materials.
            hard_materials: one material per block, with the gradient of the soft-max (straight-through).

        Returns:
            (B, 4, H, W), row 0 on top: RGB display values in 0…1 over the sky, and coverage (1 where a block is).
            B is 1 for a single camera. Gradients flow to ``material_logits`` of every visible block, also where a
            material is brighter than 8 bits can show; none to positions and cameras.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole; or the logits do not fit.
            CameraError: a matrix is singular, not finite or of another shape.
        """
        key, grid = self._grid(positions)
        expected = (len(grid), len(self.palette))
        if tuple(material_logits.shape) != expected:
            raise MapError(f"material logits have shape {tuple(material_logits.shape)}, expected {expected}: (N, M)")
        visible, radiance = self._see(key, grid, camera_view, camera_proj, img_h, img_w)
        dtype = material_logits.dtype
        shares = material_probabilities(material_logits[visible.blocks], temperature, hard_materials)
        background = torch.tensor(self.lighting.background, device=self.device, dtype=dtype)
        colors = face_colors(shares, radiance.to(dtype), visible.block, visible.look)
        return shade(colors, torch.stack(visible.views), background)

    def geometry(
        self, positions: Positions, camera_view: torch.Tensor, camera_proj: torch.Tensor, img_h: int, img_w: int
    ) -> list[GeometryBuffers]:
        """Returns depth, normals and blocks of each camera's view; arguments as for ``render``."""
        grid = self._grid(positions)[1]
        cameras = _cameras(camera_view, camera_proj, img_h, img_w)
        seen = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
        return [geometry_buffers(grid.exposed_faces, c, v) for c, v in zip(cameras, seen, strict=True)]

    def _grid(self, positions: Positions) -> tuple[str, BlockGrid]:
        cells = cell_array(positions)
        key = hashlib.blake2b(cells.tobytes(), digest_size=16).hexdigest() + f"{cells.shape}{cells.dtype}"
        if key not in self._grids:
            self._grids.put(key, BlockGrid(self.grid_size, self.world_scale, cells))
        return key, self._grids[key]

    def _see(
        self, grid_key: str, grid: BlockGrid, view: torch.Tensor, proj: torch.Tensor, height: int, width: int
    ) -> tuple[VisibleFaces, torch.Tensor]:
        """Returns what the cameras see, and the float64 radiance of its looks."""
        cameras = _cameras(view, proj, height, width)
        key = f"{grid_key} {height} {width} " + b"".join(c.view_proj.tobytes() for c in cameras).hex()
        seen = self._seen.get(key)
        if seen is None or seen.palette is not self.palette or seen.lighting is not self.lighting:
            found = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
            visible = visible_faces(grid.exposed_faces, cameras, found, self.palette, self.device)
            radiance = radiance_of(self.palette, self.lighting, self.device, torch.float64, visible.looks)
            seen = _Seen(self.palette, self.lighting, visible, radiance)
            self._seen.put(key, seen)
        return seen.visible, seen.radiance


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a set of cameras sees, with what it was worked out for."""

    palette: Palette
    lighting: Lighting
    visible: VisibleFaces
    radiance: torch.Tensor


class _Recent(OrderedDict[str, _Value]):
    """The last few values, by key."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def put(self, key: str, value: _Value) -> None:
        self[key] = value
        if len(self) > self.limit:
            self.popitem(last=False)


def _cameras(view: torch.Tensor, proj: torch.Tensor, height: int, width: int) -> list[Camera]:
    views, projs = (m.detach().cpu().double().reshape(-1, *m.shape[-2:]).numpy() for m in (view, proj))
    if views.shape[1:] != (4, 4) or projs.shape[1:] != (4, 4) or len(projs) not in (1, len(views)):
        raise CameraError(
            f"camera_view {tuple(view.shape)} and camera_proj {tuple(proj.shape)} must both be (4, 4) or (B, 4, 4)"
        )
    if len(views) != len(projs):
        projs = projs.repeat(len(views), axis=0)
    return [Camera(v, p, width, height, f"camera {i}") for i, (v, p) in enumerate(zip(views, projs, strict=True))]
