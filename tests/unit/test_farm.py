"""A batch without Blender: which files it is about, what is known of them, and Blenders that die, stood in for."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from blockcore.errors import SettingsError
from bridge.cli import main
from bridge.farm.crew import Crew
from bridge.farm.records import Outcome, Task, find_done, find_failed, key_of, note_outcome
from bridge.farm.sources import Shard, Source, find_sources

BLEND = (".blend",)
STAND_IN = """
import json, os, pathlib, sys, time
for line in sys.stdin:
    work = json.loads(line)
    name, out = work["source"][1], pathlib.Path(work["out"])
    tries = pathlib.Path(work["source"][0] + ".tries")
    tries.write_text(tries.read_text() + f"{os.getpid()} " if tries.exists() else f"{os.getpid()} ")
    if name.startswith("dies") or name.startswith("once") and len(tries.read_text().split()) == 1:
        print("out of luck", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 9)
    if name.startswith("refused"):
        print(json.dumps({"event": "error", "message": "no blocks; add some"}), flush=True)
        continue
    if name.startswith("busy") and len(tries.read_text().split()) < 3:
        print(json.dumps({"event": "error", "message": "is being written", "busy": True}), flush=True)
        continue
    hoard = bytearray(80_000_000) if name.startswith("large") else None
    kept = globals().setdefault("kept", [])
    kept.append(hoard)
    out.mkdir(parents=True)
    (out / "x.blend").write_text("x")
    note = {"format": "blockcore.batch", "key": work["key"], "blend": "x.blend", "reads": {}, "seconds": 1.0}
    (out / "batch.json").write_text(json.dumps(note | {"figures": {"blocks": 5}}))
    print(json.dumps({"event": "done", "out": str(out), "seconds": 1.0, "result": work["options"]}), flush=True)
