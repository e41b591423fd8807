# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the lattice that a heap of cubes sits on: block size, orientation, origin, and the cell of each cube."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError

Floats = npt.NDArray[np.float64]

_TOLERANCE = 0.01  # of a block: what hand-placed cubes may be off by, far above float32's rounding
_WIDEST = 1.25  # blocks: spacing of cubes that count as neighbours in spite of a gap
_EXACT = 1e-6  # a rotation closer than this to none is none


@dataclass(frozen=True)
class Lattice:
    """A lattice of cubes, in the axes of the space the cubes were given in.

    Attributes:
        block_size: edge of a cube.
        rotation: (3, 3) float64: the lattice's axes as columns, a proper rotation, the nearest to none.
        origin: (3,) float64: the lowest corner of cell (0, 0, 0).
        cells: (N, 3) int64: the cell of each cube; the lowest along each axis is 0.
        gap: between cubes, as a part of a block; 0 where they touch.
    """

    block_size: float
    rotation: Floats
    origin: Floats
    cells: npt.NDArray[np.int64]
    gap: float = 0.0

    @property
    def size(self) -> tuple[int, int, int]:
        """Cells along each axis that hold all cubes."""
        x, y, z = (self.cells.max(axis=0) + 1).tolist()
        return (x, y, z)


def find_lattice(cubes: npt.ArrayLike, name: Callable[[int], str]) -> Lattice:
    """Finds the lattice of cubes that all have one size and one orientation, and touch or leave gaps of one width.

    A cube turned by quarter turns, or mirrored, is the same cube.

    Args:
        cubes: (N, 4, 4), N ≥ 1: each maps the cube from -½ to ½ to where it is.
        name: what messages call cube i.

    Returns:
        The lattice.

    Raises:
        SceneError: a cube is not a cube, has another size or is turned against the others, is off the lattice, or
            shares its place with another.
    """
    matrices = np.asarray(cubes, dtype=np.float64)
    if not np.isfinite(matrices).all():
        bad = int(np.flatnonzero(~np.isfinite(matrices).all(axis=(1, 2)))[0])
        raise SceneError(f"{name(bad)}: its transform is not finite numbers; clear it and place the cube again")
    edges = np.linalg.norm(matrices[:, :3, :3], axis=1)
    size = _block_size(edges, name)
    rotation = _rotation(matrices[:, :3, :3] / edges[:, None, :], name)
    edge = size
    offset, cells, places, apart = _cells(matrices, rotation, size)
    if apart.max() > _TOLERANCE:
        wider = _spacing(matrices[:, :3, 3] @ rotation, size)
        if wider > size:
            spread = _cells(matrices, rotation, wider)
            if spread[3].max() <= _TOLERANCE:
                size, (offset, cells, places, apart) = wider, spread
    if apart.max() > _TOLERANCE:
        bad = int(apart.max(axis=1).argmax())
        raise SceneError(
            f"{name(bad)}: sits {apart[bad].max():.2g} of a block off the others' lattice; move it so that its "
            f"distance to them is a multiple of the block size, {size:g}"
        )
    offset += (places - offset - cells).mean(axis=0)  # the rounding of the single cubes averages out
    low = cells.min(axis=0)
    lattice = Lattice(
        size, rotation, rotation @ (offset + low - 0.5) * size, (cells - low).astype(np.int64), 1.0 - edge / size
    )
    _refuse_shared_cells(lattice, name)
    return lattice


