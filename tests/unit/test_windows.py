"""What Windows does otherwise, which cannot be run here: the commands in a process that meets it, see ``windows``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from blockcore.commands import streams
from blockcore.errors import BlockcoreError
from blockcore.io.folders import reserved
from bridge.engine import interpreter
from tests.captures import dataset_path, map_path
from tests.parts import need

if not Path("/proc/self/fd").is_dir():
    pytest.skip("sees which files are open as Linux tells it", allow_module_level=True)

HERE = Path(__file__).parent
VILLAGE = ("--map", str(map_path(1)), "--dataset", str(dataset_path(1)))


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Starts ``python -m blockcore`` as on Windows; who waits in standard input ends it with exit code 3."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    return subprocess.Popen(
        [sys.executable, str(HERE / "windows.py"), *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ran(folder: Path, code: str) -> str:
    """Runs code as on Windows; returns what it says."""
    words = [sys.executable, "-c", f"from tests.unit.windows import become_windows\nbecome_windows()\n{code}"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(folder: Path, beside: Sequence[str]) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in beside)


def test_a_job_that_the_bridge_watches_over_runs_replaces_its_result_and_leaves_nothing(tmp_path):
    for _ in range(2):
        run = start(tmp_path, "optimize", *VILLAGE, "--out", "out", "--progress", "jsonl", "--watch-stdin")
        assert run.stdout is not None and run.stderr is not None
        said, wrong = run.stdout.read(), run.stderr.read()
        assert run.wait() == 0, wrong.decode()
        assert not wrong
        assert json.loads(said.splitlines()[-1])["event"] == "done"
        run.stdin.close()
        assert left(tmp_path, ["out"]) == []


def test_a_job_ends_where_standard_input_closes(tmp_path):
    need("torch")
    run = start(tmp_path, "optimize", *VILLAGE, "--out", "out", "--method", "gradient", "--steps", "100000",
                "--progress", "jsonl", "--watch-stdin")  # fmt: skip
    assert b"start" in run.stdout.readline()
    _, wrong = run.communicate(timeout=20)
    assert run.returncode == 130, wrong.decode()
    assert left(tmp_path, []) == []


def test_one_job_after_another_comes_on_standard_input(tmp_path):
    run = start(tmp_path, "serve")
    for number in (1, 2):
        words = ["optimize", *VILLAGE, "--out", f"out {number}", "--progress", "jsonl"]
        run.stdin.write(json.dumps(words[1:]).encode() + b"\n")
        run.stdin.flush()
        while b'"done"' not in (line := run.stdout.readline()):
            assert line, run.stderr.read()
    _, wrong = run.communicate(timeout=20)
    assert run.returncode in (0, 130), wrong.decode()  # it may not be back from the last one yet
    assert left(tmp_path, ["out 1", "out 2"]) == []


def test_every_module_that_needs_no_blender_can_be_imported(tmp_path):
    code = """
import importlib, pathlib, pkgutil, sys
import blockcore, bridge
skipped = ("bridge.blender", "blockcore.webgpu_live", "blockcore.test_render", "bridge.demo")
count = 0
for package in (blockcore, bridge):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda name: None):
        if found.name.startswith(skipped) or found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
            count += 1
        except ModuleNotFoundError as error:
            assert error.name in ("torch", "triton", "nvdiffrast", "bpy"), (found.name, error)
print(count)
"""
    assert int(ran(tmp_path, f"sys_modules = __import__('sys').modules\nsys_modules['torch'] = None\n{code}")) > 80


def test_a_file_that_is_being_read_is_replaced_once_it_is_not(tmp_path):
    code = """
import pathlib, threading
from blockcore.io.files import write_file
path = pathlib.Path("preview.npy")
write_file(path, b"old")
reader = path.open("rb")
threading.Timer(0.2, reader.close).start()
write_file(path, b"new")
print(path.read_bytes().decode(), reader.closed)
"""
    assert ran(tmp_path, code) == "new True\n"
    assert left(tmp_path, ["preview.npy"]) == []


def test_a_drive_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise FileNotFoundError(2, "The system cannot find the path specified", str(path))

    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(BlockcoreError, match="cannot find the path"), reserved(Path("/project/out")):
        pass


def test_letters_are_those_of_the_console(monkeypatch):
    monkeypatch.setattr(os, "device_encoding", lambda number: {1: "cp437"}.get(number))
    assert streams._encoding(1) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert (streams._encoding(1), streams._encoding(2)) == ("cp437", None)


def test_the_command_that_installs_the_engine_names_a_python_that_is_there(monkeypatch):
    monkeypatch.setattr(interpreter, "_PYTHON", "py")
    assert interpreter.install_command(package=Path("a.whl")).startswith("py -m pip install ")
