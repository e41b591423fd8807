"""What ``compile`` compiles is what jobs call: none of them compiles anything after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.captures import dataset_path, map_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    run(folder, "compile")
    return folder


def run(kernels: Path, *words: object) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(kernels)}
    command = [sys.executable, "-m", "blockcore", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("number", "settings"),
    [
        (1, ()),
        (3, ("--exposure", "white_balance", "--smoothness", "0.01")),
        (4, ("--samples", "2")),
        (4, ("--loss", "huber", "--lighting", "fitted")),
    ],
    ids=["village", "tiles", "samples", "loss"],
)
def test_jobs_compile_nothing_more(kernels: Path, tmp_path: Path, number, settings):
    before = sorted(kernels.rglob("*.nbc"))
    where = ("--map", map_path(number), "--dataset", dataset_path(number), "--out", tmp_path / "out")
    run(kernels, "optimize", *where, *settings)
    assert before and sorted(kernels.rglob("*.nbc")) == before


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_changes(tmp_path: Path):
    head = "from blockcore.machine.compiled import kernel\n"
    caller = "from called import one\n@kernel\ndef both(x: int) -> int:\n    return one(x) + x\n"
    (tmp_path / "caller.py").write_text(head + caller)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    for more in (1, 10):
        (tmp_path / "called.py").write_text(head + f"@kernel\ndef one(x: int) -> int:\n    return x + {more}\n")
        command = [sys.executable, "-B", "-c", "from caller import both; print(both(100))"]
        assert int(subprocess.check_output(command, env=environment)) == 200 + more
