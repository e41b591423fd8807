"""The PNG codec that Blender's Python uses, against Pillow."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blockcore.errors import DatasetError
from blockcore.io import png
from blockcore.io.pictures import decode_picture, encode_png, read_picture


def random_pixels(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def pillow_png(pixels, mode, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(pixels) if mode in ("RGB", "RGBA") else Image.fromarray(pixels[..., :3]).convert(mode)
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue(), np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 20)])
def test_what_is_encoded_is_what_pillow_decodes(size, channels):
    pixels = random_pixels(*size, channels)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 20)])
def test_what_pillow_encodes_is_decoded(size, mode):
    data, rgba = pillow_png(random_pixels(*size, 4 if mode == "RGBA" else 3), mode)
    np.testing.assert_array_equal(png.decode(data), rgba)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_color_tables_are_decoded(bits):
    image = Image.fromarray(random_pixels(9, 13, 3)).quantize(2**bits)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=bits, transparency=0)
    np.testing.assert_array_equal(
        png.decode(buffer.getvalue()), np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGBA"))
    )


@pytest.mark.parametrize("clear", [None, 1])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_grays_are_decoded(bits, clear):
    values = np.random.default_rng(bits).integers(0, 2**bits, (9, 13))
    packed = [np.packbits((row[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).ravel()) for row in values]
    raw = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 13, 9, bits, 0, 0, 0, 0)), (b"IDAT", raw), (b"IEND", b"")]
    if clear is not None:
        chunks.insert(1, (b"tRNS", struct.pack(">H", clear)))
    parts = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    rgba = png.decode(png.SIGNATURE + b"".join(parts))
    np.testing.assert_array_equal(rgba[..., 0], values * 255 // (2**bits - 1))
    np.testing.assert_array_equal(rgba[..., 3], np.where(values == clear, 0, 255))


def filtered_png(filters, pixels):
    """A PNG whose rows hold arbitrary filtered bytes: every mix of filters, not only what encoders choose."""
    height, width, channels = pixels.shape
    rows = np.concatenate([np.asarray(filters, np.uint8)[:, None], pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 12), st.sampled_from([3, 4]), st.integers())
def test_every_mix_of_row_filters_is_undone(filters, width, channels, seed):
    data = filtered_png(filters, random_pixels(len(filters), width, channels, abs(seed)))
    np.testing.assert_array_equal(png.decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))


def test_both_decoders_give_the_same_picture(monkeypatch):
    data = encode_png(random_pixels(20, 30, 4))
    with_pillow = decode_picture(data, "picture", (30, 20))
    monkeypatch.setitem(sys.modules, "PIL", None)
    np.testing.assert_array_equal(decode_picture(data, "picture", (30, 20)), with_pillow)


@pytest.mark.parametrize("without_pillow", [False, True])
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "size"])
def test_damage_is_one_clear_line(monkeypatch, without_pillow, damage):
    data = encode_png(random_pixels(20, 30, 3))
    broken = {
        "empty": b"",
        "text": b"hello",
        "cut": data[: len(data) // 2],
        "flipped": data[:60] + bytes([data[60] ^ 255]) + data[61:],
        "size": data,
    }[damage]
    if without_pillow:
        monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DatasetError, match=r"^view 3") as caught:
        decode_picture(broken, "view 3", (31, 20) if damage == "size" else None)
    assert "\n" not in str(caught.value)


def test_a_small_file_that_claims_to_be_huge_takes_no_memory():
    data = bytearray(filtered_png([0], random_pixels(1, 1, 3)))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(ValueError, match="cut short"):
        png.decode(bytes(data))


def test_interlaced_is_refused_with_the_remedy():
    data = bytearray(filtered_png([0], random_pixels(1, 1, 3)))
    data[28] = 1
    with pytest.raises(ValueError, match="not interlaced"):
        png.decode(bytes(data))


@pytest.mark.parametrize(("turn", "place"), [(1, (5, 20)), (6, (20, 35)), (3, (35, 20)), (8, (20, 5))])
def test_photographs_are_read_upright(turn: int, place: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = (250, 0, 0)
    photograph = Image.fromarray(pixels)
    tags = photograph.getexif()
    tags[0x0112] = turn
    photograph.save(tmp_path / "phone.jpg", exif=tags, quality=95)
    assert read_picture(tmp_path / "phone.jpg")[place][0] > 200
