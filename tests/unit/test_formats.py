"""Any format becomes any other; what one cannot carry is said; formats come from elsewhere; bad input is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blockcore import formats
from blockcore.commands.cli import main
from blockcore.errors import BlockcoreError
from blockcore.formats.block_states import BlockStates
from blockcore.formats.exchange import adapted, chosen_from, concrete
from blockcore.formats.webgpu import read_map, write_map
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import OUTSIDE, BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.plan import Plan
from tests.captures import captured, dataset_path, map_path
from tests.fuzz.test_readers import small_scene

READ = [one for one in formats.formats().values() if one.is_read]
WRITTEN = sorted({one.suffixes[0] for one in READ if one.is_written})
STATES = sorted({suffix for one in READ if one.holds is BlockStates for suffix in one.suffixes})


def editors_map(folder):
    cells = np.argwhere(np.random.default_rng(18).random((9, 5, 7)) < 0.4)
    grid = BlockGrid((9, 5, 7), 2.0, cells)
    materials = np.arange(len(cells)) % 7 + 1
    write_map(folder / "in.json", grid, materials)
    return folder / "in.json", dict(zip(map(tuple, cells.tolist()), materials.tolist(), strict=True))


def by_place(scene):
    names = [scene.palette.names[material] for material in scene.materials.tolist()]
    return dict(zip(map(tuple, scene.grid.positions.tolist()), names, strict=True))


@pytest.mark.parametrize("suffix", [end for end in WRITTEN if end != ".vox"])
def test_blocks_of_a_map_come_back_through_every_format(suffix, tmp_path, capsys):
    source, materials = editors_map(tmp_path)
    assert main(["convert", str(source), str(tmp_path / f"middle{suffix}")]) == 0
    assert main(["convert", str(tmp_path / f"middle{suffix}"), str(tmp_path / "back.json")]) == 0
    assert "Not carried over" not in capsys.readouterr().out
    back = read_map(tmp_path / "back.json")
    assert by_place(BlockScene(back.grid, back.materials, back.palette)) == {
        place: WEBGPU_PALETTE.names[material] for place, material in materials.items()
    }


@pytest.mark.parametrize("suffix", STATES)
def test_a_file_is_known_by_its_content_where_its_name_says_nothing(suffix, tmp_path):
    form = next(one for one in formats.formats().values() if suffix in one.suffixes)
    if form.is_written:
        blocks = BlockStates(np.zeros((2, 3, 4), np.int32), ("minecraft:stone",))
        formats.write(tmp_path / f"world{suffix.upper()}", blocks)
        assert formats.reader(tmp_path / f"world{suffix.upper()}").name == form.name
        assert formats.read(tmp_path / f"world{suffix.upper()}")[0].cells.shape == (2, 3, 4)


def test_states_that_the_palette_lacks_are_kept_and_said():
    states = ("minecraft:cave_air", "minecraft:grass_block[snowy=true]", "minecraft:red_concrete", "a:b[axis=x]")
    blocks = BlockStates(np.arange(4, dtype=np.int32).reshape(2, 1, 2), states, (5, 0, -1))
    scene, losses = adapted(blocks, BlockScene, None)
    assert by_place(scene) == {(0, 0, 1): "Grass", (1, 0, 0): "minecraft:red_concrete", (1, 0, 1): "a:b[axis=x]"}
    assert ["brackets" in losses[0], "a:b[axis=x], are grey" in losses[1], "(5, 0, -1)" in losses[2]] == [True] * 3
    assert scene.palette.colors[scene.materials[1], 0].tolist() == pytest.approx([0x8E / 255, 0x21 / 255, 0x21 / 255])
    again, _ = adapted(scene, BlockStates, None)
    assert [again.states[index] for index in again.cells.ravel()] == [
        *("minecraft:air", "minecraft:grass_block", "minecraft:red_concrete", "a:b[axis=x]"),
    ]


def test_colours_become_the_nearest_block_and_all_that_is_no_block_is_said():
    made = small_scene()
    palette = Palette(
        ("Air", "#8f2020", "Plank"), np.array([[[0, 0, 0]] * 3, [[0.56, 0.12, 0.12]] * 3, [[1, 1, 1]] * 3])
    )
    scene = BlockScene(made.grid, [1, 2, 1], palette, made.views, made.lighting, made.source, {"roof": [0]})
    blocks, losses = adapted(scene, BlockStates, None)
    assert set(blocks.states) == {"minecraft:air", "minecraft:red_concrete", "minecraft:oak_planks"}
    said = " ".join(losses)
    assert all(word in said for word in (f"{len(made.views)} view", "1 regions", "came from", "#8f2020"))
    blocks, losses = adapted(scene, BlockStates, Palette(("Air", "mod:lamp[lit=true]"), np.ones((2, 3, 3))))
    assert set(blocks.states) == {"minecraft:air", "mod:lamp[lit=true]"}
    assert "2 of the materials" in losses[-1]


def test_a_large_grid_is_cut_to_its_blocks():
    grid = BlockGrid((1 << 20, 1 << 20, 1 << 20), 2.0, np.array([[7, 8, 9], [9, 8, 9]]))
    blocks, _ = adapted(BlockScene(grid, [1, 2], WEBGPU_PALETTE), BlockStates, None)
    assert (blocks.cells.shape, blocks.origin) == ((3, 1, 1), (7, 8, 9))
    grid = BlockGrid((1 << 20, 1 << 20, 1 << 20), 2.0, np.array([[0, 0, 0], [99_999, 999, 0]]))
    with pytest.raises(BlockcoreError, match="cut it"):
        adapted(BlockScene(grid, [1, 2], WEBGPU_PALETTE), BlockStates, None)


def test_concrete_is_sixteen():
    assert len(concrete()) == 17


PLUGIN = """
from pathlib import Path
class Rows:
    name, suffixes, marker, is_read, is_written = "rows", (".rows",), "", True, True
    from blockcore.formats.block_states import BlockStates as holds
    def sniff(self, path, start):
        return start.startswith(b"rows")
    def read(self, path, palette):
        raise ValueError("has no rows")
    def write(self, path, what):
        Path(path).write_text(f"rows {what.cells.size}")
        return ("all but the number",)
