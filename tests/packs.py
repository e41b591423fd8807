"""Resource packs made when tests run, of pixels of their own, and a world of turned blocks that shows every face."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.formats.resource_pack import read_packs
from blockcore.io.pictures import encode_png
from blockcore.model.camera import Camera, look_at, orthographic
from blockcore.model.grid import FACE_NAMES, FACE_NORMALS, BlockGrid
from blockcore.model.lighting import Lighting
from blockcore.model.scene import BlockScene, View

WHITE = Lighting(sun_color=(0, 0, 0), ambient_strength=1.0, ground_color=(1, 1, 1), sky_color=(1, 1, 1))
SIDES = ("east", "west", "up", "down", "south", "north")
FULL = {"from": [0, 0, 0], "to": [16, 16, 16]}


def cube(textures: Mapping[str, str], **face: Any) -> dict[str, Any]:
    """A model that is a cube, whose faces show textures of their own."""
    faces = {side: {"texture": f"#{side}", "cullface": side, **face} for side in SIDES}
    return {"textures": dict(textures), "elements": [{**FULL, "faces": faces}]}


def same(texture: str) -> dict[str, str]:
    return dict.fromkeys(SIDES, texture)


def picture(seed: int, height: int = 4, width: int = 4) -> npt.NDArray[np.uint8]:
    """An opaque texture of which no two texels are alike."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., :3] = rng.permutation(250 * 250)[: height * width * 3].reshape(height, width, 3) % 251
    return pixels


def files_of(
    states: Mapping[str, Any], models: Mapping[str, Any], textures: Mapping[str, npt.NDArray[np.uint8] | bytes]
) -> dict[str, bytes]:
    """The files of a pack: Minecraft's own namespace, models and textures under ``block``."""
    files = {"pack.mcmeta": json.dumps({"pack": {"pack_format": 15, "description": "made here"}}).encode()}
    for name, data in states.items():
        files[f"assets/minecraft/blockstates/{name}.json"] = json.dumps(data).encode()
    for name, data in models.items():
        files[f"assets/minecraft/models/block/{name}.json"] = json.dumps(data).encode()
    for name, pixels in textures.items():
        end, data = ("", pixels) if isinstance(pixels, bytes) else (".png", encode_png(pixels))
        files[f"assets/minecraft/textures/block/{name}{end}"] = data
    return files


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


TURNS = [(x, y, locks) for x in range(4) for y in range(4) for locks in (False, True)]


def turned_pack(path: Path) -> Path:
    """A pack with one block in all turns: one texture a face, each turned on it by another quarter."""
    model = cube({side: f"block/{side}" for side in SIDES})
    for quarters, side in enumerate(SIDES):
        model["elements"][0]["faces"][side]["rotation"] = 90 * (quarters % 4)
    variants = {
        f"x={x},y={y},locks={str(locks).lower()}": {"model": "block/m", "x": 90 * x, "y": 90 * y, "uvlock": locks}
        for x, y, locks in TURNS
    }
    return write_zip(
        path, files_of({"turned": {"variants": variants}}, {"m": model}, {s: picture(k) for k, s in enumerate(SIDES)})
    )


def turned_world(path: Path) -> BlockScene:
    """The blocks of ``turned_pack`` along a diagonal: six cameras see six faces of each, with eight pixels a side."""
    palette = read_packs([turned_pack(path)]).palette
    count = len(palette) - 1
    grid = BlockGrid((count, count, count), 1.0, np.arange(count).repeat(3).reshape(-1, 3))
    center, views = np.array([0.0, count / 2, 0.0]), []
    for name, normal in zip(FACE_NAMES, FACE_NORMALS.astype(float), strict=True):
        up = (0.0, 1.0, 0.0) if normal[1] == 0.0 else (0.0, 0.0, -1.0)
        view = look_at(center + 2.0 * count * normal, center, up)
        views.append(View(Camera(view, orthographic(count, count, 0.1, 4.0 * count), 8 * count, 8 * count, name)))
    return BlockScene(grid, np.arange(1, count + 1), palette, tuple(views), WHITE)
