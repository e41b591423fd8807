"""Resource packs: every texel where Minecraft shows it, what is taken and what is left out and why, and bad packs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from blockcore.commands.cli import main
from blockcore.errors import BlockcoreError
from blockcore.formats.palette_file import read_palette
from blockcore.formats.resource_pack import PackChoice, read_packs
from blockcore.model.grid import FACE_CORNERS, FACE_NAMES, FACE_NORMALS, FACE_UVS
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.packs import (
    FULL,
    SIDES,
    TURNS,
    cube,
    files_of,
    picture,
    same,
    turned_pack,
    turned_world,
    write_folder,
    write_zip,
)

# Corners of a face by the order of the texture's corners (left upper, left lower, right lower, right upper).
CORNERS = {
    "down": [(0, 0, 1), (0, 0, 0), (1, 0, 0), (1, 0, 1)],
    "up": [(0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0)],
    "north": [(1, 1, 0), (1, 0, 0), (0, 0, 0), (0, 1, 0)],
    "south": [(0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 1, 1)],
    "west": [(0, 1, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1)],
    "east": [(1, 1, 1), (1, 0, 1), (1, 0, 0), (1, 1, 0)],
}


def turned(point, x, y):
    """Where a corner goes: x first, each quarter takes up to north; then y, each quarter takes north to east."""
    a, b, c = np.array(point) * 2 - 1
    for _ in range(x):
        a, b, c = a, c, -b
    for _ in range(y):
        a, b, c = -c, b, a
    return tuple((np.array([a, b, c]) + 1) // 2)


def corner_texels(tile):
    return [tile[0, 0], tile[-1, 0], tile[-1, -1], tile[0, -1]]


def expected_corners(x, y, locks):
    """Returns the texel at each corner of each face of the turned block: {(direction, corner): RGBA}."""
    found = {}
    for number, side in enumerate(SIDES):
        texels = corner_texels(picture(number))
        places = [turned(point, x, y) for point in CORNERS[side]]
        middle = np.mean(places, axis=0) * 2 - 1
        direction = int((FACE_NORMALS @ middle).argmax())
        if locks:
            places = CORNERS[SIDES[direction]]
        for k, place in enumerate(places):
            found[direction, place] = texels[(k + number % 4) % 4]
    return found


def test_every_corner_of_every_face_lies_where_minecraft_has_it_in_all_turns(tmp_path):
    blocks = read_packs([turned_pack(tmp_path / "p.zip")])
    texts = [f"minecraft:turned[locks={str(locks).lower()},x={x},y={y}]" for x, y, locks in TURNS]
    assert set(blocks.palette.names[1:]) | set(blocks.left_out) == set(texts)
    taken = 0
    for text, turn in zip(texts, TURNS, strict=True):
        if text in blocks.left_out:
            assert blocks.left_out[text].startswith("looks like minecraft:turned")
            continue
        taken += 1
        expected = expected_corners(*turn)
        assert len(expected) == 24
        for direction in range(6):
            tile = blocks.palette.tiles[blocks.palette.index(text), direction]
            for corner, (u, v) in zip(FACE_CORNERS[direction].tolist(), FACE_UVS[direction].astype(int), strict=True):
                shown = tile[-int(v), -int(u)]  # 0 or the last
                np.testing.assert_array_equal(shown, expected[direction, tuple(corner)], f"{turn} {direction}")
    assert taken >= 30


def test_a_cube_seen_from_outside_shows_its_textures_as_they_are(tmp_path):
    scene = turned_world(tmp_path / "p.zip")
    faces, count = scene.grid.exposed_faces, len(scene.grid)
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    number = scene.palette.index("minecraft:turned[locks=false,x=0,y=0]") - 1
    for direction, view in enumerate(scene.views):
        (seen,) = rasterize(faces, [view.camera], "cpu")
        shown = draw(seen, view.camera, colors)
        found = [
            shown[8 * row : 8 * row + 8, 8 * column : 8 * column + 8][1::2, 1::2]
            for row in range(count)
            for column in range(count)
            if (seen.face[8 * row + 4, 8 * column + 4] >= 0)
            and faces.block[seen.face[8 * row + 4, 8 * column + 4]] == number
        ]
        assert len(found) == 1
        upright = np.rot90(picture(direction), -(direction % 4))
        # from below the camera has north up, where Minecraft has a texture's upper side in the south
        upright = np.rot90(upright, 2) if FACE_NAMES[direction] == "bottom" else upright
        np.testing.assert_array_equal(found[0][..., :3], upright[..., :3], FACE_NAMES[direction])


def pack_of_kinds(folder):
    """A pack with a block of every kind that is taken or left out."""
    glass = picture(9)
    glass[0, 0, 3] = 120
    strip = np.concatenate([picture(20), picture(21), picture(22)])
    states = {
        "plain": {"variants": {"": {"model": "block/plain"}}},
        "parent": {"variants": {"": {"model": "minecraft:block/child"}}},
        "often": {"variants": {"": [{"model": "block/plain"}, {"model": "block/other", "weight": 3}]}},
        "alike": {"variants": {"lit=true": {"model": "block/alike"}, "lit=false": {"model": "block/alike"}}},
        "slab": {"variants": {"": {"model": "block/slab"}}},
        "fence": {"multipart": [{"apply": {"model": "block/plain"}}]},
        "glass": {"variants": {"": {"model": "block/glass"}}},
        "sand": {"variants": {"": {"model": "block/sand"}}},
        "lava": {"variants": {"": {"model": "block/strip"}}},
        "grass_block": {"variants": {"snowy=false": {"model": "block/grass"}}},
        "oak_leaves": {"variants": {"": {"model": "block/leaves"}}},
        "cherry_planks": {"variants": {"": {"model": "block/cherry"}}},
        "lost": {"variants": {"": {"model": "block/nowhere"}}},
        "bare": {"variants": {"": {"model": "block/bare"}}},
        "loop": {"variants": {"": {"model": "block/loop"}}},
        "old": {"variants": {"normal": {"model": "block/plain"}}},
        "wrong": {"variants": {"": {"model": 7}}},
        "white_wool": {"variants": {"": {"model": "block/wool"}}},
    }
    grass = cube(same("block/g"))
    grass["elements"][0]["faces"]["up"]["tintindex"] = 0
    sides = {s: {"texture": "#over", "tintindex": 0} for s in SIDES if s not in ("up", "down")}
    grass["elements"].append({**FULL, "faces": sides})
    grass["textures"]["over"] = "block/over"
    models = {
        **{
            name: cube(same(f"block/{name}")) for name in ("plain", "other", "glass", "sand", "strip", "cherry", "wool")
        },
        "child": {"parent": "block/middle", "textures": {"all": "block/other"}},
        "middle": {"parent": "minecraft:block/base", "textures": same("#all") | {"up": "block/plain"}},
        "base": cube({}),
        "slab": {"textures": {}, "elements": [{"from": [0, 0, 0], "to": [16, 8, 16], "faces": {}}]},
        "grass": grass,
        "leaves": cube(same("block/leaf"), tintindex=0),
        "alike": cube(same("block/leaf")),
        "bare": cube(same("block/none")),
        "loop": {"parent": "block/loop"},
    }
    over = picture(11)
    over[1:, :, 3] = 0
    textures = {
        **{name: picture(k) for k, name in enumerate(("plain", "other", "sand", "cherry", "wool", "g", "leaf"))},
        "glass": glass,
        "over": over,
        "strip": strip,
        "strip.png.mcmeta": json.dumps({"animation": {"frametime": 2, "frames": [1, 0]}}).encode(),
    }
    return write_folder(folder, files_of(states, models, textures))


def test_what_is_taken_and_why_the_rest_is_left_out(tmp_path):
    blocks = read_packs([pack_of_kinds(tmp_path / "pack")])
    plain, other = picture(0), picture(1)
    assert set(blocks.palette.names[1:]) == {
        *("minecraft:plain", "minecraft:parent", "minecraft:often", "minecraft:lava", "minecraft:cherry_planks"),
        *("minecraft:white_wool", "minecraft:alike[lit=false]"),
    }
    south, top = FACE_NAMES.index("south"), FACE_NAMES.index("top")
    shown = {name: blocks.palette.tiles[blocks.palette.index(name), south] for name in blocks.palette.names[1:]}
    np.testing.assert_array_equal(shown["minecraft:plain"], plain)
    np.testing.assert_array_equal(shown["minecraft:often"], other)
    np.testing.assert_array_equal(shown["minecraft:lava"], picture(21))
    np.testing.assert_array_equal(shown["minecraft:parent"], other)
    above = blocks.palette.tiles[blocks.palette.index("minecraft:parent"), top]
    np.testing.assert_array_equal(above, plain[::-1])  # blockcore's top has a tile's first row in the south
    assert blocks.left_out == {
        "minecraft:alike[lit=true]": "looks like minecraft:alike[lit=false]",
        "minecraft:slab": "is no full cube",
        "minecraft:fence": "is put together of parts",
        "minecraft:glass": "is transparent",
        "minecraft:sand": "falls",
        "minecraft:grass_block[snowy=false]": "needs a tint",
        "minecraft:oak_leaves": "needs a tint",
        "minecraft:lost": "has no model minecraft:block/nowhere",
        "minecraft:bare": "has no texture minecraft:block/none",
        "minecraft:loop": "has models that are each other's parents",
        "minecraft:old[normal]": "is not named as since Minecraft 1.13",
        "minecraft:wrong": "has a name that is no text",
    }


def test_choices(tmp_path):
    pack = pack_of_kinds(tmp_path / "pack")
    choice = PackChoice(grass=(0.5, 1.0, 0.25), leaves=(0.0, 1.0, 0.0), falling=True, game="1.19")
    blocks = read_packs([pack], choice)
    assert "minecraft:sand" in blocks.palette.names
    assert blocks.left_out["minecraft:cherry_planks"] == "came with Minecraft 1.20"
    grass = blocks.palette.index("minecraft:grass_block[snowy=false]")
    tint, south = np.array([0.5, 1.0, 0.25]), FACE_NAMES.index("south")
    np.testing.assert_array_equal(blocks.palette.tiles[grass, south][1:], picture(5)[1:])
    overlay = np.rint(picture(11)[0, :, :3] * tint)
    np.testing.assert_array_equal(blocks.palette.tiles[grass, south][0, :, :3], overlay)
    top = blocks.palette.tiles[grass, FACE_NAMES.index("top")][::-1, :, :3]
    np.testing.assert_array_equal(top, np.rint(picture(5)[..., :3] * tint))
    leaves = blocks.palette.index("minecraft:oak_leaves")
    assert blocks.palette.tiles[leaves, 0][..., [0, 2]].max() == 0
    assert read_packs([pack], PackChoice(groups=["wool"])).palette.names == ("Air", "minecraft:white_wool")
    assert read_packs([pack], PackChoice(only=["*_wool", "minecraft:pl*"])).palette.names == (
        *("Air", "minecraft:plain", "minecraft:white_wool"),
    )
    small = read_packs([pack], PackChoice(texels=2)).palette
    np.testing.assert_allclose(
        small.tiles[small.index("minecraft:plain"), south],
        picture(0).reshape(2, 2, 2, 2, 4).mean(axis=(1, 3)),
        atol=0.51,
    )


def test_the_first_pack_of_a_stack_counts(tmp_path):
    game = write_zip(
        tmp_path / "client.jar",
        files_of({"a": {"variants": {"": {"model": "block/a"}}}}, {"a": cube(same("block/a"))}, {"a": picture(1)}),
    )
    mine = write_folder(tmp_path / "mine", files_of({}, {}, {"a": picture(2)}))
    south = FACE_NAMES.index("south")
    np.testing.assert_array_equal(read_packs([mine, game]).palette.tiles[1, south], picture(2))
    np.testing.assert_array_equal(read_packs([game, mine]).palette.tiles[1, south], picture(1))
    with pytest.raises(BlockcoreError, match=r"no blockstates; put the game's own \.jar"):
        read_packs([mine])


def test_part_of_a_texture_mirrored_and_turned(tmp_path):
    model = cube(same("block/t"), uv=[8, 0, 0, 8], rotation=90)
    states = {"a": {"variants": {"": {"model": "block/a"}}}}
    pack = write_zip(tmp_path / "p.zip", files_of(states, {"a": model}, {"t": picture(1)}))
    shown = read_packs([pack]).palette.tiles[1, FACE_NAMES.index("south")]
    np.testing.assert_array_equal(shown, np.rot90(picture(1)[:2, :2][:, ::-1], -1))


def many(path, count, side=16):
    """A pack of so many blocks, each with a texture of its own."""
    names = [f"block_{k}" for k in range(count)]
    return write_zip(
        path,
        files_of(
            {name: {"variants": {"": {"model": f"block/{name}"}}} for name in names},
            {name: cube(same(f"block/{name}")) for name in names},
            {name: picture(k, side, side) for k, name in enumerate(names)},
        ),
    )


def test_the_command_writes_a_palette_that_reads_back_and_says_what_it_left_out(tmp_path, capsys):
    pack = pack_of_kinds(tmp_path / "pack")
    (tmp_path / "mine.txt").write_text("# mine\nplain\n*_wool\nglass # all of it\n")
    command = ["palette", str(pack), "--out", str(tmp_path / "p.json"), "--only", str(tmp_path / "mine.txt")]
    assert main([*command, "--left-out", str(tmp_path / "why.txt")]) == 0
    said = capsys.readouterr().out
    assert "Left out: 1, such as minecraft:glass: is transparent" in said
    assert "p.json: 2 blocks" in said
    assert "minecraft:glass: is transparent\n" in (tmp_path / "why.txt").read_text()
    read, made = read_palette(tmp_path / "p.json"), read_packs([pack], PackChoice(only=["plain", "white_wool"])).palette
    assert (read.names, list(read.tiles)) == (made.names, list(made.tiles))
    for key, tile in made.tiles.items():
        np.testing.assert_array_equal(read.tiles[key], tile)
    np.testing.assert_allclose(read.colors, made.colors, atol=0.51 / 255)


def test_400_textures_take_three_seconds(tmp_path, record_property):
    pack = many(tmp_path / "p.zip", 400)
    began = time.process_time()
    assert main(["palette", str(pack), "--out", str(tmp_path / "p.json")]) == 0
    seconds = time.process_time() - began
    record_property("seconds", seconds)
    assert len(read_palette(tmp_path / "p.json")) == 401
    assert seconds < 3.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group", "metals"], "group 'metals' is not known"),
        (["--grass", "green"], "'green' is no colour; write #rrggbb"),
        (["--game", "new"], "'new' is no version"),
        (["--texels", "0"], "give 1 to 64"),
        (["--only", "none.txt"], "none.txt: cannot be read"),
        (["--only", "empty.txt"], "empty.txt: has no names"),
        (["--group", "glazed"], "none of 18 blocks can be taken (is of another group"),
        (["--out", "pack/p.json"], "lies inside"),
        (["text.zip"], "text.zip: cannot be read (it is no zip archive)"),
        (["gone.zip"], "gone.zip: cannot be read (No such file"),
    ],
)
def test_bad_input_is_one_line(options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack_of_kinds(tmp_path / "pack")
    Path("empty.txt").write_text("# nothing\n")
    Path("text.zip").write_text("text")
    assert main(["palette", "--out", "p.json", *options, "pack"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not Path("p.json").exists()


def test_hostile_packs_leave_blocks_out_and_read_nothing_elsewhere(tmp_path):
    good = files_of(
        {name: {"variants": {"": {"model": f"block/{name}"}}} for name in ("good", "bomb", "climb", "link")},
        {
            **{name: cube(same(f"block/{name}")) for name in ("good", "bomb", "link")},
            "climb": cube(same("../../../../outside")),
        },
        {"good": picture(1)},
    )
    write_folder(tmp_path / "pack", good)
    outside = tmp_path / "outside.png"
    outside.write_bytes(good["assets/minecraft/textures/block/good.png"])
    (tmp_path / "pack/assets/minecraft/textures/block/link.png").symlink_to(outside)
    huge = b"\x89PNG\r\n\x1a\n" + bytes(1 << 25)
    for pack in (
        write_folder(tmp_path / "pack", {"assets/minecraft/textures/block/bomb.png": huge}),
        write_zip(tmp_path / "pack.zip", {**good, "assets/minecraft/textures/block/bomb.png": huge}),
    ):
        blocks = read_packs([pack])
        assert blocks.palette.names == ("Air", "minecraft:good")
        assert set(blocks.left_out) == {"minecraft:bomb", "minecraft:climb", "minecraft:link"}


def test_an_archive_with_a_file_without_a_name_is_refused(tmp_path):
    data = bytearray(write_zip(tmp_path / "p.zip", {"ab": b"x"}).read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 28 : at + 34] = bytes([0, 0, 0, 0, 2, 0])  # its two letters are a remark now
    (tmp_path / "p.zip").write_bytes(data)
    with pytest.raises(BlockcoreError, match=r"p\.zip: (cannot be read|has no blockstates)"):
        read_packs([tmp_path / "p.zip"])


def test_an_archive_that_lists_too_much_is_refused(tmp_path):
    data = write_zip(tmp_path / "p.zip", {"a": b"x"}).read_bytes()
    end = data.rindex(b"PK\5\6")
    long = data[:end] + b"PK\6\7" + bytes(16) + data[end:]
    large = data[: end + 12] + (1 << 26).to_bytes(4, "little") + data[end + 16 :]
    for hostile in (long, large):
        (tmp_path / "p.zip").write_bytes(hostile)
        with pytest.raises(BlockcoreError, match="lists too many files"):
            read_packs([tmp_path / "p.zip"])
