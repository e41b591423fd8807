"""The bill of materials: numbers of blocks, stacks and boxes, from worlds, files and optimisations."""

from __future__ import annotations

import csv
import re
from collections import Counter

import numpy as np
import pytest

from blockcore import formats
from blockcore.commands.cli import main
from blockcore.formats.bill import Needed, bill
from blockcore.formats.block_states import BlockStates
from tests.captures import captured, dataset_path, map_path


@pytest.mark.parametrize(
    ("count", "stacks", "rest", "boxes"),
    [(1, 0, 1, 1), (63, 0, 63, 1), (64, 1, 0, 1), (65, 1, 1, 1), (1728, 27, 0, 1), (1729, 27, 1, 2), (3456, 54, 0, 2)],
)
def test_stacks_and_boxes(count, stacks, rest, boxes):
    needed = Needed("minecraft:stone", count)
    assert (needed.stacks, needed.rest, needed.boxes) == (stacks, rest, boxes)


def test_the_most_come_first_and_air_does_not_count():
    counts = {"minecraft:air": 9, "b:b": 2, "a:a": 2, "c:c[lit=true]": 3, "minecraft:cave_air": 1, "d:d": 0}
    assert [(one.block, one.count) for one in bill(counts)] == [("c:c[lit=true]", 3), ("a:a", 2), ("b:b", 2)]


def test_a_files_bill_counts_every_state(tmp_path):
    cells = np.random.default_rng(1).integers(0, 4, (12, 30, 14)).astype(np.int32)
    states = ("minecraft:air", "minecraft:oak_log[axis=x]", "minecraft:oak_log[axis=y]", "minecraft:stone")
    formats.write(tmp_path / "w.schem", BlockStates(cells, states))
    assert main(["convert", str(tmp_path / "w.schem"), str(tmp_path / "w.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "w.csv").open()))
    counted = Counter(states[index] for index in cells.ravel().tolist())
    assert {row["block"]: int(row["count"]) for row in rows} == {state: counted[state] for state in states[1:]}
    for row in rows:
        assert 64 * int(row["stacks of 64"]) + int(row["single blocks"]) == int(row["count"])


def test_an_optimisation_writes_its_bill_and_files(tmp_path, capsys):
    exports = [f"--export={tmp_path / 'o'}.{end}" for end in ("csv", "schem", "litematic")]
    source = ["--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--progress", "none"]
    assert main(["optimize", *source, "--out", str(tmp_path / "out"), *exports]) == 0
    assert "Not carried over: 4 views are left out" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert sum(int(row["count"]) for row in rows) == len(captured(4).grid)
    blocks, _ = formats.read(tmp_path / "o.schem")
    assert {row["block"] for row in rows} == set(blocks.states) - {"minecraft:air"}
    page = (tmp_path / "out" / "report.html").read_text()
    table = page.partition("Blocks to gather")[2].partition("</table>")[0]
    assert re.findall(r"<td>(minecraft:\w+)</td><td class=\"number\">([\d,]+)", table) == [
        (row["block"], f"{int(row['count']):,}") for row in rows
    ]


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        (["out/o.schem"], "is written for"),
        (["o.schem", "o.schem"], "is written for"),
        (["o.text"], "no format is written with that ending"),
        (["map.json"], "is read and would be overwritten"),
    ],
)
def test_an_export_that_cannot_be_is_refused_before_any_work(exports, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.json").write_text(map_path(4).read_text())
    source = ["--map", "map.json", "--dataset", str(dataset_path(4))]
    options = [argument for export in exports for argument in ("--export", export)]
    assert main(["optimize", *source, "--out", "out", *options]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.json"]


def test_a_bill_is_not_read(tmp_path, capsys):
    (tmp_path / "w.csv").write_text("block,count\n")
    assert main(["convert", str(tmp_path / "w.csv"), str(tmp_path / "w.schem")]) == 2
    assert "w.csv: its format is not known; give a BlockScene folder or" in capsys.readouterr().err
