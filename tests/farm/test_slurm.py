"""A batch on a real Slurm: what is broken and what is killed costs nothing but itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.farm.cluster import Cluster, cluster
from tests.faults.commands import CUBES
from tests.parts import need

ROOT = Path(__file__).parents[2]
FILES = [f"{letter}.blend" for letter in "abcdefghi"]
SECONDS = 400.0


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    need("bpy")
    need("slurm")
    with cluster(tmp_path_factory.mktemp("slurm")) as found:
        found.environment["PYTHONPATH"] = str(ROOT)
        yield found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in puts")
    subprocess.run([sys.executable, "-c", CUBES, str(folder / FILES[0])], check=True, cwd=ROOT, capture_output=True)
    for name in FILES[1:]:
        (folder / name).write_bytes((folder / FILES[0]).read_bytes())
    (folder / "broken.blend").write_text("no .blend at all")
    return folder


def submit(slurm: Cluster, inputs: Path, out: Path) -> str:
    words = ("batch", str(inputs), "--out", str(out), "--tasks", "5", "--slurm", "--time=10", "--cpus-per-task=1")
    return slurm.ask(sys.executable, "-m", "bridge", *words)


def gathered(out: Path) -> dict[str, str]:
    *lines, summary = map(json.loads, (out / "slurm" / "gathered.jsonl").read_text().splitlines())
    assert summary["summary"]["missing"] == 0
    return {line["file"]: line.get("error", line["state"]) for line in lines}


def test_ten_files_one_broken_and_one_task_killed(slurm: Cluster, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    number = submit(slurm, inputs, out).split()[1].rstrip(",")
    killed = f"{number}_1"
    until = time.monotonic() + SECONDS
    while slurm.tasks().get(killed) != "RUNNING" or not list(out.glob(".*.blockcore-lock")):
        assert time.monotonic() < until, slurm.tasks()
        time.sleep(0.05)
    slurm.ask("scontrol", "requeue", killed)
    slurm.wait(SECONDS)
    found = gathered(out)
    assert "Blender cannot read it" in found.pop("broken.blend")
    assert found == dict.fromkeys(FILES, "skipped")
    left = [path.name for path in out.rglob(".*") if path.name != ".blockcore.json"]
    assert left == []

    times = {path: path.stat().st_mtime_ns for path in out.rglob("materials.npy")}
    assert len(times) == len(FILES)
    missing = out / FILES[4]
    subprocess.run(["rm", "-r", str(missing)], check=True)
    submit(slurm, inputs, out)
    slurm.wait(SECONDS)
    again = {path: path.stat().st_mtime_ns for path in out.rglob("materials.npy")}
    assert {path.parts[len(out.parts)] for path in times if again[path] != times[path]} == {FILES[4]}


def test_a_slurm_that_refuses_or_is_gone_is_one_line(slurm: Cluster, inputs: Path, tmp_path: Path) -> None:
    def refused(environment: dict[str, str], *options: str) -> str:
        words = ("batch", str(inputs), "--out", str(tmp_path / "out"), "--slurm", *options)
        command = [sys.executable, "-m", "bridge", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return done.stderr

    assert "sbatch refused" in refused(slurm.environment, "--partition=nowhere")
    gone = tmp_path / "slurm.conf"
    text = Path(slurm.environment["SLURM_CONF"]).read_text()
    gone.write_text(text.replace("SlurmctldPort=", "SlurmctldPort=1 #") + "MessageTimeout=2\n")
    assert "sbatch refused" in refused(slurm.environment | {"SLURM_CONF": str(gone)})
    nowhere = slurm.environment | {"PATH": str(Path(sys.executable).parent)}
    assert "there is no sbatch here" in refused(nowhere)
    assert "leave --array out" in refused(os.environ.copy(), "--array=1-3")
