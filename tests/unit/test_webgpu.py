"""map.json and datasets of the WebGPU editor: both picture forms, and every kind of damage."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.formats.webgpu import (
    load_camera_matrices_from_metadata,
    read_dataset,
    read_map,
    write_dataset,
    write_map,
)
from tests.captures import captured, dataset_path, map_path
from tests.parts import need


@pytest.mark.parametrize("number", [1, 4])
def test_map_survives_a_round_trip(number, tmp_path):
    blocks = read_map(map_path(number))
    write_map(tmp_path / "map.json", blocks.grid, blocks.materials, blocks.palette)
    again = read_map(tmp_path / "map.json")
    assert again.grid == blocks.grid
    assert np.array_equal(again.materials, blocks.materials)
    ours, theirs = (json.loads(p.read_text()) for p in (tmp_path / "map.json", map_path(number)))
    assert ours["blocks"] == theirs["blocks"]
    assert ours["worldScale"] == theirs["worldScale"]
    assert ours["worldConfig"]["dimensions"] == theirs["worldConfig"]["dimensions"]


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("images\\000.png", "images/000.png"),
        ("images/000.PNG", "Images/000.png"),
        ("images/B\u00e4ume.png", "images/Ba\u0308ume.png"),
    ],
    ids=["slashes", "capitals", "composed"],
)
def test_pictures_are_found_as_other_systems_write_them(written, called, tmp_path):
    write_dataset(tmp_path / "d", captured(4).views)
    metadata = json.loads((tmp_path / "d" / "metadata.json").read_text())
    picture = tmp_path / "d" / metadata["views"][0]["rgbPath"]
    (tmp_path / "d" / called).parent.mkdir(exist_ok=True)
    picture.rename(tmp_path / "d" / called)
    metadata["views"][0]["rgbPath"] = written
    (tmp_path / "d" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8-sig")
    if called.startswith("Images"):
        for other in metadata["views"][1:]:
            (tmp_path / "d" / other["rgbPath"]).rename(tmp_path / "d" / "Images" / other["rgbPath"].split("/")[1])
        picture.parent.rmdir()
    assert read_dataset(tmp_path / "d") == captured(4).views


@pytest.mark.parametrize("inline", [True, False])
def test_dataset_survives_a_round_trip(inline, tmp_path):
    views = captured(4).views
    write_dataset(tmp_path / "d", views, inline=inline)
    assert read_dataset(tmp_path / "d") == views
    ours, theirs = (json.loads((f / "metadata.json").read_text()) for f in (tmp_path / "d", dataset_path(4)))
    for our, their in zip(ours["views"], theirs["views"], strict=True):
        for key in ("viewMatrix", "projectionMatrix", "viewProjectionMatrix"):
            assert our[key] == their[key]
        assert our["intrinsics"] == pytest.approx(their["intrinsics"], rel=1e-4)
        assert our["forward"] == pytest.approx(their["forward"], abs=1e-6)


def test_matrices_load_as_tensors():
    need("torch")
    view, proj = load_camera_matrices_from_metadata(dataset_path(1), 3)
    camera = captured(1).views[3].camera
    assert np.array_equal(view.numpy(), camera.view.astype(np.float32))
    assert np.array_equal(proj.numpy(), camera.proj.astype(np.float32))
    entry = json.loads((dataset_path(1) / "metadata.json").read_text())["views"][3]
    assert load_camera_matrices_from_metadata(entry)[0].equal(view)


def test_air_is_a_place_without_a_block(tmp_path):
    data = small_map()
    data["blocks"].append({"position": [1, 1, 1], "blockType": "Air"})
    assert len(read_map(save(tmp_path, data)).grid) == 1


def small_map() -> dict:
    return {
        "worldScale": 2,
        "worldConfig": {"dimensions": {"x": 2, "y": 2, "z": 2}},
        "blocks": [{"position": [0, 1, 0], "blockType": "Stone"}],
    }


def save(folder, data) -> object:
    path = folder / "map.json"
    path.write_text(json.dumps(data))
    return path


def block(position, name="Stone"):
    return lambda data: data["blocks"].append({"position": position, "blockType": name})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (block([0, 0, 0], "Lava"), ["block 1", "[0, 0, 0]", "'Lava'", "Grass"]),
        (block([0, 0, 0], 7), ["block 1", "7"]),
        (block([0, 0, 0], ["Stone"]), ["block 1"]),
        (block([0, 2, 0]), ["block 1", "outside"]),
        (block([0, 1, 0]), ["blocks 0 and 1"]),
        (block([0, 0.5, 0]), ["block 1", "whole numbers"]),
        (block([0, 0]), ["block 1", "three whole numbers"]),
        (block("here"), ["block 1"]),
        (block([10**30, 0, 0]), ["block 1"]),
        (lambda data: data.pop("blocks"), ["blocks"]),
        (lambda data: data["worldConfig"].pop("dimensions"), ["dimensions"]),
        (lambda data: data["worldConfig"]["dimensions"].update(x=0), ["size"]),
        (lambda data: data["worldConfig"]["dimensions"].update(x="2"), ["map.json"]),
        (lambda data: data.update(worldScale=-1), ["world scale"]),
        (lambda data: data.update(worldScale="big"), ["map.json"]),
    ],
)
def test_a_bad_map_is_named_with_its_block(change, words, tmp_path):
    data = small_map()
    change(data)
    with pytest.raises(BlockcoreError) as error:
        read_map(save(tmp_path, data))
    message = str(error.value)
    assert "map.json" in message and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"blocks": 1}'])
def test_a_file_that_is_no_map(text, tmp_path):
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(BlockcoreError, match=r"map\.json"):
        read_map(tmp_path / "map.json")


def copied(tmp_path, change):
    """A copy of dataset 4 with pictures as files, changed."""
    write_dataset(tmp_path / "d", captured(4).views)
    path = tmp_path / "d" / "metadata.json"
    data = json.loads(path.read_text())
    change(data, tmp_path / "d")
    path.write_text(json.dumps(data))
    return tmp_path / "d"


def first(**changes):
    return lambda data, folder: data["views"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data, f: data.update(views=[]), ["no view"]),
        (lambda data, f: data.pop("views"), ["views"]),
        (lambda data, f: data.pop("imageSize"), ["imageSize"]),
        (lambda data, f: data["imageSize"].update(width=401), ["401", "400"]),
        (lambda data, f: data["imageSize"].update(width="wide"), ["view 0"]),
        (lambda data, f: data["views"][0].pop("rgbPath"), ["view 0", "no picture"]),
        (lambda data, f: (f / "images" / "000.png").unlink(), ["000.png"]),
        (lambda data, f: (f / "images" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n1234"), ["000.png"]),
        (first(rgbPath="../d/images/000.png/../../../x.png"), ["out of the dataset"]),
        (first(rgbPath=None, rgbBase64="???"), ["view 0", "base64"]),
        (first(rgbPath=None, rgbBase64="AAAA"), ["view 0"]),
        (first(viewMatrix=[1.0] * 15), ["view 0", "matrix"]),
        (first(viewMatrix=None), ["view 0", "matrix"]),
        (first(viewMatrix=[0.0] * 16), ["view 0", "singular"]),
        (first(projectionMatrix=[float("nan")] + [0.0] * 15), ["view 0", "finite"]),
        (lambda data, f: data["views"].__setitem__(0, "view"), ["view 0"]),
    ],
)
def test_a_bad_dataset_is_named_with_its_view(change, words, tmp_path):
    folder = copied(tmp_path, change)
    with pytest.raises(BlockcoreError) as error:
        read_dataset(folder)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_repeated_views_count_once(tmp_path):
    folder = copied(tmp_path, lambda data, f: data["views"].append(dict(data["views"][1], id="again")))
    assert read_dataset(folder) == captured(4).views


def test_views_of_two_sizes_make_no_dataset(tmp_path):
    views = captured(4).views
    other = replace(views[0], camera=replace(views[0].camera, width=10), target=None)
    with pytest.raises(BlockcoreError, match="one picture size"):
        write_dataset(tmp_path / "d", [*views, other])
    assert not (tmp_path / "d").exists()
