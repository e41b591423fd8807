"""``compare``: figures, limits, pictures side by side, and pictures of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from blockcore.commands.cli import main
from blockcore.io.pictures import read_picture
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.captures import captured, dataset_path, map_path

EXACT = ["--max-mse", "0.000001", "--min-psnr", "60", "--min-ssim", "0.9999", "--max-error", "0.004"]
EXACT += ["--min-geometry-match", "1", "--min-equal", "1"]


def capture(number: int) -> list[str]:
    return ["compare", "--map", str(map_path(number)), "--dataset", str(dataset_path(number))]


def spoilt(folder: Path) -> list[str]:
    """Map 4 with one material wrong, and its dataset."""
    data = json.loads(map_path(4).read_text())
    for block in data["blocks"]:
        block["blockType"] = "Snow" if block["blockType"] == "Stone" else block["blockType"]
    (folder / "map.json").write_text(json.dumps(data))
    return ["compare", "--map", str(folder / "map.json"), "--dataset", str(dataset_path(4))]


def test_captures_keep_every_limit(tmp_path: Path) -> None:
    assert main([*capture(2), "--all_views", *EXACT, "--json", str(tmp_path / "c.json")]) == 0
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["passed"] is True
    assert len(told["views"]) == len(captured(2).views)
    assert told["limits"]["min-equal"] == 1.0
    assert all(view["missed"] == [] and view["equal"] == 1.0 for view in told["views"])


def test_the_textured_capture_keeps_its_limit() -> None:
    assert main([*capture(3), "--min-equal", "0.999", "--min-geometry-match", "0.9999"]) == 0


@pytest.mark.parametrize("limit", [EXACT[i : i + 2] for i in range(0, len(EXACT), 2) if "geometry" not in EXACT[i]])
def test_a_missed_limit_is_named_and_exits_with_1(tmp_path: Path, limit: list[str], capsys) -> None:
    assert main([*spoilt(tmp_path), "--view", "2"]) == 0  # no limit, nothing to miss
    capsys.readouterr()
    assert main([*spoilt(tmp_path), "--view", "2", *limit, "--json", "-"]) == 1
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert summary["passed"] is False
    assert summary["views"][0]["missed"] == [limit[0][2:]]
    assert f"view 2 misses {limit[0]}" in told.err


def test_geometry_is_judged_by_what_is_sky(tmp_path: Path) -> None:
    data = json.loads(map_path(4).read_text())
    del data["blocks"][::2]
    (tmp_path / "map.json").write_text(json.dumps(data))
    arguments = ["compare", "--map", str(tmp_path / "map.json"), "--dataset", str(dataset_path(4))]
    assert main([*arguments, "--min-geometry-match", "0.99"]) == 1


def test_pictures_lie_side_by_side(tmp_path: Path) -> None:
    assert main([*spoilt(tmp_path), "--view", "1", "--out", str(tmp_path / "out"), "--min-equal", "1"]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".blockcore.json",
        "summary.json",
        "view_001.png",
    ]
    together = read_picture(tmp_path / "out/view_001.png")
    target = captured(4).views[1].target
    assert target is not None
    assert together.shape == (300, 3 * 400 + 2 * 8, 3)
    np.testing.assert_array_equal(together[:, 408:808], target[..., :3])
    wrong = (np.abs(together[:, :400].astype(int) - target[..., :3]) > 1).any(axis=-1)
    shown = together[:, 816:].astype(int).sum(axis=-1)
    assert wrong.any() and shown[wrong].min() > shown[~wrong].max()
    assert json.loads((tmp_path / "out/summary.json").read_text())["passed"] is False


def test_coarser_vertices_differ(tmp_path: Path) -> None:
    assert main([*capture(4), "--subpixel-bits", "4", "--json", str(tmp_path / "c.json")]) == 0
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["subpixel_bits"] == 4
    assert 0 < sum(view["differing_over_1"] for view in told["views"]) < 0.002 * 480_000


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--subpixel-bits", "9"], "subpixel_bits 9"),
        (["--view", "4"], "views are 0 to 3"),
        (["--out", str(Path(__file__).parent)], "summary.json"),
    ],
)
def test_misuse_gets_one_line(more: list[str], words: str, capsys) -> None:
    assert main([*capture(4), *more]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_a_map_alone_has_nothing_to_compare_with(capsys) -> None:
    assert main(["compare", "--map", str(map_path(4))]) == 2
    assert "--dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("world", "size"), [("empty", (1, 1)), ("empty", (1, 4096)), ("solid", (1, 1)), ("solid", (4096, 4096))]
)
def test_pictures_of_any_size_of_any_world(tmp_path: Path, world: str, size: tuple[int, int]) -> None:
    cells = np.argwhere(np.ones((3, 3, 3))) if world == "solid" else np.zeros((0, 3), int)
    grid, materials = BlockGrid((3, 3, 3), 2.0, cells), np.full(len(cells), 3)
    camera = Camera(look_at((7.0, 8.0, 9.0), (0.0, 3.0, 0.0)), perspective(1.0, 1.0, 0.1, 100.0), *size)
    colors = frame_colors(grid.exposed_faces, materials, captured(1).palette, captured(1).lighting)
    (seen,) = rasterize(grid.exposed_faces, [camera])
    scene = BlockScene(grid, materials, views=(View(camera, draw(seen, camera, colors)),))
    scene.write(tmp_path / "scene")
    assert main(["compare", "--scene", str(tmp_path / "scene"), *EXACT]) == 0
