"""The parts of faces that views show, where tiles or a baked light cut faces, and which of them look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from blockcore.machine.threads import spread
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.visibility.texels import TileCuts, texture_coordinates, triangle_array

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility

Lights = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

MOST_LIT_LOOKS = 1 << 12
"""To how many looks baked light comes down, however many faces there are: nearly equal light becomes one."""
_OF_A_SURFACE = 16  # looks, on average, where tiles cut faces into more than a few
_LARGEST_TABLE = 1 << 22  # looks times materials, if each surface can have one
_CODES = 1 << 27  # numbered at once
_COARSEST, _FINEST, _CLOSE = -2.0, 18.0, 0.05
"""How often the largest value is halved for a step: with the first all are the same, with the second none that differ
can be told apart on a screen; what lies between is found as closely as the third says."""


@dataclass(frozen=True, eq=False)
class PartsSeen:
    """The P parts of faces that views show: by face, and within a face by row and column of the tiles, then the light.

    Attributes:
        face: (P,) ascending.
        surface: (P,) direction and place among the tiles' cuts, as one number.
        texel: (P,) of the light on the face, row by row.
        views: per view (H, W) int32, the part of each pixel, -1 for none.
        most: rows and columns that tiles cut a face into.
    """

    face: Numbers
    surface: Numbers
    texel: Numbers
    views: tuple[npt.NDArray[np.int32], ...]
    most: tuple[int, int]

    @staticmethod
    def of(
        exposed: ExposedFaces, cameras: Sequence[Camera], visibilities: Sequence[Visibility], cuts: TileCuts, side: int
    ) -> PartsSeen:
        """Finds them; ``side`` texels of a light lie along each edge of a face."""
        from blockcore.visibility import parts_numba

        triangles = [triangle_array(visibility) for visibility in visibilities]
        seen = np.zeros(len(exposed) + 1, np.bool_)
        spread(lambda ids: parts_numba.mark_faces(ids, seen), triangles)
        seen[0] = False
        faces, number = np.flatnonzero(seen) - 1, np.cumsum(seen) - 1
        number[0] = -1
        rows, columns = cuts.most
        each = rows * columns * side**2
        if each == 1:
            views = tuple(np.empty(ids.shape, np.int32) for ids in triangles)
            spread(lambda ids, view: parts_numba.code_faces(ids, number, view), triangles, views)
            return PartsSeen(faces, exposed.direction[faces].astype(np.int64), np.zeros_like(faces), views, cuts.most)
        sides = cuts.padded()

        def coded(camera: Camera, visibility: Visibility, ids: npt.NDArray[np.int32]) -> Numbers:
            codes = np.empty(ids.shape, np.int64)
            uv = np.moveaxis(texture_coordinates(exposed, camera, visibility), -1, 0)
            parts_numba.code_parts(ids, number, exposed.direction, uv, *sides, side, (rows, columns), codes)
            return codes

        codes = spread(coded, cameras, visibilities, triangles)
        parts, views = _numbered(codes, len(faces) * each)
        face, within = np.divmod(parts, each)
        place, texel = np.divmod(within, side**2)
        face = faces[face]
        return PartsSeen(face, exposed.direction[face] * np.int64(rows * columns) + place, texel, views, cuts.most)


def _numbered(codes: Sequence[Numbers], end: int) -> tuple[Numbers, tuple[npt.NDArray[np.int32], ...]]:
    """Returns the codes below ``end`` that views (H, W) show, ascending, and which of those each pixel shows or -1."""
    from blockcore.visibility import parts_numba

    views = tuple(np.full(code.shape, -1, np.int32) for code in codes)
    found: list[Numbers] = [np.zeros(0, np.int64)]
    count = 0
    for first in range(0, end, _CODES):
        seen = np.zeros(min(_CODES, end - first), np.bool_)
        spread(lambda code, at=first, seen=seen: parts_numba.mark_codes(code, at, seen), codes)
        number = np.cumsum(seen, dtype=np.int32) + np.int32(count - 1)
        spread(lambda *of, at=first, number=number: parts_numba.renumber(of[0], at, number, of[1]), codes, views)
        found.append(np.flatnonzero(seen) + first)
        count += len(found[-1])
    return np.concatenate(found), views


def most_looks(surfaces: int, materials: int) -> int:
    """Returns to how many looks baked light on so many different surfaces comes down."""
    return max(MOST_LIT_LOOKS, surfaces, min(_OF_A_SURFACE * surfaces, _LARGEST_TABLE // materials))


def merged(received: Lights, groups: Numbers, most: int) -> tuple[Lights, Numbers, Numbers]:
    """Lets nearly equal lights be one, so that there are at most as many of them as asked for, if groups allow it.

    Steps are even in the light's square root, which is about as it looks to differ; each light found is the mean of
    those it stands for. A light is off by less than one step in every channel, and steps are no wider than needed.

    Args:
        received: (P, 3) lights.
        groups: (P,) whole numbers from 0; only lights of the same group may become one.
        most: how many there may be, at least as many as there are groups.

    Returns:
        The lights (Q, 3), the group of each (Q,), and (P,) which of them stands for each.
    """
    from blockcore.visibility import parts_numba

    shown = np.sqrt(np.maximum(received, 0.0))
    slots = np.empty(1 << (2 * most).bit_length(), np.int64)
    owner, index = np.empty(most, np.int64), np.empty(len(shown), np.int64)
    largest = max(float(shown.max(initial=0.0)), 1e-9)

    def shared(halvings: float) -> int:
        slots.fill(-1)
        return int(parts_numba.share(shown, groups, largest * 2.0**-halvings, most, slots, owner, index))

    found, coarse, fine = shared(_FINEST), _COARSEST, _FINEST
    if found < 0:
        while fine - coarse > _CLOSE:
            middle = (coarse + fine) / 2.0
            coarse, fine = (middle, fine) if shared(middle) >= 0 else (coarse, middle)
        found = shared(coarse)
    count = np.bincount(index, minlength=found)
    means = np.stack([np.bincount(index, received[:, c], found) for c in range(3)], axis=1) / count[:, None]
    return means, groups[owner[:found]], index