"""


def files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(sources: list[Source]) -> list[str]:
    return [source.name for source in sources]


def test_a_folder_is_searched_in_order(tmp_path: Path) -> None:
    folder = files(tmp_path, "b.blend", "a/c.BLEND", "a.blend", "b.blend1", ".trash/d.blend", ".e.blend", "f.obj")
    found = find_sources(folder, BLEND)
    assert names(found) == ["a.blend", "a/c.BLEND", "b.blend"]
    assert [source.path.read_text() for source in found] == names(found)
    assert names(find_sources(folder, (".blend", ".obj"))) == ["a.blend", "a/c.BLEND", "b.blend", "f.obj"]
    assert names(find_sources(folder / "b.blend", BLEND)) == ["b.blend"]


def test_a_list_names_files_from_where_it_lies(tmp_path: Path) -> None:
    files(tmp_path, "in/a.blend", "in/x/b.blend", "else/c.blend", "else/a.blend")
    given = tmp_path / "in" / "list.txt"
    given.write_text(f"# two folders\nx/b.blend\n\na.blend\n{tmp_path / 'else' / 'c.blend'}\n")
    assert names(find_sources(given, BLEND)) == ["a.blend", "c.blend", "x/b.blend"]
    given.write_text("a.blend\n../else/a.blend\n")
    with pytest.raises(SettingsError, match=r"two files would have the result 'a\.blend'"):
        find_sources(given, BLEND)
    given.write_text("nothing.blend\n")
    with pytest.raises(SettingsError, match=r"'nothing\.blend' is no \.blend file; correct the list"):
        find_sources(given, BLEND)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "holds no .blend file; name a folder that does"),
        (lambda folder: folder / "gone", "there is no such folder or file; check its name"),
        (lambda folder: files(folder, "list.txt") / "list.txt", "'list.txt' is no .blend file; correct the list"),
    ],
)
def test_nothing_to_do_is_one_line(make, said, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert main(["batch", str(make(tmp_path / "in")), "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((".", "--out", "out"), "lies inside ., which is read; choose another place"),
        (("a.blend", "--out", "a.blend"), "is read and would be overwritten"),
        (("a.blend", "--out", "out", "--jobs", "0"), "--jobs 0: must be at least 1"),
        (("a.blend", "--out", "out", "--memory", "nan"), "--memory nan: must be a positive number"),
        (("a.blend", "--out", "out", "--shard", "3/2"), "--shard '3/2': is no share"),
        (("a.blend", "--out", "out", "--learning-rate", "-1"), "learning_rate"),
        (("a.blend", "--out", "out", "--job", "a.blend", "--in-place"), "leave those options out, or --job"),
        (("a.blend", "--out", "out", "--job", "a.blend"), "is not valid JSON"),
    ],
)
def test_bad_input_is_one_line(words, said, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files(tmp_path, "a.blend"))
    assert main(["batch", *words]) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.blend"]


def test_shares_are_even_and_all_there_is() -> None:
    things = list(range(11))
    shares = [Shard.of(f"{i}/4").mine(things) for i in (1, 2, 3, 4)]
    assert sorted(thing for share in shares for thing in share) == things
    assert {len(share) for share in shares} == {2, 3}


def test_a_task_of_a_slurm_array_knows_its_share() -> None:
    def task(number: int, least: int, step: int, count: int) -> dict[str, str]:
        values = {"ID": number, "MIN": least, "STEP": step, "COUNT": count}
        return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}

    assert Shard.of(None, {}) == Shard(1, 1)
    assert Shard.of(None, task(1, 1, 1, 8)) == Shard(1, 8)
    assert Shard.of(None, task(7, 0, 1, 8)) == Shard(8, 8)
    assert Shard.of(None, task(6, 2, 2, 3)) == Shard(3, 3)
    assert Shard.of("1/2", task(7, 0, 1, 8)) == Shard(1, 2)
    with pytest.raises(SettingsError, match="has gaps"):
        Shard.of(None, task(7, 3, 1, 2))
    with pytest.raises(SettingsError, match="does not say its size"):
        Shard.of(None, {"SLURM_ARRAY_TASK_ID": "1"})


def test_a_key_tells_inputs_options_and_ways_apart(tmp_path: Path) -> None:
    a, b = (files(tmp_path, name) / name for name in ("a.blend", "b.blend"))
    same = files(tmp_path, "x/a.blend") / "x/a.blend"
    same.write_text("a.blend")
    keys = [
        key_of(a, "optimize", {"loss": "l1"}),
        key_of(b, "optimize", {"loss": "l1"}),
        key_of(a, "optimize", {"loss": "l2"}),
        key_of(a, "blocks", {"loss": "l1"}),
    ]
    assert len(set(keys)) == 4
    assert key_of(same, "optimize", {"loss": "l1"}) == keys[0]
    a.write_text("changed")
    assert key_of(a, "optimize", {"loss": "l1"}) != keys[0]


def tasks(folder: Path, *given: str) -> list[Task]:
    from tests.unit.test_engine import SUMMARY

    files(folder, *given)
    options = SUMMARY.to_dict()
    return [Task(Source(folder / name, name), folder / "out" / name, "optimize", options, name) for name in given]


def worked(todo: list[Task], jobs: int = 1, memory: float = 1e9) -> dict[str, Outcome]:
    with Crew([sys.executable, "-c", STAND_IN], jobs, memory) as crew:
        return {outcome.name: outcome for outcome in crew.outcomes(todo, lambda task: task)}


def tried(task: Task) -> list[str]:
    return Path(f"{task.source.path}.tries").read_text().split()


def test_one_blender_serves_many_and_is_renewed_where_it_dies(tmp_path: Path) -> None:
    todo = tasks(tmp_path, "a", "b", "dies", "c", "once", "refused", "d")
    found = worked(todo)
    states = {name: outcome.state for name, outcome in found.items()}
    assert states == {"dies": "failed", "refused": "failed"} | dict.fromkeys(("a", "b", "c", "once", "d"), "done")
    a, b, dies, c, once, refused, d = map(tried, todo)
    assert a == b and len(set(a)) == 1
    assert len(set(dies)) == 2 and len(set(once)) == 2
    assert c == once[:1] and refused == d == once[1:]
    assert "Blender stopped unexpectedly (signal 9)" in found["dies"].error and "out of luck" in found["dies"].error
    assert found["refused"].error == "no blocks; add some"
    assert found["a"].figures == {"blocks": 5}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what a process holds")
def test_one_that_grew_is_renewed(tmp_path: Path) -> None:
    todo = tasks(tmp_path, "a", "large", "b", "c")
    worked(todo, memory=60e6)
    a, large, b, c = map(tried, todo)
    assert a == large and b == c and large != b


def test_what_another_process_works_on_is_waited_for(tmp_path: Path) -> None:
    todo = tasks(tmp_path, "busy", "a")
    found = worked(todo)
    assert list(found) == ["a", "busy"] and found["busy"].state == "done"
    assert len(tried(todo[0])) == 3


def test_leaving_early_leaves_nobody(tmp_path: Path) -> None:
    todo = tasks(tmp_path, "a", "b", "c", "d", "e", "f")
    with Crew([sys.executable, "-c", STAND_IN], 2, 1e9) as crew:
        next(crew.outcomes(todo, lambda task: task))
    time.sleep(0.2)
    started = {pid for task in todo if Path(f"{task.source.path}.tries").exists() for pid in tried(task)}
    assert started
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_failure_is_noted_until_it_is_mended(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, "refused")
    (outcome,) = worked([task]).values()
    assert find_failed(task) == outcome
    assert json.loads(outcome.line()) == {"file": "refused", "state": "failed", "error": "no blocks; add some"}
    other = Task(task.source, task.out, task.way, task.options, "another key")
    assert find_failed(other) is None
    note_outcome(task, Outcome("refused", "done", task.out))
    assert find_failed(task) is None


def test_what_a_result_depends_on_is_watched(tmp_path: Path) -> None:
    from bridge.farm.records import hash_of

    (task,) = tasks(tmp_path, "a")
    worked([task])
    texture = files(tmp_path, "texture.png") / "texture.png"
    note = task.out / "batch.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"reads": {str(texture): hash_of(texture)}}))
    assert find_done(task) is not None
    texture.write_text("another picture")
    assert find_done(task) is None


def test_a_full_disk_stops_all() -> None:
    full = Outcome("a", "failed", Path(), error="/out/a: cannot be written (No space left on device); choose another")
    assert full.stops_all
    assert not Outcome("a", "failed", Path(), error="/in/a.blend: Blender cannot read it; save it again").stops_all


def test_the_script_of_a_slurm_array_is_printed(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files(tmp_path, "in put/a.blend", "in put/b.blend"))
    words = ["batch", "in put", "--out", "out", "--loss", "l1", "--slurm", "-p", "short", "--dry-run"]
    assert main(words) == 0
    share, _, gather = capsys.readouterr().out.partition("\n\n")
    assert "#SBATCH --array=1-2\n" in share and f"--output={tmp_path}/out/slurm/%A_%a.log" in share
    assert "#SBATCH --requeue" in share
    command = f" batch '{tmp_path}/in put' --out {tmp_path}/out --loss l1"
    assert share.endswith(f'{command} --shard "$SLURM_ARRAY_TASK_ID/2"')
    assert gather.strip().endswith(f"{command} --gather")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["optimize", "blocks"])
def test_a_worker_understands_a_task_as_the_command_line_is(way: str, tmp_path: Path) -> None:
    from bridge.cli import _parsed
    from bridge.engine.optimize import StandingEngine
    from bridge.farm.command import _tasks
    from bridge.farm.worker import _arguments

    engine, source = StandingEngine(), files(tmp_path, "in/a.blend") / "in/a.blend"
    options = ["--palette", str(tmp_path / "p.json"), "--loss", "l1", "--limits", "Stone = 5"]
    batch = _parsed(["batch", str(source), "--out", str(tmp_path / "out"), "--with", way, *options])
    (task,) = _tasks(batch, find_sources(source, BLEND))
    here = ["--out", str(tmp_path / "y.blend"), "--report", str(tmp_path / "report")]
    single, inside = (
        _parsed([way, str(source), *here, *options]),
        _arguments(task, _parsed, tmp_path / "y.blend", engine),
    )
    assert inside.engine is (engine if way == "optimize" else None)
    single.engine = inside.engine
    assert vars(inside) == vars(single)


def test_several_processes_may_fill_one_folder(tmp_path: Path) -> None:
    from argparse import Namespace

    from blockcore.commands.outputs import LOOSE, outputs

    with outputs(Namespace(out=tmp_path / "out"), {"out": LOOSE}):
        assert list(tmp_path.iterdir()) == []  # no lock either: each process locks the results that it makes
