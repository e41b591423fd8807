"""glTF files: valid, small and soon written; every block and every face that shows is there, in its colour."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import time

import numpy as np
import pytest

from blockcore import formats
from blockcore.formats.glb import atlas
from blockcore.io.png import decode
from blockcore.model.grid import FACE_UVS, BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene
from tests.captures import captured
from tests.parts import lack, need

TYPES = {5126: np.float32, 5123: np.uint16, 5125: np.uint32}
WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


def opened(path):
    """Returns a file's JSON and the bytes that its views lie in, once its frame is as the specification has it."""
    data = path.read_bytes()
    magic, version, length, json_length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    binary, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"BIN\0" and json_length % 4 == 0 and binary % 4 == 0 and 28 + json_length + binary == len(data)
    return json.loads(data[20 : 20 + json_length]), data[28 + json_length :]


def values(told, data, number):
    """Returns an accessor's values, once it lies where it may."""
    entry = told["accessors"][number]
    view, kind = told["bufferViews"][entry["bufferView"]], np.dtype(TYPES[entry["componentType"]])
    size = entry["count"] * WIDTH[entry["type"]] * kind.itemsize
    assert view["byteOffset"] % kind.itemsize == 0 and view["byteLength"] == size
    assert view["byteOffset"] + size <= told["buffers"][0]["byteLength"] == len(data)
    found = np.frombuffer(data, kind, entry["count"] * WIDTH[entry["type"]], view["byteOffset"])
    found = found.reshape(entry["count"], -1)
    if "min" in entry:
        np.testing.assert_array_equal(found.min(axis=0), np.float32(entry["min"]))
        np.testing.assert_array_equal(found.max(axis=0), np.float32(entry["max"]))
    return found


def faces_of(path):
    """Returns what a plain reader finds: {(corners of a face, sorted): its mean colour}, and how often faces occur."""
    told, data = opened(path)
    view = told["bufferViews"][told["images"][0]["bufferView"]]
    picture = decode(data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])[..., :3]
    found, count = {}, 0
    for node in told["nodes"]:
        (primitive,) = told["meshes"][node["mesh"]]["primitives"]
        named = {name: values(told, data, number) for name, number in primitive["attributes"].items()}
        index = values(told, data, primitive["indices"]).reshape(-1, 6)
        places = np.zeros((1, 3), np.float32)
        if "extensions" in node:
            (attributes,) = [extension["attributes"] for extension in node["extensions"].values()]
            places = values(told, data, attributes["TRANSLATION"])
        for place in places:
            for corners in index:
                points = named["POSITION"][corners]
                normal = np.cross(points[1] - points[0], points[2] - points[0])
                uv = named["TEXCOORD_0"][corners]
                column, row = np.floor((uv.min(axis=0) + uv.max(axis=0)) / 2 * picture.shape[0]).astype(int)
                key = tuple(sorted({tuple(np.round(point + place, 3).tolist()) for point in points}))
                found[key] = (tuple(np.sign(normal).astype(int).tolist()), tuple(picture[row, column].tolist()))
                count += 1
    return found, count


def small():
    cells = np.argwhere(np.random.default_rng(3).random((4, 3, 5)) < 0.6)
    return BlockScene(BlockGrid((4, 3, 5), 2.0, cells), np.arange(len(cells)) % 7 + 1, WEBGPU_PALETTE)


def test_cubes_and_faces_are_those_of_the_world(tmp_path):
    scene = small()
    faces = scene.grid.exposed_faces
    wanted = {}
    for corners, direction, block in zip(faces.corners(), faces.direction, faces.block, strict=True):
        color = WEBGPU_PALETTE.colors[scene.materials[block], (2, 2, 0, 1, 2, 2)[direction]].astype(float)
        normal = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))[direction]
        key = tuple(sorted(tuple(np.round(corner, 3).tolist()) for corner in corners))
        wanted[key] = (normal, tuple(np.rint(255.0 * color).astype(int).tolist()))
    formats.write(tmp_path / "w.mesh.glb", scene)
    assert faces_of(tmp_path / "w.mesh.glb") == (wanted, len(faces))
    formats.write(tmp_path / "w.glb", scene)
    found, count = faces_of(tmp_path / "w.glb")
    assert count == 6 * len(scene.grid)
    assert {key: found[key] for key in wanted} == wanted
    told, _ = opened(tmp_path / "w.glb")
    assert told["extensionsRequired"] == ["EXT_mesh_gpu_instancing"]
    assert [material["name"] for material in told["materials"]] == list(WEBGPU_PALETTE.names[1:])


