import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.report.charts import log_curve
from blockcore.report.metrics import squared_error
from blockcore.report.overlays import UNSEEN_COLOR, confidence, difference, exposed_blocks, plan
from blockcore.report.results import write_results
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.captures import captured
from tests.parts import need


class Tags(HTMLParser):
    """Collects start tags, and sees that each is closed."""

    VOID = ("meta", "img")

    def __init__(self, page: str):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=["solve", "gradient"])
def page(request, tmp_path_factory):
    if request.param == "gradient":
        need("torch")
    settings = OptimizeSettings(method=request.param, device="cpu", steps=30)
    folder = tmp_path_factory.mktemp("report") / "result"
    write_results(folder, captured(4), settings, optimize_materials(captured(4), settings))
    return request.param, (folder / "report.html").read_text(encoding="utf-8"), folder


def test_the_page_stands_alone(page):
    _, text, folder = page
    tags = Tags(text)
    assert not tags.open
    sources, links = ([a[key] for _, a in tags.seen if a.get(key)] for key in ("src", "href"))
    assert links == ["viewer.html"] and (folder / links[0]).is_file()
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"url\(|@import|https?://", text)


def test_each_view_shows_five_pictures(page):
    _, text, folder = page
    alts = [attributes["alt"] for tag, attributes in Tags(text).seen if tag == "img"]
    for view in captured(4).views:
        for kind in ("Target", "Before", "After", "Difference", "Confidence"):
            assert f"{kind} of {view.camera.name}" in alts
    assert len(list((folder / "views").glob("*.png"))) == 5 * len(captured(4).views)


def test_curves_are_drawn_where_there_are_any(page):
    method, text, _ = page
    assert len(re.findall("<polyline", text)) == (2 if method == "gradient" else 0)


def test_the_figures_say_what_was_found(page):
    method, _, folder = page
    figures = json.loads((folder / "result.json").read_text())
    assert figures["method"] == method
    assert figures["unseen_blocks"] == figures["blocks"] - figures["visible_blocks"] >= figures["hidden_blocks"] > 0
    assert set(figures["timings"]) == {"visibility", "sums over pixels", "search"}


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_before_is_the_scene_as_it_was(share, tmp_path):
    truth, settings = captured(4), OptimizeSettings(device="cpu")
    drawn = np.random.default_rng(3).integers(1, len(truth.palette), len(truth.grid)).astype(np.int32)
    scene = truth.with_materials(np.where(np.random.default_rng(4).random(len(drawn)) < share, drawn, truth.materials))
    result = optimize_materials(scene, settings)
    summary = write_results(tmp_path / "result", scene, settings, result)
    assert summary.changed_blocks == (scene.materials != result.materials).sum()
    assert summary.materials_before == {
        name: count
        for name, count in zip(truth.palette.names, np.bincount(scene.materials, minlength=8).tolist(), strict=True)
        if count
    }
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    errors = [
        squared_error(draw(rasterize(faces, [view.camera], "cpu")[0], view.camera, colors)[..., :3], view.target)
        for view in scene.views
    ]
    error, pixels = np.sum(errors, axis=0)
    if share == 0.0:
        assert summary.psnr_before is None and summary.changed_blocks == 0
    else:
        assert summary.psnr_before == pytest.approx(-10 * np.log10(error / pixels), abs=1e-6)


def test_difference_is_clear_where_masked():
    a = np.zeros((2, 2, 3), np.uint8)
    b = np.full((2, 2, 4), 255, np.uint8)
    b[0, 0] = (0, 0, 0, 0)
    drawn = difference(a, b)
    assert drawn[0, 0, 3] == 0 and drawn[1, 1, 3] == 255
    assert drawn[1, 1, :3].sum() > drawn[0, 0, :3].sum()


def test_confidence_is_clear_where_nothing_was_judged():
    drawn = confidence(np.array([[0, 1, 2, -1]]), np.array([0.0, np.inf, np.nan]))
    assert drawn[0, :, 3].tolist() == [255, 255, 0, 0]
    assert drawn[0, 0, 0] > drawn[0, 0, 2] and drawn[0, 1, 2] > drawn[0, 1, 0]


def test_plan_shows_the_highest_block_of_each_column():
    grid = BlockGrid((3, 4, 2), 2.0, np.array([[0, 0, 0], [0, 3, 0], [2, 1, 1]]))
    picture = plan(grid, np.array([2, 5, 7], np.int32), WEBGPU_PALETTE, np.array([True, False, True]), width=3)
    assert picture.shape == (2, 3, 4)
    assert picture[0, 0, :3].tolist() == np.rint(255 * WEBGPU_PALETTE.colors[5, 0]).tolist()
    assert picture[1, 2, :3].tolist() == list(UNSEEN_COLOR)
    assert picture[0, 1, 3] == 0


def test_a_walled_in_block_is_not_exposed():
    cells = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    exposed = exposed_blocks(BlockGrid((3, 3, 3), 1.0, cells))
    assert exposed.sum() == 26 and not exposed[13]


def test_a_curve_of_zeros_and_a_single_value_can_be_drawn():
    assert "polyline" in log_curve([0.0, 0.0], "nothing") and "polyline" in log_curve([1.0], "one")
