"""Command lines that would destroy something: refused in one line before any work, with everything still there."""

from __future__ import annotations

import argparse
import os
import stat
from pathlib import Path

import numpy as np
import pytest

import bridge.cli
from blockcore.commands import cli
from blockcore.formats import structure
from blockcore.formats.block_states import BlockStates
from blockcore.formats.webgpu import write_map
from blockcore.io.files import write_file
from tests.faults.test_outputs import tree
from tests.fuzz.test_readers import small_scene

WRITERS = {
    "compare": "compare --scene scene --out {out}",
    "compare's figures": "compare --scene scene --json {out}",
    "render": "render --scene scene --out {out}",
    "view": "view --scene scene --out {out}",
    "optimize": "optimize --scene scene --out {out}",
    "optimize, exported": "optimize --scene scene --out new --export {out}.schem",
    "optimize's preview": "optimize --scene scene --out new --preview {out}",
    "dream": "dream --scene scene --prompt x --model m --out {out}",
    "dream, exported": "dream --scene scene --prompt x --model m --out new --export {out}.schem",
    "dream's preview": "dream --scene scene --prompt x --model m --out new --preview {out}",
    "dream's state": "dream --scene scene --prompt x --model m --out new --keep {out}",
    "convert": "convert scene {out}.schem",
    "convert to a folder": "convert map.json {out}",
    "convert, exported": "convert map.json new --export {out}.schem",
    "voxelize": "voxelize cube.obj --out {out}",
    "palette": "palette pack.zip --out {out}",
    "palette's reasons": "palette pack.zip --out new --left-out {out}",
    "bench": "bench --json {out}",
    "bench's page": "bench --suite quality --out {out}",
    "bridge import-map": "bridge import-map map.json --out {out}",
    "bridge export": "bridge export x.blend --out {out}",
    "bridge optimize": "bridge optimize x.blend --out {out}",
    "bridge optimize, reported": "bridge optimize x.blend --out y.blend --report {out}",
    "bridge optimize, exported": "bridge optimize x.blend --out y.blend --export {out}.schem",
    "bridge dream": "bridge dream x.blend --prompt x --model m --out {out}",
    "bridge dream, reported": "bridge dream x.blend --prompt x --model m --out y.blend --report {out}",
    "bridge dream, exported": "bridge dream x.blend --prompt x --model m --out y.blend --export {out}.schem",
    "bridge apply": "bridge apply x.blend result --out {out}",
    "bridge batch": "bridge batch blends --out {out}",
    "bridge blocks": "bridge blocks cube.obj --out {out}",
    "bridge blocks, reported": "bridge blocks cube.obj --out y.blend --report {out}",
    "bridge blocks, exported": "bridge blocks cube.obj --out y.blend --export {out}.schem",
    "bridge bake": "bridge bake x.blend --scene scene --out {out}",
    "bridge demo": "bridge demo --out {out}",
    "bridge quality": "bridge quality --out {out}",
    "targets": "bridge targets x.blend --object Model --out {out}",
    "targets pictures": "bridge targets x.blend --object Model --pictures {out}",
}
"""Every command that writes. Of the inputs only some are there, since none is read."""


