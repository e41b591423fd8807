"""DifferentiableBlockRenderer: blocks, material logits and cameras in, pictures out."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import CameraError, MapError
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.display import SRGB, Display
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.shading.mesh import cell_array
from blockcore.shading.painting import paint
from blockcore.shading.radiance import Sight, lit_radiance, radiance_of, shaded_picture
from blockcore.visibility import rasterize
from blockcore.visibility.buffer import Visibility
from blockcore.visibility.faces import VisibleFaces, every_face, unshared_faces, visible_faces
from blockcore.visibility.geometry import GeometryBuffers, geometry_buffers

_MOST_PIXELS = 1 << 26  # remembered, four bytes each
_Key = tuple[int, int, int, bytes]
Positions = Sequence[tuple[int, int, int]] | npt.ArrayLike | torch.Tensor


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

    Up to ``remembered_views`` sets of cameras are remembered, the last ones, and no more than 67 million pixels, for
    the last four sets of blocks; ``geometry`` remembers as many of its own.
    """

    def __init__(
        self,
        grid_size: tuple[int, int, int] = (64, 48, 64),
        world_scale: float = 2.0,
        device: torch.device | str = "cpu",
        palette: Palette = WEBGPU_PALETTE,
        lighting: Light = WEBGPU_LIGHTING,
        rasterizer: str = "auto",
        remembered_views: int = 64,
    ) -> None:
        self.grid_size = grid_size
        self.world_scale = world_scale
        self.device = torch.device(device)
        self.palette = palette
        self.lighting = lighting
        self.rasterizer = rasterizer
        self._remembered_views = remembered_views
        self._grids: deque[BlockGrid] = deque(maxlen=4)
        self._seen: OrderedDict[_Key, _Seen] = OrderedDict()
        self._buffers: OrderedDict[_Key, _Found] = OrderedDict()
        self._lit: _LitSeen | None = None

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
        light: torch.Tensor | None = None,
        display: Display = SRGB,
        display_table: torch.Tensor | None = None,
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
            light: (F, k, k, 3) scene-linear RGB that the exposed faces receive, on ``device``, instead of the
                renderer's light; see ``BakedLight.received``. Takes 24 bytes a material and a part of a face seen.
            display: how that light is shown.
            display_table: values instead of those in ``display.table``.

        Returns:
            (B, 4, H, W), row 0 on top: RGB display values in 0…1 over the sky, and coverage (1 where a block is).
            B is 1 for a single camera. Gradients flow to ``material_logits`` of every visible block, also where a
            material is brighter than 8 bits can show, to ``light`` and to ``display_table``; none to positions and
            cameras.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole; or the logits do not fit.
            CameraError: a matrix is singular, not finite or of another shape.
        """
        grid = self._grid(positions)
        expected = (len(grid), len(self.palette))
        if tuple(material_logits.shape) != expected:
            raise MapError(f"material logits have shape {tuple(material_logits.shape)}, expected {expected}: (N, M)")
        cameras = _cameras(camera_view, camera_proj, img_h, img_w)
        if light is not None:
            table = torch.from_numpy(display.table.copy()) if display_table is None else display_table
            sight = self._lit_sight(grid, cameras, light, torch.from_numpy(display.levels.copy()), table)
            return shaded_picture(material_logits[sight.visible.blocks], sight, temperature, hard_materials)
        seen = self._see(grid, cameras)
        blocks = seen.sight.visible.blocks
        logits = material_logits if len(blocks) == len(grid) else material_logits[blocks]
        return paint(logits, seen.sight, temperature, hard_materials)

    def _lit_sight(
        self,
        grid: BlockGrid,
        cameras: Sequence[Camera],
        light: torch.Tensor,
        levels: torch.Tensor,
        table: torch.Tensor,
    ) -> Sight:
        """Returns what cameras see in a light that is a tensor; what is seen is remembered for the last ones."""
        faces, side = grid.exposed_faces, light.shape[1] if light.ndim == 4 else 0
        if side < 1 or tuple(light.shape) != (len(faces), side, side, 3):
            raise MapError(f"light has shape {tuple(light.shape)}, expected ({len(faces)}, k, k, 3): faces and texels")
        key = (side, *((camera.width, camera.height, camera.view_proj.tobytes()) for camera in cameras))
        last = self._lit
        if last is None or last.grid is not grid or last.palette is not self.palette or last.key != key:
            found = rasterize(faces, cameras, self.rasterizer, device_type=self.device.type)
            seen = unshared_faces(faces, cameras, found, self.palette, side, self.device)
            last = self._lit = _LitSeen(grid, self.palette, key, *seen)
        received = light.reshape(-1, 3)[last.texel]
        visible = last.visible
        radiance = lit_radiance(self.palette, visible.looks, received, levels.to(self.device), table.to(self.device))
        background = torch.tensor(self.lighting.background, device=self.device, dtype=torch.float64)
        return Sight(visible, torch.stack(visible.views), radiance, background)

    def geometry(
        self, positions: Positions, camera_view: torch.Tensor, camera_proj: torch.Tensor, img_h: int, img_w: int
    ) -> list[GeometryBuffers]:
        """Returns depth, normals and blocks of each camera's view; arguments as for ``render``."""
        grid = self._grid(positions)
        cameras = _cameras(camera_view, camera_proj, img_h, img_w)
        key = _key(grid, cameras)
        found = self._buffers.get(key)
        if found is None:
            views = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
            found = self._buffers[key] = _Found(grid, views)
            self._forget(self._buffers)
        return [geometry_buffers(grid.exposed_faces, c, v) for c, v in zip(cameras, found.views, strict=True)]

    def _grid(self, positions: Positions) -> BlockGrid:
        cells = cell_array(positions)
        for at, grid in enumerate(self._grids):  # much faster than checking positions and finding exposed faces again
            if np.array_equal(grid.positions, cells):
                del self._grids[at]
                self._grids.appendleft(grid)
                return grid
        self._grids.appendleft(BlockGrid(self.grid_size, self.world_scale, cells))
        return self._grids[0]

    def _see(self, grid: BlockGrid, cameras: Sequence[Camera]) -> _Seen:
        """Returns what the cameras see."""
        key = _key(grid, cameras)
        seen = self._seen.get(key)
        if seen is None or not self._is_lit(seen):
            lit = [before for before in reversed(self._seen.values()) if self._is_lit(before)]
            last = next((before for before in lit if before.grid is grid), lit[0] if lit else None)
            seen = self._seen[key] = self._look(grid, cameras, last)
            self._forget(self._seen)
        return seen

    def _forget(self, memory: OrderedDict[_Key, _Remembered]) -> None:
        """Forgets sets of blocks that are no longer known, and what was seen first until few enough remains."""
        for key in [key for key, seen in memory.items() if all(seen.grid is not grid for grid in self._grids)]:
            del memory[key]
        pixels = sum(seen.pixels for seen in memory.values())
        while len(memory) > 1 and (len(memory) > self._remembered_views or pixels > _MOST_PIXELS):
            _, oldest = memory.popitem(last=False)
            pixels -= oldest.pixels

    def _is_lit(self, seen: _Seen) -> bool:
        return seen.palette is self.palette and seen.lighting is self.lighting

    def _look(self, grid: BlockGrid, cameras: Sequence[Camera], last: _Seen | None) -> _Seen:
        """Finds what the cameras see; what is the same as of the last ones is taken from there."""
        found = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
        if self.device.type != "cuda" or self.palette.tiles or isinstance(self.lighting, BakedLight):
            visible = visible_faces(grid.exposed_faces, cameras, found, self.palette, self.device, None, self.lighting)
            face = torch.stack(visible.views)
        else:
            known = last is not None and last.grid is grid
            visible = last.sight.visible if last and known else every_face(grid.exposed_faces, len(grid), self.device)
            face = (torch.stack([torch.as_tensor(v.triangle_id, device=self.device) for v in found]) + 1) // 2 - 1
        if last is not None and last.sight.visible.looks is visible.looks:
            radiance, background = last.sight.radiance, last.sight.background
        else:
            radiance = radiance_of(
                self.palette, self.lighting, self.device, torch.float64, visible.looks, visible.received
            )
            background = torch.tensor(self.lighting.background, device=self.device, dtype=torch.float64)
        return _Seen(grid, self.palette, self.lighting, Sight(visible, face, radiance, background))


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a set of cameras sees, with what it was worked out for."""

    grid: BlockGrid
    palette: Palette
    lighting: Light
    sight: Sight

    @property
    def pixels(self) -> int:
        return self.sight.face.numel()


@dataclass(frozen=True, eq=False)
class _Found:
    """The triangles that a set of cameras sees."""

    grid: BlockGrid
    views: list[Visibility]

    @property
    def pixels(self) -> int:
        return sum(math.prod(view.triangle_id.shape) for view in self.views)


_Remembered = TypeVar("_Remembered", _Seen, _Found)


@dataclass(frozen=True, eq=False)
class _LitSeen:
    """What a set of cameras sees in light of so many texels a face, and the texel of each look."""

    grid: BlockGrid
    palette: Palette
    key: tuple[Any, ...]
    visible: VisibleFaces
    texel: torch.Tensor


def _key(grid: BlockGrid, cameras: Sequence[Camera]) -> _Key:
    """Returns what tells sights apart; a grid's number is its own for as long as something remembered holds it."""
    return (id(grid), cameras[0].width, cameras[0].height, b"".join(c.view_proj.tobytes() for c in cameras))


def _cameras(view: torch.Tensor, proj: torch.Tensor, height: int, width: int) -> list[Camera]:
    views, projs = (m.detach().cpu().double().reshape(-1, *m.shape[-2:]).numpy() for m in (view, proj))
    if views.shape[1:] != (4, 4) or projs.shape[1:] != (4, 4) or len(projs) not in (1, len(views)):
        raise CameraError(
            f"camera_view {tuple(view.shape)} and camera_proj {tuple(proj.shape)} must both be (4, 4) or (B, 4, 4)"
        )
    if len(views) != len(projs):
        projs = projs.repeat(len(views), axis=0)
    return [Camera(v, p, width, height, f"camera {i}") for i, (v, p) in enumerate(zip(views, projs, strict=True))]
