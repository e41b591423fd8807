# SPDX-License-Identifier: GPL-3.0-or-later
"""Which meshes are blocks: boxes closed by six faces, one in a mesh or several that do not hang together.

A face of a box may be cut into many polygons, and its edges may be bevelled a little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BEVEL = 0.05
"""Part of an edge that a bevel may take away at each end."""
_CLOSED = (1.0 - 2.0 * BEVEL) ** 2 - 0.01  # the part of a side that its polygons must cover
_FLAT = 0.9  # cosine
_EQUAL = 0.01
_MOST_CELLS = 1 << 20
_TURNED = 1e-4  # of axes: less is no turn
_OUTWARD = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Box:
    """A box of a mesh, in the mesh's own space.

    Attributes:
        center: (3,).
        edges: (3,), all above 0.
        sides: the polygons on each side: +x, -x, +y, -y, +z, -z of the box's own axes.
        axes: (3, 3): those, as unit columns.
    """

    center: Floats
    edges: Floats
    sides: tuple[Ints, ...]
    axes: Floats = field(default_factory=lambda: np.eye(3))

    @property
    def is_cube(self) -> bool:
        """Whether its edges are equal, in the mesh's own space."""
        return bool(np.ptp(self.edges) < _EQUAL * self.edges.max())

    @cached_property
    def to_mesh(self) -> Floats:
        """(4, 4): the cube from -½ to ½ to the mesh's own space."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes * self.edges
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
    """Returns the boxes that a mesh is made of, in the order of its polygons; none where some part of it is no box.

    A box may be turned in its mesh. Its sides may hang together or, as importers leave them, only touch.

    Args:
        mesh: the mesh.
        as_box: whether to take the box around the whole mesh, whatever its shape.
    """
    polygons = _read(mesh)
    if as_box:
        return _around(polygons)
    hanging = _pieces(polygons, polygons.corner)
    order = np.arange(len(polygons.normal))
    found: list[Box] = []
    for label in (hanging, order // 6, order // 12, hanging // 6, hanging // 12, _pieces(polygons, _welded(polygons))):
        found = found or _boxes(polygons, label)
        if found:
            break
    return found if all(box.is_cube for box in found) and found else _cells(polygons, hanging) or found


def axes_of(mesh: Any) -> Floats:
    """Returns the axes, (3, 3), of the box that a mesh is; the mesh's own where it is none."""
    boxes = boxes_of(mesh)
    return boxes[0].axes if boxes else np.eye(3)


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


def _welded(polygons: _Polygons) -> Ints:
    """Returns one vertex for all that lie in one place, for each corner."""
    near = 1e-3 * float(np.sqrt(np.median(polygons.area))) or 1.0
    places: Ints = np.unique(np.rint(polygons.points / near), axis=0, return_inverse=True)[1].reshape(-1)
    return places[polygons.corner]


def _pieces(polygons: _Polygons, corner: Ints) -> Ints:
    """Returns which piece each polygon is of: those that hang together through ``corner``, in order, from 0."""
    label = np.arange(int(corner.max(initial=-1)) + 1)
    while True:
        lowest = np.full(len(polygons.normal), len(label))
        np.minimum.at(lowest, polygons.owner, label[corner])
        fresh = label.copy()
        np.minimum.at(fresh, corner, lowest[polygons.owner])
        fresh = fresh[fresh]
        if (fresh == label).all():
            break
        label = fresh
    _, first, piece = np.unique(lowest, return_index=True, return_inverse=True)
    order: Ints = np.argsort(np.argsort(first))
    return np.asarray(order[piece.reshape(-1)])


def _boxes(polygons: _Polygons, label: Ints) -> list[Box]:
    """Returns the box of each piece; none where some piece is no box. ``label`` counts the pieces of the polygons."""
    found: list[Box | None] = [None] * (int(label.max(initial=-1)) + 1)
    left, axes = np.arange(len(found)), np.eye(3)
    while len(left):
        for piece, box in zip(left.tolist(), _boxes_along(polygons, label, left, axes), strict=True):
            found[piece] = box
        left = np.array([piece for piece in left if found[piece] is None], dtype=np.int64)
        if not len(left):
            break
        turned = _axes(polygons, np.flatnonzero(label == left[0]))
        if turned is None or np.abs(turned - axes).max() < _TURNED:
            return []
        axes = turned
    return [box for box in found if box is not None]


def _axes(polygons: _Polygons, own: Ints) -> Floats | None:
    """Returns axes along which a turned box may lie, nearest to the mesh's own; None where no sides stand upright."""
    order = own[np.argsort(-polygons.area[own], kind="stable")]
    first = polygons.normal[order[0]]
    upright = order[np.abs(polygons.normal[order] @ first) < 1.0 - _FLAT]
    if not len(upright):
        return None
    second = polygons.normal[upright[0]] - (polygons.normal[upright[0]] @ first) * first
    second /= np.linalg.norm(second)
    turned = np.column_stack([first, second, np.cross(first, second)])
    straight = max(permutations(range(3)), key=lambda way: float(np.abs(np.diag(turned[:, list(way)])).sum()))
    turned = turned[:, list(straight)]
    return np.asarray(turned * np.where(np.diag(turned) < 0.0, -1.0, 1.0))


