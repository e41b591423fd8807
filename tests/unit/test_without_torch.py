"""The default job where there is no torch: the same result, and one clear line where torch is needed after all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from tests.captures import captured, dataset_path, map_path

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "triton"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTorch())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("torch", "triton") else found(name, package)
from blockcore.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def village() -> tuple[object, ...]:
    return ("--map", map_path(1), "--dataset", dataset_path(1))


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("--loss", "l1", "--exposure", "exposure"),
        ("--lighting", "fitted", "--unseen", "fill"),
        ("--smoothness", "0.01", "--limits", "Stone = 100"),
        ("--samples", "2"),
    ],
    ids=["default", "l1", "fitted", "rules", "samples"],
)
def test_the_job_needs_no_torch(settings, village, tmp_path):
    done = run("optimize", *village, *settings, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert found["visible_blocks"] == (736 if "--samples" in settings else 735)
    assert (tmp_path / "out" / "report.html").is_file() and (tmp_path / "out" / "viewer.html").is_file()


@pytest.mark.parametrize("command", ["compare", "render", "view", "info"])
def test_other_commands_need_no_torch(command, village, tmp_path):
    where = {"compare": tmp_path / "c", "render": tmp_path / "r", "view": tmp_path / "v.html"}
    words = () if command == "info" else (*village, "--out", where[command])
    done = run(command, *(words if command != "view" else (*village[:2], "--out", where[command])))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", [("--method", "gradient"), ("--loss", "ssim"), ("--device", "cuda"), ("--rasterizer", "triton")]
)
def test_what_needs_torch_says_so_in_one_line(words, village, tmp_path):
    done = run("optimize", *village, *words, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "settings",
    [
        OptimizeSettings(),
        OptimizeSettings(loss="huber", exposure="white_balance"),
        OptimizeSettings(lighting="fitted"),
        OptimizeSettings(samples=2),
    ],
    ids=["default", "huber", "fitted", "samples"],
)
def test_tensors_and_arrays_find_the_same(settings, monkeypatch):
    scene = captured(1)
    arrays = optimize_materials(scene, settings)
    import torch

    from blockcore import optimize as room

    monkeypatch.setattr(room, "_place", lambda plan: torch.device("cpu"))
    tensors = optimize_materials(scene, settings)
    np.testing.assert_array_equal(arrays.materials, tensors.materials)
    np.testing.assert_array_equal(arrays.visible_blocks, tensors.visible_blocks)
    np.testing.assert_allclose(arrays.margins, tensors.margins, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(arrays.gains, tensors.gains, rtol=1e-9)
    assert arrays.loss == pytest.approx(tensors.loss, rel=1e-9, abs=1e-15)


def test_the_default_job_leaves_scipy_and_torch_where_they_are(village, tmp_path):
    code = (
        "import sys; from blockcore.commands.cli import main; "
        "main(sys.argv[1:]); print([name for name in ('scipy.linalg', 'torch') if name in sys.modules])"
    )
    words = ("optimize", *village, "--progress", "none", "--out", tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_kernels_that_multiply_matrices_still_find_scipy():
    code = (
        "import numba, numpy as np; from blockcore.machine.compiled import load_without_blas; load_without_blas(); "
        "twice = numba.njit(lambda a: np.dot(a, a)); print(int(twice(np.full((2, 2), 2.0)).sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["32"]
