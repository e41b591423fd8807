"""MagicaVoxel's files hold the voxels that a plain reader finds in them, wherever the graph puts them."""

from __future__ import annotations

import itertools
import random
import struct

import numpy as np
import pytest

from blockcore.formats import vox
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene
from tests.state_worlds import WORLDS


def chunk(name: str, content: bytes) -> bytes:
    return name.encode() + struct.pack("<ii", len(content), 0) + content


def texts(**values: str) -> bytes:
    parts = [struct.pack("<i", len(values))]
    for item in itertools.chain(*values.items()):
        parts.append(struct.pack("<i", len(item)) + item.encode())
    return b"".join(parts)


def model(size, voxels) -> bytes:
    body = b"".join(bytes(voxel) for voxel in voxels)
    return chunk("SIZE", struct.pack("<3i", *size)) + chunk("XYZI", struct.pack("<i", len(voxels)) + body)


def transform(number, child, layer=-1, about=None, **move) -> bytes:
    head = struct.pack("<i", number) + texts(**(about or {}))
    return chunk("nTRN", head + struct.pack("<4i", child, -1, layer, 1) + texts(**move))


def group(number, *children) -> bytes:
    return chunk(
        "nGRP", struct.pack("<i", number) + texts() + struct.pack(f"<{len(children) + 1}i", len(children), *children)
    )


def shape(number, of, about=None) -> bytes:
    return chunk("nSHP", struct.pack("<i", number) + texts(**(about or {})) + struct.pack("<ii", 1, of) + texts())


