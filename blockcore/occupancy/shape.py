"""Blocks and materials from posed pictures alone: a fog that clears, then the exact answer on what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import SceneError
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View
from blockcore.occupancy.field import BlockField, Hardened
from blockcore.occupancy.hull import visual_hull
from blockcore.optimize import optimize_materials
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize

_BATCH = 4  # views a step
_ROUNDS = 12
_UNEXPLAINED = 1e-3
"""Mean squared error, summed over channels, above which no material explains what a block's pixels show."""


@dataclass(frozen=True)
class ShapeSettings:
    """How a shape is looked for.

    Attributes:
        steps: of gradient descent.
        learning_rate: of Adam.
        opacity: of the fog that it starts as.
        entropy: how much undecided cells cost in the end, beside the mean squared error; none at the start.
        sparsity: how much opacity costs, likewise.
        seed: of the order of views.
    """

    steps: int = 300
    learning_rate: float = 0.3
    opacity: float = 0.1
    entropy: float = 1e-3
    sparsity: float = 1e-3
    seed: int = 0


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
) -> BlockScene:
    """Finds the blocks, and what they are made of, that pictures show.

    Args:
        views: posed pictures of one size, at least two, over the light's background.
        grid_size: cells along x, y, z in which blocks may be.
        world_scale: edge of a block in world units.
        palette: the materials.
        lighting: the light that the pictures were taken in.
        masks: (H, W) of each view: where it shows a block; then the visual hull is what it starts from.
        settings: how to look; the defaults if None.
        device: where the descent runs.
        progress: called at every step with its number and its mean squared error.

    Returns:
        The blocks that some view shows, each of the material that fits best, with the views.

    Raises:
        SceneError: a view has no picture, the pictures differ in size, or no block was found.
    """
    settings = settings or ShapeSettings()
    sizes = {(view.camera.width, view.camera.height) for view in views if view.target is not None}
    if len(views) < 2 or len(sizes) != 1 or any(view.target is None for view in views):
        raise SceneError("shape: give two views or more, each with a picture, all of one size")
    field = BlockField(grid_size, world_scale, device, palette, lighting, settings.opacity)
    if masks is not None:
        field.clear(visual_hull(grid_size, world_scale, [view.camera for view in views], masks))
    _descend(field, views, masks, settings, progress)
    return _exactly(field.hardened(), field, views)


def _descend(
    field: BlockField,
    views: Sequence[View],
    masks: Sequence[npt.NDArray[np.bool_]] | None,
    settings: ShapeSettings,
    progress: Callable[[int, float], None] | None,
) -> None:
    """Clears the fog."""
    device = field.logits.device
    targets = torch.stack([torch.from_numpy(np.array(view.target)[..., :3]) for view in views]).to(device)
    outlines = None if masks is None else torch.from_numpy(np.stack(masks)).to(device)
    order = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adam([field.logits], settings.learning_rate)
    for step in range(settings.steps):
        picked = torch.randperm(len(views), generator=order)[:_BATCH].tolist()
        rgba = field.render([views[k].camera for k in picked])
        error = (rgba[:, :3] - targets[picked].movedim(-1, 1).to(rgba.dtype) / 255.0).square().mean()
        loss = error
        if outlines is not None:
            loss = loss + (rgba[:, 3] - outlines[picked].to(rgba.dtype)).square().mean()
        late = step / settings.steps
        loss = loss + late * settings.entropy * field.entropy() + settings.sparsity * field.sparsity()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if progress is not None:
            progress(step, float(error.detach()))


def _exactly(found: Hardened, field: BlockField, views: Sequence[View]) -> BlockScene:
    """Returns the blocks that views need, with the materials that an exact solve finds."""
    if not len(found.cells):
        raise SceneError("shape: no block was found; give more views, or more steps")
    grid = BlockGrid(field.grid_size, field.world_scale, found.cells)
    scene = BlockScene(grid, found.materials, field.palette, tuple(views), field.lighting)
    fit = _cleared(_solved(scene))
    return _of_blocks_left(fit.scene, fit.seen)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A scene solved for, and how well it explains its pictures.

    Attributes:
        scene: blocks and materials.
        seen: (V,) the blocks that some view shows, ascending.
        error: squared error of all pixels and channels that count, of values in 0…1.
        of_block: (N,) the mean of it over the pixels of each block; 0 for blocks that are not seen.
    """

    scene: BlockScene
    seen: npt.NDArray[np.int64]
    error: float
    of_block: npt.NDArray[np.float64]


def _solved(scene: BlockScene) -> _Fit:
    found = optimize_materials(scene)
    scene = replace(scene, materials=found.materials)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    total, sums, counts = 0.0, np.zeros(len(scene.grid) + 1), np.zeros(len(scene.grid) + 1)
    for view, seen in zip(scene.views, rasterize(faces, [view.camera for view in scene.views]), strict=True):
        assert view.target is not None
        frame = draw(seen, view.camera, colors)[..., :3].astype(np.float64)
        error = ((frame - view.target[..., :3]) ** 2).sum(axis=2) / 255.0**2
        if view.target.shape[2] == 4:
            error[view.target[..., 3] == 0] = 0.0
        block = np.append(faces.block, -1)[np.asarray(seen.face)] + 1  # 0: none
        sums += np.bincount(block.ravel(), error.ravel(), len(sums))
        counts += np.bincount(block.ravel(), minlength=len(sums))
        total += float(error.sum())
    return _Fit(scene, found.visible_blocks, total, (sums / np.maximum(counts, 1.0))[1:])


def _cleared(fit: _Fit) -> _Fit:
    """Takes away blocks that no material explains, as long as the pictures are explained the better for it."""
    most = 1.0
    for _ in range(_ROUNDS):
        wrong = np.flatnonzero(fit.of_block > _UNEXPLAINED)
        worst = wrong[np.argsort(-fit.of_block[wrong])][: max(1, int(len(wrong) * most))]
        if not len(worst) or len(worst) == len(fit.scene.grid):
            break
        fewer = _solved(_of_blocks_left(fit.scene, np.setdiff1d(np.arange(len(fit.scene.grid)), worst)))
        if fewer.error < fit.error:
            fit, most = fewer, 1.0
        elif len(worst) == 1:
            break
        else:
            most /= 4.0
    return fit


def _of_blocks_left(scene: BlockScene, blocks: npt.NDArray[np.int64]) -> BlockScene:
    grid = BlockGrid(scene.grid.size, scene.grid.world_scale, scene.grid.positions[blocks])
    return replace(scene, grid=grid, materials=scene.materials[blocks])