def _cells(matrices: Floats, rotation: Floats, size: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Returns the lattice's offset, the cubes' cells, their places in blocks, and how far off the lattice they are."""
    places = matrices[:, :3, 3] @ rotation / size
    offset = np.array([_common_offset(axis) for axis in places.T])
    cells = np.rint(places - offset)
    return offset, cells, places, np.abs(places - offset - cells)


def _spacing(places: Floats, size: float) -> float:
    """Returns the spacing of cubes that leave a gap, from the steps between neighbouring places (N, 3) along an axis.

    The steps to the nearest tell it roughly, how far all reach tells it exactly.
    """
    steps = []
    for axis in places.T:
        sorted_ = np.sort(axis)
        between = np.diff(sorted_)
        steps.append(between[between > _TOLERANCE * size])
    near = np.concatenate(steps)
    near = near[(near > size) & (near < _WIDEST * size)]
    if not len(near):
        return 0.0
    rough = float(np.median(near[near < near.min() * (1.0 + _TOLERANCE)]))
    reach = np.ptp(places, axis=0)
    longest = float(reach.max())
    return longest / max(1, round(longest / rough))


def _block_size(edges: Floats, name: Callable[[int], str]) -> float:
    size = float(np.median(edges))
    if not size > 0.0:
        bad = int(np.flatnonzero(~edges.all(axis=1))[0])
        raise SceneError(f"{name(bad)}: has no size; set its scale to that of the other cubes")
    uneven = np.ptp(edges, axis=1) > _TOLERANCE * size
    if uneven.any():
        bad = int(np.flatnonzero(uneven)[0])
        x, y, z = edges[bad]
        raise SceneError(f"{name(bad)}: is {x:g} × {y:g} × {z:g}, not a cube; make its edges equal or leave it out")
    off = np.abs(edges.mean(axis=1) - size)
    if off.max() > _TOLERANCE * size:
        bad, good = int(off.argmax()), int(off.argmin())
        raise SceneError(
            f"{name(bad)}: is a cube of {edges[bad].mean():g}, {name(good)} one of {edges[good].mean():g}; "
            f"make all blocks one size"
        )
    return size


def _rotation(axes: Floats, name: Callable[[int], str]) -> Floats:
    """Returns the one rotation that all ``axes`` (N, 3, 3), unit columns, have but for quarter turns."""
    skewed = np.abs(axes.transpose(0, 2, 1) @ axes - np.eye(3)).max(axis=(1, 2)) > _TOLERANCE
    if skewed.any():
        raise SceneError(f"{name(int(np.flatnonzero(skewed)[0]))}: is sheared; apply its parent's scale and rotation")
    first = axes[0]
    turns = np.array([turn for turn in _signed_permutations() if np.linalg.det(first @ turn) > 0.0])
    rotation = first @ turns[np.trace(first @ turns, axis1=1, axis2=2).argmax()]
    relative = rotation.T @ axes
    turned = np.abs(relative - np.rint(relative)).max(axis=(1, 2))
    if turned.max() > _TOLERANCE:
        bad = int(turned.argmax())
        raise SceneError(
            f"{name(bad)}: is turned against {name(0)}; give all cubes the same rotation, or clear the rotation"
        )
    return np.eye(3) if np.abs(rotation - np.eye(3)).max() < _EXACT else rotation


def _signed_permutations() -> Floats:
    return np.array(
        [
            np.eye(3)[list(order)] * np.array(signs)
            for order in permutations(range(3))
            for signs in product((1.0, -1.0), repeat=3)
        ]
    )


def _common_offset(places: Floats) -> float:
    """Returns what most of ``places`` (N,) have after the point: a stray one must not make the others wrong."""
    bins = 64
    fractions = places - np.floor(places)
    counts = np.bincount((fractions * bins).astype(np.int64) % bins, minlength=bins)
    counts = counts + np.roll(counts, 1)  # each with the bin below: a common value may lie on their border
    edge = int(counts.argmax()) / bins
    near = (fractions - edge + 0.5) % 1.0 - 0.5
    return float(edge + np.median(near[np.abs(near) <= 1.5 / bins]))


def _refuse_shared_cells(lattice: Lattice, name: Callable[[int], str]) -> None:
    extent = lattice.size
    x, y, z = lattice.cells.T
    keys = (x * extent[1] + y) * extent[2] + z
    order = np.argsort(keys, kind="stable")
    shared = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if len(shared):
        one, other = (int(order[shared[0] + step]) for step in (0, 1))
        raise SceneError(f"{name(one)} and {name(other)} are in one place; remove one of them")
