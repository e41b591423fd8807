"""BlockScene: the shared format between Blender, the engine and anybody's own tools.

A scene is a folder::

    scene.json      {"format": "blockcore.scene", "version": 2, "grid", "palette", "lighting", "views", "regions",
                    "source"}
    arrays.npz      positions (N, 3) int32, materials (N,) int32, palette_colors (M, 3, 3) float32,
                    view (V, 4, 4) float64, proj (V, 4, 4) float64,
                    and with tiles: tile_of (T, 4) int32 (material, face direction, height, width),
                    tile_texels (K, 4) uint8, tile after tile, each row by row;
                    with regions: region_blocks, int32, the blocks of one region after another;
                    with baked light: light_received (F, k, k, 3) float32, display_levels (n,) float64,
                    display_table (n, 3) or (n, n, n, 3) float32;
                    and with a source: block_objects (N,) text, grid_to_source (4, 4) float64
    targets/        one PNG a view that has a target

Units and axes are ``blockcore``'s own: world space with +Y up, matrices row-major acting on columns, colours as display
values. Nothing in it is pickled. A reader refuses a version newer than its own; later versions only add: 2 added baked
light, and a scene without it is still written as version 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError, quoted
from blockcore.io.archives import pack_arrays, read_arrays
from blockcore.io.damage import entries, reading, text, whole
from blockcore.io.files import Json, inside, read_json, write_file, write_json
from blockcore.io.folders import new_folder
from blockcore.io.pictures import encode_png, read_picture
from blockcore.model.baked_light import LIGHT_ARRAYS, BakedLight, Light, light_arrays, light_from, light_header
from blockcore.model.camera import Camera
from blockcore.model.frozen import ByValue, frozen_array
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import AIR, MAX_TILE_SIDE, WEBGPU_PALETTE, Palette, Tiles

FORMAT = "blockcore.scene"
VERSION = 2
_WITHOUT_BAKED_LIGHT = 1
Regions = Mapping[str, npt.NDArray[np.int32]]
OUTSIDE = "outside the palette"
"""The region of the blocks whose materials are none to choose among: they keep them, and no other block gets them."""
_HEADER, _ARRAYS = "scene.json", "arrays.npz"
_NAMES = (
    *("positions", "materials", "palette_colors", "view", "proj", "tile_of", "tile_texels", "region_blocks"),
    *("block_objects", "grid_to_source", *LIGHT_ARRAYS),
)
_MOST_VIEWS = 100_000
_REMEDY = "export the scene again"


@dataclass(frozen=True, eq=False)
class View(ByValue):
    """A camera and the picture it should show.

    Attributes:
        camera: the camera.
        target: (H, W, 3) or (H, W, 4) uint8 display values, row 0 on top, of the camera's size; or None. Where a fourth
            channel is 0 the pixel does not count.
        weight: how much the view's pixels count beside those of others.
    """

    camera: Camera
    target: npt.NDArray[np.uint8] | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.weight, str) or not 0.0 < self.weight < np.inf:
            weight = quoted(self.weight)
            raise SceneError(f"view of camera {quoted(self.camera.name)}: weight {weight} must be a number above 0")
        if self.target is None:
            return
        target = np.asarray(self.target)
        size = (self.camera.height, self.camera.width)
        if target.dtype != np.uint8 or target.ndim != 3 or target.shape[2] not in (3, 4):
            raise SceneError(f"target of camera {quoted(self.camera.name)}: must be (H, W, 3 or 4) 8-bit values")
        if target.shape[:2] != size:
            raise SceneError(
                f"target of camera {quoted(self.camera.name)}: is {target.shape[1]} × {target.shape[0]} pixels, but "
                f"the camera's picture is {size[1]} × {size[0]}; render it again at that size"
            )
        object.__setattr__(self, "target", frozen_array(target, np.uint8))


@dataclass(frozen=True, eq=False)
class Source(ByValue):
    """Where a scene came from: what is needed to put a result back.

    Attributes:
        file: the .blend or map it came from, as text; may be empty.
        block_objects: N names, one per block: the object that is or emits it; empty where there is none.
        grid_to_source: (4, 4) float64: blockcore world space to the source's world space.
    """

    file: str
    block_objects: tuple[str, ...]
    grid_to_source: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_objects", tuple(self.block_objects))
        object.__setattr__(self, "grid_to_source", frozen_array(self.grid_to_source, np.float64))


@dataclass(frozen=True, eq=False)
class BlockScene(ByValue):
    """A block world, the cameras that look at it and the pictures it should give.

    Attributes:
        grid: where the blocks are.
        materials: (N,) int32, read-only: the palette index of each block, never Air.
        palette: the materials a block can be made of.
        views: cameras and their targets.
        lighting: the light: a sun and a hemisphere, or what each face receives.
        source: the way back to where the scene came from, or None.
        regions: names of parts of the world, such as a vertex group or collection, to the indices of their blocks,
            (K,) int32 ascending.
    """

    grid: BlockGrid
    materials: npt.NDArray[np.int32]
    palette: Palette = WEBGPU_PALETTE
    views: tuple[View, ...] = ()
    lighting: Light = WEBGPU_LIGHTING
    source: Source | None = None
    regions: Regions = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        materials = np.asarray(self.materials)
        if materials.shape != (len(self.grid),):
            raise SceneError(f"scene: {len(self.grid)} blocks but materials of shape {materials.shape}")
        if materials.size and not np.issubdtype(materials.dtype, np.integer):
            raise SceneError("scene: materials must be whole numbers, indices into the palette")
        wrong = (materials <= AIR) | (materials >= len(self.palette))
        if wrong.any():
            bad = int(np.flatnonzero(wrong)[0])
            raise SceneError(
                f"block {bad} at {self.grid.positions[bad].tolist()}: material index {materials[bad]} is Air or not "
                f"in the palette (1 to {len(self.palette) - 1})"
            )
        object.__setattr__(self, "materials", frozen_array(materials, np.int32))
        object.__setattr__(self, "regions", {str(k): self._checked_region(k, v) for k, v in self.regions.items()})
        if isinstance(self.lighting, BakedLight) and len(self.lighting.received) != len(self.grid.exposed_faces):
            raise SceneError(
                f"scene: light for {len(self.lighting.received)} faces, but its blocks have "
                f"{len(self.grid.exposed_faces)} exposed ones; bake it again"
            )
        if self.source is not None and len(self.source.block_objects) != len(self.grid):
            raise SceneError("scene: the source names must be as many as the blocks")

    def _checked_region(self, name: str, blocks: npt.ArrayLike) -> npt.NDArray[np.int32]:
        members = np.unique(np.asarray(blocks))
        if members.size and not (members.dtype.kind in "iu" and 0 <= members[0] <= members[-1] < len(self.grid)):
            raise SceneError(
                f"region {quoted(name)}: names blocks that are not there; there are 0 to {len(self.grid) - 1}"
            )
        return frozen_array(members, np.int32)

    def with_materials(self, materials: npt.ArrayLike) -> BlockScene:
        """Returns the same scene with other block materials, (N,) palette indices."""
        return replace(self, materials=np.asarray(materials))

    def digest(self) -> bytes:
        """Returns what tells scenes apart by all that is written of them but the targets' pixels."""
        digest = hashlib.blake2b(json.dumps(_header(self), sort_keys=True).encode())
        for name, array in sorted(_arrays(self).items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.digest()

    def write(self, folder: Path | str) -> None:
        """Writes the scene to ``folder``, replacing a scene that is there; whole or not at all.

        Raises:
            BlockcoreError: the folder is something else, or cannot be written.
        """
        with new_folder(Path(folder), _HEADER) as fresh:
            write_file(fresh / _ARRAYS, pack_arrays(_arrays(self)))
            for index, view in enumerate(self.views):
                if view.target is not None:
                    write_file(fresh / _target_name(index), encode_png(view.target))
            write_json(fresh / _HEADER, _header(self))

    @staticmethod
    def read(folder: Path | str) -> BlockScene:
        """Reads a scene from ``folder``.

        Raises:
            BlockcoreError: there is no scene, it is damaged, or of a newer version.
        """
        folder = Path(folder)
        header = read_json(folder / _HEADER, SceneError, _REMEDY)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise SceneError(f"{folder / _HEADER}: is not a blockcore scene; {_REMEDY}")
        version = header.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise SceneError(
                f"{folder / _HEADER}: has version {quoted(version)}, this blockcore reads up to {VERSION}; "
                "update blockcore"
            )
        with reading(f"{folder}: scene", SceneError, _REMEDY):
            return _assemble(folder, header, read_arrays(folder / _ARRAYS, _NAMES, SceneError, _REMEDY))


def _header(scene: BlockScene) -> Json:
    return {
        "format": FORMAT,
        "version": VERSION if isinstance(scene.lighting, BakedLight) else _WITHOUT_BAKED_LIGHT,
        "grid": {"size": list(scene.grid.size), "world_scale": scene.grid.world_scale},
        "palette": {"names": list(scene.palette.names)},
        "lighting": light_header(scene.lighting),
        "views": [
            {
                "name": view.camera.name,
                "width": view.camera.width,
                "height": view.camera.height,
                "target": None if view.target is None else _target_name(index),
                "weight": view.weight,
            }
            for index, view in enumerate(scene.views)
        ],
        "regions": {name: len(blocks) for name, blocks in scene.regions.items()},
        "source": None if scene.source is None else {"file": scene.source.file},
    }


def _arrays(scene: BlockScene) -> dict[str, npt.NDArray[Any]]:
    def stack(matrices: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        return np.stack(matrices) if matrices else np.zeros((0, 4, 4))

    arrays: dict[str, npt.NDArray[Any]] = {
        "positions": scene.grid.positions,
        "materials": scene.materials,
        "palette_colors": scene.palette.colors,
        "view": stack([view.camera.view for view in scene.views]),
        "proj": stack([view.camera.proj for view in scene.views]),
    }
    arrays |= light_arrays(scene.lighting)
    if scene.palette.tiles:
        tiles = scene.palette.tiles
        arrays["tile_of"] = np.array([(*key, *tile.shape[:2]) for key, tile in tiles.items()], dtype=np.int32)
        arrays["tile_texels"] = np.concatenate([tile.reshape(-1, 4) for tile in tiles.values()])
    if scene.regions:
        arrays["region_blocks"] = np.concatenate(list(scene.regions.values()))
    if scene.source is not None:
        arrays["block_objects"] = np.array(scene.source.block_objects, dtype=np.str_)
        arrays["grid_to_source"] = scene.source.grid_to_source
    return arrays


def _assemble(folder: Path, header: Json, arrays: dict[str, npt.NDArray[Any]]) -> BlockScene:
    listed = entries(header["views"], "views", _MOST_VIEWS)
    if not len(listed) == len(arrays["view"]) == len(arrays["proj"]):
        raise ValueError("its views and their matrices are not as many")
    cameras = [
        Camera(view, proj, entry["width"], entry["height"], text(entry["name"], "the name of a view"))
        for view, proj, entry in zip(arrays["view"], arrays["proj"], listed, strict=True)
    ]
    source = None
    if header["source"] is not None:
        objects = arrays["block_objects"]
        if objects.dtype.kind != "U" or objects.ndim != 1:
            raise ValueError("the names of its blocks' objects are not text")
        file = text(header["source"]["file"], "the source")
        source = Source(file, tuple(objects.tolist()), _matrix(arrays["grid_to_source"]))
    return BlockScene(
        grid=BlockGrid(tuple(header["grid"]["size"]), header["grid"]["world_scale"], arrays["positions"]),
        materials=arrays["materials"],
        palette=Palette(tuple(header["palette"]["names"]), arrays["palette_colors"], _tiles(arrays)),
        views=tuple(
            View(camera, _read_target(folder, entry["target"], camera), entry.get("weight", 1.0))
            for camera, entry in zip(cameras, listed, strict=True)
        ),
        lighting=light_from(header["lighting"], arrays),
        source=source,
        regions=_regions(header, arrays),
    )


def _matrix(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.shape != (4, 4) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError("a matrix is not 4 × 4 finite numbers")
    return values


def _regions(header: Json, arrays: dict[str, npt.NDArray[Any]]) -> Regions:
    sizes = header.get("regions", {})
    if not sizes:
        return {}
    blocks = arrays["region_blocks"]
    ends = np.cumsum([whole(size, "the size of a region", 0, blocks.size) for size in sizes.values()], dtype=np.int64)
    if blocks.ndim != 1 or ends[-1] != blocks.size:
        raise ValueError("its regions do not have as many blocks as they say")
    return dict(zip(sizes, np.split(blocks, ends), strict=False))


def _tiles(arrays: dict[str, npt.NDArray[Any]]) -> Tiles:
    if "tile_of" not in arrays:
        return {}
    of, texels = arrays["tile_of"].reshape(-1, 4).astype(np.int64), arrays["tile_texels"]
    if of.size and not 1 <= of[:, 2:].min() <= of[:, 2:].max() <= MAX_TILE_SIDE:
        raise ValueError("a tile has no such size")
    ends = np.cumsum(of[:, 2] * of[:, 3])
    if texels.ndim != 2 or len(texels) != (ends[-1] if len(ends) else 0):
        raise ValueError("its tiles do not have as many texels as they say")
    parts = np.split(texels, ends)
    return {
        (material, direction): part.reshape(height, width, 4)
        for (material, direction, height, width), part in zip(of.tolist(), parts, strict=False)
    }


def _target_name(index: int) -> str:
    return f"targets/{index:03d}.png"


def _read_target(folder: Path, name: str | None, camera: Camera) -> npt.NDArray[np.uint8] | None:
    if name is None:
        return None
    path = inside(folder, name) if isinstance(name, str) else None
    if path is None:
        raise SceneError(f"{folder / _HEADER}: target {quoted(name)} leads out of the scene's folder; {_REMEDY}")
    return read_picture(path, (camera.width, camera.height))