FORMAT = Rows()
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Installs a format from elsewhere, as a package has it."""
    (tmp_path / "site" / "rows-1.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "rows_format.py").write_text(PLUGIN)
    (tmp_path / "site" / "rows-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: rows\nVersion: 1\n")
    entry = tmp_path / "site" / "rows-1.dist-info" / "entry_points.txt"
    entry.write_text("[blockcore.formats]\nrows = rows_format:FORMAT\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return entry


def test_a_format_from_elsewhere_is_one_of_them(outside, tmp_path, capsys):
    source, _ = editors_map(tmp_path)
    assert main(["convert", str(source), str(tmp_path / "o.rows")]) == 0
    assert "all but the number" in capsys.readouterr().out
    assert (tmp_path / "o.rows").read_text() == "rows 315"
    assert main(["convert", str(tmp_path / "o.rows"), str(tmp_path / "x.json")]) == 2
    assert "o.rows: has no rows; save it as rows again" in capsys.readouterr().err


def test_a_format_that_does_not_load_is_named(outside, tmp_path, capsys):
    source, _ = editors_map(tmp_path)
    outside.write_text("[blockcore.formats]\nrows = rows_format:NONE\n")
    assert main(["convert", str(source), str(tmp_path / "o.rows")]) == 2
    assert "rows_format:NONE: cannot be loaded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("in.json", "out.txt", "no format is written with that ending"),
        ("in.json", "in.json", "would be overwritten"),
        ("none.schem", "out.json", "none.schem: cannot be read"),
        ("text.txt", "out.json", "text.txt: its format is not known"),
        ("text.schem", "out.json", "text.schem: is no tree of tags; save it as Sponge schematic again"),
        ("in.json", "folder", "does not write|did not write|has no scene.json"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(source, target, message, tmp_path, capsys):
    editors_map(tmp_path)
    (tmp_path / "text.txt").write_text("blocks")
    (tmp_path / "text.schem").write_text("blocks")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(["convert", str(tmp_path / source), str(tmp_path / target)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert any(part in said for part in message.split("|"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_palette_names_the_materials(tmp_path):
    source, _ = editors_map(tmp_path)
    (tmp_path / "p.json").write_text(json.dumps({"minecraft:stone": "#8f9299", "minecraft:oak_log[axis=y]": "#c0a070"}))
    command = ["convert", str(source), str(tmp_path / "o.schem"), "--palette", str(tmp_path / "p.json")]
    assert main(command) == 0
    blocks, _ = formats.read(tmp_path / "o.schem")
    assert set(blocks.states) == {"minecraft:air", "minecraft:stone", "minecraft:oak_log[axis=y]"}


def test_blocks_that_the_palette_lacks_are_kept_and_locked_and_said(tmp_path, capsys):
    world = captured(4)
    rare, some = np.argsort(np.bincount(world.materials))[-3:-1]
    names = ["Air", *(f"m{number}" for number in range(1, 8))]
    names[rare], names[some] = "minecraft:glass", "minecraft:grass_block[snowy=false]"
    own = Palette(tuple(names), world.palette.colors, {(int(rare), 2): np.full((2, 2, 4), 9, np.uint8)})
    BlockScene(world.grid, world.materials, own, world.views[:1]).write(tmp_path / "scene")
    colors = {"minecraft:grass_block": "#57ad5c", "minecraft:stone": "#8f9299", "minecraft:oak_planks": "#bfa272"}
    (tmp_path / "p.json").write_text(json.dumps(colors))
    command = ["optimize", "--scene", str(tmp_path / "scene"), "--palette", str(tmp_path / "p.json")]
    command += ["--progress", "none", "--out", str(tmp_path / "out"), "--export", str(tmp_path / "o.schem")]
    assert main(command) == 0
    glass = world.materials == rare
    said = capsys.readouterr().out
    assert f"Palette: {glass.sum()} blocks keep their 1 materials, such as minecraft:glass, which" in said
    assert "begin as the material of the nearest colour" in said
    found = np.load(tmp_path / "out" / "materials.npy")
    assert glass.any() and ((found == 4) == glass).all() and set(found[~glass].tolist()) <= {1, 2, 3}
    counts = json.loads((tmp_path / "out" / "result.json").read_text())["materials"]
    assert counts["minecraft:glass"] == glass.sum()
    assert "minecraft:glass" in formats.read(tmp_path / "o.schem")[0].states
    assert main([*command, "--dry-run"]) == 0
    assert f"kept        {glass.sum()} blocks: their materials are not in the palette" in capsys.readouterr().out
    assert main([*command, "--dry-run", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == glass.sum()


def test_a_scene_of_nothing_that_the_palette_has_is_refused_and_tiles_go_with_their_materials(tmp_path):
    tiles = {(2, 3): np.full((2, 2, 4), 7, np.uint8)}
    palette = Palette(("Air", "x:a", "x:b"), np.zeros((3, 3, 3)), tiles)
    grid = BlockGrid((2, 1, 1), 2.0, np.array([[0, 0, 0], [1, 0, 0]]))
    scene, said = chosen_from(BlockScene(grid, [2, 1], palette, captured(1).views), WEBGPU_PALETTE)
    assert scene.palette.names == (*WEBGPU_PALETTE.names, "x:a", "x:b")
    assert (scene.materials.tolist(), scene.regions[OUTSIDE].tolist()) == ([9, 8], [0, 1])
    assert list(scene.palette.tiles) == [(9, 3)]
    assert [loss.split(",")[0] for loss in said] == ["2 blocks keep their 2 materials"]
    locked = Plan.of(scene, OptimizeSettings(locked=("all",)))
    assert (locked.settings.locked, locked.decided.kept) == (("all", OUTSIDE), 2)


def test_blocks_of_any_format_are_optimised_with_pictures(tmp_path, capsys):
    assert main(["convert", str(map_path(4)), str(tmp_path / "w.schem")]) == 0
    options = ["--dataset", str(dataset_path(4)), "--progress", "none", "--seed", "3"]
    for source, out in ((str(tmp_path / "w.schem"), "a"), (str(map_path(4)), "b")):
        assert main(["optimize", "--map", source, *options, "--out", str(tmp_path / out)]) == 0
    results = [json.loads((tmp_path / out / "result.json").read_text()) for out in "ab"]
    assert results[0]["psnr_after"] == results[1]["psnr_after"]
    assert results[0]["materials"] == results[1]["materials"]
