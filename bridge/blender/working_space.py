# SPDX-License-Identifier: GPL-3.0-or-later
"""The primaries that a file's scene-linear colours are meant in: Rec.709, or since Blender 5 others, too.

Matrices follow from the chromaticities of ITU-R BT.709, BT.2020 and of SMPTE's ACES AP1, whose white is brought to D65
by the Bradford method.
"""

from __future__ import annotations

from functools import cache

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError

Floats = npt.NDArray[np.float64]

_D65, _ACES = (0.3127, 0.3290), (0.32168, 0.33767)
_REC709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), _D65
_SPACES = {
    "Linear Rec.709": _REC709,
    "Linear Rec.2020": (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), _D65),
    "ACEScg": (((0.713, 0.293), (0.165, 0.830), (0.128, 0.044)), _ACES),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_rec709(colors: Floats) -> Floats:
    """Returns scene-linear colours (..., 3) of the open file with the primaries of sRGB."""
    space = _space()
    return colors if space == "Linear Rec.709" else np.asarray(colors @ np.linalg.inv(_from_rec709(space)).T)


def from_rec709(colors: Floats) -> Floats:
    """Returns linear sRGB colours (..., 3) as the open file means scene-linear ones."""
    space = _space()
    return colors if space == "Linear Rec.709" else np.asarray(colors @ _from_rec709(space).T)


def _space() -> str:
    settings = getattr(bpy.data, "colorspace", None)  # since Blender 5
    space = getattr(settings, "working_space", "Linear Rec.709")
    if space not in _SPACES:
        raise SceneError(f"working space {space!r} is not known here; choose {' or '.join(_SPACES)}")
    return str(space)


@cache
def _from_rec709(space: str) -> Floats:
    return np.asarray(np.linalg.inv(_to_xyz(*_SPACES[space])) @ _to_xyz(*_REC709))


def _to_xyz(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> Floats:
    """Returns the matrix from linear RGB to XYZ under D65."""
    columns = np.array([_xyz(point) for point in primaries]).T
    own = columns * np.linalg.solve(columns, _xyz(white))
    cones = (_BRADFORD @ _xyz(_D65)) / (_BRADFORD @ _xyz(white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ own)


def _xyz(point: tuple[float, float]) -> Floats:
    x, y = point
    return np.array([x / y, 1.0, (1.0 - x - y) / y])
