"""Pictures as arrays: (H, W, 3 or 4) uint8 display values, row 0 on top."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.errors import DatasetError
from blockcore.io import png


def decode_picture(
    data: bytes, what: str, expected_size: tuple[int, int] | None = None, largest: int | None = None
) -> npt.NDArray[np.uint8]:
    """Decodes an encoded picture: whatever Pillow reads, or without Pillow the usual kinds of PNG.

    Args:
        data: the file's bytes.
        what: what messages call the picture.
        expected_size: (width, height) that it must have; checked before the pixels are unpacked.
        largest: the most pixels that a side may have; checked likewise.

    Returns:
        (H, W, 3) uint8, or (H, W, 4) where some pixel is not opaque. Row 0 is the top one. Read-only.

    Raises:
        DatasetError: it is not a picture, is damaged, or has another size.
    """
    try:
        if data.startswith(png.SIGNATURE):
            _check_size(png.size(data), what, expected_size, largest)
        rgba = _decode_rgba(data, what, expected_size, largest)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DatasetError(f"{what}: is not a readable picture ({error}); capture or export it again") from error
    opaque = bool((rgba[..., 3] == 255).all())
    pixels = np.ascontiguousarray(rgba[..., :3] if opaque else rgba)
    pixels.flags.writeable = False
    return pixels


def _decode_rgba(
    data: bytes, what: str, expected_size: tuple[int, int] | None, largest: int | None
) -> npt.NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError:  # Blender's Python
        return png.decode(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image.size, what, expected_size, largest)
            return np.asarray(image.convert("RGBA"))
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def _check_size(size: tuple[int, int], what: str, expected: tuple[int, int] | None, largest: int | None) -> None:
    if expected is not None and size != expected:
        raise DatasetError(
            f"{what}: is {size[0]} × {size[1]} pixels, expected {expected[0]} × {expected[1]}; "
            f"render it again at that size"
        )
    if largest is not None and not 1 <= min(size) <= max(size) <= largest:
        raise DatasetError(f"{what}: is {size[0]} × {size[1]} pixels; make it 1 to {largest} a side")


def read_picture(path: Path, expected_size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Reads a picture file; see ``decode_picture``.

    Raises:
        DatasetError: the file is missing, or not such a picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); restore it or drop its view") from error
    return decode_picture(data, str(path), expected_size)


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encodes (H, W, 3) or (H, W, 4) uint8 as PNG."""
    return png.encode(pixels)
