"""Damaged files of every format of other programs, in numbers: each is a value or one clear line, soon, in little room.

BLOCKCORE_DAMAGE sets how many files of each format are tried. They are cut short, have bits turned round, also inside
what is packed, claim huge lengths, unfold to gigabytes, are nested deep, or name what lies elsewhere.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import random
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore import formats
from blockcore.errors import BlockcoreError
from blockcore.formats import litematic, nbt, schem, structure, vox
from blockcore.formats.block_states import BlockStates
from blockcore.formats.resource_pack import read_packs
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene
from tests.packs import cube, files_of, picture, same
from tests.unit.test_format_schematic import file as old_schematic

FILES = int(os.environ.get("BLOCKCORE_DAMAGE", "60"))
BOMBS_EVERY = 40  # of so many files one unfolds to what takes a second to refuse
LONGEST, SLOWEST, LARGEST = 300, 2.0, 500  # characters, seconds, MB
HUGE = (0x7FFFFFFF, 0x7FFFFFF0, -1, -(2**31), 0x01000000, 0x00FFFFFF, 65536)
ELSEWHERE = ("../../../../etc/passwd", "/etc/passwd", "..\\..\\x", "\0", "a/../../../x", "C:/x", "//host/share/x")
Damage = Callable[[random.Random, bytes], bytes]
CELLS = np.arange(12 * 9 * 10, dtype=np.int32).reshape(12, 9, 10) * 7 % 41
STATES = ("minecraft:air", *(f"minecraft:block_{number}[axis=x,lit=true]" for number in range(40)))
MOST = (1 << 27) - (1 << 16)  # bytes that fit into what a file may unfold to


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def flipped(chance: random.Random, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 32))):
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def lengthened(chance: random.Random, data: bytes, order: str = ">") -> bytes:
    """Claims a huge length somewhere, most often in the first thousand bytes, where heads are."""
    at = chance.randrange(min(len(data) - 4, chance.choice((64, 1000, 1 << 30))))
    return data[:at] + struct.pack(f"{order}i", chance.choice(HUGE)) + data[at + 4 :]


def inside(damage: Damage) -> Damage:
    """Damages what is packed, under right check sums."""
    return lambda chance, data: gzip.compress(damage(chance, gzip.decompress(data)), 1)


def deep(chance: random.Random, data: bytes) -> bytes:
    levels = chance.choice((150, 250, 5000, 200_000))
    nest = b"\x0a\0\0" * levels if chance.random() < 0.5 else b"\x09\0\0" + b"\x09\0\0\0\1" * levels
    return gzip.compress(_with(data, nest), 1)


def elsewhere(chance: random.Random, data: bytes) -> bytes:
    """Names files where blocks have their names."""
    unpacked, name = gzip.decompress(data), chance.choice(ELSEWHERE).encode()
    return gzip.compress(unpacked.replace(b"minecraft:block_%d" % chance.randrange(40), name[:17].ljust(17, b"/")), 1)


def _with(data: bytes, more: bytes) -> bytes:
    """Puts more tags at the front of a file's root."""
    unpacked = gzip.decompress(data)
    start = 3 + int.from_bytes(unpacked[1:3], "big")
    return unpacked[:start] + more + unpacked[start:]


def _large(root: Mapping[str, Any], **change: Any) -> bytes:
    return nbt.pack("Schematic", {**root, **change})


