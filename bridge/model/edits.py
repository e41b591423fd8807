# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user did to a model's blocks, carried over to those that are made of it anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from blockcore.model.scene import BlockScene

HAND = "Painted by Hand"
"""The region of the blocks that keep what they were painted."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Edits:
    """What a user did.

    Attributes:
        places: (N, 3) float64: the blocks' centres, in Blender's world.
        materials: (N,) their palette indices.
        painted: (P,) which of them were painted by hand.
        regions: names of parts to the indices of their blocks.
    """

    places: npt.NDArray[np.float64]
    materials: Ints
    painted: Ints
    regions: Mapping[str, Ints]


@dataclass(frozen=True, eq=False)
class Carried:
    """New blocks with a user's edits.

    Attributes:
        scene: the blocks; those of the region ``HAND`` have the materials that they shall keep.
        kept: how many these are.
        lost: how many blocks painted by hand are no longer there.
    """

    scene: BlockScene
    kept: int = 0
    lost: int = 0


def carry(edits: Edits, scene: BlockScene) -> Carried:
    """Carries edits over to the blocks of a scene with a source, each to the block where it was."""
    now = _blocks_at(edits.places, scene)
    painted = edits.painted[now[edits.painted] >= 0]
    materials = scene.materials.copy()
    materials[now[painted]] = edits.materials[painted]
    regions = {name: now[blocks][now[blocks] >= 0] for name, blocks in edits.regions.items()}
    if len(painted):
        regions[HAND] = now[painted]
    carried = replace(scene, materials=materials, regions=regions)
    return Carried(carried, len(painted), len(edits.painted) - len(painted))


def _blocks_at(places: npt.NDArray[np.float64], scene: BlockScene) -> Ints:
    """Returns the block at each of some places in Blender's world, (N,); -1 where there is none."""
    assert scene.source is not None
    grid = scene.grid
    back = np.linalg.inv(scene.source.grid_to_source)
    inside = places @ back[:3, :3].T + back[:3, 3]
    cells = np.floor(inside / grid.world_scale + (grid.size[0] / 2, 0.0, grid.size[2] / 2)).astype(np.int64)
    there = ((cells >= 0) & (cells < grid.size)).all(axis=1)
    keys = np.ravel_multi_index(tuple(np.where(there[:, None], cells, 0).T), grid.size)
    known = np.ravel_multi_index(tuple(grid.positions.T), grid.size)
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known, keys, sorter=order), len(order) - 1)
    found = order[at]
    return np.where(there & (known[found] == keys), found, -1).astype(np.int32)
