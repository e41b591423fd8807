"""How the camera was held: the one thing that matters in a JPEG's EXIF data, read without a library for pictures."""

from __future__ import annotations

import struct
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_ORIENTATION = 0x0112
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""By orientation: quarter turns to the left, and whether the picture is mirrored after that."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


def upright(pixels: npt.NDArray[_Scalar], data: bytes) -> npt.NDArray[_Scalar]:
    """Turns the pixels of a picture, (H, W, …), as its file ``data`` says; as they are, where it says nothing."""
    turns, is_mirrored = _TURNS.get(_orientation(data), (0, False))
    turned = np.rot90(pixels, turns)
    return turned[:, ::-1] if is_mirrored else turned


def _orientation(data: bytes) -> int:
    try:
        place = 2 if data[:2] == b"\xff\xd8" else len(data)
        while data[place] == 0xFF and data[place + 1] != 0xDA:
            (length,) = struct.unpack_from(">H", data, place + 2)
            if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
                return _tag(data[place + 10 : place + 2 + length])
            place += 2 + length
    except (IndexError, struct.error):
        pass
    return 1


def _tag(tiff: bytes) -> int:
    order = "<" if tiff[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return int(value)
    return 1