def tree_bombs(data: bytes) -> Iterator[bytes]:
    """Yields small files that unfold to hundreds of megabytes, as bytes or as values."""
    lists = {
        "bytes": struct.pack(">Bi", 1, MOST) + bytes(MOST),
        "empty lists": struct.pack(">Bi", 9, MOST // 5) + b"\0\0\0\0\0" * (MOST // 5),
        "empty compounds": struct.pack(">Bi", 10, MOST) + bytes(MOST),
        "texts": struct.pack(">Bi", 8, 2000) + (b"\xff\xff" + bytes(65535)) * 2000,
    }
    for held in lists.values():
        yield gzip.compress(_with(data, b"\x09\0\1x" + held), 1)
    yield gzip.compress(_with(data, b"\x07\0\1x" + struct.pack(">i", MOST) + bytes(MOST)), 1)
    yield gzip.compress(bytes(1 << 30), 1)
    yield gzip.compress(gzip.compress(bytes(1 << 28), 1), 1)
    _, root = nbt.unpack(data)
    size = {"Width": np.int16(512), "Height": np.int16(256), "Length": np.int16(256)}
    cells = 1 << 25
    if "Palette" in root or "Schematic" in root:  # the most cells that are allowed, in one byte each and in two
        inner = root.get("Schematic", root)
        for encoded in (bytes(cells), b"\x81\x00" * cells):
            held = np.frombuffer(encoded, np.int8)
            if inner is root:
                yield _large(inner, **size, BlockData=held)
            else:
                blocks = {**inner["Blocks"], "Data": held}
                yield nbt.pack("", {"Schematic": {**inner, **size, "Blocks": blocks}})
    elif "Regions" in root:
        (region,) = root["Regions"].values()
        sides = {axis: np.int32(side) for axis, side in zip("xyz", (512, 256, 256), strict=True)}
        full = {**region, "Size": sides, "BlockStates": np.zeros(cells * 6 // 64, np.int64)}
        yield _large(root, Regions={"blocks": full})
        few = {**region, "Size": dict.fromkeys("xyz", np.int32(1)), "BlockStates": np.zeros(1, np.int64)}
        yield _large(root, Regions={f"region {number}": few for number in range(5000)})
    elif "size" in root:
        yield _large(root, size=[np.int32(512), np.int32(256), np.int32(256)])
    else:
        yield _large(root, **size, Blocks=np.zeros(cells, np.int8), Data=np.zeros(cells, np.int8))


def vox_bombs(data: bytes) -> list[bytes]:
    chunk = vox._chunk
    voxels = np.indices((128, 128, 128)).reshape(3, -1).T.astype(np.uint8)
    full = np.concatenate([voxels, np.ones((len(voxels), 1), np.uint8)], axis=1).tobytes()
    model = chunk(b"SIZE", struct.pack("<3i", 128, 128, 128)) + chunk(b"XYZI", struct.pack("<i", 1 << 21) + full)
    small = chunk(b"SIZE", struct.pack("<3i", 1, 1, 1)) + chunk(b"XYZI", struct.pack("<i4B", 1, 0, 0, 0, 1))

    def file(*chunks: bytes) -> bytes:
        held = b"".join(chunks)
        return b"VOX " + struct.pack("<i", 150) + b"MAIN" + struct.pack("<ii", 0, len(held)) + held

    def graph(count: int) -> bytes:
        return b"".join(vox._graph([[number % 100_000, 0, 0] for number in range(count)]))

    wide = chunk(b"nGRP", struct.pack("<3i", 0, 0, 2000) + struct.pack("<2000i", *[1] * 2000))
    wider = chunk(b"nGRP", struct.pack("<3i", 1, 0, 2000) + struct.pack("<2000i", *[2] * 2000))
    circle = chunk(b"nTRN", struct.pack("<7i", 0, 0, 0, -1, -1, 1, 0))
    shape = chunk(b"nSHP", struct.pack("<5i", 2, 0, 1, 0, 0))
    return [
        *(file(model), file(model, graph(1)), file(model * 9, graph(9)), file(small * 90_000, graph(90_000))),
        *(file(small, wide, wider, shape), file(model, wide, wider, shape), file(small, circle)),
        *(file(small, b"".join(chunk(b"nTRN", struct.pack("<7i", n, 0, n + 1, -1, -1, 1, 0)) for n in range(99_999))),),
        *(file(small * 400_000), file(chunk(b"NOTE", bytes(1 << 26)), small), file(*[chunk(b"XXXX", b"")] * 1_000_000)),
    ]


def vox_deep(chance: random.Random, data: bytes) -> bytes:
    levels = chance.choice((50, 150, 5000))
    nodes = b"".join(vox._chunk(b"nTRN", struct.pack("<7i", n, 0, n + 1, -1, -1, 1, 0)) for n in range(levels))
    return data + nodes


def vox_elsewhere(chance: random.Random, data: bytes) -> bytes:
    name = chance.choice(ELSEWHERE).encode()
    texts = struct.pack("<ii5si", 1, 5, b"_name", len(name)) + name
    return (
        data
        + vox._chunk(b"LAYR", struct.pack("<i", 0) + texts)
        + vox._chunk(chance.choice((b"..//", b"\0\0\0\0")), name)
    )


def zipped(files: Mapping[str, bytes], level: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_inside(damage: Damage) -> Damage:
    def spoil(chance: random.Random, data: bytes) -> bytes:
        files = members(data)
        name = chance.choice(sorted(files))
        return zipped(files | {name: damage(chance, files[name])})

    return spoil


def zip_deep(chance: random.Random, data: bytes) -> bytes:
    files, levels = members(data), chance.choice((50, 2000, 500_000))
    name = chance.choice([name for name in sorted(files) if name.endswith(".json")])
    opened, closed = chance.choice((("[", "]"), ('{"variants":', "}"), ('{"parent":', "}"), ('{"textures":', "}")))
    return zipped(files | {name: (opened * levels + "0" + closed * levels).encode()})


def zip_elsewhere(chance: random.Random, data: bytes) -> bytes:
    files, name = members(data), chance.choice(ELSEWHERE)
    what = chance.choice(("member", "model", "parent", "texture", "block"))
    if what == "member":
        return zipped(files | {name.replace("\0", "?"): b"x", f"assets/minecraft/blockstates/{name[:9]}.json": b"{}"})
    state = {"variants": {"": {"model": name if what == "model" else "block/rock", "weight": 1}}}
    model = cube(same(name if what == "texture" else "block/rock")) | ({"parent": name} if what == "parent" else {})
    block = name if what == "block" else "rock"
    files |= {f"assets/minecraft/blockstates/{block}.json".replace("\0", "?"): json.dumps(state).encode()}
    return zipped(files | {"assets/minecraft/models/block/rock.json": json.dumps(model).encode()})


def zip_bombs(data: bytes) -> list[bytes]:
    files = members(data)
    json_, png_ = "assets/minecraft/models/block/rock.json", "assets/minecraft/textures/block/rock.png"
    state = "assets/minecraft/blockstates/rock.json"
    spaces = b" " * (1 << 28)
    many = {f"assets/minecraft/blockstates/b{number}.json": b'{"variants":{}}' for number in range(16_000)}
    variants = {f"a={number}": {"model": "block/rock"} for number in range(60_000)}
    parents = {
        f"assets/minecraft/models/block/m{number}.json": json.dumps({"parent": f"block/m{number + 1}"}).encode()
        for number in range(20_000)
    }
    start = json.dumps({"variants": {"": {"model": "block/m0"}}}).encode()
    return [
        *(zipped(files | {json_: spaces}), zipped(files | {png_: bytes(1 << 29)}), zipped(files | {state: spaces})),
        zipped(files | {png_ + ".mcmeta": spaces}),
        *(zipped(files | many), zipped(files | {state: json.dumps({"variants": variants}).encode()})),
        *(zipped(files | parents | {state: start}), zipped({f"x{number}": b"" for number in range(60_000)})),
        zipped(files | {png_: picture(1, 64, 64).tobytes() * 4000}),
        _overlapping(files, png_),
    ]


def _overlapping(files: Mapping[str, bytes], name: str) -> bytes:
    """A list of files in which thousands share the bytes of one that unfolds to megabytes."""
    whole = zipped({**files, name: bytes(1 << 24)})
    end = whole.rindex(b"PK\5\6")
    first = int.from_bytes(whole[end + 16 : end + 20], "little")
    entry = whole[whole.rindex(b"PK\1\2", 0, end) : end]
    entries = [
        entry.replace(
            name.encode(), f"assets/minecraft/blockstates/{number:05d}.json".ljust(len(name)).encode()[: len(name)]
        )
        for number in range(5000)
    ]
    listed = whole[first:end] + b"".join(entries)
    count = min(65535, whole[first:end].count(b"PK\1\2") + len(entries))
    return whole[:first] + listed + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(listed), first, 0)


TREE = {
    **{"cut": cut, "flipped": flipped, "cut inside": inside(cut), "flipped inside": inside(flipped)},
    **{"lengths": inside(lengthened), "deep": deep, "elsewhere": elsewhere},
}
VOX = {"cut": cut, "flipped": flipped, "lengths": lambda c, d: lengthened(c, d, "<"), "deep": vox_deep} | {
    "elsewhere": vox_elsewhere
}
ZIP = {
    **{"cut": cut, "flipped": flipped, "cut inside": zip_inside(cut), "flipped inside": zip_inside(flipped)},
    **{"lengths": lambda c, d: lengthened(c, d, "<"), "deep": zip_deep, "elsewhere": zip_elsewhere},
}


def _vox_seed() -> bytes:
    position = np.argwhere(CELLS > 0).astype(np.int32)
    colors = np.linspace(0.0, 1.0, 41 * 9).reshape(41, 3, 3)
    palette = Palette(("Air", *(f"m{number}" for number in range(40))), colors)
    return vox.pack(BlockScene(BlockGrid((12, 9, 10), 2.0, position), CELLS[CELLS > 0], palette))[0]


def _zip_seed() -> bytes:
    states = {
        "rock": {"variants": {"": {"model": "block/rock", "y": 90}}},
        "log": {"variants": {"axis=x": {"model": "block/log"}}},
    }
    textures = {"rock": picture(1, 16, 16), "log": picture(2, 16, 16)}
    return zipped(files_of(states, {name: cube(same(f"block/{name}")) for name in textures}, textures))


BLOCKS = BlockStates(CELLS, STATES)
SEEDS: dict[str, tuple[str, bytes, Mapping[str, Damage], Callable[[bytes], Iterable[bytes]]]] = {
    "schem 2": (".schem", schem.pack(BLOCKS, 2), TREE, tree_bombs),
    "schem 3": (".schem", schem.pack(BLOCKS, 3), TREE, tree_bombs),
    "litematic": (".litematic", litematic.pack(BLOCKS), TREE, tree_bombs),
    "nbt": (".nbt", structure.pack(BLOCKS), TREE, tree_bombs),
    "schematic": (".schematic", old_schematic([1, 17, 0, 35] * 50, [0, 5, 0, 14] * 50), TREE, tree_bombs),
    "vox": (".vox", _vox_seed(), VOX, vox_bombs),
    "pack": (".zip", _zip_seed(), ZIP, zip_bombs),
}


def resident(what: str) -> int:
    """Returns the bytes that this process holds now (VmRSS), or held at most since it was last asked to forget it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("name", SEEDS)
def test_damage_costs_a_line(name: str, tmp_path: Path) -> None:
    suffix, whole, kinds, bombs = SEEDS[name]
    path = tmp_path / f"damaged{suffix}"
    read = (lambda: read_packs([path])) if suffix == ".zip" else (lambda: formats.read(path))
    path.write_bytes(whole)
    read()
    chance, every = random.Random(name), itertools.cycle(kinds.items())
    bombed = itertools.cycle(enumerate(bombs(whole)))
    slowest, largest, refused = (0.0, ""), (0.0, ""), 0
    for number in range(FILES):
        if number % BOMBS_EVERY == BOMBS_EVERY - 1:
            which, spoilt = next(bombed)
            kind = f"bomb {which}"
        else:
            kind, damage = next(every)
            spoilt = damage(chance, whole)
        path.write_bytes(spoilt)
        Path("/proc/self/clear_refs").write_text("5")
        before, began = resident("VmRSS"), time.process_time()
        try:
            read()
        except BlockcoreError as error:
            said = str(error)
            refused += 1
            assert len(said) <= LONGEST and said.isprintable(), said
        took, held = time.process_time() - began, (resident("VmHWM") - before) / 1e6
        slowest, largest = max(slowest, (took, f"{kind}, {number}")), max(largest, (held, f"{kind}, {number}"))
        assert took < SLOWEST, (kind, number, took)
        assert held < LARGEST, (kind, number, held)
    worst = f"slowest {slowest[0]:.2f} s ({slowest[1]}), largest {largest[0]:.0f} MB ({largest[1]})"
    print(f"{name}: {FILES} files, {refused} refused; {worst}")
