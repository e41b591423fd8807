"""PNG with the standard library alone: Blender's Python has no Pillow."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _INDEXED, _GRAY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_PACKED = (_GRAY, _INDEXED)  # several pixels may share a byte
_CHANNELS = {_GRAY: 1, _RGB: 3, _INDEXED: 1, _GRAY_ALPHA: 2, _RGBA: 4}
MOST_CHUNKS = 1 << 16
"""The most pieces that a PNG may come in: reading costs time for each, however small it is."""
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encodes (H, W, 3) or (H, W, 4) uint8 pixels, row 0 on top."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)
    rows[:, 0] = _UP
    rows[:, 1:] = pixels.reshape(height, -1)
    rows[1:, 1:] -= pixels[:-1].reshape(-1, width * channels)
    header = struct.pack(">IIBBBBB", width, height, 8, _RGBA if channels == 4 else _RGB, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def size(data: bytes) -> tuple[int, int]:
    """Returns (width, height) from the header of a PNG.

    Raises:
        ValueError: it is not a PNG, or comes in too many pieces.
    """
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 33:
        raise ValueError("not a PNG")
    if _count_chunks(data) > MOST_CHUNKS:
        raise ValueError(f"in more than {MOST_CHUNKS} pieces; save it again")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _count_chunks(data: bytes) -> int:
    """Returns how many pieces a PNG comes in, up to one more than ``MOST_CHUNKS``; looks at no piece's contents."""
    at, count = len(SIGNATURE), 0
    while at + 12 <= len(data) and count <= MOST_CHUNKS:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        count += 1
    return count


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Decodes a PNG of 8 bits a channel, of grey, or with a colour table, that is not interlaced.

    Returns:
        (H, W, 4) uint8, row 0 on top.

    Raises:
        ValueError: it is not such a PNG, or is damaged.
    """
    width, height = size(data)
    depth, kind, interlaced = data[24], data[25], data[28]
    if kind not in _CHANNELS or interlaced or (depth != 8 and (kind not in _PACKED or depth not in (1, 2, 4))):
        raise ValueError("a kind of PNG that is not supported here; save it with 8 bits a channel, not interlaced")
    chunks = _chunks(data)
    row_bytes = (width * _CHANNELS[kind] * depth + 7) // 8
    raw = _inflate(chunks[b"IDAT"], height * (1 + row_bytes))
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(height, 1 + row_bytes)
    unfiltered = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, -1, _CHANNELS[kind]))
    if kind == _INDEXED:
        return _look_up(_unpack_bits(unfiltered[..., 0], depth)[:, :width], chunks)
    clear = chunks.get(b"tRNS")
    if depth < 8:
        step = 255 // (2**depth - 1)
        unfiltered = (_unpack_bits(unfiltered[..., 0], depth)[:, :width, None] * step).astype(np.uint8)
        clear = clear and struct.pack(">H", min(255, step * int.from_bytes(clear[:2], "big")))
    return _to_rgba(unfiltered, kind, clear)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError("cut short or damaged")
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"PLTE", b"tRNS"):
            chunks[kind] = body
        at += 12 + length
        if kind == b"IEND":
            break
    return chunks | {b"IDAT": b"".join(pixels)}


def _inflate(data: bytes, length: int) -> bytes:
    try:
        raw = zlib.decompressobj().decompress(data, length)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from None
    if len(raw) != length or not length:
        raise ValueError("cut short, or without pixels")
    return raw


def _unfilter(filters: npt.NDArray[np.uint8], rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Undoes the row filters (PNG specification, section 9) along anti-diagonals, whose pixels do not need each other.

    Args:
        filters: (H,) the filter of each row.
        rows: (H, W, C) filtered bytes.
    """
    if filters.max(initial=0) > _PAETH:
        raise ValueError("damaged: unknown row filter")
    height, width, channels = rows.shape
    pixels = rows.reshape(-1, channels).copy()
    # Row r is kept at r + 1; row 0, and what a row holds before its first pixel, is the black around the picture.
    last, before_last = (np.zeros((height + 1, channels), dtype=np.int16) for _ in range(2))
    for diagonal in range(height + width - 1):
        row = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        at = diagonal + row * (width - 1)
        left, above, corner = last[row + 1], last[row], before_last[row]
        kind = filters[row, None]
        guess = np.select(
            [kind == _SUB, kind == _UP, kind == _AVERAGE, kind == _PAETH],
            [left, above, (left + above) >> 1, _paeth(left, above, corner)],
        )
        pixels[at] += guess.astype(np.uint8)
        last, before_last = before_last, last
        last[:] = before_last
        last[row + 1] = pixels[at]
    return pixels.reshape(rows.shape)


def _paeth(
    left: npt.NDArray[np.int16], above: npt.NDArray[np.int16], corner: npt.NDArray[np.int16]
) -> npt.NDArray[np.int16]:
    to_left, to_above, to_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    return np.where(
        (to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner)
    )


def _unpack_bits(packed: npt.NDArray[np.uint8], depth: int) -> npt.NDArray[np.uint8]:
    bits = np.unpackbits(packed, axis=1).reshape(len(packed), -1, depth)
    weights = np.arange(depth - 1, -1, -1, dtype=np.uint8)
    return np.asarray((bits << weights).sum(axis=-1, dtype=np.uint8))


def _look_up(indices: npt.NDArray[np.uint8], chunks: dict[bytes, bytes]) -> npt.NDArray[np.uint8]:
    colors = np.frombuffer(chunks.get(b"PLTE", b""), dtype=np.uint8).reshape(-1, 3)[:256]
    if not len(colors) or indices.max(initial=0) >= len(colors):
        raise ValueError("damaged: its colour table is too short")
    table = np.full((len(colors), 4), 255, dtype=np.uint8)
    table[:, :3] = colors
    alpha = np.frombuffer(chunks.get(b"tRNS", b""), dtype=np.uint8)[: len(table)]
    table[: len(alpha), 3] = alpha
    return table[indices]


def _to_rgba(pixels: npt.NDArray[np.uint8], kind: int, transparent: bytes | None) -> npt.NDArray[np.uint8]:
    rgba = np.full((*pixels.shape[:2], 4), 255, dtype=np.uint8)
    color = pixels[..., :-1] if kind in (_GRAY_ALPHA, _RGBA) else pixels
    rgba[..., :3] = color
    if kind in (_GRAY_ALPHA, _RGBA):
        rgba[..., 3] = pixels[..., -1]
    elif transparent is not None:
        clear = np.frombuffer(transparent, dtype=">u2")
        if len(clear) != pixels.shape[2]:
            raise ValueError("damaged: its transparent colour does not fit")
        rgba[(color == clear).all(axis=-1), 3] = 0
    return rgba
