"""The shape suite: blocks and materials of modelled worlds from posed pictures alone, with masks and without."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from blockcore.io.files import Json
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, View
from blockcore.model.shape_settings import ShapeSettings
from blockcore.occupancy.field import BlockField
from blockcore.occupancy.shape import find_shape
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize

Cells = npt.NDArray[np.int32]
_GRASS, _DIRT, _STONE, _PLANKS, _LOG, _LEAVES = range(1, 7)
_VIEWS, _HELD_OUT, _PIXELS = 24, 8, 128


def hut(side: int) -> Cells:
    """Returns (side, side, side) materials: walls with a door and windows, and a roof, on a lawn."""
    world = np.zeros((side, side, side), np.int32)
    world[:, 0] = _GRASS
    low, high, top = side // 4, side - side // 4, side // 3
    world[low:high, 1 : top + 1, low:high] = _PLANKS
    world[low:high, 1, low:high] = _STONE
    world[low + 1 : high - 1, 1 : top + 1, low + 1 : high - 1] = 0
    middle = side // 2
    world[low, 1:4, middle - 1 : middle + 1] = 0
    world[middle - 1 : middle + 1, 3:5, low] = world[middle - 1 : middle + 1, 3:5, high - 1] = 0
    for step in range((high - low) // 2 + 1):
        world[low - 1 + step : high + 1 - step, top + 1 + step, low - 1 : high + 1] = _LOG
    return world


def tower(side: int) -> Cells:
    """Returns a round tower with battlements."""
    world = np.zeros((side, side, side), np.int32)
    world[:, 0] = _GRASS
    x, z = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(x, z)
    wall = (radius < side / 4) & (radius >= side / 4 - 1.6)
    for y in range(1, side - 4):
        world[:, y][wall] = _PLANKS if y % 6 == 0 else _STONE
    world[:, side - 5][radius < side / 4] = _LOG
    world[:, side - 4][wall & (np.indices((side, side)).sum(axis=0) % 4 < 2)] = _STONE
    return world


def arch(side: int) -> Cells:
    """Returns a bridge's arch between two banks."""
    world = np.zeros((side, side, side), np.int32)
    world[: side // 5, : side // 3] = world[-side // 5 :, : side // 3] = _DIRT
    world[: side // 5, side // 3] = world[-side // 5 :, side // 3] = _GRASS
    x, y = np.indices((side, side))
    radius = np.hypot(x - (side - 1) / 2, y - 1.0)
    ring = (radius < side / 2 - 1) & (radius > side / 2 - 4) & (y > 0)
    for z in range(side // 3, side - side // 3):
        world[:, :, z][ring] = _STONE
    return world


def tree(side: int) -> Cells:
    """Returns a trunk and a crown."""
    world = np.zeros((side, side, side), np.int32)
    world[2:-2, 0, 2:-2] = _GRASS
    middle = side // 2
    world[middle - 1 : middle + 1, 1 : side // 2, middle - 1 : middle + 1] = _LOG
    x, y, z = np.indices((side, side, side))
    rough = np.random.default_rng(0).random(world.shape) * 2.0
    crown = np.hypot(np.hypot(x - middle, z - middle), 1.3 * (y - side * 0.62)) + rough < side * 0.3
    world[crown & (world == 0)] = _LEAVES
    return world


def terrain(side: int) -> Cells:
    """Returns hills, half as high as wide: grass on dirt on stone."""
    x, z = np.indices((side, side)) / side * 2.0 * np.pi
    height = (side * (0.2 + 0.06 * np.sin(1.3 * x + 0.5) + 0.07 * np.cos(1.7 * z) + 0.04 * np.sin(x + 2 * z))).astype(
        int
    )
    world = np.zeros((side, side // 2, side), np.int32)
    for y in range(side // 2):
        world[:, y][y < height] = _STONE
        world[:, y][(y < height) & (y >= height - 3)] = _DIRT
        world[:, y][y == height - 1] = _GRASS
    return world


def stairs(side: int) -> Cells:
    """Returns a stepped pyramid with a passage."""
    world = np.zeros((side, side, side), np.int32)
    world[:, 0] = _DIRT
    for step in range(side // 2 - 2):
        world[1 + step : side - 1 - step, 1 + step, 1 + step : side - 1 - step] = (_STONE, _PLANKS)[step // 2 % 2]
    world[:, 1:4, side // 2 - 1 : side // 2 + 1] = 0
    return world


WORLDS: dict[str, Callable[[], Cells]] = {
    "hut, 16³": lambda: hut(16),
    "hut, 24³": lambda: hut(24),
    "tower, 24³": lambda: tower(24),
    "arch, 28³": lambda: arch(28),
    "tree, 24³": lambda: tree(24),
    "terrain, 48 × 24 × 48": lambda: terrain(48),
    "pyramid, 32³": lambda: stairs(32),
}


def cameras(size: tuple[int, ...], count: int, pixels: int, turn: float = 0.0) -> list[Camera]:
    """Returns cameras around a world, at heights from near the ground to far above, that have all of it in sight."""
    found, extent = [], 2.0 * float(np.hypot(np.hypot(size[0], size[2]), size[1]))
    middle = np.array([0.0, size[1] * 0.8, 0.0])
    for k in range(count):
        around, lift = 2.399963 * k + turn, 0.15 + 1.0 * ((k + 0.5) / count)
        away = np.array([np.cos(around) * np.cos(lift), np.sin(lift), np.sin(around) * np.cos(lift)])
        pose = look_at(middle + 1.45 * extent * away, middle)
        found.append(Camera(pose, perspective(0.72, 1.0, 0.5, 4.0 * extent), pixels, pixels, f"view {k}"))
    return found


def pictures(
    scene: BlockScene, poses: Sequence[Camera]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Yields each camera's picture, (H, W, 3), and its pixels' blocks, -1 for none."""
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    for pose, seen in zip(poses, rasterize(faces, poses), strict=True):
        yield draw(seen, pose, colors)[..., :3], np.append(faces.block, -1)[np.asarray(seen.face)]


def measured(world: Cells, masked: bool, settings: ShapeSettings | None = None, pixels: int = _PIXELS) -> Json:
    """Finds a world from pictures of it, and compares.

    Args:
        world: (X, Y, Z) materials, 0 where there is none.
        masked: whether the search is told where pictures show a block.
        settings: of the search.
        pixels: along each side of a picture.

    Returns:
        Shares of the blocks that pictures show: there and of the right material, and too many; PSNR in dB of pictures
        that the search had not; seconds.
    """
    size = (world.shape[0], world.shape[1], world.shape[2])
    cells = np.argwhere(world).astype(np.int32)
    truth = BlockScene(BlockGrid(size, 2.0, cells), world[tuple(cells.T)], WEBGPU_PALETTE, (), WEBGPU_LIGHTING)
    poses = cameras(size, _VIEWS, pixels)
    shown = list(pictures(truth, poses))
    views = [View(pose, picture) for pose, (picture, _) in zip(poses, shown, strict=True)]
    masks = [blocks >= 0 for _, blocks in shown] if masked else None
    began = time.perf_counter()
    found = find_shape(views, size, masks=masks, settings=settings)
    seconds = time.perf_counter() - began
    again = np.zeros_like(world)
    again[tuple(found.grid.positions.T)] = found.materials
    visible = cells[np.unique(np.concatenate([blocks[blocks >= 0] for _, blocks in shown]))]
    right = again[tuple(visible.T)] == world[tuple(visible.T)]
    unseen = cameras(size, _HELD_OUT, pixels, turn=1.0)
    pairs = zip(pictures(truth, unseen), pictures(found, unseen), strict=True)
    errors = [float(np.square((a.astype(float) - b) / 255.0).mean()) for (a, _), (b, _) in pairs]
    return {
        "visible_blocks": len(visible),
        "right": float(right.mean()),
        "too_many": float(((again > 0) & (world == 0)).sum() / len(visible)),
        "held_out_psnr": _decibels(sum(errors) / len(errors)),
        "worst_held_out_psnr": _decibels(max(errors)),
        "seconds": seconds,
    }


def _decibels(error: float) -> float:
    return -10.0 * math.log10(max(error, 1e-12))


def occupancy_step(
    device: str, opacity: float, size: tuple[int, int, int] = (64, 48, 64), pixels: int = 256
) -> Callable[[], None]:
    """Returns a step of a search in a fog: four pictures, regularisers, gradients, Adam."""
    field = BlockField(size, device=device, opacity=opacity)
    adam = torch.optim.Adam(field.parameters(), 1e-3)  # so slow that all steps are alike
    poses = cameras(size, 4, pixels)
    target = torch.rand(4, 3, pixels, pixels, generator=torch.Generator().manual_seed(0)).to(device)

    def step() -> None:
        error = (field.render(poses)[:, :3] - target).square().mean()
        adam.zero_grad()
        loss = error + 1e-3 * field.entropy() + 1e-3 * field.sparsity()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()

    return step


def run(data: Path) -> Json:
    """Measures everything; returns the figures as JSON values."""
    del data  # worlds are made here
    step, seconds = occupancy_step("cpu", 0.1), []
    for _ in range(8):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    worlds = {
        name: {how: measured(make(), how == "masks") for how in ("masks", "no masks")} for name, make in WORLDS.items()
    }
    return {"step_seconds": statistics.median(seconds[2:]), "worlds": worlds}


def lines(figures: Json) -> list[str]:
    """Returns the figures as lines to print."""
    first = f"a step in 64 × 48 × 64 cells, 4 views of 256²: {figures['step_seconds']:.3f} s"
    return [first, *(_line(f"{name}, {how}", f) for name, ways in figures["worlds"].items() for how, f in ways.items())]


def _line(what: str, f: Json) -> str:
    return (
        f"{what}: {100 * f['right']:.2f} % of {f['visible_blocks']} visible blocks there and right, "
        f"{100 * f['too_many']:.2f} % too many; held-out views {f['held_out_psnr']:.1f} dB, the worst "
        f"{f['worst_held_out_psnr']:.1f}; {f['seconds']:.1f} s"
    )
