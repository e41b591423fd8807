"""DifferentiableBlockWorld: blocks one can place, remove, render and optimise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from blockcore.errors import CameraError, MapError, SettingsError, listed, quoted
from blockcore.formats.exchange import export
from blockcore.model.baked_light import Light
from blockcore.model.display import SRGB, Display
from blockcore.model.grid import FACE_NAMES, BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View
from blockcore.occupancy.field import BlockField
from blockcore.ops.batched import below_transforms
from blockcore.renderer import DifferentiableBlockRenderer, Positions
from blockcore.shading.choice import Choice
from blockcore.shading.mesh import build_block_mesh, cell_array
from blockcore.shading.radiance import best_materials
from blockcore.visibility.geometry import GeometryBuffers

Cell = tuple[int, int, int]


class DifferentiableBlockWorld(nn.Module):
    """A block world whose materials are parameters.

    Blocks placed one by one have a parameter (M,) each, in ``placed``; a world made by ``from_arrays`` has one
    parameter ``logits`` (N, M) for all its blocks. Both kinds live side by side. ``state_dict`` holds where the blocks
    are as well, so that ``load_state_dict`` makes any world of the same grid and palette the one that was saved.

    With ``occupancy`` every cell of the grid may hold a block: ``field`` learns which there are and what they are made
    of, and ``harden`` makes a world of the blocks that it has found.

    Attributes:
        grid_size: cells along x, y, z.
        world_scale: edge of a block in world units.
        device: where parameters live and pictures are made; ``to`` moves it.
        palette: the M materials.
        renderer: the renderer it uses.
        logits: the parameter that blocks share, or None.
        placed: the parameters of single blocks, by their cells as ``"x_y_z"``.
        field: the cells that may hold a block, or None.
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
        occupancy: bool = False,
        trained: Sequence[str] = (),
        logits_per: str = "block",
    ) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.world_scale = world_scale
        self.palette = palette
        if logits_per not in ("block", "face"):
            raise SettingsError(f"logits_per {quoted(logits_per)} is not one of block, face")
        self._row = (len(palette),) if logits_per == "block" else (len(FACE_NAMES), len(palette))
        self.logits: nn.Parameter | None
        self.register_parameter("logits", None)
        self.placed = nn.ParameterDict()
        look = grid_size, world_scale, device, palette, lighting, rasterizer, remembered_views, remembered_pixels
        self.renderer = DifferentiableBlockRenderer(*look, trained=trained)
        self.field: BlockField | None = None
        if occupancy:
            self.field = BlockField(grid_size, world_scale, device, palette, lighting)
        self._placed_cells: dict[Cell, str] = {}
        self._cells: npt.NDArray[np.int32] | None = None
        self._keep(np.zeros((0, 3), dtype=np.int32), np.zeros(0, dtype=np.bool_))

    @property
    def device(self) -> torch.device:
        """Where parameters live and pictures are made."""
        return self.renderer.device

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
        remembered_views: int = 64,
        remembered_pixels: int | None = None,
        *,
        trained: Sequence[str] = (),
        logits_per: str = "block",
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
            remembered_views: as for the renderer.
            remembered_pixels: likewise.
            trained: what is learned besides materials, of ``looks.TRAINABLE``: ``"colors"``, ``"tiles"``, ``"light"``.
            logits_per: ``"block"``, or ``"face"``: each face of a block chooses for itself, and shapes of logits have
                six faces before the materials.

        Raises:
            MapError: a position is outside the grid, repeated, or not whole; or materials or logits do not fit.
        """
        look = lighting, rasterizer, remembered_views, remembered_pixels
        world = cls(grid_size, world_scale, device, palette, *look, trained=trained, logits_per=logits_per)
        cells = BlockGrid(grid_size, world_scale, cell_array(positions)).positions
        world._share(cells, world._start_of_all(len(cells), materials, logits, bias_strength))
        return world

    def place_block(
        self,
        position: Cell,
        material: str | int | None = None,
        logits: torch.Tensor | None = None,
        bias_strength: float = 10.0,
    ) -> torch.Tensor:
        """Places a block, or gives the block that is there new logits.

        Args:
            position: cell (x, y, z).
            material: name or index of a material to lean towards; None for a random start.
            logits: (M,) to start from, copied; goes before ``material``.
            bias_strength: logit of ``material``; the others' is 0.

        Returns:
            The block's logits, (M,): a parameter of its own, or of a block that shares one, its row there. Where a
            block is already, its parameter stays, and an optimiser that holds it goes on.

        Raises:
            MapError: the position is outside the grid or not whole, or the logits do not fit.
            PaletteError: the material is unknown.
        """
        self._refuse_field()
        cell = self._cell(position)
        start = self._start(material, logits, bias_strength)
        shared = self._shared_row(cell)
        if shared is None and cell not in self._placed_cells:
            self._placed_cells[cell] = key = "_".join(map(str, cell))
            self.placed[key] = nn.Parameter(start)
            self._cells = None
            return torch.as_tensor(self.placed[key])
        old = self.placed[self._placed_cells[cell]] if shared is None else self._bulk()[shared]
        with torch.no_grad():
            old.copy_(start)
        return old

    def remove_block(self, position: Cell) -> None:
        """Removes a block.

        Raises:
            MapError: there is no block at ``position``.
        """
        cell = self._cell(position)
        shared = self._shared_row(cell)
        if shared is not None:
            kept = self._bulk_kept.copy()
            kept[shared] = False
            self._keep(self._bulk_cells, kept)
        elif cell in self._placed_cells:
            del self.placed[self._placed_cells.pop(cell)]
        else:
            raise MapError(f"there is no block at {cell} to remove")
        self._cells = None

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Renders; see ``render``."""
        return self.render(*arguments, **named)

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
        *,
        relaxation: str = "softmax",
        hard: bool = False,
        generator: torch.Generator | None = None,
        outputs: Sequence[str] | None = None,
        background: torch.Tensor | Sequence[float] | None = None,
        samples: int = 1,
    ) -> Any:
        """Renders the world; arguments and result as for ``DifferentiableBlockRenderer.render``.

        With occupancy, what shows through its cells, as ``BlockField.render`` does it: ``temperature``, ``hard`` and
        ``background`` are what there is to choose.
        """
        if self.field is not None:
            if light is not None or display is not SRGB or display_table is not None:
                raise SettingsError("occupancy: a light that is a tensor needs blocks that are there; harden() first")
            asked = {"outputs": outputs is not None, "relaxation": relaxation != "softmax", "samples": samples != 1}
            unknown = [name for name, is_asked in asked.items() if is_asked]
            if unknown:
                raise SettingsError(f"occupancy: {listed(unknown)} needs blocks that are there; harden() first")
            choice = Choice(temperature, hard=hard or hard_materials)
            cameras = below_transforms(self.renderer.cameras, view, proj, img_h, img_w)
            return self.field.render(cameras, choice.temperature, choice.hard, background)
        cells, logits = self._gathered()
        looks = light, display, display_table
        return self.renderer.render(
            *(cells, logits, view, proj, img_h, img_w, temperature, hard_materials, *looks),
            relaxation=relaxation,
            hard=hard,
            generator=generator,
            outputs=outputs,
            background=background,
            samples=samples,
        )

    def harden(self, least: float = 0.5) -> DifferentiableBlockWorld:
        """Returns a world of the blocks that a world with occupancy has found, with one material each.

        Args:
            least: the opacity from which a cell is a block.

        Raises:
            MapError: this world has no occupancy.
        """
        if self.field is None:
            raise MapError("this world's blocks are there already; harden a world made with occupancy=True")
        found, look = self.field.hardened(least), (self.palette, self.renderer.lighting, self.renderer.rasterizer)
        where = self.grid_size, self.world_scale, self.device
        return DifferentiableBlockWorld.from_arrays(found.cells, found.materials, None, *where, *look)

    def geometry(self, view: torch.Tensor, proj: torch.Tensor, img_h: int, img_w: int) -> list[GeometryBuffers]:
        """Returns depth, normals and blocks of each camera's view."""
        return self.renderer.geometry(self._gathered()[0], view, proj, img_h, img_w)

    def to_scene(self, views: Sequence[View] = ()) -> BlockScene:
        """Returns the world as a scene of the likeliest materials, seen by ``views``."""
        cells, logits = self._gathered()
        grid = BlockGrid(self.grid_size, self.world_scale, cells)
        if len(self._row) == 2:  # a scene's blocks are of one material: what most faces speak for
            logits = torch.softmax(logits, dim=-1).mean(dim=1)
        materials = best_materials(logits).cpu().numpy()
        looks = self.renderer.looks
        palette, lighting = (self.palette, self.renderer.lighting) if looks is None else looks.settled()
        return BlockScene(grid, materials, palette, tuple(views), lighting)

    def save(self, path: Path | str) -> tuple[str, ...]:
        """Writes the likeliest materials in the format that the name asks for, such as .schem, .litematic or .glb.

        Returns:
            What the format cannot carry, a sentence each.

        Raises:
            BlockcoreError: no format is written with that ending, or it cannot be written there.
        """
        return export(Path(path), self.to_scene())

    def to_mesh(
        self, temperature: float = 1.0, hard: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Returns vertices, faces and attributes; see ``build_block_mesh``.

        Raises:
            MapError: faces choose for themselves.
        """
        if len(self._row) == 2:
            raise MapError(
                "to_mesh: its blocks have one material each; make the mesh of to_scene(), or logits_per='block'"
            )
        return build_block_mesh(
            *self._gathered(), self.grid_size, self.world_scale, temperature, hard, palette=self.palette
        )

    @property
    def blocks(self) -> Sequence[tuple[Cell, torch.Tensor]]:
        """Position and logits (M,) of every block: its own parameter, or its row of the shared one."""
        return _Blocks(self._shared_cells, self.logits, self._bulk_kept, self.placed, self._placed_cells)

    def __len__(self) -> int:
        return int(self._bulk_kept.sum()) + len(self._placed_cells)

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

        They share one parameter if this world's blocks do (``from_arrays``), else each has its own. Parameters that are
        there already take the new values, so that an optimiser goes on with them; where the number of blocks that share
        one is another, what an optimiser remembers of it no longer fits, and a new optimiser is due.

        Raises:
            MapError: the state is of another grid, scale or palette, or damaged.
        """
        try:
            self._check_state(state)
            cells, logits = cell_array(state["positions"]), state["logits"]
        except KeyError as error:
            raise MapError(f"saved blocks: {error} is missing; save them again") from error
        grid = BlockGrid(self.grid_size, self.world_scale, cells)
        if tuple(logits.shape) != (len(grid), *self._row):
            raise MapError(f"saved blocks: logits have shape {tuple(logits.shape)}; save them again")
        if self.logits is not None:
            self._place({})
            self._share(grid.positions, logits.detach().to(self.device))
            return
        cells_and_rows = zip(map(tuple, grid.positions.tolist()), logits.detach().to(self.device), strict=True)
        self._place(dict(cells_and_rows))

    def get_extra_state(self) -> dict[str, object]:
        """Returns where the blocks are, for ``state_dict``."""
        return {
            "grid_size": tuple(self.grid_size),
            "world_scale": self.world_scale,
            "materials": list(self.palette.names),
            "cells": torch.from_numpy(self._bulk_cells.copy()),
            "kept": torch.from_numpy(self._bulk_kept.copy()),
            "placed": [list(cell) for cell in self._placed_cells],
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Does nothing: ``_load_from_state_dict`` has made the blocks already, before their values came."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        extra = state_dict.get(f"{prefix}_extra_state")
        if extra is not None:
            self._check_state(extra)
            shared = state_dict.get(f"{prefix}logits")
            if shared is None:
                self.logits = None
                self._keep(np.zeros((0, 3), np.int32), np.zeros(0, np.bool_))
            else:
                self._share(extra["cells"].numpy().copy(), shared.detach().to(self.device))
                self._keep(self._bulk_cells, extra["kept"].numpy().copy())
            cells: list[Cell] = [(x, y, z) for x, y, z in extra["placed"]]
            empty = torch.zeros(self._row, device=self.device)
            self._place(dict.fromkeys(cells, empty))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> DifferentiableBlockWorld:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._keep(self._bulk_cells, self._bulk_kept)
        return self

    def _check_state(self, state: Mapping[str, Any]) -> None:
        same = tuple(state["grid_size"]) == tuple(self.grid_size) and state["world_scale"] == self.world_scale
        if not same or list(state["materials"]) != list(self.palette.names):
            raise MapError("saved blocks: they are of another grid size, world scale or palette than this world")

    def _share(self, cells: npt.NDArray[np.int32], start: torch.Tensor) -> None:
        """Lets the shared parameter be that of blocks at ``cells`` (N, 3), with the values (N, M)."""
        self._keep(cells, np.ones(len(cells), dtype=np.bool_))
        if self.logits is None:
            self.logits = nn.Parameter(start.clone())
            return
        with torch.no_grad():
            if self.logits.shape == start.shape:
                self.logits.copy_(start)
            else:
                self.logits.data = start.to(self.logits.dtype, copy=True)
                self.logits.grad = None

    def _keep(self, cells: npt.NDArray[np.int32], kept: npt.NDArray[np.bool_]) -> None:
        """Lets the rows of the shared parameter be those of ``cells`` (N, 3), and those ``kept`` (N,) be blocks."""
        self._bulk_cells, self._bulk_kept = cells, kept
        everything = bool(kept.all())
        self._shared_cells = cells if everything else cells[kept]
        self._shared_rows = None if everything else torch.from_numpy(np.flatnonzero(kept)).to(self.device)
        self._cells = None

    def _place(self, rows: Mapping[Cell, torch.Tensor]) -> None:
        """Lets single blocks be those of ``rows``, cell to values (M,)."""
        before = {cell: self.placed[key] for cell, key in self._placed_cells.items()}
        self._placed_cells = {cell: "_".join(map(str, cell)) for cell in rows}
        self.placed.clear()
        for cell, key in self._placed_cells.items():
            parameter = before.get(cell)
            if parameter is None:
                parameter = nn.Parameter(rows[cell].clone())
            else:
                with torch.no_grad():
                    parameter.copy_(rows[cell])
            self.placed[key] = parameter
        self._cells = None

    def _start_of_all(
        self,
        count: int,
        materials: npt.ArrayLike | torch.Tensor | None,
        logits: torch.Tensor | None,
        bias_strength: float,
    ) -> torch.Tensor:
        shape = (count, *self._row)
        if logits is not None:
            start = logits.detach().to(self.device)
        elif materials is not None:
            index = torch.from_numpy(cell_array(materials).astype(np.int64)).to(self.device)
            if tuple(index.shape) != shape[:1] or bool(((index <= AIR) | (index >= shape[-1])).any()):
                raise MapError(f"materials must be {shape[0]} palette indices from 1 to {shape[-1] - 1}")
            start = torch.zeros(shape, device=self.device)
            start[torch.arange(shape[0], device=self.device), ..., index] = bias_strength
        else:
            start = torch.randn(shape, device=self.device)
        if tuple(start.shape) != shape:
            raise MapError(f"logits have shape {tuple(start.shape)}, expected {shape}: (N, …, M)")
        return start

    def _start(self, material: str | int | None, logits: torch.Tensor | None, bias_strength: float) -> torch.Tensor:
        count = len(self.palette)
        if logits is not None:
            if tuple(logits.shape) != self._row:
                raise MapError(f"logits have shape {tuple(logits.shape)}, expected {self._row}: one per material")
            return logits.detach().clone().to(self.device)
        if material is None:
            return torch.randn(self._row, device=self.device)
        index = self.palette.index(material) if isinstance(material, str) else int(material)
        if not AIR < index < count:
            raise MapError(f"a block cannot be made of material {material!r}; use 1 to {count - 1} or its name")
        start = torch.zeros(self._row, device=self.device)
        start[..., index] = bias_strength
        return start

    def _cell(self, position: Cell) -> Cell:
        x, y, z = BlockGrid(self.grid_size, self.world_scale, np.asarray([position])).positions[0].tolist()
        return (x, y, z)

    def _shared_row(self, cell: Cell) -> int | None:
        """Returns the row of a block in the shared parameter, None if it has none there."""
        rows = np.flatnonzero((self._bulk_cells == cell).all(axis=1) & self._bulk_kept)
        return int(rows[0]) if len(rows) else None

    def _bulk(self) -> nn.Parameter:
        assert self.logits is not None
        return self.logits

    def _refuse_field(self) -> None:
        if self.field is not None:
            raise MapError("this world's cells may all hold a block (occupancy=True); harden() it first")

    def _gathered(self) -> tuple[npt.NDArray[np.int32], torch.Tensor]:
        """Returns where all blocks are, (N, 3), and their logits (N, M)."""
        self._refuse_field()
        cells = self._cells
        if cells is None:
            single = np.array(list(self._placed_cells), dtype=np.int32).reshape(-1, 3)
            cells = self._cells = np.concatenate([self._shared_cells, single])
        rows: list[torch.Tensor] = []
        if self.logits is not None:
            rows.append(self.logits if self._shared_rows is None else self.logits[self._shared_rows])
        if self._placed_cells:
            rows.append(torch.stack([one for one in self.placed._parameters.values() if one is not None]))
        if not rows:
            return cells, torch.zeros(0, *self._row, device=self.device)
        return cells, rows[0] if len(rows) == 1 else torch.cat(rows)


class _Blocks(Sequence[tuple[Cell, torch.Tensor]]):
    """The blocks of a world, each made when it is asked for."""

    def __init__(
        self,
        cells: npt.NDArray[np.int32],
        logits: nn.Parameter | None,
        kept: npt.NDArray[np.bool_],
        placed: nn.ParameterDict,
        placed_cells: Mapping[Cell, str],
    ) -> None:
        self._cells, self._logits, self._rows = cells, logits, np.flatnonzero(kept)
        self._placed = [(cell, placed[key]) for cell, key in placed_cells.items()]

    def __len__(self) -> int:
        return len(self._rows) + len(self._placed)

    @overload
    def __getitem__(self, index: int) -> tuple[Cell, torch.Tensor]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[Cell, torch.Tensor]]: ...
    def __getitem__(self, index: int | slice) -> tuple[Cell, torch.Tensor] | Sequence[tuple[Cell, torch.Tensor]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        if self._logits is None or at >= len(self._rows):
            return self._placed[at - len(self._rows)]
        x, y, z = self._cells[at].tolist()
        return (x, y, z), self._logits[int(self._rows[at])]

    def __iter__(self) -> Iterator[tuple[Cell, torch.Tensor]]:
        if self._logits is not None:
            for cell, row in zip(self._cells.tolist(), self._rows.tolist(), strict=True):
                yield tuple(cell), self._logits[row]
        yield from self._placed


def render_worlds(
    worlds: Sequence[DifferentiableBlockWorld],
    view: torch.Tensor,
    proj: torch.Tensor,
    img_h: int,
    img_w: int,
    **how: Any,
) -> torch.Tensor:
    """Renders several worlds in one batch: item i is world i, as camera i sees it.

    Args:
        worlds: B worlds on one device.
        view: (4, 4) for all, or (B, 4, 4).
        proj: likewise.
        img_h: rows.
        img_w: pixels per row.
        how: further arguments of ``render``, the same for all.

    Returns:
        (B, 4, H, W).

    Raises:
        CameraError: there are not as many cameras as worlds.
    """
    for name, matrix in (("view", view), ("proj", proj)):
        if matrix.ndim == 3 and len(matrix) != len(worlds):
            raise CameraError(f"{len(worlds)} worlds, but {name} has {len(matrix)}; give one for all, or one per world")
    views, projs = (m if m.ndim == 3 else m.expand(len(worlds), 4, 4) for m in (view, proj))
    every = [one.render(v, p, img_h, img_w, **how) for one, v, p in zip(worlds, views, projs, strict=True)]
    return torch.cat(every)
