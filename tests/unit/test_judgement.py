"""What the panel says of results that may disappoint, and that it says nothing of good ones."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.report.results import write_results
from blockcore.report.summary import Summary
from tests.captures import captured

_FILE = Path(__file__).parents[2] / "addon" / "judgement.py"  # the add-on as a whole needs Blender
_SPEC = importlib.util.spec_from_file_location("judgement", _FILE)
judgement = importlib.util.module_from_spec(_SPEC)
sys.modules["judgement"] = judgement
_SPEC.loader.exec_module(judgement)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    scene, settings = captured(4), OptimizeSettings(device="cpu")
    return write_results(
        tmp_path_factory.mktemp("good") / "result", scene, settings, optimize_materials(scene, settings)
    )


def test_a_good_result_is_not_talked_down(good: Summary) -> None:
    assert judgement.warnings_of(good) == []


def test_pictures_of_something_else_are_noticed(tmp_path: Path) -> None:
    scene = captured(4)
    views = tuple(replace(view, target=255 - view.target[::-1]) for view in scene.views)
    settings = OptimizeSettings(device="cpu")
    wrong = replace(scene, views=views)
    summary = write_results(tmp_path / "all", wrong, settings, optimize_materials(wrong, settings))
    assert "look little like the pictures" in judgement.warnings_of(summary)[0]
    one = replace(scene, views=(views[0], *scene.views[1:]))
    summary = write_results(tmp_path / "one", one, settings, optimize_materials(one, settings))
    assert f"What {scene.views[0].camera.name} shows is not in its picture" in judgement.warnings_of(summary)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"visible_blocks": 0}, "No camera sees a block"),
        ({"psnr_before": 30.0, "psnr_after": 20.0}, "match less than before"),
        ({"unsure_blocks": 400}, "400 blocks would look nearly the same"),
    ],
)
def test_the_likely_cause_is_named(good: Summary, change: dict[str, float], words: str) -> None:
    (said,) = judgement.warnings_of(replace(good, **change))
    assert words in said