def file(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"VOX " + struct.pack("<i", 150) + b"MAIN" + struct.pack("<ii", 0, len(body)) + body


def colors_by_place(scene: BlockScene, low=(0, 0, 0)) -> dict:
    colors = np.rint(scene.palette.colors[scene.materials, 0] * 255).astype(int).tolist()
    places = (scene.grid.positions + np.array(low)).tolist()
    return dict(zip(map(tuple, places), map(tuple, colors), strict=True))


def normal(cells: dict) -> dict:
    low = np.min(list(cells), axis=0)
    return {tuple((np.array(cell) - low).tolist()): color for cell, color in cells.items()}


def plain(data: bytes) -> dict:
    """Returns colours by place, y up, of a file such as we write: models that are shifted alone."""
    sizes, voxels, shifts, place = [], [], [], 20
    while place < len(data):
        name, length = data[place : place + 4], struct.unpack_from("<i", data, place + 4)[0]
        body = data[place + 12 : place + 12 + length]
        place += 12 + length
        if name == b"SIZE":
            sizes.append(struct.unpack("<3i", body))
        elif name == b"XYZI":
            voxels.append([body[i : i + 4] for i in range(4, len(body), 4)])
        elif name == b"nTRN" and b"_t" in body:
            shifts.append([int(part) for part in body[body.index(b"_t") + 6 :].split()])
        elif name == b"RGBA":
            rgba = body
    found = {}
    for size, some, shift in zip(sizes, voxels, shifts, strict=True):
        for x, y, z, color in some:
            a, b, c = (v - side // 2 + s for v, side, s in zip((x, y, z), size, shift, strict=True))
            found[a, c, -1 - b] = tuple(rgba[4 * color - 4 : 4 * color - 1])
    return found


def random_scene(seed: int) -> BlockScene:
    chance = np.random.default_rng(seed)
    size = (
        [(300, 3, 300), (1, 384, 1), (20, 20, 20)][seed % 3] if seed % 2 else tuple(chance.integers(1, 30, 3).tolist())
    )
    cells = np.unique(np.stack([chance.integers(0, side, 800) for side in size], axis=1), axis=0)
    count = int(chance.integers(1, 255))
    colors = np.zeros((count + 1, 3, 3))
    colors[1:] = chance.integers(0, 256, (count, 1, 3)) / 255.0
    palette = Palette(("Air", *(f"m{number}" for number in range(count))), colors)
    return BlockScene(BlockGrid(size, 2.0, cells), chance.integers(1, count + 1, len(cells)), palette)


def test_a_plain_reader_finds_the_blocks_we_wrote_and_so_do_we():
    for seed in range(WORLDS):
        scene = random_scene(seed)
        data, _ = vox.pack(scene)
        expected = normal(colors_by_place(scene))
        assert normal(plain(data)) == expected
        assert normal(colors_by_place(vox.unpack(data)[0])) == expected


TURNS = [
    (code, first, second)
    for first, second in itertools.permutations(range(3), 2)
    for code in (first | second << 2 | signs << 4 for signs in range(8))
]


@pytest.mark.parametrize("size", [(3, 4, 5), (1, 2, 1)])
def test_every_turn_puts_voxels_where_the_matrix_does(size):
    voxels = [(x, y, z, x + 3 * y + 12 * z + 1) for x, y, z in itertools.product(*map(range, size))]
    for code, first, second in TURNS:
        rows = (first, second, 3 - first - second)
        signs = [-1 if code >> (4 + row) & 1 else 1 for row in range(3)]
        graph = transform(0, 1) + group(1, 2) + transform(2, 3, _r=str(code), _t="7 -8 9") + shape(3, 0)
        scene, losses = vox.unpack(file(model(size, voxels), graph))
        expected = {}
        for voxel in voxels:
            centre = [v + 0.5 - side // 2 for v, side in zip(voxel, size, strict=False)]
            x, y, z = (int(np.floor(signs[row] * centre[rows[row]])) for row in range(3))
            expected[x, z, -1 - y] = scene.palette.names.index(f"color {voxel[3]}")
        found = dict(zip(map(tuple, scene.grid.positions.tolist()), scene.materials.tolist(), strict=True))
        assert found == normal(expected)
        assert losses == ()


def test_turns_of_groups_turn_what_is_in_them():
    quarter = str(1 | 0 << 2 | 1 << 4)  # x' = -y, y' = x
    graph = (
        transform(0, 1, _r=quarter)
        + group(1, 2, 4)
        + transform(2, 3, _t="5 0 0")
        + shape(3, 0)
        + transform(4, 5)
        + shape(5, 0)
    )
    scene, _ = vox.unpack(file(model((1, 1, 1), [(0, 0, 0, 1)]), graph))
    assert sorted(scene.grid.positions.tolist()) == [[0, 0, 0], [0, 0, 5]]
    assert scene.palette.colors[1].tolist() == [[1.0, 1.0, 1.0]] * 3


def test_what_is_hidden_overlaps_or_is_no_voxel_is_said():
    one = model((1, 1, 1), [(0, 0, 0, 1)]) + model((1, 1, 1), [(0, 0, 0, 255)])
    layer = chunk("LAYR", struct.pack("<i", 3) + texts(_hidden="1") + struct.pack("<i", -1))
    graph = transform(0, 1) + group(1, 2, 4, 6) + transform(2, 3) + shape(3, 0) + transform(4, 5) + shape(5, 1)
    scene, losses = vox.unpack(file(one, graph, transform(6, 7, layer=3) + shape(7, 1), layer, chunk("MATL", b"")))
    assert scene.palette.names == ("Air", "color 255")
    assert [loss.split()[0] for loss in losses] == ["1", "1", "looks"]
    assert np.rint(scene.palette.colors[1, 0] * 255).tolist() == [0x11] * 3


def test_more_materials_than_a_file_has_become_the_nearest():
    count = 300
    colors = np.linspace(0, 1, count + 1)[:, None, None].repeat(3, axis=1).repeat(3, axis=2)
    cells = np.stack([np.arange(count), np.zeros(count), np.zeros(count)], axis=1).astype(int)
    palette = Palette(("Air", *(f"m{number}" for number in range(count))), colors)
    data, losses = vox.pack(BlockScene(BlockGrid((count, 1, 1), 2.0, cells), np.arange(count) + 1, palette))
    assert any(loss.startswith("45 materials") for loss in losses)
    back, _ = vox.unpack(data)
    assert (len(back.grid), len(back.palette)) == (count, 256)
    shown = [color[0] for _, color in sorted(colors_by_place(back).items())]
    assert max(abs(a - b) for a, b in zip(shown[:255], (colors[1:256, 0, 0] * 255).tolist(), strict=True)) < 0.51


def test_a_world_without_a_block_is_refused():
    with pytest.raises(ValueError, match="no block"):
        vox.pack(BlockScene(BlockGrid((1, 1, 1), 2.0, np.zeros((0, 3))), [], WEBGPU_PALETTE))


ONE = model((1, 1, 1), [(0, 0, 0, 1)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no MagicaVoxel"),
        (file(), "no model"),
        (file(ONE)[:-1], "cut short"),
        (file(model((1, 1, 1), [(1, 0, 0, 1)])), "outside"),
        (file(model((1, 1, 1), [(0, 0, 0, 0)])), "without a colour"),
        (file(model((1, 1, 257), [])), "257"),
        (file(ONE, transform(0, 0)), "circle"),
        (file(ONE, transform(0, 9)), "hole"),
        (file(ONE, transform(0, 1) + shape(1, 5)), "lacks"),
        (file(ONE, transform(0, 1, _r="0") + shape(1, 0)), "is none"),
        (file(ONE, transform(0, 1, _r="x") + shape(1, 0)), "whole numbers"),
        (file(ONE, transform(0, 1, _t="99999999999999999999 0 0") + shape(1, 0)), "whole numbers|far"),
        (file(ONE, chunk("XYZI", struct.pack("<i", 1 << 30))), "cut short"),
        (file(ONE, transform(0, 1) + group(1, *[1] * 99)), "circle"),
        (file(ONE, transform(0, 1, about={"_hidden": "1"}) + shape(1, 0)), "shown"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        vox.unpack(data)


def test_random_damage_is_an_error_or_a_world():
    chance = random.Random(18)
    whole, _ = vox.pack(random_scene(2))
    refused = 0
    for number in range(100 * WORLDS):
        data = bytearray(whole)
        for _ in range(3):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if not number % 3:
            del data[chance.randrange(len(data)) :]
        try:
            vox.unpack(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 20 * WORLDS
