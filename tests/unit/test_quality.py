"""The quality suite on small input: what it compares, and that what it says comes out of the pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from blockcore.bench import quality
from blockcore.bench.baselines import average_colors, nearest_color, to_lab
from blockcore.bench.color_difference import ciede2000
from blockcore.bench.peers import block_colors, nearest_blocks
from blockcore.commands.cli import main
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import Palette
from tests.captures import DATA, captured


def test_the_command_writes_figures_and_a_page(tmp_path, monkeypatch):
    conditions = {name: quality.CONDITIONS[name] for name in ("as captured", "exposure")}
    monkeypatch.setattr(quality, "CONDITIONS", conditions)
    options = ["--data", str(DATA), "--out", str(tmp_path / "page"), "--json", str(tmp_path / "q.json")]
    assert main(["bench", "--suite", "quality", *options]) == 0
    figures = json.loads((tmp_path / "q.json").read_text())
    for condition in conditions:
        assert figures["planted"][condition]["all"]["blockcore"] == 1.0
    assert figures["smoothing"]["expansion"]["above_bound"] <= 0.01
    assert figures["smoothing"]["expansion"]["energy"] <= figures["smoothing"]["icm"]["energy"]
    page = (tmp_path / "page" / "report.html").read_text()
    assert "<td>as captured</td>" in page and "http" not in page


def test_lab_of_known_colours():
    white, red = to_lab(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    assert white == pytest.approx([100.0, 0.0, 0.0], abs=0.02)
    assert red == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_average_colours_are_those_of_the_pixels():
    scene = replace(captured(4), views=captured(4).views[:1])
    blocks, colors = average_colors(scene)
    assert colors.shape == (len(blocks), 3) and (colors >= 0).all() and (colors <= 1).all()
    nearest = nearest_color(scene)
    means = scene.palette.colors[1:].mean(axis=1)
    assert nearest[blocks[3]] == 1 + ((colors[3] - means) ** 2).sum(axis=1).argmin()


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_of_published_pairs(one, other, difference):
    """Pairs of the supplement to Sharma, Wu and Dalal 2005."""
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(difference, abs=1e-4)


def test_peers_average_a_block_and_take_the_nearest():
    grid = BlockGrid((3, 1, 1), 1.0, [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    points = np.array([[-1.0, 0.5, 0.0], [-1.2, 0.5, 0.0], [0.0, 0.5, 0.1]])
    colors = np.array([[0.0, 0.0, 0.0], [0.6, 0.6, 0.6], [1.0, 1.0, 1.0]])
    wanted = block_colors(grid, points, colors)
    assert wanted[0] == pytest.approx([0.3] * 3) and wanted[1] == pytest.approx([1.0] * 3)
    above = np.array([[-1.0, 1.3, 0.2], [0.1, -0.4, 0.0], [0.9, 0.5, 0.9]])
    assert block_colors(grid, above, colors)[:, 0] == pytest.approx([0.0, 0.6, 1.0])
    palette = Palette(("Air", "Dark", "Light"), np.repeat([[[0.0] * 3], [[0.2] * 3], [[0.8] * 3]], 3, axis=1))
    assert nearest_blocks(grid, palette, wanted)[:2].tolist() == [1, 2]
    assert nearest_blocks(grid, palette, wanted, lab=True)[:2].tolist() == [1, 2]


def test_dithered_peers_keep_the_mean():
    grid = BlockGrid((40, 1, 40), 1.0, [[x, 0, z] for x in range(40) for z in range(40)])
    palette = Palette(("Air", "Dark", "Light"), np.repeat([[[0.0] * 3], [[0.0] * 3], [[1.0] * 3]], 3, axis=1))
    wanted = np.full((1600, 3), 0.3)
    assert (nearest_blocks(grid, palette, wanted) == 2).mean() == 0.0
    assert (nearest_blocks(grid, palette, wanted, dithered=True) == 2).mean() == pytest.approx(0.3, abs=0.02)
