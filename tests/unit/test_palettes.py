"""Palettes from a file, and scenes cut down to the allowed materials."""

import json

import numpy as np
import pytest

from blockcore.errors import BlockcoreError, PaletteError
from blockcore.grid import BlockGrid
from blockcore.palette import WEBGPU_PALETTE, Palette
from blockcore.scene import BlockScene
from bridge.palettes import read_palette, restrict


def write(tmp_path, value):
    path = tmp_path / "my palette ü.json"
    path.write_text(json.dumps(value))
    return path


def test_colors_are_read_in_both_spellings(tmp_path):
    faces = {"top": "#336699", "bottom": [0.5, 0, 1], "side": "#ffffff"}
    palette = read_palette(write(tmp_path, {"Moss": faces, "Brick": "#000000"}))
    assert palette.names == ("Air", "Moss", "Brick")
    np.testing.assert_allclose(palette.colors[1], [[0.2, 0.4, 0.6], [0.5, 0, 1], [1, 1, 1]], atol=1e-6)
    np.testing.assert_array_equal(palette.colors[2], np.zeros((3, 3)))


@pytest.mark.parametrize(
    "value", [[], {}, {"A": "red"}, {"A": "#12345"}, {"A": [0, 0]}, {"A": [0, 0, 2]}, {"A": {"top": "#000000"}}, "A"]
)
def test_a_file_that_is_no_palette_is_one_clear_line(tmp_path, value):
    with pytest.raises(BlockcoreError, match=r"my palette ü\.json") as caught:
        read_palette(write(tmp_path, value))
    assert "\n" not in str(caught.value)


def scene(materials, palette=WEBGPU_PALETTE):
    positions = np.array([[x, 0, 0] for x in range(len(materials))], dtype=np.int32)
    return BlockScene(BlockGrid((8, 1, 1), 2.0, positions), np.array(materials, dtype=np.int32), palette)


def test_a_restricted_scene_has_only_what_is_allowed_and_leads_back():
    dirt, stone, sand = (WEBGPU_PALETTE.index(name) for name in ("Dirt", "Stone", "Sand"))
    snow, grass = WEBGPU_PALETTE.index("Snow"), WEBGPU_PALETTE.index("Grass")
    cut = restrict(scene([dirt, stone, snow, sand, grass]), ["Sand", "Stone"])
    assert cut.scene.palette.names == ("Air", "Stone", "Sand")
    # What is not allowed starts as the most similar allowed colour: dirt and grass as stone, snow as sand.
    nearest = [
        min((stone, sand), key=lambda m: np.square(WEBGPU_PALETTE.colors[m] - WEBGPU_PALETTE.colors[b]).sum())
        for b in (dirt, stone, snow, sand, grass)
    ]
    assert cut.expand(cut.scene.materials).tolist() == nearest
    assert nearest[1] == stone and nearest[3] == sand


def test_all_materials_allowed_changes_nothing():
    whole = scene([1, 2, 3])
    cut = restrict(whole, [])
    assert cut.scene is whole
    assert cut.expand(whole.materials).tolist() == [1, 2, 3]


def test_tiles_follow_their_material():
    tile = np.full((2, 2, 4), 7, dtype=np.uint8)
    palette = Palette(WEBGPU_PALETTE.names, WEBGPU_PALETTE.colors, {(3, 2): tile, (4, 0): tile})
    cut = restrict(scene([3, 4], palette), ["Plank"])
    assert list(cut.scene.palette.tiles) == [(1, 0)]


@pytest.mark.parametrize("allowed", [["Gold"], ["Air"], ["Air", "Stone"]])
def test_materials_that_cannot_be_allowed_are_refused(allowed):
    with pytest.raises(PaletteError):
        restrict(scene([1]), allowed)
