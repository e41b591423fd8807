"""Files of the WebGPU block editor: ``map.json`` (blocks) and datasets (posed captures)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import CameraError, DatasetError, MapError, listed, quoted
from blockcore.formats.tile_files import read_tiles, write_tiles
from blockcore.io.damage import DAMAGE, entries, reading, whole
from blockcore.io.files import Json, as_called, inside, read_json, write_file, write_json
from blockcore.io.folders import new_folder
from blockcore.io.pictures import decode_picture, encode_png, read_picture
from blockcore.model.camera import Camera
from blockcore.model.frozen import frozen_array
from blockcore.model.grid import MAX_SIDE, BlockGrid
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View

_MAP_REMEDY = "export the map from the editor again"
_DATA_REMEDY = "capture the dataset again"
_MOST_BLOCKS, _MOST_VIEWS = 50_000_000, 100_000


@dataclass(frozen=True)
class BlockMap:
    """What a map.json holds.

    Attributes:
        grid: where the blocks are.
        materials: (N,) int32 palette indices, never Air.
        palette: the palette they index, with the map's own tiles laid over it.
    """

    grid: BlockGrid
    materials: npt.NDArray[np.int32]
    palette: Palette


def read_map(path: Path | str, palette: Palette = WEBGPU_PALETTE) -> BlockMap:
    """Reads a map.json. Blocks of Air are places without a block and are left out.

    Raises:
        MapError: the file is missing or damaged, a material is unknown, a block lies outside the grid, has a
            position that is not whole numbers, or shares its place with another.
        PaletteError: a tile cannot be used.
    """
    path = Path(path)
    data = read_json(path, MapError, _MAP_REMEDY)
    with reading(path, MapError, _MAP_REMEDY):
        sx, sy, sz = (
            whole(data["worldConfig"]["dimensions"][axis], f"its size along {axis}", 1, MAX_SIDE) for axis in "xyz"
        )
        scale = float(data.get("worldScale", 2.0))
        blocks = entries(data["blocks"], "its blocks", _MOST_BLOCKS)
        positions = [block["position"] for block in blocks]
        names = [block["blockType"] for block in blocks]
        textures = data.get("textures", {})
    materials = _material_indices(path, names, positions, palette)
    cells = _cells(path, positions)
    solid = materials != AIR
    try:
        grid = BlockGrid((sx, sy, sz), scale, cells[solid])
    except (MapError, *DAMAGE) as error:
        raise MapError(f"{path}: {error}") from error
    if textures:
        palette = palette.with_tiles({**palette.tiles, **read_tiles(textures, path.parent, str(path), palette)})
    return BlockMap(grid, frozen_array(materials[solid], np.int32), palette)


def _material_indices(path: Path, names: list[Any], positions: list[Any], palette: Palette) -> npt.NDArray[np.int32]:
    index = {name: i for i, name in enumerate(palette.names)}
    try:
        return np.array([index[name] for name in names], dtype=np.int32)
    except (KeyError, TypeError):
        i, bad = next((i, n) for i, n in enumerate(names) if not isinstance(n, str) or n not in index)
        raise MapError(
            f"{path}: block {i} at {quoted(positions[i])} has the unknown material {quoted(bad)}; "
            f"use one of {listed(palette.names)}, or give a palette that has it"
        ) from None


def _cells(path: Path, positions: list[Any]) -> npt.NDArray[Any]:
    try:
        cells = np.array(positions if positions else np.zeros((0, 3)))
    except (ValueError, OverflowError, RecursionError):
        cells = np.array(0)
    if cells.ndim == 2 and cells.shape[1] == 3 and cells.dtype.kind in "iuf":
        return cells
    bad = next(
        i
        for i, p in enumerate(positions)
        if not (isinstance(p, list) and len(p) == 3 and all(type(v) in (int, float) and abs(v) < 2**31 for v in p))
    )
    raise MapError(f"{path}: block {bad} has position {quoted(positions[bad])}, expected three whole numbers")


def write_map(
    path: Path | str, grid: BlockGrid, materials: npt.ArrayLike, palette: Palette = WEBGPU_PALETTE, name: str = "blocks"
) -> None:
    """Writes a map.json, whole or not at all, with the palette's tiles in a folder ``tiles`` beside it.

    Args:
        path: the file.
        grid: where the blocks are.
        materials: (N,) palette indices.
        palette: the palette they index.
        name: the world's name.
    """
    sx, sy, sz = grid.size
    scale = int(grid.world_scale) if grid.world_scale.is_integer() else grid.world_scale
    world: Json = {
        "sequence": 1,
        "worldScale": scale,
        "worldConfig": {"dimensions": {"x": sx, "y": sy, "z": sz}, "name": name},
        "blocks": [
            {"position": cell, "blockType": palette.names[material]}
            for cell, material in zip(grid.positions.tolist(), np.asarray(materials).tolist(), strict=True)
        ],
    }
    path = Path(path)
    if palette.tiles:
        world["textures"] = write_tiles(palette, path.parent)
    write_file(path, json.dumps(world, separators=(",", ":"), ensure_ascii=False) + "\n")


def read_dataset(folder: Path | str, need_pictures: bool = True) -> tuple[View, ...]:
    """Reads the posed captures of a dataset. A view that repeats an earlier one exactly is left out.

    Args:
        folder: the dataset's folder, or its metadata.json.
        need_pictures: whether a view without a picture is an error; else its target is None.

    Returns:
        The views, in the order of the file.

    Raises:
        DatasetError: the dataset is missing or damaged, has no view, or lacks a picture.
        CameraError: a matrix is singular or not finite.
    """
    path = _metadata_path(folder)
    data = read_json(path, DatasetError, _DATA_REMEDY)
    with reading(path, DatasetError, _DATA_REMEDY):
        found = entries(data["views"], "its views", _MOST_VIEWS)
        size = (data["imageSize"]["width"], data["imageSize"]["height"])
    if not found:
        raise DatasetError(f"{path}: has no view; {_DATA_REMEDY}")
    views: dict[bytes, View] = {}
    for number, entry in enumerate(found):
        view = _read_view(path, number, entry, size, need_pictures)
        views.setdefault(_identity(view), view)
    return tuple(views.values())


def _metadata_path(folder: Path | str) -> Path:
    folder = Path(folder)
    return folder if folder.suffix == ".json" else folder / "metadata.json"


def _identity(view: View) -> bytes:
    """Returns what only a view with the same camera and picture has."""
    digest = hashlib.blake2b(digest_size=32)
    for values in (view.camera.view + 0.0, view.camera.proj + 0.0, view.target):  # + 0.0: so that -0.0 is 0.0
        digest.update(b"none" if values is None else repr(values.shape).encode() + values.tobytes())
    return digest.digest()


def _read_view(path: Path, number: int, entry: Any, size: tuple[int, int], need_picture: bool) -> View:
    what = f"{path}: view {number}"
    if not isinstance(entry, dict):
        raise DatasetError(f"{what} is not an object; {_DATA_REMEDY}")
    try:
        view, proj = (matrix_from_columns(entry[key]) for key in ("viewMatrix", "projectionMatrix"))
    except DAMAGE as error:
        raise DatasetError(f"{what} lacks a matrix of 16 numbers ({quoted(error)}); {_DATA_REMEDY}") from error
    try:
        camera = Camera(view, proj, size[0], size[1], str(entry.get("id", f"view_{number + 1:03d}")))
    except (CameraError, *DAMAGE) as error:
        raise CameraError(f"{what}: {error}") from error
    return View(camera, _read_target(path, what, entry, (camera.width, camera.height), need_picture))


def _read_target(
    path: Path, what: str, entry: Json, size: tuple[int, int], need_picture: bool
) -> npt.NDArray[np.uint8] | None:
    inline, name = entry.get("rgbBase64"), entry.get("rgbPath")
    if isinstance(inline, str) and inline:
        try:
            data = base64.b64decode(inline.partition(",")[2] or inline, validate=True)
        except (binascii.Error, ValueError) as error:
            raise DatasetError(f"{what}: its rgbBase64 is not base64 ({error}); {_DATA_REMEDY}") from error
        return decode_picture(data, what, size)
    if isinstance(name, str) and name:
        file = inside(path.parent, name)
        if file is not None and not file.is_file():  # written on another system, perhaps
            file = inside(path.parent, as_called(path.parent, name))
        if file is None:
            raise DatasetError(f"{what}: picture {quoted(name)} leads out of the dataset's folder; move it inside")
        return read_picture(file, size)
    if need_picture:
        raise DatasetError(f"{what} has no picture (rgbBase64 or rgbPath); capture it again or remove the view")
    return None


def matrix_from_columns(numbers: Any) -> npt.NDArray[np.float64]:
    """Turns the editor's 16 column-major numbers into a row-major (4, 4) float64 matrix."""
    flat = np.array(numbers if len(numbers) == 16 else (), dtype=np.float64)
    return flat.reshape(4, 4).T


