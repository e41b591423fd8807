"""Tiles: what a palette takes, how they are kept, and what happens to hostile ones."""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blockcore.errors import BlockcoreError, PaletteError
from blockcore.formats.webgpu import read_map, write_map
from blockcore.io.png import SIGNATURE
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import MAX_TILE_SIDE, WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene
from blockcore.model.tile_table import tile_table

STONE = WEBGPU_PALETTE.index("Stone")
TEXTURED = Path(__file__).parents[1] / "data/maps/3/map.json"


def tiled_palette() -> Palette:
    rng = np.random.default_rng(1)
    shapes = {(1, 2): (4, 4), (3, 0): (16, 16), (3, 2): (1, 7), (7, 5): (9, 2)}
    return WEBGPU_PALETTE.with_tiles({key: rng.integers(0, 256, (*s, 4), np.uint8) for key, s in shapes.items()})


def grid() -> BlockGrid:
    return BlockGrid((4, 3, 4), 2.0, np.array([[0, 0, 0], [1, 0, 0], [3, 2, 3]]))


def test_map_round_trip_keeps_tiles(tmp_path: Path) -> None:
    path = tmp_path / "maps" / "map.json"
    write_map(path, grid(), [1, 3, 7], tiled_palette())
    again = read_map(path)
    assert again.palette == tiled_palette()
    assert again.materials.tolist() == [1, 3, 7]
    write_map(path, again.grid, again.materials, again.palette)
    assert read_map(path).palette == tiled_palette()
    assert len(list((path.parent / "tiles").iterdir())) == 4


def test_two_maps_in_a_folder_do_not_share_tiles_by_accident(tmp_path: Path) -> None:
    first, second = (WEBGPU_PALETTE.with_tiles({(3, 2): np.full((2, 2, 4), v, np.uint8)}) for v in (10, 20))
    write_map(tmp_path / "a.json", grid(), [3, 3, 3], first)
    write_map(tmp_path / "b.json", grid(), [3, 3, 3], second)
    assert read_map(tmp_path / "a.json").palette == first
    assert read_map(tmp_path / "b.json").palette == second


def test_scene_round_trip_keeps_tiles(tmp_path: Path) -> None:
    scene = BlockScene(grid(), np.array([1, 3, 7]), tiled_palette())
    scene.write(tmp_path / "scene")
    assert BlockScene.read(tmp_path / "scene") == scene


def test_the_textured_map_reads_its_tiles() -> None:
    palette = read_map(TEXTURED).palette
    assert {palette.names[material] for material, _ in palette.tiles} == {"Plank", "Stone"}
    assert len(palette.tiles) == 12
    with Image.open(TEXTURED.parent / "tiles/stone_top.png") as image:
        np.testing.assert_array_equal(palette.tiles[STONE, 2], np.asarray(image.convert("RGBA")))


def test_a_map_may_lie_in_a_palette_with_tiles_of_its_own(tmp_path: Path) -> None:
    write_map(tmp_path / "map.json", grid(), [1, 3, 7], WEBGPU_PALETTE)
    assert read_map(tmp_path / "map.json", tiled_palette()).palette == tiled_palette()


def test_tile_table_finds_every_texel() -> None:
    palette = tiled_palette()
    table = tile_table(palette)
    assert len(table.texels) == 16 + 256 + 7 + 18
    for material in range(len(palette)):
        for direction in range(6):
            width, height = table.size[material, direction]
            start = table.first[material, direction]
            tile = palette.tiles.get((material, direction), np.zeros((0, 0, 4), np.uint8))
            assert (height, width) == tile.shape[:2]
            np.testing.assert_array_equal(table.texels[start : start + width * height], tile.reshape(-1, 4))


