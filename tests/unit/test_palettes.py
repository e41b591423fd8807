"""Palettes from a file."""

import json

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.formats.palette_file import read_palette


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
