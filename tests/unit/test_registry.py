"""What another package adds: one object, and settings, command line and library know it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from blockcore.commands.cli import main
from blockcore.errors import BackendError, SettingsError
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.registry import Registry
from blockcore.model.settings import RASTERIZERS, SETTINGS, OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.visibility import Visibility, choose_rasterizer, rasterize, reference
from tests.captures import captured, dataset_path, map_path


class Counting:
    """A rasteriser from outside: the reference, with a count of the views it drew."""

    name, label, description, on_gpu = "counting", "Counting", "Counts what it draws", False

    def __init__(self) -> None:
        self.drawn, self.lacks = 0, ""

    def problem(self) -> str:
        return self.lacks

    def rasterize(self, faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int) -> list[Visibility]:
        self.drawn += len(cameras)
        return reference.rasterize(faces, cameras, subpixel_bits)


@pytest.fixture
def counting() -> Iterator[Counting]:
    rasterizer = Counting()
    RASTERIZERS.add(rasterizer)
    yield rasterizer
    RASTERIZERS.remove(rasterizer.name)


def test_a_rasteriser_from_outside_draws_for_an_optimisation(counting: Counting) -> None:
    scene = captured(1)
    settings = OptimizeSettings(rasterizer="counting")
    result = optimize_materials(scene, settings)
    assert result.rasterizer == "counting"
    assert counting.drawn == len(scene.views)
    np.testing.assert_array_equal(result.materials, optimize_materials(scene, OptimizeSettings()).materials)
    assert SETTINGS["rasterizer"].choices["counting"] == ("Counting", "Counts what it draws")


def test_a_rasteriser_from_outside_is_mirrored_and_checked_like_any(counting: Counting) -> None:
    scene = captured(1)
    faces, camera = scene.grid.exposed_faces, scene.views[0].camera
    (seen,), (known,) = (rasterize(faces, [camera], name) for name in ("counting", "cpu"))
    np.testing.assert_array_equal(seen.triangle_id, known.triangle_id)
    counting.lacks = "it sleeps; wake it"
    with pytest.raises(BackendError, match="'counting': it sleeps; wake it; or use --rasterizer cpu"):
        choose_rasterizer("counting", "cpu")


def test_what_is_not_there_is_refused_with_what_is(counting: Counting, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match=r"rasterizer 'other' is not one of auto, cpu, .*counting"):
        OptimizeSettings(rasterizer="other")
    for command in (["optimize"], ["render", "--out", "nowhere"]):
        assert (
            main([*command, "--map", str(map_path(1)), "--dataset", str(dataset_path(1)), "--rasterizer", "other"]) == 2
        )
    assert "counting" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="rasterizer 'counting' is there already"):
        RASTERIZERS.add(Counting())


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> Registry[Counting]:
    """Returns a registry that finds a package, as an installer leaves it, whose entry point is ``value``."""
    (folder / "outside.py").write_text("from tests.unit.test_registry import Counting\nTHEIRS = Counting()\n")
    info = folder / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[blockcore.trials]\ncounting = {value}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "outside", raising=False)
    return Registry("trial", "blockcore.trials", "blockcore.visibility.rasterizers:OWN")


def test_an_installed_package_adds_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = installed(tmp_path, monkeypatch, "outside:THEIRS")
    assert trials["cpu"].name == "cpu"
    assert "outside" not in sys.modules  # nobody asked for it yet
    assert trials["counting"].label == "Counting"
    assert list(trials)[-1] == "counting"


@pytest.mark.parametrize("value", ["outside:GONE", "nowhere:THEIRS", "outside:__name__"])
def test_a_package_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    trials = installed(tmp_path, monkeypatch, value)
    with pytest.raises(SettingsError, match=f"trial 'counting' of another package \\({value}\\) cannot be loaded"):
        trials.get("counting")
