"""What the usual tools do: each block by itself takes the material nearest to its average colour in the pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.problem import look
from blockcore.assignment.statistics import face_statistics
from blockcore.model.scene import BlockScene

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def average_colors(scene: BlockScene) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Returns the visible blocks, (V,), and the mean target colour over the pixels that show each, (V, 3)."""
    visible = look(scene, scene.views, 1, "auto", torch.device("cpu"), None)
    targets = [view.target for view in scene.views if view.target is not None]
    sums = face_statistics(visible, targets, scene.lighting.background)
    blocks = len(visible.blocks)
    count = torch.zeros(blocks, dtype=torch.float64).index_add_(0, visible.block, sums.count)
    total = torch.zeros(blocks, 3, dtype=torch.float64).index_add_(0, visible.block, sums.total)
    return visible.blocks.numpy(), (total / count[:, None]).numpy()


def nearest_color(scene: BlockScene, lab: bool = False) -> npt.NDArray[np.int32]:
    """Returns (N,) materials by the nearest average colour, in display RGB or in CIE Lab; unseen blocks keep theirs."""
    blocks, wanted = average_colors(scene)
    have = scene.palette.colors[1:].astype(np.float64).mean(axis=1)
    if lab:
        wanted, have = to_lab(wanted), to_lab(have)
    distance = ((wanted[:, None] - have) ** 2).sum(axis=2)
    materials = scene.materials.copy()
    materials[blocks] = 1 + distance.argmin(axis=1)
    return materials


def random_materials(scene: BlockScene, seed: int = 0) -> npt.NDArray[np.int32]:
    """Returns (N,) materials drawn at random."""
    return np.random.default_rng(seed).integers(1, len(scene.palette), len(scene.grid)).astype(np.int32)


def to_lab(display: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Converts sRGB display values (..., 3) to CIE L*a*b* (CIE 15:2004), D65."""
    linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    t = linear @ _TO_XYZ.T / _WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
