# SPDX-License-Identifier: GPL-3.0-or-later
"""Which meshes are blocks: boxes closed by six faces, one in a mesh or several that do not hang together.

A face of a box may be cut into many polygons, and its edges may be bevelled a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BEVEL = 0.05
"""Part of an edge that a bevel may take away at each end."""
_CLOSED = (1.0 - 2.0 * BEVEL) ** 2 - 0.01  # the part of a side that its polygons must cover
_FLAT = 0.9  # cosine
_OUTWARD = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Box:
    """A box of a mesh, in the mesh's own space.

    Attributes:
        center: (3,).
        edges: (3,), all above 0.
        sides: the polygons on each side: +x, -x, +y, -y, +z, -z.
    """

    center: Floats
    edges: Floats
    sides: tuple[Ints, ...]

    @property
    def to_mesh(self) -> Floats:
        """(4, 4): the cube from -½ to ½ to the mesh's own space."""
        matrix = np.diag([*self.edges, 1.0])
        matrix[:3, 3] = self.center
        return matrix


@dataclass(frozen=True, eq=False)
class _Polygons:
    points: Floats  # (V, 3)
    corner: Ints  # (L,): the vertex of each corner
    owner: Ints  # (L,): the polygon of each corner
    normal: Floats  # (P, 3)
    area: Floats  # (P,)


def shape_key(mesh: Any) -> bytes:
    """Returns what two meshes of the very same shape have in common."""
    parts = []
    for things, name, kind, width in _SHAPE:
        values: npt.NDArray[Any] = np.empty(len(getattr(mesh, things)) * width, dtype=kind)
        getattr(mesh, things).foreach_get(name, values)
        parts.append(values.tobytes())
    return b"|".join(parts)


_SHAPE: tuple[tuple[str, str, type, int], ...] = (
    ("vertices", "co", np.float32, 3),
    ("loops", "vertex_index", np.int32, 1),
    ("polygons", "loop_total", np.int32, 1),
)


def boxes_of(mesh: Any, as_box: bool = False) -> list[Box]:
    """Returns the boxes that a mesh is made of; none where some part of it is no box.

    Args:
        mesh: the mesh.
        as_box: whether to take the box around the whole mesh, whatever its shape.
    """
    polygons = _read(mesh)
    if as_box:
        return _around(polygons)
    label = _pieces(len(polygons.points), polygons)
    of_polygon = np.zeros(len(polygons.normal), dtype=np.int64)
    of_polygon[polygons.owner] = label[polygons.corner]
    boxes = []
    for piece in np.unique(of_polygon):
        box = _box(polygons, np.flatnonzero(of_polygon == piece))
        if box is None:
            return []
        boxes.append(box)
    return boxes


def _read(mesh: Any) -> _Polygons:
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    corner = np.empty(len(mesh.loops), dtype=np.int32)
    total = np.empty(len(mesh.polygons), dtype=np.int32)
    normal = np.empty(len(mesh.polygons) * 3, dtype=np.float32)
    area = np.empty(len(mesh.polygons), dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    mesh.loops.foreach_get("vertex_index", corner)
    mesh.polygons.foreach_get("loop_total", total)
    mesh.polygons.foreach_get("normal", normal)
    mesh.polygons.foreach_get("area", area)
    return _Polygons(
        points.reshape(-1, 3).astype(np.float64),
        corner.astype(np.int64),
        np.repeat(np.arange(len(total)), total),
        normal.reshape(-1, 3).astype(np.float64),
        area.astype(np.float64),
    )


def _pieces(count: int, polygons: _Polygons) -> Ints:
    """Returns for each vertex the lowest vertex that it hangs together with, through polygons."""
    label = np.arange(count)
    while True:
        lowest = np.full(len(polygons.normal), count)
        np.minimum.at(lowest, polygons.owner, label[polygons.corner])
        fresh = label.copy()
        np.minimum.at(fresh, polygons.corner, lowest[polygons.owner])
        fresh = fresh[fresh]
        if (fresh == label).all():
            return label
        label = fresh


def _box(polygons: _Polygons, own: Ints) -> Box | None:
    inside = np.isin(polygons.owner, own) if len(own) < len(polygons.normal) else slice(None)
    corner, owner = polygons.corner[inside], np.searchsorted(own, polygons.owner[inside])
    points = polygons.points[corner]
    low, high = points.min(axis=0), points.max(axis=0)
    edges = high - low
    if edges.min() <= 1e-6 * edges.max() or not edges.any():
        return None
    place = (points - low) / edges
    near = np.stack([1.0 - place[:, 0], place[:, 0], 1.0 - place[:, 1], place[:, 1], 1.0 - place[:, 2], place[:, 2]])
    reach = np.zeros((6, len(own)))
    for side in range(6):
        np.maximum.at(reach[side], owner, near[side])
    lies = reach <= BEVEL
    faces = np.abs(polygons.normal[own] @ _OUTWARD.T).T > _FLAT  # a side turned inwards closes, too
    on_side = lies & faces
    bevel = (near <= BEVEL).sum(axis=0) >= 2  # a corner of a bevel lies near an edge of the box
    loose = np.zeros(len(own), dtype=bool)
    np.logical_or.at(loose, owner, ~bevel)
    if (loose & ~on_side.any(axis=0)).any():
        return None
    sizes = np.repeat([edges[1] * edges[2], edges[0] * edges[2], edges[0] * edges[1]], 2)
    covered = np.where(on_side, polygons.area[own], 0.0).sum(axis=1) / sizes
    if covered.min() < _CLOSED:
        return None
    return Box((low + high) / 2, edges, tuple(own[here] for here in on_side))


def _around(polygons: _Polygons) -> list[Box]:
    """Each side shows the polygons that look there most."""
    points = polygons.points[polygons.corner]
    low, high = points.min(axis=0), points.max(axis=0)
    edges = np.maximum(high - low, 1e-6 * (high - low).max())
    facing = polygons.normal @ _OUTWARD.T
    sides = tuple(np.flatnonzero(facing[:, side] >= facing[:, side].max() - 1e-3) for side in range(6))
    return [Box((low + high) / 2, edges, sides)]
