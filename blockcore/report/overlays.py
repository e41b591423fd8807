"""Pictures about pictures: where a result differs from its target, how sure it is, and what no camera sees."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from blockcore.model.grid import BlockGrid
from blockcore.model.palette import TOP, Palette
from blockcore.report.metrics import largest_difference

Stops = tuple[tuple[float, tuple[int, int, int]], ...]

DIFFERENCE_STOPS: Stops = ((0.0, (8, 8, 16)), (0.3, (120, 20, 90)), (0.6, (235, 90, 40)), (1.0, (255, 250, 200)))
DIFFERENCE_FULL = 64  # shades at which the ramp ends
CONFIDENCE_STOPS: Stops = (
    (0.0, (202, 40, 32)),
    (0.34, (245, 150, 70)),
    (0.67, (240, 225, 150)),
    (0.84, (110, 165, 190)),
    (1.0, (30, 85, 140)),
)
CONFIDENCE_FULL = 63  # shades, likewise; the ramp is logarithmic
UNSURE = 4.0  # shades: below this, noise in a picture may have decided
UNSEEN_COLOR = (230, 0, 150)


def difference(picture: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Draws how far two pictures are apart.

    Args:
        picture: (H, W, 3 or 4) uint8.
        target: (H, W, 3 or 4) uint8; clear where a fourth channel is 0.

    Returns:
        (H, W, 4) uint8: dark where equal, bright from ``DIFFERENCE_FULL`` shades on.
    """
    drawn = _difference_colors().take(largest_difference(picture, target), axis=0)
    if target.shape[2] == 4:
        drawn[target[..., 3] == 0, 3] = 0
    return drawn


def confidence(block: npt.NDArray[np.int64], margins: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Draws how clearly the pictures speak for each block's material.

    Args:
        block: (H, W), the block each pixel shows, or -1.
        margins: (N,) shades to the next best material; NaN for blocks that were not judged.

    Returns:
        (H, W, 4) uint8: red where unsure, blue from ``CONFIDENCE_FULL`` shades on, clear where there is no block.
    """
    share = np.minimum(np.log2(1.0 + np.maximum(np.nan_to_num(margins), 0.0)) / np.log2(1.0 + CONFIDENCE_FULL), 1.0)
    colors = np.concatenate([_ramp(share, CONFIDENCE_STOPS), np.full((len(margins), 1), 255, np.uint8)], axis=1)
    colors[np.isnan(margins), 3] = 0
    return np.asarray(np.concatenate([colors, np.zeros((1, 4), np.uint8)])[block])


def exposed_blocks(grid: BlockGrid) -> npt.NDArray[np.bool_]:
    """Returns (N,): whether a camera could see the block at all."""
    exposed = np.zeros(len(grid), dtype=np.bool_)
    exposed[grid.exposed_faces.block] = True
    return exposed


def plan(
    grid: BlockGrid,
    materials: npt.NDArray[np.int32],
    palette: Palette,
    unseen: npt.NDArray[np.bool_],
    width: int = 480,
) -> npt.NDArray[np.uint8]:
    """Draws a world from above, with the blocks that no camera sees marked.

    Args:
        grid: the blocks.
        materials: (N,) their materials.
        palette: the materials' colours.
        unseen: (N,) whether the block is to be marked.
        width: about how many pixels wide.

    Returns:
        (H, W, 4) uint8, +X to the right and +Z down: the highest block of each column in its top colour, darker the
        lower it is, or in ``UNSEEN_COLOR`` if it is marked.
    """
    x, y, z = grid.positions.T.astype(np.int64)
    low, high = (np.array([f(x), f(z)]) for f in (np.min, np.max))
    cells = high - low + 1
    column = (z - low[1]) * cells[0] + (x - low[0])
    order = np.lexsort((y, column))
    top = order[np.append(np.flatnonzero(np.diff(column[order])), len(order) - 1)]
    height = 0.72 + 0.28 * (y[top] - y.min()) / max(1, int(y.max() - y.min()))
    color = 255.0 * palette.colors[materials[top], TOP] * height[:, None]
    picture = np.zeros((int(cells.prod()), 4), dtype=np.uint8)
    picture[column[top], :3] = np.where(unseen[top, None], UNSEEN_COLOR, np.rint(color))
    picture[column[top], 3] = 255
    scale = max(1, width // int(cells[0]))
    return np.kron(picture.reshape(int(cells[1]), int(cells[0]), 4), np.ones((scale, scale, 1), np.uint8))


@cache
def _difference_colors() -> npt.NDArray[np.uint8]:
    """Returns (256, 4) uint8: how each difference, in shades, is drawn."""
    colors = _ramp(np.sqrt(np.minimum(np.arange(256) / DIFFERENCE_FULL, 1.0)), DIFFERENCE_STOPS)
    return np.concatenate([colors, np.full((256, 1), 255, np.uint8)], axis=1)


def gradient_css(stops: Stops) -> str:
    """Returns a ramp as a CSS gradient, for a legend."""
    parts = ", ".join(f"rgb({r} {g} {b}) {100 * at:.0f}%" for at, (r, g, b) in stops)
    return f"linear-gradient(to right, {parts})"


def _ramp(share: npt.NDArray[np.float64], stops: Stops) -> npt.NDArray[np.uint8]:
    at = [stop for stop, _ in stops]
    channels = [np.interp(share, at, [color[c] for _, color in stops]) for c in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)
