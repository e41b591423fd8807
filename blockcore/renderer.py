"""DifferentiableBlockRenderer: blocks, material logits and cameras in, pictures out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from blockcore.errors import MapError, SettingsError
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.display import SRGB, Display
from blockcore.model.grid import FACE_NAMES, BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.ops.batched import array_of, below_transforms
from blockcore.shading import opaque
from blockcore.shading.choice import Choice
from blockcore.shading.looks import Looks
from blockcore.shading.outputs import checked_outputs, over_background, shown_besides
from blockcore.shading.painting import of_faces, paint
from blockcore.shading.posed import Posed
from blockcore.shading.radiance import Sight, lit_radiance, radiance_of
from blockcore.shading.remembered import Found, Key, LitSeen, Remembered, Seen, key_of
from blockcore.visibility import rasterize
from blockcore.visibility.faces import every_face, unshared_faces, visible_faces
from blockcore.visibility.geometry import GeometryBuffers, geometry_buffers

Positions = Sequence[tuple[int, int, int]] | npt.ArrayLike | torch.Tensor


class DifferentiableBlockRenderer(nn.Module):
    """Renders blocks as the WebGPU editor does, differentiably in their materials.

    Visibility does not depend on materials: it is found once for each set of blocks and cameras and remembered, so a
    training loop that looks from the same cameras again pays for the arithmetic alone.

    Attributes:
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        device: where pictures are made; the logits must live there. ``to`` moves it.
        palette: the M materials.
        lighting: the light.
        looks: the palette and light that are trained, or None.
        rasterizer: what fills the visibility: ``"auto"``, ``"cpu"``, ``"triton"``, ``"nvdiffrast"`` or ``"reference"``.

    Up to ``remembered_views`` sets of cameras are remembered, the last ones, and no more than ``remembered_pixels`` of
    four bytes each, 67 million by default, for the last four sets of blocks; ``geometry`` remembers as many of its own.
    Where no camera comes twice, 0 saves that memory. Threads may share a renderer.
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
        remembered_pixels: int | None = None,
        *,
        trained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.world_scale = world_scale
        self.register_buffer("_here", torch.empty(0, device=torch.device(device)), persistent=False)
        self._here: torch.Tensor
        self.palette = palette
        self.lighting = lighting
        self.rasterizer = rasterizer
        self.looks = Looks(palette, lighting, trained, device) if trained else None
        self.remembered_views = remembered_views
        self.remembered_pixels = remembered_pixels
        self._begin()

    def _begin(self) -> None:
        """Begins with nothing remembered."""
        self._remembered = Remembered()
        self._number = opaque.registered(self)

    @property
    def _seen(self) -> OrderedDict[Key, Seen]:
        """What is remembered, the last at the end."""
        return self._remembered.seen

    @property
    def device(self) -> torch.device:
        """Where pictures are made."""
        return self._here.device

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> DifferentiableBlockRenderer:
        """Forgets, wherever it is moved, what was seen from where it was."""
        before = self.device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.device != before:
            self._begin()
        return self

    def __getstate__(self) -> dict[str, object]:
        gone = ("_remembered", "_number")
        return {name: value for name, value in self.__dict__.items() if name not in gone}

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._begin()

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Renders; see ``render``."""
        return self.render(*arguments, **named)

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
        *,
        relaxation: str = "softmax",
        hard: bool = False,
        generator: torch.Generator | None = None,
        outputs: Sequence[str] | None = None,
        background: torch.Tensor | Sequence[float] | None = None,
        samples: int = 1,
    ) -> Any:
        """Renders pictures.

        Args:
            positions: N cells (x, y, z).
            material_logits: (N, M), or (N, 6, M) for each face its own, floating point, on ``device``. Those of 16 bits
                are worked with in float32, as all are under autocast.
            camera_view: (4, 4) or (B, 4, 4), row-major, world to view space.
            camera_proj: (4, 4) or (B, 4, 4), row-major, view to clip space. One of one kind goes with B of the other.
            img_h: rows.
            img_w: pixels per row.
            temperature: of the soft-max over materials, above 0.
            hard_materials: the same as ``hard``, by its older name.
            light: (F, k, k, 3) scene-linear RGB that the exposed faces receive, on ``device``, instead of the
                renderer's light; see ``BakedLight.received``. Takes 24 bytes a material and a part of a face seen.
            display: how that light is shown.
            display_table: values instead of those in ``display.table``.
            relaxation: ``"softmax"``: blocks show a blend of materials; ``"gumbel"``: one with Gumbel noise, drawn anew
                at every call (Gumbel-Softmax).
            hard: one material per block, with the gradient of the blend (straight-through): the likeliest, or with
                ``"gumbel"`` one drawn by how likely each is. Of materials that are equally likely one is drawn.
            generator: what is drawn comes from it, on any device; from torch's own if None.
            outputs: what to return by name, of ``outputs.OUTPUTS``; the picture alone if None.
            background: what lies behind, instead of the light's: a colour (3,), a picture (3, H, W), or one of either
                per item, with B before.
            samples: each pixel is the mean of samples × samples; other outputs are those of the pixel's centre.

        Returns:
            The picture, or if ``outputs`` are named, a dict of them; see ``outputs.shown_besides``. The picture is
            (B, 4, H, W) of the logits' type, row 0 on top: RGB display values in 0…1 over the sky, and coverage (1
            where a block is). B is 1 for a single camera. Gradients, and those of gradients, flow to
            ``material_logits`` of every visible block, also where a material is brighter than 8 bits can show, to
            ``light``, to ``display_table`` and to ``background``; none to positions and cameras.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole; or the logits do not fit.
            CameraError: a matrix is singular, not finite or of another shape, or asks for a gradient.
            SettingsError: the temperature, the relaxation, an output, the background or ``samples`` cannot be meant.
        """
        choice = Choice(temperature, relaxation, hard or hard_materials, generator)
        plainly = (
            material_logits.ndim == 2
            and light is None
            and self.looks is None
            and outputs is None
            and background is None
            and samples == 1
        )
        if torch.compiler.is_compiling() and plainly:
            return self._opaque(positions, material_logits, camera_view, camera_proj, img_h, img_w, choice)
        wanted = ("rgba",) if outputs is None else checked_outputs(outputs)
        if type(samples) is not int or samples < 1:
            raise SettingsError(f"samples {samples!r} must be a whole number above 0")
        if self.looks is not None:
            if light is not None:
                raise SettingsError("light: where palette or light are trained, none is given besides")
            background = self.looks.background if background is None else background
        grid, posed = self._grid(positions), Posed.of(camera_view, camera_proj, img_h, img_w)
        self._check_logits(material_logits, len(grid))
        per_face = material_logits.ndim == 3
        logits, found = choice.perturbed(material_logits.reshape(-1, len(self.palette))), {}
        if "rgba" in wanted:
            show = display, display_table
            fine = posed if samples == 1 else replace(posed, height=img_h * samples, width=img_w * samples)
            sight = self._shown(grid, fine) if light is None else self._lit_sight(grid, fine, light, *show)
            if background is not None:
                sight = replace(sight, background=torch.zeros_like(sight.background))
            sight = of_faces(sight) if per_face else sight
            rgba = paint(_of_visible(logits, sight), sight, choice.temperature, choice.hard, generator)
            rgba = rgba if samples == 1 else torch.nn.functional.avg_pool2d(rgba, samples)
            found["rgba"] = rgba if background is None else over_background(rgba, background)
        besides = [name for name in wanted if name != "rgba"]
        if besides:
            sight = self._see(grid, posed).sight
            rows = of_faces(sight) if per_face else sight
            found |= shown_besides(sight, grid, posed.cameras(), rows, _of_visible(logits, rows), besides)
        return found["rgba"] if outputs is None else {name: found[name] for name in wanted}

    def _opaque(
        self,
        positions: Positions,
        logits: torch.Tensor,
        view: torch.Tensor,
        proj: torch.Tensor,
        height: int,
        width: int,
        choice: Choice,
    ) -> torch.Tensor:
        cells = torch.as_tensor(positions)
        self._check_logits(logits, len(cells))
        how = self._number, height, width, choice.temperature, choice.hard
        picture: torch.Tensor = opaque.render(choice.perturbed(logits), cells, view, proj, *how)
        return picture

    def sight(
        self, positions: Positions, view: torch.Tensor, proj: torch.Tensor, height: int, width: int
    ) -> tuple[Sight, torch.Tensor]:
        """Returns what cameras see in the renderer's light, and the (V,) blocks there; arguments as for ``render``."""
        seen = self._see(self._grid(positions), Posed.of(view, proj, height, width)).sight
        return seen, seen.visible.blocks

    def _check_logits(self, logits: torch.Tensor, count: int) -> None:
        expected = (count, len(self.palette))
        if tuple(logits.shape) not in (expected, (count, len(FACE_NAMES), len(self.palette))):
            raise MapError(f"material logits have shape {tuple(logits.shape)}, expected {expected}: (N, M)")
        if not logits.is_floating_point():
            raise MapError(f"material logits are {logits.dtype}; give them as floating point")

    def _lit_sight(
        self,
        grid: BlockGrid,
        posed: Posed,
        light: torch.Tensor,
        display: Display,
        display_table: torch.Tensor | None,
    ) -> Sight:
        """Returns what cameras see in a light that is a tensor; what is seen is remembered for the last ones."""
        levels = torch.from_numpy(display.levels.copy())
        table = torch.from_numpy(display.table.copy()) if display_table is None else display_table
        faces, side = grid.exposed_faces, light.shape[1] if light.ndim == 4 else 0
        if side < 1 or tuple(light.shape) != (len(faces), side, side, 3):
            raise MapError(f"light has shape {tuple(light.shape)}, expected ({len(faces)}, k, k, 3): faces and texels")
        key = (side, *key_of(grid, posed))
        last = self._remembered.lit
        if last is None or last.grid is not grid or last.palette is not self.palette or last.key != key:
            last = self._remembered.lit = below_transforms(self._look_closely, grid, posed.cameras(), side, key)
        received = light.reshape(-1, 3)[last.texel]
        visible = last.visible
        radiance = lit_radiance(self.palette, visible.looks, received, levels.to(self.device), table.to(self.device))
        background = torch.tensor(self.lighting.background, device=self.device, dtype=torch.float64)
        return Sight(visible, torch.stack(visible.views), radiance, background)

    def _look_closely(self, grid: BlockGrid, cameras: Sequence[Camera], side: int, key: tuple[Any, ...]) -> LitSeen:
        faces = grid.exposed_faces
        found = rasterize(faces, cameras, self.rasterizer, device_type=self.device.type)
        return LitSeen(grid, self.palette, key, *unshared_faces(faces, cameras, found, self.palette, side, self.device))

    @staticmethod
    def cameras(view: torch.Tensor, proj: torch.Tensor, img_h: int, img_w: int) -> list[Camera]:
        """Returns the cameras of matrices, as ``render`` takes them."""
        return Posed.of(view, proj, img_h, img_w).cameras()

    def geometry(
        self, positions: Positions, camera_view: torch.Tensor, camera_proj: torch.Tensor, img_h: int, img_w: int
    ) -> list[GeometryBuffers]:
        """Returns depth, normals and blocks of each camera's view; arguments as for ``render``."""
        grid = self._grid(positions)
        posed = Posed.of(camera_view, camera_proj, img_h, img_w)
        cameras, key, remembered = posed.cameras(), key_of(grid, posed), self._remembered
        found = remembered.found.get(key)
        if found is None:
            views = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
            found = Found(grid, views)
            remembered.keep(remembered.found, key, found, self.remembered_views, self.remembered_pixels)
        return [geometry_buffers(grid.exposed_faces, c, v) for c, v in zip(cameras, found.views, strict=True)]

    def _grid(self, positions: Positions) -> BlockGrid:
        cells = array_of(positions) if isinstance(positions, torch.Tensor) else np.asarray(positions)
        return self._remembered.grid(cells, self.grid_size, self.world_scale)

    def _shown(self, grid: BlockGrid, posed: Posed) -> Sight:
        """Returns what the cameras see, in colours that are trained if any are."""
        sight = self._see(grid, posed).sight
        if self.looks is None:
            return sight
        return replace(sight, radiance=self.looks.radiance(sight.visible.looks))

    def _see(self, grid: BlockGrid, posed: Posed) -> Seen:
        """Returns what the cameras see."""
        remembered, key = self._remembered, key_of(grid, posed)
        with remembered.lock:
            seen = self._seen.get(key)
            if seen is not None and self._is_lit(seen):
                return seen
            lit = [before for before in reversed(self._seen.values()) if self._is_lit(before)]
        last = next((before for before in lit if before.grid is grid), lit[0] if lit else None)
        seen = below_transforms(self._look, grid, posed.cameras(), last)
        remembered.keep(self._seen, key, seen, self.remembered_views, self.remembered_pixels)
        return seen

    def _is_lit(self, seen: Seen) -> bool:
        return seen.palette is self.palette and seen.lighting is self.lighting

    def _look(self, grid: BlockGrid, cameras: Sequence[Camera], last: Seen | None) -> Seen:
        """Finds what the cameras see; what is the same as of the last ones is taken from there."""
        found = rasterize(grid.exposed_faces, cameras, self.rasterizer, device_type=self.device.type)
        if self.device.type != "cuda" or self.palette.tiles or isinstance(self.lighting, BakedLight):
            visible = visible_faces(grid.exposed_faces, cameras, found, self.palette, self.device, None, self.lighting)
            face, visible = torch.stack(visible.views), replace(visible, views=())  # held once
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
        return Seen(grid, self.palette, self.lighting, Sight(visible, face, radiance, background))


def _of_visible(logits: torch.Tensor, sight: Sight) -> torch.Tensor:
    """Returns the logits (V, M) of the blocks that are seen."""
    blocks = sight.visible.blocks
    return logits if len(blocks) == len(logits) else logits[blocks]
