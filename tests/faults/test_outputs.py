"""What outputs may replace: only what we wrote, as we wrote it; all else is refused, and still there afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blockcore.commands.cli import main
from blockcore.errors import BlockcoreError
from blockcore.io import folders, leftovers
from blockcore.io.files import write_file, write_json
from blockcore.io.folders import LIST, new_folder, reserved, scratch_folder, write_folder
from tests.fuzz.test_readers import small_scene


def fill(folder: Path) -> None:
    write_json(folder / "scene.json", {})
    write_file(folder / "targets" / "000.png", b"x")


def tree(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def refused(arguments: list[object], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    before = tree(folder)
    assert main([str(a) for a in arguments]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and len(message) < 320
    assert tree(folder) == before
    return message


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    small_scene().write(tmp_path / "in" / "scene")
    return tmp_path / "in" / "scene"


@pytest.mark.parametrize("marker", ["summary.json", "result.json", "scene.json", "metadata.json"])
def test_a_folder_of_somebody_with_such_a_file_is_kept(marker: str, scene: Path, tmp_path: Path, capsys) -> None:
    project = tmp_path / "proj"
    write_file(project / marker, "{}")
    write_file(project / "main.py", "print(1)")
    if marker == "summary.json":
        assert "main.py" in refused(["compare", "--scene", scene, "--out", project], tmp_path, capsys)
    elif marker == "result.json":
        assert "main.py" in refused(["optimize", "--scene", scene, "--out", project], tmp_path, capsys)
    else:
        with pytest.raises(BlockcoreError, match=r"main\.py"), new_folder(project, marker) as fresh:
            fill(fresh)
        assert (project / "main.py").read_text() == "print(1)"


def test_an_input_inside_the_output_is_kept(tmp_path: Path, capsys) -> None:
    from blockcore.formats.webgpu import write_map

    made = small_scene()
    write_map(tmp_path / "R" / "in" / "map.json", made.grid, made.materials)
    write_file(tmp_path / "R" / "result.json", "{}")
    command = ["optimize", "--map", tmp_path / "R/in/map.json", "--out", tmp_path / "R"]
    assert "which is read" in refused(command, tmp_path, capsys)


@pytest.mark.parametrize("inside", ["", "out", "targets"])
def test_an_output_in_its_own_input_is_refused(inside: str, scene: Path, tmp_path: Path, capsys) -> None:
    command = ["optimize", "--scene", scene, "--out", scene / inside]
    assert "read" in refused(command, tmp_path, capsys)


def test_a_page_never_replaces_what_it_shows(tmp_path: Path, capsys) -> None:
    from blockcore.formats.webgpu import write_map

    made = small_scene()
    path = tmp_path / "map.json"
    write_map(path, made.grid, made.materials)
    (tmp_path / "link.html").symlink_to(path)
    for out in (path, tmp_path / "link.html", tmp_path / "." / "map.json"):
        assert "overwritten" in refused(["view", "--map", path, "--out", out], tmp_path, capsys)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_not_replaced(kind: str, scene: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "special"
    if kind == "fifo":
        os.mkfifo(out)
    elif kind == "folder":
        out.mkdir()
    else:
        out = Path("/dev/null")
    before = out.stat().st_mode
    refused(["view", "--scene", scene, "--out", out], tmp_path, capsys)
    assert out.stat().st_mode == before


@pytest.mark.parametrize("change", ["notes", "git", "changed", "link", "empty folder"])
def test_a_folder_that_somebody_worked_in_is_kept(change: str, tmp_path: Path) -> None:
    scene = small_scene()
    scene.write(tmp_path / "s")
    scene.write(tmp_path / "s")
    if change == "notes":
        (tmp_path / "s" / "notes.txt").write_text("mine")
    elif change == "git":
        write_file(tmp_path / "s" / ".git" / "HEAD", "ref")
    elif change == "changed":
        (tmp_path / "s" / "targets" / "000.png").write_bytes(b"painted over")
    elif change == "link":
        (tmp_path / "s" / "targets" / "000.png").unlink()
        (tmp_path / "s" / "targets" / "000.png").symlink_to("/dev/null")
    else:
        (tmp_path / "s" / "mine").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BlockcoreError, match="choose another place"):
        scene.write(tmp_path / "s")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_the_version_before_is_replaced(tmp_path: Path) -> None:
    scene = small_scene()
    scene.write(tmp_path / "s")
    (tmp_path / "s" / LIST).unlink()
    scene.write(tmp_path / "s")
    assert (tmp_path / "s" / LIST).is_file()


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder(failing: int, tmp_path: Path, monkeypatch) -> None:
    with new_folder(tmp_path / "s", "scene.json") as fresh:
        fill(fresh)
    before, calls, replace = tree(tmp_path), [], Path.replace

    def broken(self: Path, target: Path) -> Path:
        if self.is_dir():
            calls.append(self)
            if len(calls) == failing:
                raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(BlockcoreError, match="Input/output error"), new_folder(tmp_path / "s", "scene.json") as fresh:
        fill(fresh)
    assert tree(tmp_path) == before


def test_a_result_that_cannot_be_put_goes_to_a_rescue_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    tries = []

    def once(folder: Path) -> None:
        tries.append(folder)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")
        fill(folder)

    with pytest.raises(BlockcoreError, match=r"the result is in .*blockcore-rescue-"):
        write_folder(tmp_path / "s", "scene.json", once)
    (saved,) = (tmp_path / "temporary").glob("blockcore-rescue-*")
    assert (saved / "scene.json").is_file() and not (tmp_path / "s").exists()


def test_what_a_kill_left_is_put_right_by_the_next_run(tmp_path: Path) -> None:
    with new_folder(tmp_path / "s", "scene.json") as fresh:
        fill(fresh)
    whole = tree(tmp_path / "s")
    (tmp_path / "s").rename(tmp_path / ".s.blockcore-old")
    write_file(tmp_path / ".s.blockcore-abcd" / "half", b"1")
    write_file(tmp_path / ".other.blockcore-abcd", b"not of s")
    with reserved(tmp_path / "s"):
        assert tree(tmp_path / "s") == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.blockcore-abcd", "s"]


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    hold = "import sys; from pathlib import Path; from blockcore.io.folders import reserved\n"
    hold += "with reserved(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / "s")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockcoreError, match=rf"process {other.pid} on .* for \d+ s"):
            small_scene().write(tmp_path / "s")
        other.kill()
        other.wait()
    small_scene().write(tmp_path / "s")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_scratch_folders_of_killed_processes_go(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("blockcore-scratch-noted", "blockcore-scratch-old", "blockcore-scratch-new", "blender_noted"):
        write_file(tmp_path / name / "big", b"1")
    for name in ("blockcore-scratch-noted", "blender_noted"):
        write_file(tmp_path / name / ".lock", json.dumps({"process": 1}))
    being_made, of_another = tmp_path / "blockcore-scratch-new", tmp_path / "blender_other"
    write_file(of_another / "quit.blend", b"1")
    for old in (tmp_path / "blockcore-scratch-old", of_another):
        os.utime(old, (0, 0))
    with scratch_folder() as mine, scratch_folder() as second:
        assert sorted(tmp_path.iterdir()) == sorted([being_made, of_another, mine, second])
    assert sorted(tmp_path.iterdir()) == sorted([being_made, of_another])


@pytest.mark.parametrize("writable", ["", "home"])
def test_no_room_for_temporary_files_is_one_line(writable: str, tmp_path: Path, monkeypatch) -> None:
    def no_place() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_place)
    monkeypatch.setattr(Path, "home", lambda: tmp_path if writable else tmp_path / "none")
    with pytest.raises(BlockcoreError, match="temporary files: cannot be written"), scratch_folder():
        pass
    assert (folders.rescue(fill) is not None) == bool(writable)


def test_lists_name_all_files_and_their_hashes(tmp_path: Path) -> None:
    small_scene().write(tmp_path / "s")
    note = json.loads((tmp_path / "s" / LIST).read_text())
    assert sorted(note["files"]) == sorted(tree(tmp_path / "s").keys() - {LIST})
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    folders.check_folder(tmp_path / "copy", "scene.json")


def test_a_signal_while_a_lock_is_made_leaves_none(tmp_path: Path, monkeypatch) -> None:
    real, left = Path.stat, tmp_path / ".s.blockcore-lock"

    def interrupted(path: Path, **how: bool) -> os.stat_result:
        if path == left and real(path):
            raise KeyboardInterrupt
        return real(path, **how)

    for name in ("stat", "exists"):
        monkeypatch.setattr(Path, name, interrupted if name == "stat" else lambda path: os.path.lexists(path))
    with pytest.raises(KeyboardInterrupt), reserved(tmp_path / "s"):
        pass
    assert not os.path.lexists(left)


def test_a_folder_is_noted_until_it_is_gone(tmp_path: Path, monkeypatch) -> None:
    noted = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: noted.append(path in leftovers._made))
    with scratch_folder():
        pass
    with new_folder(tmp_path / "s", "scene.json") as fresh:
        fill(fresh)
    assert noted == [True, True]


def test_nothing_new_is_begun_while_a_process_ends(tmp_path: Path) -> None:
    code = """