def write_dataset(folder: Path | str, views: Sequence[View], inline: bool = False, name: str = "capture") -> None:
    """Writes a dataset as the editor does, whole or not at all.

    Args:
        folder: the dataset's folder; an older dataset there is replaced.
        views: cameras with targets, all of one picture size.
        inline: pictures as base64 inside metadata.json instead of files.
        name: the capture's name.

    Raises:
        DatasetError: there is no view, a target is missing, or sizes differ.
    """
    if not views:
        raise DatasetError(f"{folder}: there is no view to write; add a camera")
    sizes = {(view.camera.width, view.camera.height) for view in views}
    if len(sizes) > 1:
        raise DatasetError(f"{folder}: a dataset has one picture size, the cameras have {sorted(sizes)}")
    with new_folder(Path(folder), "metadata.json") as fresh:
        written = [_view_entry(fresh, number, view, inline) for number, view in enumerate(views)]
        ((width, height),) = sizes
        write_json(
            fresh / "metadata.json",
            {
                "formatVersion": "1.0",
                "imageSize": {"width": width, "height": height},
                "viewCount": len(written),
                "captureId": name,
                "views": written,
            },
        )


def _view_entry(folder: Path, number: int, view: View, inline: bool) -> Json:
    camera = view.camera
    if view.target is None:
        raise DatasetError(f"camera {camera.name!r} has no target; render or load one")

    def columns(matrix: npt.NDArray[Any]) -> list[float]:
        return [float(v) for v in np.asarray(matrix).T.ravel()]

    world = np.linalg.inv(camera.view)
    entry: Json = {
        "id": camera.name,
        "index": number,
        "position": world[:3, 3].tolist(),
        "forward": (-world[:3, 2]).tolist(),
        "up": world[:3, 1].tolist(),
        "right": world[:3, 0].tolist(),
        "intrinsics": _intrinsics(camera),
        "viewMatrix": columns(camera.view),
        "projectionMatrix": columns(camera.proj),
        "viewProjectionMatrix": columns(camera.view_proj),
    }
    png = encode_png(view.target)
    if inline:
        return entry | {"rgbBase64": base64.b64encode(png).decode()}
    path = f"images/{number:03d}.png"
    write_file(folder / path, png)
    return entry | {"rgbPath": path}


