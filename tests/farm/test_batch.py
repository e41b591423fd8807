"""A batch in real Blenders: results as of single calls, done once, and whole whatever ends it.

BLOCKCORE_KILLS: how often a batch is killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.faults.commands import CUBE, CUBES
from tests.parts import lack, need

KILLS = int(os.environ.get("BLOCKCORE_KILLS", "2"))
ROOT = Path(__file__).parents[2]
FILES = ("a.blend", "more/b.blend", "c.blend")
MATERIALS = """
import sys
import bpy, numpy as np
from bridge.blender.extract import extract
from bridge.blender.files import open_file
for path in sys.argv[1:]:
    open_file(path)
    print("found", *extract(need_targets=False, bake=False).materials)
"""


def bridge(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Returns the states by file, once the last line sums them up."""
    *lines, summary = map(json.loads, done.stdout.splitlines())
    states = {line["file"]: line["state"] for line in lines}
    counts = summary["summary"]
    assert all(counts[state] == list(states.values()).count(state) for state in ("done", "skipped", "failed"))
    return states


def materials(*blends: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", MATERIALS, *map(str, blends)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [line for line in done.stdout.splitlines() if line.startswith("found ")]


def contents(out: Path) -> dict[str, bytes]:
    """Returns the materials found, by where they lie."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("materials.npy")}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("bpy")
    folder = tmp_path_factory.mktemp("inputs")
    first = folder / FILES[0]
    subprocess.run([sys.executable, "-c", CUBES, str(first)], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    for name in FILES[1:]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(first.read_bytes())
    (folder / "broken.blend").write_text("no .blend at all")
    return folder


class Undisturbed(NamedTuple):
    """A batch that nothing disturbed: its results, and how long it took."""

    out: Path
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    out = tmp_path_factory.mktemp("results") / "out"
    began = time.monotonic()
    done = bridge("batch", inputs, "--out", out, "--jobs", 2)
    assert done.returncode == 1, done.stderr
    assert told(done) == dict.fromkeys(FILES, "done") | {"broken.blend": "failed"}
    return Undisturbed(out, time.monotonic() - began)


@pytest.fixture(scope="module")
def out(undisturbed: Undisturbed) -> Path:
    return undisturbed.out


OWN_PALETTE = """
from blockcore.model.palette import Palette
from bridge.blender.own_palette import keep_palette
keep_palette(bpy.context.scene, Palette(("Air", "Plum", "Pear"), np.random.default_rng(0).random((3, 3, 3))))
save_file(sys.argv[1])
"""


def test_each_file_may_have_a_palette_of_its_own(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "without.blend").write_bytes((inputs / FILES[0]).read_bytes())
    words = [sys.executable, "-c", CUBES + OWN_PALETTE, str(folder / "with.blend")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    for state in ("done", "skipped"):
        done = bridge("batch", folder, "--out", tmp_path / "out", "--palette", "own", "--lighting", "unlit")
        assert told(done) == {"with.blend": state, "without.blend": "failed"}, done.stderr
        assert "no palette of its own" in done.stdout
    found = json.loads((tmp_path / "out" / "with.blend" / "report" / "map.json").read_text())
    assert {"Plum", "Pear"} & set(json.dumps(found).split('"'))


def test_results_are_those_of_single_calls(inputs: Path, out: Path, tmp_path: Path) -> None:
    single = bridge("optimize", inputs / "a.blend", "--out", tmp_path / "a.blend", "--report", tmp_path / "report")
    assert single.returncode == 0, single.stderr
    expected = np.load(tmp_path / "report" / "materials.npy")
    blends = [out / name / Path(name).name for name in FILES]
    for name in FILES:
        np.testing.assert_array_equal(np.load(out / name / "report" / "materials.npy"), expected)
    assert len(set(materials(tmp_path / "a.blend", *blends))) == 1


def test_what_is_done_is_done_once(inputs: Path, out: Path) -> None:
    before = contents(out)
    again = bridge("batch", inputs, "--out", out)
    assert told(again) == dict.fromkeys(FILES, "skipped") | {"broken.blend": "failed"}
    assert "Blender cannot read it" in again.stdout and again.returncode == 1
    gathered = bridge("batch", inputs, "--out", out, "--gather")
    assert told(gathered) == told(again)
    share = bridge("batch", inputs, "--out", out, "--shard", "2/4")  # a.blend broken.blend c.blend more/b.blend
    assert told(share) == {"broken.blend": "failed"}
    assert contents(out) == before
    retried = bridge("batch", inputs / "broken.blend", "--out", out, "--retry")
    assert told(retried) == {"broken.blend": "failed"}


def test_other_settings_make_another_result(inputs: Path, tmp_path: Path) -> None:
    words = ("batch", inputs / "c.blend", "--out", tmp_path / "out")
    assert told(bridge(*words)) == {"c.blend": "done"}
    assert told(bridge(*words, "--gather", "--loss", "l1")) == {"c.blend": "missing"}
    assert told(bridge(*words, "--loss", "l1")) == {"c.blend": "done"}
    assert json.loads((tmp_path / "out/c.blend/report/result.json").read_text())["settings"]["loss"] == "l1"


def test_a_result_that_was_changed_is_kept(inputs: Path, tmp_path: Path) -> None:
    words = ("batch", inputs / "c.blend", "--out", tmp_path / "out")
    assert told(bridge(*words)) == {"c.blend": "done"}
    mine = tmp_path / "out" / "c.blend" / "notes.txt"
    mine.write_text("mine")
    refused = bridge(*words, "--loss", "l1")
    assert told(refused) == {"c.blend": "failed"} and "holds 'notes.txt'" in refused.stdout
    assert mine.read_text() == "mine"


def test_two_at_once_share_the_work(inputs: Path, out: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bridge", "batch", str(inputs), "--out", str(tmp_path / "out")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    said = [process.communicate() for process in both]
    states = []
    for process, (output, errors) in zip(both, said, strict=True):
        assert process.returncode == 1, errors
        states.append(told(subprocess.CompletedProcess(command, 1, output, errors)))
    for name in FILES:
        assert sorted(state[name] for state in states) in (["done", "skipped"], ["done", "done"])
    assert contents(tmp_path / "out") == contents(out)


def test_models_are_those_that_blender_imports() -> None:
    code = "from bridge.blender.model_import import _IMPORTERS; from bridge.blocks import MODELS\n"
    code += "assert tuple(_IMPORTERS) == MODELS"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_models_become_blocks(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cube.obj").write_text(CUBE)
    words = ("batch", tmp_path / "in", "--out", tmp_path / "out", "--with", "blocks", "--across", 4, "--views", 3)
    done = bridge(*words)
    assert told(done) == {"cube.obj": "done"}, done.stderr
    assert (tmp_path / "out" / "cube.obj" / "cube.blend").is_file()
    assert told(bridge(*words)) == {"cube.obj": "skipped"}


def running(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_mine = mark.encode() in (folder / "environ").read_bytes().split(b"\0")
            is_gone = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if is_mine and not is_gone:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes as Linux shows them")
def test_a_batch_that_is_killed_goes_on_where_it_was(inputs: Path, undisturbed: Undisturbed, tmp_path: Path) -> None:
    place, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "BLOCKCORE_MARK": str(tmp_path)}
    command = [sys.executable, "-m", "bridge", "batch", str(inputs), "--out", str(place), "--jobs", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    chance = random.Random(20)
    for _ in range(KILLS):
        with subprocess.Popen(command, env=environment, **pipes) as process:
            time.sleep(chance.uniform(0.3, undisturbed.seconds))
            process.send_signal(signal.SIGKILL)
        until = time.monotonic() + 4.0
        while running(f"BLOCKCORE_MARK={tmp_path}") and time.monotonic() < until:
            time.sleep(0.05)
        assert not running(f"BLOCKCORE_MARK={tmp_path}")
        for record in place.rglob("batch.json"):
            assert (record.parent / json.loads(record.read_text())["blend"]).is_file()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert set(told(done).values()) <= {"done", "skipped", "failed"}
    assert contents(place) == contents(undisturbed.out)
    assert [path for path in place.rglob(".*") if path.name != ".blockcore.json"] == []
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that a result does not fit on."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        lack("mounts", "only root can make a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line(inputs: Path, small_disk: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "bridge", "batch", str(inputs), "--out", str(small_disk / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "No space left on device" in done.stderr and "make room" in done.stderr
    assert not list(small_disk.rglob("batch.json"))
    assert not [path for path in small_disk.rglob(".*") if "blockcore" in path.name]
