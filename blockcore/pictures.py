"""Pictures on disk and in messages: decoding that cannot be tricked, encoding that cannot be half done."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from blockcore.errors import DatasetError
from blockcore.frozen import frozen_array


def decode_picture(data: bytes, what: str, expected_size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Decodes an encoded picture.

    Args:
        data: the file's bytes (PNG, or whatever Pillow reads).
        what: what messages call the picture.
        expected_size: (width, height) that it must have; checked before the pixels are unpacked.

    Returns:
        (H, W, 3) uint8, or (H, W, 4) where some pixel is not opaque. Row 0 is the top one. Read-only.

    Raises:
        DatasetError: it is not a picture, is damaged, or has another size.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if expected_size is not None and image.size != expected_size:
                raise DatasetError(
                    f"{what}: is {image.width} × {image.height} pixels, expected {expected_size[0]} × "
                    f"{expected_size[1]}; render it again at that size"
                )
            rgba = np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{what}: is not a readable picture ({error}); capture or export it again") from error
    opaque = bool((rgba[..., 3] == 255).all())
    return frozen_array(rgba[..., :3] if opaque else rgba, np.uint8)


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
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return buffer.getvalue()
