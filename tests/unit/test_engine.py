"""The engine beside Blender: events, cancelling, dying, and never staying behind."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import blockcore
from blockcore.commands.arguments import add_settings, settings_of, settings_words
from blockcore.errors import BackendError, BlockcoreError
from blockcore.model.settings import OptimizeSettings
from blockcore.plan import Plan
from blockcore.report.events import Baked, Done, Event, Failed, Started, Step, Stopped, line_of, parse
from blockcore.report.summary import Summary, ViewSummary
from bridge.engine import ahead, environment, interpreter, materials, optimize, process
from bridge.engine.process import EngineRun
from tests.captures import captured
from tests.parts import need

STEP = '{"event": "step", "step": 1, "steps": 9, "loss": 0.5, "temperature": 1.0, "seconds": 0.1, "changed": 3}'
START = '{"event": "start", "version": "1", "device": "cpu", "rasterizer": "cpu", "blocks": 5, "views": 2, "steps": 9}'
STAY = "import sys, time; sys.stdout.flush(); time.sleep(60)"
WATCH = "import os, sys; sys.stdout.flush(); os.read(0, 1); os._exit(130)"

SUMMARY = Summary(
    **{"blocks": 5, "visible_blocks": 4, "unseen_blocks": 1, "hidden_blocks": 0, "unsure_blocks": 0},
    **{"changed_blocks": 2, "method": "solve", "steps": 1, "seconds": 0.5, "timings": {"solve": 0.5}, "loss": 0.0},
    **{"optimality_gap": None, "psnr_before": 10.0, "psnr_after": None, "lighting": {"sun_color": [1.0, 1.0, 1.0]}},
    **{"materials": {"Stone": 5}, "materials_before": {"Dirt": 5}, "device": "cpu", "rasterizer": "cpu"},
    views=(ViewSummary("Camera", 10.0, None, (1.0, 1.0, 1.0)),),
    settings=OptimizeSettings().to_dict(),
)


@pytest.fixture
def runs() -> Iterator[list[EngineRun]]:
    """Runs that are checked to have left nothing behind."""
    started: list[EngineRun] = []
    yield started
    for run in started:
        run.close()
        assert not alive(run.pid)


def speak(runs: list[EngineRun], *lines: str, then: str = "") -> EngineRun:
    """Starts a stand-in that prints lines and then does something."""
    run = process.EngineRun.launch([sys.executable, "-c", "\n".join([f"print({line!r})" for line in lines] + [then])])
    runs.append(run)
    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_for(run: EngineRun, kind: type, seconds: float = 20.0) -> list[Event]:
    """Polls as a timer does until an event of that kind is there."""
    events: list[Event] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until and not any(isinstance(event, kind) for event in events):
        began = time.perf_counter()
        events += run.poll()
        assert time.perf_counter() - began < 0.1
        time.sleep(0.01)
    assert any(isinstance(event, kind) for event in events), events
    return events


def test_events_come_in_order_and_chatter_is_ignored(runs: list[EngineRun]) -> None:
    later = SUMMARY.to_dict() | {"added later": 1}
    done = json.dumps({"event": "done", "out": "x", "seconds": 2.0, "result": later, "added later": 1})
    run = speak(runs, START, "warning: chatter", "[1, 2]", '{"event": "unknown"}', STEP, done)
    assert list(run.events()) == [
        Started("1", "cpu", "cpu", 5, 2, 9),
        Step(1, 9, 0.5, 1.0, 0.1, 3),
        Done("x", 2.0, SUMMARY),
    ]
    assert run.finished
    assert run.poll() == []


def test_figures_that_cannot_be_such_are_chatter() -> None:
    told = json.loads(line_of(Done("x", 2.0, SUMMARY)))
    assert parse(json.dumps(told).encode()) == Done("x", 2.0, SUMMARY)
    for wrong in ({"blocks": 5}, [], None, told["result"] | {"views": [3]}, told["result"] | {"views": [{}]}):
        assert parse(json.dumps(told | {"result": wrong}).encode()) is None


def test_light_that_was_measured_is_told_apart_from_a_result() -> None:
    assert parse(line_of(Baked("x", 2.0, True)).encode()) == Baked("x", 2.0, True)


def test_an_error_is_told(runs: list[EngineRun]) -> None:
    run = speak(runs, '{"event": "error", "message": "no view; add a camera"}', then="import sys; sys.exit(2)")
    assert list(run.events()) == [Failed("no view; add a camera")]


def test_a_dead_engine_is_noticed_with_its_last_words(runs: list[EngineRun]) -> None:
    run = speak(runs, STEP, then="import sys; print('out of memory', file=sys.stderr); sys.exit(3)")
    step, failed = run.events()
    assert isinstance(step, Step)
    assert isinstance(failed, Failed)
    assert "stopped unexpectedly (exit code 3)" in failed.message
    assert failed.message.endswith("out of memory")


def test_a_killed_engine_is_noticed(runs: list[EngineRun]) -> None:
    run = speak(runs, STEP, then=STAY)
    wait_for(run, Step)
    os.kill(run.pid, signal.SIGKILL)
    (failed,) = wait_for(run, Failed)
    assert "signal 9" in failed.message


@pytest.mark.alone
@pytest.mark.parametrize("manners", ["stops when asked", "ignores everything"])
def test_cancelling_takes_less_than_a_second(runs: list[EngineRun], manners: str) -> None:
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + STAY
    run = speak(runs, STEP, then=WATCH if manners == "stops when asked" else f"{deaf}")
    wait_for(run, Step)
    time.sleep(0.2)  # for the deaf one to become so
    began = time.monotonic()
    run.cancel()
    run.cancel()
    assert time.monotonic() - began < 0.1
    assert wait_for(run, Stopped, 1.0) == [Stopped()]
    assert time.monotonic() - began < 1.0
    assert not alive(run.pid)


def test_closing_ends_a_running_engine(runs: list[EngineRun]) -> None:
    with speak(runs, STEP, then=STAY) as run:
        assert alive(run.pid)
    assert not alive(run.pid)
    assert run.poll() == []


@pytest.mark.skipif(os.name != "posix", reason="looks processes up as POSIX does")
def test_the_engine_ends_with_its_parent(tmp_path: Path) -> None:
    code = "import sys, time\nfrom bridge.engine import process\n"
    code += f"run = process.EngineRun.launch([sys.executable, '-c', {WATCH!r}])\n"
    code += "print(run.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 5.0
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


def test_settings_reach_the_engine_unchanged() -> None:
    settings = OptimizeSettings(
        steps=7,
        learning_rate=0.1,
        hard=True,
        relaxation="gumbel",
        seed=9,
        locked="-a wall, floor",
        allowed="Stone; b: Plank",
    )
    parser = argparse.ArgumentParser()
    add_settings(parser)
    for given in (settings, OptimizeSettings()):
        assert settings_of(parser.parse_args(settings_words(given))) == given


def test_the_real_engine_runs_and_previews(tmp_path: Path, runs: list[EngineRun]) -> None:
    need("torch")
    scene = captured(4)
    scene.write(tmp_path / "scene ü")
    preview = tmp_path / "preview.npy"
    settings = OptimizeSettings(method="gradient", steps=40, seed=1)
    run = optimize.start(tmp_path / "scene ü", tmp_path / "out", settings, sys.executable, preview)
    runs.append(run)
    events = list(run.events())
    assert isinstance(events[0], Started)
    assert (events[0].blocks, events[0].views) == (len(scene.grid), len(scene.views))
    assert sum(isinstance(event, Step) for event in events) > 0
    assert isinstance(events[-1], Done)
    found = materials.read_materials(tmp_path / "out" / "materials.npy")
    assert found.shape == scene.materials.shape
    assert materials.read_materials(preview).shape == scene.materials.shape
    seen = np.load(tmp_path / "out" / "visible_blocks.npy")
    assert np.mean(found[seen] == scene.materials[seen]) > 0.9


@pytest.mark.alone
def test_the_real_engine_can_be_cancelled_and_ends_when_its_input_closes(tmp_path: Path, runs: list[EngineRun]) -> None:
    captured(4).write(tmp_path / "scene")
    settings = OptimizeSettings(method="gradient", steps=100_000, patience=0, objective="pixels")
    for way in ("cancel", "input"):
        run = optimize.start(tmp_path / "scene", tmp_path / "out", settings, sys.executable)
        runs.append(run)
        wait_for(run, Step, 60.0)
        began = time.monotonic()
        if way == "cancel":
            run.cancel()
        else:
            run._close_stdin()
        wait_for(run, Stopped, 5.0)
        assert way == "input" or time.monotonic() - began < 1.0
        assert not (tmp_path / "out").exists()


def test_refused_input_is_told_by_the_real_engine(tmp_path: Path) -> None:
    scene = captured(4)
    blind = type(scene)(scene.grid, scene.materials)
    with pytest.raises(BackendError, match="no camera has a target"):
        optimize.find_materials(blind, OptimizeSettings(), sys.executable)


def test_the_engine_is_found_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKCORE_PYTHON", sys.executable)
    assert interpreter.find_engine() == sys.executable
    info = interpreter.check_engine(sys.executable)
    assert info.python == sys.executable
    assert (info.torch is None) == (importlib.util.find_spec("torch") is None)
    assert info.device
    assert info.rasterizer


def test_an_interpreter_without_blockcore_is_refused_with_the_command_to_install_it(tmp_path: Path) -> None:
    bare = tmp_path / "bare python"
    bare.write_text("#!/bin/sh\necho 'bare: No module named blockcore' >&2\nexit 1\n")
    bare.chmod(0o755)
    with pytest.raises(BackendError, match=r"No module named blockcore\); install it with: .* -m pip install "):
        interpreter.check_engine(str(bare))
    with pytest.raises(BackendError, match="cannot be started"):
        interpreter.check_engine(str(tmp_path / "nothing"))


def test_no_engine_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_candidates", list)
    with pytest.raises(BackendError, match="no Python with blockcore was found; install with: "):
        interpreter.find_engine()
    with pytest.raises(BackendError, match="blockcore and torch, which gradient descent needs, was found; install"):
        interpreter.find_engine(OptimizeSettings(loss="ssim"))


def test_an_interpreter_without_torch_does_where_none_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need("torch")
    bare = tmp_path / "blenders python"
    bare.write_text(f'#!/bin/sh\ncase "$*" in *torch*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(interpreter, "_candidates", lambda: [str(tmp_path / "nothing"), str(bare), sys.executable])
    assert interpreter.find_engine() == str(bare)
    assert interpreter.find_engine(OptimizeSettings(samples=2, loss="huber")) == str(bare)
    assert interpreter.find_engine(OptimizeSettings(method="gradient")) == sys.executable


def test_a_linked_environment_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    monkeypatch.delenv("BLOCKCORE_PYTHON", raising=False)
    monkeypatch.setattr(interpreter, "checkout", lambda: tmp_path)
    found = interpreter.find_engine(OptimizeSettings(method="gradient"))
    assert found == str(tmp_path / ".venv" / "bin" / "python")


def test_the_engine_in_blenders_own_python_has_the_modules_of_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/blender/python/bin/python3.11")
    monkeypatch.setattr(environment, "checkout", lambda: None)  # as of an extension
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONHOME", "/blender/python")
    own, other = (environment.process_options(python)["env"] for python in (sys.executable, "/usr/bin/python3"))
    folders = own["PYTHONPATH"].split(os.pathsep)
    assert folders == [*environment.module_folders(), "/elsewhere"]
    assert {Path(np.__file__).parents[1], Path(blockcore.__file__).parents[1]} == set(map(Path, folders[:-1]))
    assert other["PYTHONPATH"] == "/elsewhere"
    assert "PYTHONHOME" not in own


def test_a_note_says_what_was_compiled_ahead_until_the_code_is_another(tmp_path: Path, monkeypatch) -> None:
    note = tmp_path / "compiled"
    assert not ahead.is_compiled(note)
    ahead.note_compiled(note)
    assert ahead.is_compiled(note)
    monkeypatch.setattr(blockcore, "__version__", "99")
    assert not ahead.is_compiled(note)


def test_a_damaged_assignment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "materials.npy").write_bytes(b"nothing")
    with pytest.raises(BlockcoreError, match=r"materials\.npy: cannot be read"):
        materials.read_materials(tmp_path / "materials.npy")


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_engine_tells_its_plan(form):
    settings = OptimizeSettings(method="gradient", loss="l1", commitment=0.5, device="cpu", limits="Stone = 10")
    said = optimize.told_plan(captured(4), settings, form, sys.executable)
    decided = Plan.of(captured(4), settings).decided
    assert (json.loads(said)["objective"] == "pictures") if form == "json" else said == "\n".join(decided.lines())
    with pytest.raises(BackendError, match="nvdiffrast"):
        optimize.told_plan(captured(4), OptimizeSettings(device="cpu", rasterizer="nvdiffrast"), form, sys.executable)
