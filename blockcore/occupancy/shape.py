"""Blocks and materials from posed pictures alone: a fog that clears, then the exact answer on what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from blockcore.errors import Cancelled, SceneError
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View
from blockcore.model.shape_settings import ShapeSettings
from blockcore.occupancy.field import BlockField, Hardened
from blockcore.occupancy.hull import visual_hull
from blockcore.occupancy.rays import unprojection
from blockcore.optimize import optimize_materials
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize

_BATCH = 4  # views a step
_ROUNDS = 12
_ALIKE = 3.0  # of 255: how near a material's colour may be to the background's to be taken for it
_UNEXPLAINED = 1e-3
"""Mean squared error, summed over channels, above which no material explains what a block's pixels show."""
_SAME = 1e-9  # of a squared error: rounding


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
        device: where the descent runs.
        progress: called at every step with its number and its mean squared error.
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

    def watch(step: int, error: float) -> None:
        if progress is not None:
            progress(step, error)
        if cancelled is not None and cancelled():
            raise Cancelled("the search for a shape was cancelled")

    _descend(field, views, masks, settings, watch)
    return _exactly(field.hardened(), field, hull, views)


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
    watch: Callable[[int, float], None],
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
        watch(step, float(error.detach()))


def _with_counts(view: View) -> npt.NDArray[np.uint8]:
    """Returns a view's picture, (H, W, 4); the fourth channel is 0 where a pixel does not count."""
    target = np.array(view.target)
    return target if target.shape[2] == 4 else np.pad(target, ((0, 0), (0, 0), (0, 1)), constant_values=255)


