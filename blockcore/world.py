"""DifferentiableBlockWorld: blocks one can place, remove, render and optimise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from blockcore.errors import MapError
from blockcore.model.baked_light import Light
from blockcore.model.display import SRGB, Display
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.renderer import DifferentiableBlockRenderer, Positions
from blockcore.shading.mesh import cell_array
from blockcore.visibility.geometry import GeometryBuffers

Cell = tuple[int, int, int]


class DifferentiableBlockWorld:
    """A block world whose materials are parameters.

    Blocks placed one by one have a parameter (M,) each; a world made by ``from_arrays`` has one parameter (N, M) for
    all its blocks. Both kinds live side by side.

    Attributes:
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        device: where parameters live and pictures are made.
        palette: the M materials.
        renderer: the renderer it uses.
    """

    def __init__(
        self,
        grid_size: tuple[int, int, int] = (64, 48, 64),
        world_scale: float = 2.0,
        device: torch.device | str = "cpu",
        palette: Palette = WEBGPU_PALETTE,
        lighting: Light = WEBGPU_LIGHTING,
        rasterizer: str = "auto",
    ) -> None:
        self.grid_size = grid_size
        self.world_scale = world_scale
        self.device = torch.device(device)
        self.palette = palette
        self.renderer = DifferentiableBlockRenderer(grid_size, world_scale, self.device, palette, lighting, rasterizer)
        self._placed: dict[Cell, nn.Parameter] = {}
        self._bulk: nn.Parameter | None = None
        self._bulk_cells = np.zeros((0, 3), dtype=np.int32)
        self._bulk_kept = np.zeros(0, dtype=np.bool_)

    @classmethod
    def from_arrays(
        cls,
        positions: Positions,
        materials: npt.ArrayLike | torch.Tensor | None = None,
        logits: torch.Tensor | None = None,
        grid_size: tuple[int, int, int] = (64, 48, 64),
        world_scale: float = 2.0,
        device: torch.device | str = "cpu",
        palette: Palette = WEBGPU_PALETTE,
        lighting: Light = WEBGPU_LIGHTING,
        rasterizer: str = "auto",
        bias_strength: float = 10.0,
    ) -> DifferentiableBlockWorld:
        """Makes a world of N blocks with a single parameter.

        Args:
            positions: N cells (x, y, z).
            materials: (N,) palette indices, none of them Air; or None.
            logits: (N, M), copied; or None. With neither, logits are random.
            grid_size: cells along x, y, z.
            world_scale: edge of a block in world units.
            device: where the parameter lives.
            palette: the M materials.
            lighting: the light.
            rasterizer: as for the renderer.
            bias_strength: logit of the material in ``materials``; the others' is 0.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole; or materials or logits do not fit.
        """
        world = cls(grid_size, world_scale, device, palette, lighting, rasterizer)
        world._set_bulk(
            BlockGrid(grid_size, world_scale, cell_array(positions)).positions, materials, logits, bias_strength
        )
        return world

    def place_block(
        self,
        position: Cell,
        material: str | int | None = None,
        logits: torch.Tensor | None = None,
        bias_strength: float = 10.0,
    ) -> nn.Parameter:
        """Places a block, or gives the block that is there new logits.

        Args:
            position: cell (x, y, z).
            material: name or index of a material to lean towards; None for a random start.
            logits: (M,) to start from, copied; goes before ``material``.
            bias_strength: logit of ``material``; the others' is 0.

        Returns:
            The block's logits, (M,).

        Raises:
            MapError: the position is outside the grid or not whole, or the logits do not fit.
            PaletteError: the material is unknown.
        """
        cell = self._cell(position)
        if self._bulk is not None:
            self._bulk_kept &= ~(self._bulk_cells == cell).all(axis=1)
        parameter = nn.Parameter(self._start(material, logits, bias_strength))
        self._placed[cell] = parameter
        return parameter

    def remove_block(self, position: Cell) -> None:
        """Removes a block.

        Raises:
            MapError: there is no block at ``position``.
        """
        cell = self._cell(position)
        if self._placed.pop(cell, None) is not None:
            return
        here = (self._bulk_cells == cell).all(axis=1) & self._bulk_kept
        if not here.any():
            raise MapError(f"there is no block at {cell} to remove")
        self._bulk_kept &= ~here

    def render(
        self,
        view: torch.Tensor,
        proj: torch.Tensor,
        img_h: int,
        img_w: int,
        temperature: float = 1.0,
        hard_materials: bool = False,
        light: torch.Tensor | None = None,
        display: Display = SRGB,
        display_table: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Renders the world; arguments and result as for ``DifferentiableBlockRenderer.render``."""
        cells, logits = self._gathered()
        choice = temperature, hard_materials
        return self.renderer.render(
            cells, logits, view, proj, img_h, img_w, *choice, light=light, display=display, display_table=display_table
        )

    def geometry(self, view: torch.Tensor, proj: torch.Tensor, img_h: int, img_w: int) -> list[GeometryBuffers]:
        """Returns depth, normals and blocks of each camera's view."""
        return self.renderer.geometry(self._gathered()[0], view, proj, img_h, img_w)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yields every parameter: the shared one, if there is one, then those of single blocks."""
        if self._bulk is not None:
            yield self._bulk
        yield from self._placed.values()

    @property
    def blocks(self) -> list[tuple[Cell, torch.Tensor]]:
        """Position and logits (M,) of every block: its own parameter, or its row of the shared one."""
        rows: list[tuple[Cell, torch.Tensor]] = []
        if self._bulk is not None:
            rows = [(tuple(self._bulk_cells[i].tolist()), self._bulk[i]) for i in np.flatnonzero(self._bulk_kept)]
        return rows + list(self._placed.items())

    def __len__(self) -> int:
        return int(self._bulk_kept.sum()) + len(self._placed)

    def state_dict_blocks(self) -> dict[str, Any]:
        """Returns the blocks as plain tensors, fit for ``torch.save``.

        Returns:
            ``positions`` (N, 3) int32, ``logits`` (N, M), ``grid_size``, ``world_scale`` and ``materials`` (names).
        """
        cells, logits = self._gathered()
        return {
            "positions": torch.from_numpy(cells.copy()),
            "logits": logits.detach().clone(),
            "grid_size": tuple(self.grid_size),
            "world_scale": self.world_scale,
            "materials": list(self.palette.names),
        }

    def load_state_dict_blocks(self, state: Mapping[str, Any]) -> None:
        """Replaces all blocks by those of ``state_dict_blocks``.

        They share one parameter if this world's blocks do (``from_arrays``), else each has its own.

        Raises:
            MapError: the state is of another grid, scale or palette, or damaged.
        """
        try:
            same = tuple(state["grid_size"]) == tuple(self.grid_size) and state["world_scale"] == self.world_scale
            if not same or list(state["materials"]) != list(self.palette.names):
                raise MapError("saved blocks: they are of another grid size, world scale or palette than this world")
            cells, logits = cell_array(state["positions"]), state["logits"]
        except KeyError as error:
            raise MapError(f"saved blocks: {error} is missing; save them again") from error
        grid = BlockGrid(self.grid_size, self.world_scale, cells)
        if tuple(logits.shape) != (len(grid), len(self.palette)):
            raise MapError(f"saved blocks: logits have shape {tuple(logits.shape)}; save them again")
        if self._bulk is not None:
            self._placed = {}
            self._set_bulk(grid.positions, None, logits, 0.0)
            return
        self._placed = {
            (x, y, z): nn.Parameter(row.detach().clone().to(self.device))
            for (x, y, z), row in zip(grid.positions.tolist(), logits, strict=True)
        }

    def _set_bulk(
        self,
        cells: npt.NDArray[np.int32],
        materials: npt.ArrayLike | torch.Tensor | None,
        logits: torch.Tensor | None,
        bias_strength: float,
    ) -> None:
        shape = (len(cells), len(self.palette))
        if logits is not None:
            start = logits.detach().clone().to(self.device)
        elif materials is not None:
            index = torch.from_numpy(cell_array(materials).astype(np.int64)).to(self.device)
            if tuple(index.shape) != shape[:1] or bool(((index <= AIR) | (index >= shape[1])).any()):
                raise MapError(f"materials must be {shape[0]} palette indices from 1 to {shape[1] - 1}")
            start = torch.zeros(shape, device=self.device)
            start[torch.arange(shape[0], device=self.device), index] = bias_strength
        else:
            start = torch.randn(shape, device=self.device)
        if tuple(start.shape) != shape:
            raise MapError(f"logits have shape {tuple(start.shape)}, expected {shape}: (N, M)")
        self._bulk = nn.Parameter(start)
        self._bulk_cells, self._bulk_kept = cells, np.ones(len(cells), dtype=np.bool_)

    def _start(self, material: str | int | None, logits: torch.Tensor | None, bias_strength: float) -> torch.Tensor:
        count = len(self.palette)
        if logits is not None:
            if tuple(logits.shape) != (count,):
                raise MapError(f"logits have shape {tuple(logits.shape)}, expected ({count},): one per material")
            return logits.detach().clone().to(self.device)
        if material is None:
            return torch.randn(count, device=self.device)
        index = self.palette.index(material) if isinstance(material, str) else int(material)
        if not AIR < index < count:
            raise MapError(f"a block cannot be made of material {material!r}; use 1 to {count - 1} or its name")
        start = torch.zeros(count, device=self.device)
        start[index] = bias_strength
        return start

    def _cell(self, position: Cell) -> Cell:
        x, y, z = BlockGrid(self.grid_size, self.world_scale, np.asarray([position])).positions[0].tolist()
        return (x, y, z)

    def _gathered(self) -> tuple[npt.NDArray[np.int32], torch.Tensor]:
        cells, rows = [], []
        if self._bulk is not None:
            everything = bool(self._bulk_kept.all())
            cells.append(self._bulk_cells if everything else self._bulk_cells[self._bulk_kept])
            rows.append(self._bulk if everything else self._bulk[torch.from_numpy(self._bulk_kept).to(self.device)])
        if self._placed:
            cells.append(np.array(list(self._placed), dtype=np.int32))
            rows.append(torch.stack(list(self._placed.values())))
        if not rows:
            return np.zeros((0, 3), dtype=np.int32), torch.zeros(0, len(self.palette), device=self.device)
        if len(rows) == 1:
            return cells[0], rows[0]
        return np.concatenate(cells), torch.cat(rows)
