"""The light that explains the targets best, found together with the materials by alternating least squares.

Given the materials, each of the six face directions has a light that is a least-squares quotient; the sun and
hemisphere that come nearest to those six are found by trying directions, the colours of each by least squares.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from blockcore.assignment.statistics import FaceStatistics
from blockcore.model.grid import FACE_NORMALS
from blockcore.model.lighting import Lighting
from blockcore.model.palette import Palette
from blockcore.ops.arrays import Array, host
from blockcore.visibility.faces import VisibleFaces
from blockcore.visibility.texels import looks_radiance

_DIRECTIONS = 400
_BURNT = 0.985  # mean target above which a face is taken to be burnt out
_LIT = 1.0


def fit_lighting(
    palette: Palette, visible: VisibleFaces, statistics: FaceStatistics, materials: Array, start: Lighting
) -> Lighting:
    """Fits sun and hemisphere to an assignment.

    Args:
        palette: the materials.
        visible: what the views show.
        statistics: of the targets.
        materials: (V,) int64 of the visible blocks.
        start: whose background is kept, and whose light where nothing can be told.

    Returns:
        The light; its ambient strength is 1.
    """
    products, squares = _light_sums(palette, visible, statistics, materials)
    wanted = products / np.maximum(squares, 1e-300)
    if not squares.any():
        return start
    best = min((_colors_for(d, wanted, squares) for d in _sphere(_DIRECTIONS)), key=lambda found: found[0])
    for step in (0.1, 0.03, 0.01, 0.003):
        near = best[1] + step * _sphere(24)
        tried = [_colors_for(d / np.linalg.norm(d), wanted, squares) for d in near]
        best = min([best, *tried], key=lambda found: found[0])
    _, direction, colors = best
    sun, ground, sky = (tuple(float(v) for v in color) for color in colors)
    return replace(
        start,
        sun_direction=tuple(float(v) for v in direction),  # type: ignore[arg-type]
        sun_color=sun,  # type: ignore[arg-type]
        ambient_strength=_LIT,
        ground_color=ground,  # type: ignore[arg-type]
        sky_color=sky,  # type: ignore[arg-type]
    )


def brightened(lighting: Lighting, factor: float) -> Lighting:
    """Returns the same light, all of it stronger or weaker."""
    return replace(
        lighting,
        sun_color=tuple(factor * v for v in lighting.sun_color),  # type: ignore[arg-type]
        ambient_strength=factor * lighting.ambient_strength,
    )


def _light_sums(
    palette: Palette, visible: VisibleFaces, statistics: FaceStatistics, materials: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns Σ albedo·target and Σ albedo² over the pixels of each direction, (6, 3) each."""
    unlit = Lighting(sun_color=(0.0, 0.0, 0.0), ambient_strength=1.0, ground_color=(1, 1, 1), sky_color=(1, 1, 1))
    albedo_of = looks_radiance(palette, unlit, visible.looks)
    block, look = host(visible.block), host(visible.look)
    albedo = albedo_of[host(materials)[block], look]
    count, total = host(statistics.count)[:, None], host(statistics.total)
    fair = total < _BURNT * count
    direction = visible.looks[look, 0]
    sums = np.zeros((2, 6, 3))
    np.add.at(sums[0], direction, np.where(fair, albedo * total, 0.0))
    np.add.at(sums[1], direction, np.where(fair, albedo**2 * count, 0.0))
    return sums[0], sums[1]


def _colors_for(
    direction: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the squared error of the best colours for a sun direction, the direction, and the colours, (3, 3)."""
    from scipy.optimize import nnls

    up = (FACE_NORMALS[:, 1] + 1.0) / 2.0
    basis = np.stack([np.maximum(FACE_NORMALS @ direction, 0.0), 1.0 - up, up], axis=1)
    colors, error = np.zeros((3, 3)), 0.0
    for channel in range(3):
        root = np.sqrt(weight[:, channel])
        colors[:, channel], residual = nnls(basis * root[:, None], wanted[:, channel] * root)
        error += residual**2
    return error, direction, colors


def _sphere(count: int) -> npt.NDArray[np.float64]:
    """Returns (count, 3) directions, evenly spread (a Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    height, turn = 1.0 - 2.0 * k / count, np.pi * (1.0 + 5.0**0.5) * k
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=1)
