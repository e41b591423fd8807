"""The quality suite on small input: what it compares, and that what it says comes out of the pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from blockcore.bench import quality, quality_page
from blockcore.bench.baselines import average_colors, nearest_color, to_lab
from blockcore.commands.cli import main
from blockcore.errors import SettingsError
from tests.captures import DATA, captured


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    scene = captured(4)
    held = replace(scene.views[0], camera=replace(scene.views[0].camera, name="held out 0"))
    replace(scene.with_materials(np.ones(len(scene.grid), int)), views=(held, *scene.views[1:])).write(
        folder / "made after" / "blocks"
    )
    return folder


def test_held_out_views_are_compared(scenes):
    gallery = []
    figures = quality.modelled(scenes, gallery)["made after"]["blocks"]
    assert figures["blockcore"]["psnr"] > figures["nearest colour"]["psnr"] > figures["random"]["psnr"]
    assert figures["blockcore"]["ssim"] > figures["nearest colour"]["ssim"]
    assert [name for name, _ in gallery] == ["blocks"]
    assert list(gallery[0][1]) == ["target", *quality.METHODS]


def test_no_scenes_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="quality-scenes"):
        quality.modelled(tmp_path, [])


def test_the_command_writes_figures_and_a_page(scenes, tmp_path, monkeypatch, capsys):
    conditions = {name: quality.CONDITIONS[name] for name in ("as captured", "exposure")}
    monkeypatch.setattr(quality, "CONDITIONS", conditions)
    monkeypatch.setattr(quality, "SMOOTHERS", ("auto", "icm", "expansion"))
    options = ["--data", str(DATA), "--scenes", str(scenes), "--out", str(tmp_path), "--json", str(tmp_path / "q.json")]
    assert main(["bench", "--suite", "quality", *options]) == 0
    figures = json.loads((tmp_path / "q.json").read_text())
    for condition in conditions:
        assert figures["planted"][condition]["all"]["blockcore"] == 1.0
    assert figures["smoothing"]["expansion"]["above_bound"] <= 0.01
    assert figures["smoothing"]["expansion"]["energy"] <= figures["smoothing"]["icm"]["energy"]
    page = (tmp_path / "report.html").read_text()
    assert page.count('<img alt="') == 6 and "http" not in page
    assert "made after, over nearest colour" in capsys.readouterr().out


def test_groups_of_models_are_told_apart(tmp_path):
    def scene(psnr, ssim):
        others = {method: {"psnr": 10.0, "ssim": 0.5} for method in quality.METHODS}
        return others | {"blockcore": {"psnr": psnr, "ssim": ssim}}

    groups = {"chosen with": {"a": scene(13.0, 0.6), "b": scene(14.0, 0.6)}, "made after": {"c": scene(9.0, 0.4)}}
    summary = {group: quality._gains(scenes) for group, scenes in groups.items()}
    figures = {"planted": {}, "smoothing": {}, "modelled": groups, "summary": summary}
    said = quality.lines(figures)
    assert "chosen with, over nearest colour: +3.50 dB on average, at least +3.00 dB and +0.100 SSIM" in said
    assert "made after, over nearest colour: -1.00 dB on average, at least -1.00 dB and -0.100 SSIM" in said
    quality_page.write_page(tmp_path / "report.html", figures, quality.METHODS, [])
    page = (tmp_path / "report.html").read_text()
    assert "made after: <b>-1.00 dB" in page and "<td>made after</td><td>c</td>" in page


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