def test_every_texel_of_a_tile_is_in_the_picture():
    rng = np.random.default_rng(5)
    shapes = {(1, 0): (16, 16), (1, 2): (3, 7), (2, 5): (1, 40), (3, 1): (16, 16)}
    tiles = {key: rng.integers(0, 256, (*shape, 4), np.uint8) for key, shape in shapes.items()}
    palette = Palette(("Air", "a", "b", "c"), rng.random((4, 3, 3)), tiles)
    picture, uv = atlas(palette, np.arange(1, 4))
    side = len(picture)
    slots = (2, 2, 0, 1, 2, 2)
    for material in (1, 2, 3):
        for direction in range(6):
            tile = tiles.get((material, direction), np.zeros((1, 1, 4), np.uint8)).astype(float)
            color = palette.colors[material, slots[direction]].astype(float)
            wanted = np.rint(255 * (1 - tile[..., 3:] / 255) * color + tile[..., 3:] / 255 * tile[..., :3])
            height, width = tile.shape[:2]
            v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
            corner = dict(zip(map(tuple, FACE_UVS[direction].tolist()), uv[material, direction], strict=True))
            start, right, down = corner[0, 0], corner[1, 0] - corner[0, 0], corner[0, 1] - corner[0, 0]
            at = np.floor((start + u[..., None] * right + v[..., None] * down) * side).astype(int)
            np.testing.assert_allclose(picture[at[..., 1], at[..., 0]], wanted, atol=1)


def test_the_hills_are_small_and_soon_written(tmp_path, record_property):
    scene = captured(2)
    began = time.process_time()
    formats.write(tmp_path / "hills.glb", scene)
    seconds = time.process_time() - began
    size = (tmp_path / "hills.glb").stat().st_size
    record_property("hills", f"{seconds:.3f} s, {size} bytes")
    assert size <= 1_200_000 and seconds <= 1.0
    told, data = opened(tmp_path / "hills.glb")
    at = [node["extensions"]["EXT_mesh_gpu_instancing"]["attributes"]["TRANSLATION"] for node in told["nodes"]]
    assert sum(len(values(told, data, number)) for number in at) == len(scene.grid) == 88_767


def test_a_world_without_blocks_and_tiles_that_do_not_fit(tmp_path, monkeypatch):
    empty = BlockScene(BlockGrid((1, 1, 1), 1.0, np.zeros((0, 3), int)), np.zeros(0, int))
    for name in ("e.glb", "e.mesh.glb"):
        formats.write(tmp_path / name, empty)
        assert opened(tmp_path / name)[0]["scenes"] == [{}]
    monkeypatch.setattr("blockcore.formats.glb._LARGEST_PICTURE", 32)
    tiles = {(m, 0): np.full((16, 16, 4), 255 - m, np.uint8) for m in range(1, 6)}
    palette = Palette(("Air", *"abcde"), np.zeros((6, 3, 3)), tiles)
    grid = BlockGrid((5, 1, 1), 1.0, np.arange(5)[:, None] * [1, 0, 0])
    with pytest.raises(formats.BlockcoreError, match="picture of 64 texels a side, 32 are allowed"):
        formats.write(tmp_path / "large.glb", BlockScene(grid, np.arange(1, 6), palette))
    assert not (tmp_path / "large.glb").exists()


VALIDATE = """
const validator = require("gltf-validator"), fs = require("fs");
Promise.all(process.argv.slice(1).map((path) => validator.validateBytes(new Uint8Array(fs.readFileSync(path)))))
  .then((reports) => console.log(JSON.stringify(reports.map((report) => report.issues))));
"""


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """Installs Khronos' validator, by name, where npm is there and reaches a registry."""
    need("node")
    if shutil.which("npm") is None:
        lack("npm", "not found")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--silent", "--prefix", str(folder), "gltf-validator@2.0.0-dev.3.10"]
    if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
        lack("npm", "it cannot install gltf-validator")
    return folder


def test_khronos_validator_finds_nothing_wrong(validator, tmp_path):
    paths = []
    for name, scene in (("tiled", captured(3)), ("flat", captured(4)), ("small", small())):
        for end in ("glb", "mesh.glb"):
            paths.append(str(tmp_path / f"{name}.{end}"))
            formats.write(tmp_path / f"{name}.{end}", scene)
    command = ["node", "-e", VALIDATE, *paths]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=validator, timeout=60).stdout
    for path, issues in zip(paths, json.loads(told), strict=True):
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), (path, issues["messages"])
        codes = {message["code"] for message in issues["messages"]}
        # the validator does not know the extension, nor so what uses its accessors
        assert codes <= (set() if "mesh" in path else {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"})
