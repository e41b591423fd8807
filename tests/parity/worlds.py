"""Random worlds and cameras for hypothesis: everything that a scene may hold, with the awkward cases often."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import BlockGrid, lattice_to_world
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View

_SIDES = st.one_of(st.integers(1, 320), st.sampled_from([1, 2, 3, 63, 64, 65, 255, 256, 257]))
_FILLS = st.sampled_from([0.2, 0.5, 0.02, 0.9, 1.0, 0.0])
_SCALES = st.one_of(st.sampled_from([2.0, 1.0, 0.5, 0.1, 0.7, 3.3]), st.floats(0.02, 40.0))
_KINDS = st.sampled_from(["orbit", "inside", "lattice", "near", "away", "orthographic", "orthographic lattice"])


_TILE_SIDES = (1, 2, 3, 4, 8, 16, 16, 16, 32)


def random_tiles(rng: np.random.Generator) -> Palette:
    """Returns the WebGPU palette with tiles of any size, on some faces of some materials, some of them translucent."""
    tiles = {}
    for material in range(1, len(WEBGPU_PALETTE)):
        if rng.random() < 0.3:
            continue
        for direction in np.flatnonzero(rng.random(6) < 0.8).tolist():
            tile = rng.integers(0, 256, (*rng.choice(_TILE_SIDES, 2), 4), np.uint8)
            if rng.random() < 0.5:
                tile[..., 3] = 255
            tiles[material, direction] = tile
    return WEBGPU_PALETTE.with_tiles(tiles)


@st.composite
def scenes(draw: st.DrawFn, views: int = 4, tiles: bool = False) -> BlockScene:
    """Draws a small world and some cameras that look at it, into it, out of it or past it."""
    size = draw(st.tuples(*[st.integers(1, 12)] * 3))
    fill = draw(_FILLS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells = np.argwhere(rng.random(size) < fill)
    if fill > 0.0 and len(cells) == 0:
        cells = rng.integers(0, size, (1, 3))
    grid = BlockGrid(size, draw(_SCALES), cells)
    palette = random_tiles(rng) if tiles else WEBGPU_PALETTE
    materials = rng.integers(1, len(palette), len(cells))
    cameras = [_camera(grid, rng, draw(_KINDS), (draw(_SIDES), draw(_SIDES)), i) for i in range(views)]
    return BlockScene(grid, materials, palette, tuple(View(camera) for camera in cameras))


def _camera(grid: BlockGrid, rng: np.random.Generator, kind: str, size: tuple[int, int], number: int) -> Camera:
    width, height = size
    span = float(np.linalg.norm(grid.size)) * grid.world_scale
    on_lattice = "lattice" in kind
    center = _point(grid, rng, on_lattice)
    reach = {"inside": 0.0, "near": 0.3}.get(kind, rng.uniform(0.1, 1.2))
    eye = _point(grid, rng, on_lattice) + reach * span * _direction(rng, on_lattice)
    if kind == "away":
        center = eye + (eye - center)
    if np.linalg.norm(center - eye) < 1e-3 * grid.world_scale:
        center = eye + grid.world_scale * _direction(rng, on_lattice)
    forward = (center - eye) / np.linalg.norm(center - eye)
    up = np.eye(3)[np.abs(forward).argmin()] if rng.random() < 0.3 or abs(forward[1]) > 0.999 else (0.0, 1.0, 0.0)
    view = look_at(eye, center, up)
    # pixels need not be square: the picture's aspect is the lens's in three cases of four
    aspect = width / height * (1.0 if rng.random() < 0.75 else rng.uniform(0.4, 2.5))
    if kind.startswith("orthographic"):
        # on the lattice a block is a whole number of pixels, so that edges run through pixel centres and corners
        tall = grid.world_scale * height / rng.integers(1, 24) if on_lattice else rng.uniform(0.1, 1.0) * span
        wide = tall * (width / height if on_lattice else aspect)
        proj = orthographic(wide, tall, rng.uniform(-2.0, 0.5) * span, 4.0 * span)
    else:
        near = grid.world_scale * (rng.uniform(0.5, 3.0) if kind == "near" else 0.05)
        proj = perspective(np.radians(rng.choice([60.0, 90.0, rng.uniform(5.0, 160.0)])), aspect, near, 8.0 * span)
    if rng.random() < 0.25:  # a shifted lens
        shift = rng.uniform(-1.5, 1.5, 2)
        proj[:2] += np.outer(shift, proj[3])
    return Camera(view, proj, width, height, f"{kind} {number}")


def _point(grid: BlockGrid, rng: np.random.Generator, on_lattice: bool) -> npt.NDArray[np.float64]:
    """Returns a point of the grid's box, world space; on the lattice, a corner or centre of a cell."""
    low, high = np.zeros(3), np.asarray(grid.size)
    cell = rng.integers(low, 2 * high + 1) / 2 if on_lattice else rng.uniform(low, high)
    return lattice_to_world(cell, grid.size, grid.world_scale).astype(np.float64)


def _direction(rng: np.random.Generator, axis_aligned: bool) -> npt.NDArray[np.float64]:
    if axis_aligned:
        return np.eye(3)[rng.integers(3)] * rng.choice([-1.0, 1.0])
    direction = rng.normal(size=3)
    return direction / np.linalg.norm(direction)
