"""Blocks and materials from posed pictures alone: carved out, or left by a fog that clears; then the exact answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import Cancelled, SceneError
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View
from blockcore.model.shape_settings import ShapeSettings
from blockcore.occupancy.carving import Carving
from blockcore.occupancy.field import BlockField
from blockcore.occupancy.hull import visual_hull
from blockcore.optimize import optimize_materials

_BATCH = 4  # views a step
_ALIKE = 3.0  # of 255: how near a material's colour may be to the background's to be taken for it
_EXPLAINED = 3.0 * (0.5 / 255.0) ** 2
"""Mean squared error, summed over channels, that comes of rounding alone."""
_LEAST_PRICE = 1e-6  # more than rounding adds up to


def find_shape(
    views: Sequence[View],
    grid_size: tuple[int, int, int],
    world_scale: float = 2.0,
    palette: Palette = WEBGPU_PALETTE,
    lighting: Lighting = WEBGPU_LIGHTING,
    masks: Sequence[npt.NDArray[np.bool_]] | None = None,
    settings: ShapeSettings | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BlockScene:
    """Finds the blocks, and what they are made of, that pictures show.

    First all that may be there is carved until materials explain what is left. If pictures are not explained by that
    but for rounding, a fog is cleared by gradient descent as well, and what explains them better is taken.

    Args:
        views: posed pictures of one size, at least two, over the light's background. Pixels whose fourth channel is 0
            do not count.
        grid_size: cells along x, y, z in which blocks may be.
        world_scale: edge of a block in world units.
        palette: the materials.
        lighting: the light that the pictures were taken in.
        masks: (H, W) of each view: where it shows a block. If None, a pixel of just the background's colour shows none,
            as far as no material has that colour. What is left by these outlines is where the search begins.
        settings: how to look; the defaults if None.
        device: where the descent runs; carving takes the processor.
        progress: called at every step, of carving or of descent, with its number and its mean squared error.
        cancelled: asked at every step; true stops the search.

    Returns:
        The blocks that some view shows, each of the material that fits best, with the views.

    Raises:
        SceneError: a view has no picture, the pictures differ in size, or no block was found.
        Cancelled: ``cancelled`` said so.
    """
    settings = settings or ShapeSettings()
    sizes = {(view.camera.width, view.camera.height) for view in views if view.target is not None}
    if len(views) < 2 or len(sizes) != 1 or any(view.target is None for view in views):
        raise SceneError("shape: give two views or more, each with a picture, all of one size")
    field = BlockField(grid_size, world_scale, device, palette, lighting, settings.opacity)
    if masks is None:
        masks = _outlines(views, field)
    hull = np.ones(grid_size, np.bool_)
    if masks is not None:
        hull = visual_hull(grid_size, world_scale, [view.camera for view in views], masks)
        field.clear(hull)

    steps = itertools.count()

    def watch(error: float) -> None:
        if progress is not None:
            progress(next(steps), error)
        if cancelled is not None and cancelled():
            raise Cancelled("the search for a shape was cancelled")

    carving = Carving(views, masks, hull, world_scale, field.looks(), np.asarray(lighting.background, np.float64))
    tolerance = carving.carve(watch)
    price = max(carving.error / carving.pixels, _LEAST_PRICE)  # what pixels are off by anyhow
    cost = carving.better(tolerance, price, watch)
    if carving.error > _EXPLAINED * carving.pixels:
        carved = carving.solid
        _descend(field, views, masks, settings, watch)
        found = field.hardened()
        carving.begin_with(found.cells, found.materials)
        if carving.better(tolerance, price, watch) > cost:
            carving.begin(carved)
    return _exactly(carving.material, field, views)


def _outlines(views: Sequence[View], field: BlockField) -> list[npt.NDArray[np.bool_]] | None:
    """Returns where pictures show a block, (H, W) each: where they are not just of the background's colour.

    None where that does not tell, as a material has the same.
    """
    background = np.round(np.asarray(field.lighting.background) * 255.0)
    looks = field.looks()[AIR + 1 :] * 255.0
    if (np.abs(looks - background) < _ALIKE).all(axis=-1).any():
        return None
    every = []
    for view in views:
        picture = np.asarray(view.target).astype(np.int64)
        unlike = (np.abs(picture[..., :3] - background) > 1).any(axis=2)
        every.append(unlike | (picture[..., 3] == 0) if picture.shape[2] == 4 else unlike)
    return every


def _descend(
    field: BlockField,
    views: Sequence[View],
    masks: Sequence[npt.NDArray[np.bool_]] | None,
    settings: ShapeSettings,
    watch: Callable[[float], None],
) -> None:
    """Clears the fog."""
    device = field.logits.device
    pictures = torch.stack([torch.from_numpy(_with_counts(view)) for view in views]).to(device).movedim(-1, 1)
    outlines = None if masks is None else torch.from_numpy(np.stack(masks)).to(device)
    order = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adam([field.logits], settings.learning_rate)
    for step in range(settings.steps):
        picked = torch.randperm(len(views), generator=order)[:_BATCH].tolist()
        rgba = field.render([views[k].camera for k in picked])
        target, counts = pictures[picked, :3].to(rgba.dtype) / 255.0, pictures[picked, 3:] > 0
        error = ((rgba[:, :3] - target) * counts).square().mean()
        loss = error
        if outlines is not None:
            loss = loss + (rgba[:, 3] - outlines[picked].to(rgba.dtype)).square().mean()
        late = step / settings.steps
        loss = loss + late * settings.entropy * field.entropy() + settings.sparsity * field.sparsity()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        watch(float(error.detach()))


def _with_counts(view: View) -> npt.NDArray[np.uint8]:
    """Returns a view's picture, (H, W, 4); the fourth channel is 0 where a pixel does not count."""
    target = np.array(view.target)
    return target if target.shape[2] == 4 else np.pad(target, ((0, 0), (0, 0), (0, 1)), constant_values=255)


def _exactly(material: npt.NDArray[np.int32], field: BlockField, views: Sequence[View]) -> BlockScene:
    """Returns the blocks of a shape (X, Y, Z), with the materials that an exact solve finds."""
    cells = np.argwhere(material).astype(np.int32)
    if not len(cells):
        raise SceneError("shape: no block was found; give more views")
    grid = BlockGrid(field.grid_size, field.world_scale, cells)
    scene = BlockScene(grid, material[tuple(cells.T)], field.palette, tuple(views), field.lighting)
    found = optimize_materials(scene)
    seen = found.visible_blocks
    return replace(scene, grid=replace(grid, positions=cells[seen]), materials=found.materials[seen])
