"""The command line: what it prints and writes, and one clear line for bad input."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from blockcore.commands.cli import main
from blockcore.formats.webgpu import read_map, write_dataset
from tests.captures import captured, dataset_path, map_path
from tests.parts import need

ROOT = Path(__file__).parents[2]


def blockcore(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "blockcore", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


def capture_arguments(number: int) -> list[object]:
    return ["--map", map_path(number), "--dataset", dataset_path(number)]


def test_help_loads_no_heavy_library():
    code = (
        "import sys, blockcore.commands.cli\n"
        "try: blockcore.commands.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numba', 'numpy', 'PIL', 'bpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]"), done.stdout
    assert "optimize" in done.stdout


def test_importing_blockcore_loads_no_torch():
    code = (
        "import sys, blockcore, blockcore.model.scene, blockcore.formats.webgpu, blockcore.model.settings\n"
        "print({'torch', 'numba', 'bpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("number", [1, 2, 4])
def test_captures_are_reproduced_exactly(number, tmp_path):
    assert main(["compare", *map(str, capture_arguments(number)), "--json", str(tmp_path / "c.json")]) == 0
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["rasterizer"] == "cpu" and told["device"] == "cpu"
    assert [view["index"] for view in told["views"]] == list(range(len(captured(number).views)))
    assert all(view["differing_over_1"] == 0 for view in told["views"])
    assert all(view["geometry_match"] == 1.0 and view["ssim"] > 0.9999 for view in told["views"])


def test_compare_notices_a_wrong_block(tmp_path, capsys):
    data = json.loads(map_path(4).read_text())
    for block in data["blocks"]:
        block["blockType"] = "Snow" if block["blockType"] == "Stone" else block["blockType"]
    (tmp_path / "map.json").write_text(json.dumps(data))
    arguments = ["compare", "--map", tmp_path / "map.json", "--dataset", dataset_path(4), "--view", "2", "--json", "-"]
    assert main([str(a) for a in arguments]) == 0
    (view,) = json.loads(capsys.readouterr().out)["views"]
    assert view["index"] == 2 and view["differing_over_1"] > 100 and view["psnr"] < 40 and view["ssim"] < 1
    assert view["geometry_match"] == 1.0


def test_render_writes_what_compare_compares(tmp_path):
    from blockcore.io.pictures import read_picture

    assert main(["render", *map(str, capture_arguments(4)), "--view", "1", "--out", str(tmp_path)]) == 0
    assert np.array_equal(read_picture(tmp_path / "view_001.png"), captured(4).views[1].target)


def test_info_says_what_auto_chooses(capsys):
    assert main(["info", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["device"] in ("cpu", "cuda:0", "cuda") and told["why_device"] and told["why_rasterizer"]
    assert bool(told["libraries"]["torch"]) == (importlib.util.find_spec("torch") is not None)
    assert told["libraries"]["numba"]
    assert told["why_webgpu"]


def test_info_names_the_webgpu_backend(capsys):
    need("wgpu")
    assert main(["info", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["webgpu"] == "Vulkan"


def test_info_says_why_there_is_no_webgpu(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wgpu", None)
    assert main(["info", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["webgpu"] is None and "pip install wgpu" in told["why_webgpu"]


def test_optimize_writes_the_result_and_tells_its_steps(tmp_path):
    need("torch")
    done = blockcore(
        "optimize", *capture_arguments(4), "--method", "gradient", "--progress", "jsonl", "--out", tmp_path / "out",
        "--preview", tmp_path / "preview.npy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["start", "done"]
    assert {"step", "preview"} <= {event["event"] for event in events}
    assert len(np.load(tmp_path / "preview.npy")) == 627
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result == events[-1]["result"]
    assert result["blocks"] == 627 and 0 < result["visible_blocks"] < 627 and result["steps"] > 0
    assert [view["psnr_after"] for view in result["views"]] == [None] * 4  # every pixel equal
    assert [view["psnr_before"] for view in result["views"]] == [None] * 4  # the map has these materials already
    found, truth = read_map(tmp_path / "out" / "map.json"), captured(4)
    seen = np.load(tmp_path / "out" / "visible_blocks.npy")
    assert found.grid == truth.grid and np.array_equal(found.materials[seen], truth.materials[seen])
    assert sum(result["materials"].values()) == 627
    names = {p.name for p in (tmp_path / "out" / "views").iterdir()}
    assert {f"{v:03d}_{kind}.png" for v in range(4) for kind in ("target", "before", "after")} <= names
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/png" in page and "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def bad(change):
    def make(folder: Path) -> list[object]:
        data = json.loads(map_path(4).read_text())
        change(data)
        (folder / "map.json").write_text(json.dumps(data))
        return ["--map", folder / "map.json", "--dataset", dataset_path(4)]

    return make


def bad_dataset(change):
    def make(folder: Path) -> list[object]:
        write_dataset(folder / "data", captured(4).views)
        data = json.loads((folder / "data" / "metadata.json").read_text())
        change(data, folder / "data")
        (folder / "data" / "metadata.json").write_text(json.dumps(data))
        return ["--map", map_path(4), "--dataset", folder / "data"]

    return make


BAD_INPUT = {
    "unknown material": bad(lambda d: d["blocks"][0].update(blockType="Lava")),
    "outside": bad(lambda d: d["blocks"][0].update(position=[99, 0, 0])),
    "twice": bad(lambda d: d["blocks"].append(d["blocks"][0])),
    "not whole": bad(lambda d: d["blocks"][0].update(position=[0.5, 0, 0])),
    "no view": bad_dataset(lambda d, f: d.update(views=[])),
    "missing picture": bad_dataset(lambda d, f: (f / "images" / "001.png").unlink()),
    "broken picture": bad_dataset(lambda d, f: (f / "images" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")),
    "wrong size": bad_dataset(lambda d, f: d["imageSize"].update(height=299)),
    "not finite": bad_dataset(lambda d, f: d["views"][0].update(viewMatrix=[float("inf")] * 16)),
    "singular": bad_dataset(lambda d, f: d["views"][0].update(viewMatrix=[1.0] * 16)),
    "no such map": lambda f: ["--map", f / "none.json", "--dataset", dataset_path(4)],
    "no such dataset": lambda f: ["--map", map_path(4), "--dataset", f / "none"],
}


@pytest.mark.parametrize("case", BAD_INPUT)
@pytest.mark.parametrize("command", ["compare", "optimize"])
def test_bad_input_gets_one_line_and_writes_nothing(command, case, tmp_path, capsys):
    arguments = BAD_INPUT[case](tmp_path)
    where = ["--json", tmp_path / "out"] if command == "compare" else ["--out", tmp_path / "out", "--progress", "none"]
    before = sorted(tmp_path.rglob("*"))
    assert main([command, *map(str, [*arguments, *where])]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("blockcore: ") and told.err.count("\n") == 1, told.err
    assert str(arguments[1]) in told.err or str(arguments[3]) in told.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optimize", "--out", "x"], "--scene"),
        (["optimize", "--scene", "a", "--map", "b", "--out", "x"], "--scene"),
        (["optimize", "--scene", "nowhere", "--out", "x"], "nowhere"),
        (["optimize", *map(str, capture_arguments(4)), "--steps", "0", "--out", "x"], "steps"),
        (["optimize", "--map", str(map_path(4)), "--out", "x"], "target"),
        (["compare", *map(str, capture_arguments(4)), "--view", "9"], "view 9"),
        (["render", *map(str, capture_arguments(4)), "--view", "9", "--out", "x"], "view 9"),
    ],
)
def test_misuse_gets_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    arguments = ["optimize", *map(str, capture_arguments(4)), "--out", str(tmp_path / "out"), "--progress", "none"]
    assert main(arguments) == 2
    assert "result.json" in capsys.readouterr().err
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "thesis.tex"]


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "stdin"])
def test_a_run_can_be_stopped(how, tmp_path):
    need("torch")
    command = [sys.executable, "-m", "blockcore", "optimize", *map(str, capture_arguments(1)), "--out"]
    command += [str(tmp_path / "out"), "--progress", "jsonl", "--watch-stdin", "--method", "gradient"]
    command += ["--objective", "pixels", "--steps", "100000", "--patience", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "step":
                break
        began = time.monotonic()
        if how == "stdin":
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, how))
        rest = [json.loads(line)["event"] for line in process.stdout]
        assert process.wait(timeout=20) == (143 if how == "SIGTERM" else 130)
        assert time.monotonic() - began < 5.0
    assert rest[-1] == "cancelled"
    assert not list(tmp_path.iterdir())


def test_the_seeds_own_command(tmp_path):
    for kind in ("maps", "datasets"):
        shutil.copytree(ROOT / "tests" / "data" / kind / "1", tmp_path / kind / "1")
    command = [sys.executable, "-m", "blockcore.test_render", "--dataset_id", "1", "--view_index", "0", "--compare"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--device", "cpu"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    for words in ("Using device: cpu", "Rendering 1408 blocks at 512x512", "MSE:            0.000000", "PSNR:",
                  "Max Error:", "Geometry Match: 1.0000", "=== Done! Rendered 1 view(s) ==="):  # fmt: skip
        assert words in done.stdout
    assert (tmp_path / "out_local" / "nvdiff_test" / "dataset_1_view_0.png").is_file()
    wrong = subprocess.run(
        [*command, "--dataset_id", "7"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "maps/7" in wrong.stderr