def test_every_output_of_every_command_is_tried() -> None:
    (commands,) = (a for a in bridge.cli._parser([])._actions if isinstance(a, argparse._SubParsersAction))
    written = {f"bridge {name}": bridge.cli._OUTPUTS.get(name, {"out": ""}) for name in commands.choices}
    del written["bridge batch-worker"]  # does what a batch says
    written |= cli._OUTPUTS
    for command, outputs in written.items():
        lines = [line for line in WRITERS.values() if line.startswith(f"{command} ")]
        for name in outputs:
            option = "{out}" if (command, name) == ("convert", "out") else f"--{name.replace('_', '-')} {{out}}"
            assert any(option in line for line in lines), (command, name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a scene, a map, and a folder of somebody's with files that look like ours."""
    monkeypatch.chdir(tmp_path)
    scene = small_scene()
    scene.write(tmp_path / "scene")
    write_map(tmp_path / "map.json", scene.grid, scene.materials)
    write_map(tmp_path / "project" / "in" / "map.json", scene.grid, scene.materials)
    names = ("summary.json", "result.json", "scene.json", "metadata.json", "figures.json", "main.py", ".git/HEAD")
    for name in (*names, "batch.jsonl"):
        write_file(tmp_path / "project" / name, "mine")
    write_file(tmp_path / "blends" / "x.blend", "not opened")
    return tmp_path


def refused(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    words = line.split(" ")
    main, words = (bridge.cli.main, words[1:]) if words[0] == "bridge" else (cli.main, words)
    before = tree(folder)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) < 320, said
    assert tree(folder) == before
    return said


@pytest.mark.parametrize("name", WRITERS)
def test_somebody_elses_folder_is_kept(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "project.schem").mkdir()
    said = refused(WRITERS[name].format(out="project"), here, capsys)
    assert "choose another place" in said or "name a file to write" in said


@pytest.mark.parametrize("name", WRITERS)
def test_a_device_is_no_output(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = here / "device"
    for path in (device, here / "device.schem"):
        os.mkfifo(path) if os.getuid() else os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    before = device.lstat()
    refused(WRITERS[name].format(out=device), here / "project", capsys)
    assert device.lstat() == before and sorted(p.name for p in here.iterdir()) == [
        *("blends", "device", "device.schem", "map.json", "project", "scene")
    ]


@pytest.mark.parametrize("device", ["null", "zero", "full", "stdout", "tty"])
def test_nothing_in_dev_is_replaced(device: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.lstat(f"/dev/{device}")
    refused(f"view --scene scene --out /dev/{device}", here, capsys)
    assert os.lstat(f"/dev/{device}").st_rdev == before.st_rdev


@pytest.mark.parametrize(
    "line",
    [
        "optimize --map project/in/map.json --out project",
        "optimize --map map.json --out map.json",
        "optimize --scene scene --out scene/out",
        "optimize --map map.json --out new --preview map.json",
        "optimize --map map.json --out new --preview new/preview.npy",
        "view --map map.json --out map.json",
        "view --map map.json --out ./project/../map.json",
        "convert map.json map.json",
        "convert map.json new --export map.json",
        "palette scene/arrays.npz --out scene/arrays.npz",
        "palette scene --out scene/palette.json",
        "palette scene/arrays.npz --only map.json --out new --left-out map.json",
        "compare --scene scene --out scene",
        "bridge blocks x.blend --out x.blend",
        "bridge optimize x.blend --out x.blend",
        "bridge optimize x.blend --out y.blend --report .",
        "bridge optimize x.blend --out r/y.blend --report r",
        "bridge import-map map.json --out map.json",
        "bridge batch blends --out blends",
        "bridge batch blends/x.blend --out blends",
    ],
)
def test_an_input_is_no_output(line: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(line, here, capsys)


@pytest.mark.parametrize("name", ["x.blend.failed.json", "batch.jsonl"])
def test_a_batch_replaces_no_note_of_others(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here / "results" / name, '{"format": "mine"}')
    assert "no batch wrote it" in refused("bridge batch blends --out results", here, capsys)


@pytest.mark.parametrize("given", ["scene.nbt", "long_0_0_0.nbt"])
def test_parts_beside_a_structure_replace_nothing(given: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = np.arange(100, dtype=np.int32).reshape(1, 1, 100) % 2
    for name in ("scene.nbt", "long_0_0_0.nbt"):
        write_file(here / name, structure.pack(BlockStates(cells, ("minecraft:dirt", "minecraft:stone"))))
    assert "'long_0_0_0.nbt' is there already" in refused(f"convert {given} long.nbt", here, capsys)
    (here / "long_0_0_0.nbt").unlink()
    for _ in range(2):
        assert cli.main(["convert", "scene.nbt", "long.nbt"]) == 0
    assert sorted(path.name for path in here.glob("long_*")) == [f"long_0_0_{at}.nbt" for at in (0, 48, 96)]


@pytest.mark.parametrize("name", ["a\nb" * 30, "x" * 5000, "\ud800", "y\t\x1b[31m" * 40])
def test_a_name_is_quoted_on_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(f"view --scene {name} --out page.html", here, capsys)
    assert "\x1b" not in said