def _boxes_along(polygons: _Polygons, label: Ints, pieces: Ints, axes: Floats) -> list[Box | None]:
    """Returns the boxes that some pieces are along axes, None for those that are none."""
    own = np.flatnonzero(np.isin(label, pieces))
    piece = np.searchsorted(pieces, label[own])
    inside = np.isin(polygons.owner, own)
    owner = np.searchsorted(own, polygons.owner[inside])
    points = polygons.points[polygons.corner[inside]] @ axes
    low, high = np.full((len(pieces), 3), np.inf), np.full((len(pieces), 3), -np.inf)
    np.minimum.at(low, piece[owner], points)
    np.maximum.at(high, piece[owner], points)
    edges = high - low
    solid = edges.min(axis=1) > 1e-6 * edges.max(axis=1)
    place = (points - low[piece[owner]]) / np.where(solid[:, None], edges, 1.0)[piece[owner]]
    near = np.stack([1.0 - place[:, 0], place[:, 0], 1.0 - place[:, 1], place[:, 1], 1.0 - place[:, 2], place[:, 2]])
    begin = np.flatnonzero(np.diff(owner, prepend=-1))  # the corners of a polygon lie side by side
    lies = np.maximum.reduceat(near, begin, axis=1) <= BEVEL
    faces = np.abs(polygons.normal[own] @ axes @ _OUTWARD.T).T > _FLAT  # a side turned inwards closes, too
    on_side = lies & faces
    bevel = (near <= BEVEL).sum(axis=0) >= 2  # a corner of a bevel lies near an edge of the box
    loose = np.logical_or.reduceat(~bevel, begin) & ~on_side.any(axis=0)
    sizes = np.repeat(np.stack([edges[:, 1] * edges[:, 2], edges[:, 0] * edges[:, 2], edges[:, 0] * edges[:, 1]]), 2, 0)
    covered = np.stack([np.bincount(piece, polygons.area[own] * one, len(pieces)) for one in on_side])
    closed = solid & ~np.isin(np.arange(len(pieces)), piece[loose]) & (covered >= _CLOSED * sizes).all(axis=0)
    order = np.argsort(piece, kind="stable")
    ends = np.cumsum(np.bincount(piece, minlength=len(pieces)))[:-1]
    parts = zip(np.split(own[order], ends), np.split(on_side[:, order], ends, axis=1), strict=True)
    middle = (low + high) / 2 @ axes.T
    return [
        Box(middle[i], edges[i], tuple(polygon[side] for side in sides), axes) if closed[i] else None
        for i, (polygon, sides) in enumerate(parts)
    ]


def _cells(polygons: _Polygons, label: Ints) -> list[Box]:
    """Returns the cells of bars and slabs of cubes that were welded together, as mirrors and arrays can leave them.

    Every polygon lies within one face of a cell, along the mesh's axes; between cells there may be none.
    """
    found: list[Box] = []
    begin = np.flatnonzero(np.diff(polygons.owner, prepend=-1))
    points = polygons.points[polygons.corner]
    low, high = np.minimum.reduceat(points, begin), np.maximum.reduceat(points, begin)
    for piece in range(int(label.max(initial=-1)) + 1):
        own = np.flatnonzero(label == piece)
        cells = _cells_of(own, low[own], high[own], polygons.area[own])
        if not cells:
            return []
        found += cells
    return found


def _cells_of(own: Ints, low: Floats, high: Floats, area: Floats) -> list[Box]:
    """Returns the cells of one piece, of whose polygons the bounds (n, 3) and areas (n,) are given."""
    across = np.sort(high - low, axis=1)
    unit = float(np.median(across[:, 2]))
    origin = low.min(axis=0)
    if not unit or np.abs(across / unit - (0.0, 1.0, 1.0)).max() > _EQUAL:
        return []
    places = np.rint((low - origin) / unit).astype(np.int64)
    count = np.rint((high.max(axis=0) - origin) / unit).astype(np.int64)
    if np.abs((low - origin) / unit - places).max() > _EQUAL or not 0 < count.prod() <= _MOST_CELLS:
        return []
    flat = (high - low).argmin(axis=1)
    faces: dict[tuple[int, ...], list[int]] = {}
    for number, key in enumerate(zip(flat.tolist(), *places.T.tolist(), strict=True)):
        faces.setdefault(key, []).append(number)
    if any(area[here].sum() < _CLOSED * unit**2 for here in faces.values()):
        return []
    cells = []
    for place in np.ndindex(*count.tolist()):
        sides = [faces.get(_face_of(place, side), []) for side in range(6)]
        if any(not side and _is_outside(place, number, count) for number, side in enumerate(sides)):
            return []
        some = next((side for side in sides if side), [0])
        middle = origin + (np.array(place) + 0.5) * unit
        cells.append(Box(middle, np.full(3, unit), tuple(own[side or some] for side in sides)))
    return cells


def _face_of(place: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Returns axis and place of a cell's face: the place is the lower cell's above it."""
    axis, below = divmod(side, 2)
    return axis, *(at + (axis == number and not below) for number, at in enumerate(place))


def _is_outside(place: tuple[int, ...], side: int, count: Ints) -> bool:
    axis, below = divmod(side, 2)
    return place[axis] == (0 if below else count[axis] - 1)


def _around(polygons: _Polygons) -> list[Box]:
    """Each side shows the polygons that look there most."""
    points = polygons.points[polygons.corner]
    low, high = points.min(axis=0), points.max(axis=0)
    edges = np.maximum(high - low, 1e-6 * (high - low).max())
    facing = polygons.normal @ _OUTWARD.T
    sides = tuple(np.flatnonzero(facing[:, side] >= facing[:, side].max() - 1e-3) for side in range(6))
    return [Box((low + high) / 2, edges, sides)]
