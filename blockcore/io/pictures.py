"""Pictures as arrays: (H, W, 3 or 4) uint8 display values, row 0 on top.

A file is decoded as what its bytes say it is, and only as one of ``FORMATS``; its name does not count. Its size is
checked before a pixel is unpacked, and of several frames the first one counts.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import DatasetError
from blockcore.io import png
from blockcore.io.files import read_bytes

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA")
"""What a picture may be, as Pillow names it; other kinds, some of which start programs, are never tried."""
_ORIENTATION, _ON_THEIR_SIDE = 0x0112, (5, 6, 7, 8)
LARGEST_SIDE = 1 << 14
LARGEST_FILE = 1 << 29
MOST_PIXELS = 1 << 26
_PROBLEMS = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, ArithmeticError)
_PROBLEMS_OF_DECODERS = (
    *_PROBLEMS,
    RuntimeError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
    AssertionError,
)


def decode_picture(
    data: bytes, what: str, expected_size: tuple[int, int] | None = None, largest: int | None = None
) -> npt.NDArray[np.uint8]:
    """Decodes an encoded picture of one of ``FORMATS``, or without Pillow of the usual kinds of PNG.

    Args:
        data: the file's bytes.
        what: what messages call the picture.
        expected_size: (width, height) that it must have; checked before the pixels are unpacked.
        largest: the most pixels that a side may have, ``LARGEST_SIDE`` if not said; checked likewise.

    Returns:
        (H, W, 3) uint8, or (H, W, 4) where some pixel is not opaque. Row 0 is the top one. Read-only.

    Raises:
        DatasetError: it is not a picture, is damaged, or has another size.
    """
    try:
        if data.startswith(png.SIGNATURE):
            _check_size(png.size(data), what, expected_size, largest)
        rgba = _decode_rgba(data, what, expected_size, largest)
    except _PROBLEMS_OF_DECODERS as error:
        raise DatasetError(f"{what}: is not a readable picture ({error}); capture or export it again") from error
    opaque = bool((rgba[..., 3] == 255).all())
    pixels = np.ascontiguousarray(rgba[..., :3] if opaque else rgba)
    pixels.flags.writeable = False
    return pixels


def _decode_rgba(
    data: bytes, what: str, expected_size: tuple[int, int] | None, largest: int | None
) -> npt.NDArray[np.uint8]:
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:  # Blender's Python
        return png.decode(data)
    try:
        # What Pillow warns of, such as sizes that are checked here or damaged tags, is no concern of a user's.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            turn = _orientation(image)
            _check_size(image.size[::-1] if turn in _ON_THEIR_SIDE else image.size, what, expected_size, largest)
            upright = ImageOps.exif_transpose(image) if turn != 1 else image
            if upright.mode.startswith("I"):  # 16-bit grey; Pillow would cut it off at 255
                grey = np.rint(np.clip(np.asarray(upright, dtype=np.float64) / 257.0, 0.0, 255.0)).astype(np.uint8)
                return np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=2)
            return np.asarray(upright.convert("RGBA"))
    except UnidentifiedImageError:
        raise ValueError(f"it is none of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def _orientation(image: Any) -> int:
    """Returns how a camera was held, by EXIF's tag; 1 is upright, and what damaged tags say does not count."""
    if image.format == "PNG":  # of which Pillow would unpack all pixels for it
        return 1
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except _PROBLEMS_OF_DECODERS:
        return 1
    return turn if turn in range(1, 9) else 1


def _check_size(size: tuple[int, int], what: str, expected: tuple[int, int] | None, largest: int | None) -> None:
    if expected is not None and size != expected:
        raise DatasetError(
            f"{what}: is {size[0]} × {size[1]} pixels, expected {expected[0]} × {expected[1]}; "
            f"render it again at that size"
        )
    largest = LARGEST_SIDE if largest is None else largest
    if not 1 <= min(size) <= max(size) <= largest:
        raise DatasetError(f"{what}: is {size[0]} × {size[1]} pixels; make it 1 to {largest} a side")
    if size[0] * size[1] > MOST_PIXELS:
        raise DatasetError(f"{what}: is {size[0]} × {size[1]} pixels; make it at most {MOST_PIXELS >> 20} Mi pixels")


def read_picture(path: Path, expected_size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Reads a picture file; see ``decode_picture``.

    Raises:
        DatasetError: the file is missing, or not such a picture.
    """
    try:
        data = read_bytes(path, LARGEST_FILE)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); restore it or drop its view") from error
    return decode_picture(data, str(path), expected_size)


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encodes (H, W, 3) or (H, W, 4) uint8 as PNG."""
    return png.encode(pixels)