def _exactly(found: Hardened, field: BlockField, hull: npt.NDArray[np.bool_], views: Sequence[View]) -> BlockScene:
    """Returns the blocks that views need, with the materials that an exact solve finds."""
    if not len(found.cells):
        raise SceneError("shape: no block was found; give more views, or more steps")
    grid = BlockGrid(field.grid_size, field.world_scale, found.cells)
    scene = BlockScene(grid, found.materials, field.palette, tuple(views), field.lighting)
    fit = _cleared(_solved(scene))
    fit = _without_needless(_cleared(_filled(fit, field.looks(), hull)))
    return _of_blocks_left(fit.scene, fit.seen)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A scene solved for, and how well it explains its pictures.

    Attributes:
        scene: blocks and materials.
        seen: (V,) the blocks that some view shows, ascending.
        errors: (B, H, W) squared error of the pixels that count, summed over channels of values in 0…1.
        blocks: (B, H, W) the block that each pixel shows, -1 for none.
    """

    scene: BlockScene
    seen: npt.NDArray[np.int64]
    errors: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Of all pixels together."""
        return float(self.errors.sum())

    def of_block(self, errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns the sums (N,) of errors over the pixels of each block; 0 for blocks that are not seen."""
        sums = np.bincount(self.blocks.ravel() + 1, errors.ravel(), len(self.scene.grid) + 1)
        return sums[1:].astype(np.float64)

    def without(self, blocks: npt.NDArray[np.int64]) -> BlockScene:
        """Returns the scene that lacks some blocks."""
        return _of_blocks_left(self.scene, np.setdiff1d(np.arange(len(self.scene.grid)), blocks))


def _solved(scene: BlockScene) -> _Fit:
    found = optimize_materials(scene)
    scene = replace(scene, materials=found.materials)
    return _Fit(scene, found.visible_blocks, *_compared(scene))


def _compared(scene: BlockScene) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Returns the error of each pixel and the block that it shows, as ``_Fit`` holds them."""
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    errors, blocks = [], []
    for view, seen in zip(scene.views, rasterize(faces, [view.camera for view in scene.views]), strict=True):
        target = _with_counts(view)
        frame = draw(seen, view.camera, colors)[..., :3].astype(np.float64)
        errors.append(((frame - target[..., :3]) ** 2).sum(axis=2) / 255.0**2 * (target[..., 3] > 0))
        blocks.append(np.append(faces.block, -1)[np.asarray(seen.face)])
    return np.stack(errors), np.stack(blocks)


def _cleared(fit: _Fit) -> _Fit:
    """Takes away blocks that no material explains, as long as the pictures are explained the better for it."""
    most = 1.0
    for _ in range(_ROUNDS):
        mean = fit.of_block(fit.errors) / np.maximum(fit.of_block(np.ones_like(fit.errors)), 1.0)
        wrong = np.flatnonzero(mean > _UNEXPLAINED)
        worst = wrong[np.argsort(-mean[wrong])][: max(1, int(len(wrong) * most))]
        if not len(worst) or len(worst) == len(fit.scene.grid):
            break
        fewer = _solved(fit.without(worst))
        if fewer.error < fit.error:
            fit, most = fewer, 1.0
        elif len(worst) == 1:
            break
        else:
            most /= 4.0
    return fit


def _filled(fit: _Fit, looks: npt.NDArray[np.float64], hull: npt.NDArray[np.bool_]) -> _Fit:
    """Adds blocks of the hull with which the pictures are explained better."""
    most = 1.0
    for _ in range(_ROUNDS):
        gains, materials = _gains(fit, looks, hull)
        best = np.flatnonzero((gains > _SAME) & (gains >= _most_around(gains)))
        best = best[np.argsort(-gains.ravel()[best])][: max(1, int(len(best) * most))]
        if not len(best):
            break
        cells = np.stack(np.unravel_index(best, gains.shape), axis=1).astype(np.int32)
        grid, old = fit.scene.grid, fit.scene
        larger = BlockGrid(grid.size, grid.world_scale, np.concatenate([grid.positions, cells]))
        fuller = _solved(replace(old, grid=larger, materials=np.concatenate([old.materials, materials[best]])))
        if fuller.error < fit.error - _SAME:
            fit, most = fuller, 1.0
        elif len(best) == 1:
            break
        else:
            most /= 4.0
    return fit


def _gains(
    fit: _Fit, looks: npt.NDArray[np.float64], hull: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Returns by how much the error falls where a single block is added, (X, Y, Z), and of which material, (X·Y·Z,)."""
    from blockcore.occupancy import gains_numba

    scene = fit.scene
    state = np.where(hull, gains_numba.FREE, 0).astype(np.uint8)
    state[tuple(scene.grid.positions.T)] = gains_numba.BLOCK
    matrices = np.stack([unprojection(view.camera, scene.grid.size, scene.grid.world_scale) for view in scene.views])
    targets = np.stack([_with_counts(view) for view in scene.views]) / 255.0
    sums = gains_numba.collected(state, matrices, targets, fit.errors)
    solid = looks[AIR + 1 :]
    pull = sums[:, :, 1:4].reshape(len(sums), -1) @ solid.reshape(len(solid), -1).T
    squares = sums[:, :, 0] @ (solid**2).sum(axis=2).T
    costs = squares - 2.0 * pull + sums[:, :, 4].sum(axis=1, keepdims=True)
    gains = sums[:, :, 5].sum(axis=1) - costs.min(axis=1)
    return gains.reshape(hull.shape), (costs.argmin(axis=1) + AIR + 1).astype(np.int32)


def _most_around(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the largest value among each cell and its 26 neighbours."""
    for axis in range(3):
        wide = np.pad(values, [(1, 1) if a == axis else (0, 0) for a in range(3)], constant_values=-np.inf)
        slices = [np.take(wide, np.arange(k, k + values.shape[axis]), axis) for k in range(3)]
        values = np.maximum(np.maximum(slices[0], slices[1]), slices[2])
    return values


def _without_needless(fit: _Fit) -> _Fit:
    """Takes away single blocks without which the pictures are explained as well.

    Of every eighth block, none of them neighbours, it is seen at once what its own pixels would show without it.
    """
    for group in range(8):
        there = np.flatnonzero(fit.scene.grid.positions % 2 @ np.array([4, 2, 1]) == group)
        if not 0 < len(there) < len(fit.scene.grid):
            continue
        errors, _ = _compared(fit.without(there))
        worse = fit.of_block(errors - fit.errors)
        needless = there[worse[there] <= _SAME]
        needless = needless[np.argsort(worse[needless])]
        while len(needless):
            fewer = _solved(fit.without(needless))
            if fewer.error <= fit.error + _SAME:
                fit = fewer
                break
            needless = needless[: len(needless) // 2]
    return fit


def _of_blocks_left(scene: BlockScene, blocks: npt.NDArray[np.int64]) -> BlockScene:
    grid = BlockGrid(scene.grid.size, scene.grid.world_scale, scene.grid.positions[blocks])
    return replace(scene, grid=grid, materials=scene.materials[blocks])