def _intrinsics(camera: Camera) -> dict[str, float]:
    aspect = camera.width / camera.height
    if not camera.is_perspective:
        return {"orthoHeight": 2.0 / float(camera.proj[1, 1]), "aspect": aspect}
    depth, offset = float(camera.proj[2, 2]), float(camera.proj[2, 3])
    return {
        "fovYDegrees": math.degrees(2.0 * math.atan(1.0 / float(camera.proj[1, 1]))),
        "aspect": float(camera.proj[1, 1] / camera.proj[0, 0]),
        "near": offset / (depth - 1.0),
        "far": offset / (depth + 1.0),
    }


def read_scene(
    map_path: Path | str, dataset: Path | str | None = None, palette: Palette = WEBGPU_PALETTE
) -> BlockScene:
    """Reads a map and, where given, a dataset's views into one scene; see ``read_map`` and ``read_dataset``."""
    blocks = read_map(map_path, palette)
    views = () if dataset is None else read_dataset(dataset)
    return BlockScene(blocks.grid, blocks.materials, blocks.palette, views)


def load_camera_matrices_from_metadata(metadata: Any, view_index: int = 0, device: Any = None) -> tuple[Any, Any]:
    """Loads the matrices of one view of a dataset.

    Args:
        metadata: a dataset's folder or metadata.json, the parsed metadata, or one entry of its ``views``.
        view_index: which view; ignored when one entry is given.
        device: a torch device; the CPU by default.

    Returns:
        ``(view, proj)``: (4, 4) float32 torch tensors, row-major.

    Raises:
        DatasetError: there is no such view, or it lacks a matrix.
    """
    import torch

    if isinstance(metadata, (str, Path)):
        metadata = read_json(_metadata_path(metadata), DatasetError, _DATA_REMEDY)
    try:
        entry = metadata["views"][view_index] if "views" in metadata else metadata
        matrices = [matrix_from_columns(entry[key]) for key in ("viewMatrix", "projectionMatrix")]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DatasetError(
            f"metadata lacks view {view_index} or its matrices ({quoted(error)}); {_DATA_REMEDY}"
        ) from error
    view, proj = (torch.tensor(m, dtype=torch.float32, device=device) for m in matrices)
    return view, proj
