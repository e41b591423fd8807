"""Farms in Debian's Blender: what Flamenco's workers run, and a batch."""

from __future__ import annotations

import json

from tests.farm.flamenco import command_lines, compiled
from tests.gui.test_headless import DEMO
from tests.gui.window import Tree
from tests.parts import need


def test_the_command_lines_of_a_job_run(tree: Tree):
    need("node")
    folder = tree.folder / "flamenco"
    folder.mkdir()
    done = tree.run("blender", "-b", "--python-exit-code", "1", "--python-expr", DEMO.format(folder=folder))
    assert done.returncode == 0, done.stdout
    blend, broken, out = folder / "a b ü.blend", folder / "broken.blend", folder / "out"
    broken.write_text("no .blend at all")
    job = compiled(files=f"{blend}; {broken}", output_folder=str(out), job_file=str(folder / "panel.json"))
    good, bad = (tree.run(*line) for line in command_lines(job["tasks"]))
    assert good.returncode == 0, good.stdout
    assert (out / "a b ü.blend").stat().st_size > 10_000
    assert json.loads((out / "a b ü.report" / "result.json").read_text())["visible_blocks"] == 735
    assert bad.returncode != 0
    assert not (out / "broken.blend").exists()


BRIDGE = "import sys, bridge.cli; sys.exit(bridge.cli.main())"


def test_a_batch_runs_inside_blender(tree: Tree):
    folder = tree.folder / "batch"
    folder.mkdir()
    done = tree.run("blender", "-b", "--python-exit-code", "1", "--python-expr", DEMO.format(folder=folder))
    assert done.returncode == 0, done.stdout
    (folder / "list.txt").write_text("a b ü.blend\n")
    words = ("batch", str(folder / "list.txt"), "--out", str(folder / "out"))
    done = tree.run("blender", "-b", "--python-expr", BRIDGE, "--", *words)
    assert done.returncode == 0, done.stdout
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told[0]["state"] == "done" and told[0]["visible_blocks"] == 735
    assert told[1]["summary"]["done"] == 1