import os, sys, threading, time
from pathlib import Path
from blockcore.io.folders import new_folder
from blockcore.io.leftovers import leftover, remove_leftovers
noted = Path(sys.argv[1]) / "noted"
noted.mkdir()
with leftover(noted):
    threading.Thread(target=lambda: (remove_leftovers(), time.sleep(0.3), os._exit(7))).start()
    while noted.exists():
        pass
    with new_folder(Path(sys.argv[1]) / "s", "scene.json"):
        os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == 7 and not list(tmp_path.iterdir())


def test_a_line_that_is_cut_still_names_where_the_result_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BlockcoreError) as told:
        write_folder(tmp_path / "file" / ("x" * 200) / "s", "scene.json", fill)
    (saved,) = tmp_path.glob("blockcore-rescue-*")
    assert f" is in {saved}, since " in str(told.value) and str(told.value).endswith("choose another place")


def test_a_signal_in_the_midst_of_clearing_up_leaves_nothing(tmp_path: Path) -> None:
    code = """
import os, shutil, signal, sys
from blockcore.commands.ending import run_safely
from blockcore.io.folders import scratch_folder

plain = shutil.rmtree

def remove(folder, *args, **kwargs):
    shutil.rmtree = plain
    os.kill(os.getpid(), signal.SIGTERM)

def command():
    with scratch_folder() as folder:
        (folder / "what is made").write_text("half")
        shutil.rmtree = remove

run_safely("here", command)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM and not list(tmp_path.iterdir())


def test_a_signal_after_the_work_is_done_leaves_nothing(tmp_path: Path) -> None:
    code = """
import os, signal
from blockcore.commands.ending import end_process, run_safely
from blockcore.io.folders import lasting_scratch

def program():
    code = run_safely("here", lambda: 0 * len(str(lasting_scratch())))
    os.kill(os.getpid(), signal.SIGTERM)
    return code

end_process(program)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM and not list(tmp_path.iterdir())