@pytest.mark.parametrize(
    ("key", "tile", "says"),
    [
        ((0, 2), np.zeros((2, 2, 4), np.uint8), "not there"),
        ((8, 2), np.zeros((2, 2, 4), np.uint8), "not there"),
        ((1, 6), np.zeros((2, 2, 4), np.uint8), "not there"),
        ((1, 2), np.zeros((2, 2, 3), np.uint8), "RGBA"),
        ((1, 2), np.zeros((2, 2, 4), np.float32), "RGBA"),
        ((1, 2), np.zeros((0, 2, 4), np.uint8), "2 × 0 pixels"),
        ((1, 2), np.zeros((1, MAX_TILE_SIDE + 1, 4), np.uint8), "1025 × 1 pixels"),
    ],
)
def test_a_palette_refuses_tiles_that_cannot_be(key: tuple[int, int], tile: np.ndarray, says: str) -> None:
    with pytest.raises(PaletteError, match=says):
        WEBGPU_PALETTE.with_tiles({key: tile})


def png_bytes(width: int, height: int, idat: bytes) -> bytes:
    """A PNG that claims a size and holds any pixel data."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", idat), (b"IEND", b""))
    parts = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return SIGNATURE + b"".join(parts)


def gif_bytes(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, format="GIF")
    return buffer.getvalue()


HOSTILE = {
    "text.png": (b"this is no picture", "not a readable picture"),
    "empty.png": (b"", "not a readable picture"),
    "cut.png": (png_bytes(16, 16, zlib.compress(bytes(65 * 16))[:8]), "not a readable picture"),
    "wide.png": (png_bytes(20_000, 4, zlib.compress(bytes(80_001 * 4))), "20000 × 4 pixels"),
    "wide.gif": (gif_bytes(20_000, 2), "none of PNG, JPEG"),
    "zero.png": (png_bytes(0, 16, zlib.compress(b"")), "0 × 16 pixels"),
    "huge.png": (png_bytes(60_000, 60_000, zlib.compress(b"")), "60000 × 60000 pixels"),
    "bomb.png": (png_bytes(40_000, 40_000, zlib.compress(bytes(1 << 24), 9)), "40000 × 40000 pixels"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tile_gives_one_clear_line(tmp_path: Path, name: str) -> None:
    data, says = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    assert_refused(tmp_path, name, says)


@pytest.mark.parametrize(
    "path", ["../outside.png", "/etc/hostname", "missing.png", "x" * 5000, "", ".", "a\0b", 7, None, ["x"]]
)
def test_a_tile_elsewhere_gives_one_clear_line(tmp_path: Path, path: object) -> None:
    (tmp_path / "outside.png").write_bytes(png_bytes(1, 1, zlib.compress(bytes(5))))
    cannot = path == "missing.png" or (isinstance(path, str) and len(path) > 1000)
    assert_refused(tmp_path / "maps", path, "cannot be read" if cannot else "inside the map's folder")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png_bytes(1, 1, zlib.compress(bytes(5))))
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/link.png").symlink_to(tmp_path / "outside.png")
    assert_refused(tmp_path / "maps", "link.png", "inside the map's folder")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert_refused(tmp_path, "pipe.png", "inside the map's folder")


def test_a_very_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(1 << 32)
    assert_refused(tmp_path, "large.png", "MiB")


@pytest.mark.parametrize(
    ("textures", "says"),
    [
        ([], None),
        (["x"], "textures"),
        ({"Stone": "x.png"}, "textures"),
        ({"Lava": {"top": "x.png"}}, "unknown material 'Lava'"),
        ({"Air": {"top": "x.png"}}, "unknown material 'Air'"),
        ({"Stone": {"side": "x.png"}}, "no face 'side'"),
    ],
)
def test_textures_of_another_shape(tmp_path: Path, textures: object, says: str | None) -> None:
    path = map_with(tmp_path, textures)
    if says is None:
        assert read_map(path).palette == WEBGPU_PALETTE
        return
    with pytest.raises(PaletteError, match=says):
        read_map(path)


def map_with(folder: Path, textures: object) -> Path:
    write_map(folder / "map.json", grid(), [1, 3, 7])
    data = json.loads((folder / "map.json").read_text())
    (folder / "map.json").write_text(json.dumps(data | {"textures": textures}))
    return folder / "map.json"


def assert_refused(folder: Path, tile: object, says: str) -> None:
    path = map_with(folder, {"Stone": {"top": tile}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BlockcoreError) as caught:
            read_map(path)
    assert isinstance(caught.value, PaletteError)
    message = str(caught.value)
    assert says in message
    assert "Stone top" in message
    assert "\n" not in message
