"""The viewer: one HTML file that shows a block world with WebGPU, from anywhere, without a network."""

from __future__ import annotations

import base64
import gzip
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.io.files import Json, write_file
from blockcore.io.pictures import encode_png
from blockcore.machine.threads import spread
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera
from blockcore.model.grid import FACE_NAMES, FACE_SLOTS
from blockcore.model.palette import Palette, lay_over
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import frame_colors
from blockcore.webgpu_live.mesh import build_mesh, finished_surfaces, surface_table
from blockcore.webgpu_live.renderer import drawn_light, frame_uniform, terrain_shader

_HERE = Path(__file__).parent
_SCRIPTS = ("drawing.js", "navigation.js", "page.js")


def write_viewer(path: Path | str, scene: BlockScene, title: str, before: npt.NDArray[np.int32] | None = None) -> None:
    """Writes a viewer page; see ``viewer_page``.

    Raises:
        BlockcoreError: the file cannot be written there.
    """
    write_file(Path(path), viewer_page(scene, title, before))


def viewer_page(scene: BlockScene, title: str, before: npt.NDArray[np.int32] | None = None) -> str:
    """Builds the viewer page of a scene.

    Args:
        scene: the world; its views become cameras to jump to, with their targets.
        title: the page's title.
        before: (N,) palette indices that the slider compares the scene's materials with; without them it compares
            with the target.

    Returns:
        HTML that needs no other file.
    """
    parts = {
        "title": html.escape(title),
        "style": _text("page.css"),
        "script": "\n".join(_text(name) for name in _SCRIPTS),
        # a tag in a name would end the script element that the JSON stands in
        "world": json.dumps(_world(scene, before), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    first, *pieces = _text("page.html").split("{{")
    filled = [parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces)]
    return first + "".join(filled)


def _world(scene: BlockScene, before: npt.NDArray[np.int32] | None) -> Json:
    faces = scene.grid.exposed_faces
    corners = faces.corners().reshape(-1, 3) if len(faces) else np.zeros((1, 3), np.float32)
    materials = None
    if isinstance(scene.lighting, BakedLight):
        surface, earlier, surfaces, texels, materials = _finished(scene, before)
    else:
        surface, (surfaces, texels) = build_mesh(scene.grid, scene.materials).surface, surface_table(scene.palette)
        earlier = None if before is None else build_mesh(scene.grid, before).surface
    counts = np.bincount(scene.materials, minlength=len(scene.palette)).tolist()
    return {
        "gridSize": scene.grid.size,
        "worldScale": scene.grid.world_scale,
        "bounds": [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()],
        "blockCount": len(scene.grid),
        "faceCount": len(faces),
        "cells": _packed(faces.cell),
        "surfaceOfFace": _packed(surface),
        "surfaceOfFaceBefore": None if earlier is None else _packed(earlier),
        "surfaces": _base64(surfaces.tobytes()),
        "texels": _base64(texels.tobytes()),
        "materials": [
            {"name": name, "colors": _swatch(scene.palette, index), "count": count}
            for index, (name, count) in enumerate(zip(scene.palette.names, counts, strict=True))
        ],
        "light": frame_uniform(np.eye(4, dtype=np.float32), drawn_light(scene.lighting))[16:].tolist(),
        "background": list(scene.lighting.background),
        "terrainShader": terrain_shader(),
        "composeShader": _text("compose.wgsl"),
        "materialOfSurface": None if materials is None else _packed(materials),
        "views": spread(_view, scene.views),
    }


_Finished = tuple[
    npt.NDArray[np.uint32],
    npt.NDArray[np.uint32] | None,
    npt.NDArray[np.void],
    npt.NDArray[np.uint8],
    npt.NDArray[np.int32],
]


def _finished(scene: BlockScene, before: npt.NDArray[np.int32] | None) -> _Finished:
    """Returns the surfaces of faces in baked light: numbers, those of ``before``, all of them, texels, materials."""
    faces = scene.grid.exposed_faces
    sets = []
    for chosen in (scene.materials,) if before is None else (scene.materials, before):
        number, surfaces, texels = finished_surfaces(frame_colors(faces, chosen, scene.palette, scene.lighting))
        materials = np.zeros(len(surfaces), np.int32)
        materials[number] = chosen[faces.block]
        sets.append((number, surfaces, texels, materials))
    number, surfaces, texels, materials = sets[0]
    if before is None:
        return number, None, surfaces, texels, materials
    earlier, others, more, of = sets[1]
    others["first_texel"] += np.uint32(len(texels))
    return (
        number,
        earlier + np.uint32(len(surfaces)),
        np.concatenate([surfaces, others]),
        np.concatenate([texels, more]),
        np.concatenate([materials, of]),
    )


def _view(view: View) -> Json:
    camera: Camera = view.camera
    columns = {
        "view": camera.view.T.ravel().tolist(),
        "proj": camera.proj.T.ravel().tolist(),
        "viewProj": camera.view_proj.T.ravel().tolist(),
    }
    target = None if view.target is None else _base64(encode_png(view.target[..., :3]))
    return {"name": camera.name, "width": camera.width, "height": camera.height, "target": target, **columns}


def _packed(array: npt.NDArray[Any]) -> str:
    little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    # level 9 takes thirty times as long over the cells of a landscape, for nothing
    return _base64(gzip.compress(little_endian.tobytes(), compresslevel=6, mtime=0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _swatch(palette: Palette, material: int) -> list[str]:
    """Returns the mean colours of a material's top, south side and bottom, as CSS."""
    colors = []
    for direction in (FACE_NAMES.index("top"), FACE_NAMES.index("south"), FACE_NAMES.index("bottom")):
        color = palette.colors[material, FACE_SLOTS[direction]].astype(np.float64)
        tile = palette.tiles.get((material, direction))
        if tile is not None:
            color = lay_over(color, tile).mean(axis=(0, 1))
        colors.append("#" + "".join(f"{round(255 * value):02x}" for value in color.tolist()))
    return colors


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
