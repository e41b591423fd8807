# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes to measure quality with: models turned into blocks, with targets that Cycles renders of the models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from blockcore.io.files import write_file
from blockcore.io.folders import new_folder
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import Lighting
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, View
from bridge.blender.extract import read_view
from bridge.blender.models import MODELS, look_from
from bridge.blender.render_targets import render_targets

HELD_OUT = "held out"  # what the names of the views begin with that are not to be optimised against
MARKER = "quality.txt"

_ACROSS = 36  # blocks along the longest side of a model
_SIZE = (200, 150)
_SAMPLES = 32
_REACH = 0.7  # of a block: how far from its centre the surface may be for the block to be there
_SUN = (0.45, -0.55, 0.75)  # towards the sun, Blender's axes
_SUN_STRENGTH, _WORLD = 3.2, (0.32, 0.36, 0.42)
_PLAIN = "1c1c20 3d3d44 66666c 8e8e92 b9b9bb ededf0 3a2a1e 7d5a3c c9a878 3c6a28 8db552 16305f 2a5fa3 9cc7e6 2f8f8c"
_PLAIN += " a8322a e8923a f0c84b 5a2f6e c77fa8"
_CAPPED = {  # top, bottom, side
    "Turf": "5c8f35 5b4230 7d5a3c",
    "Dark Turf": "24421f 3a2a1e 5b4230",
    "Snowy Earth": "ededf0 5b4230 8a7a6c",
    "Sandy Rock": "e5d3a3 66666c a09a8e",
    "Oak Log": "c9a878 c9a878 4a3424",
    "Birch Log": "d8bf8f d8bf8f e4e2da",
    "Roof Tile": "d9603f 6e1c1a a8322a",
    "Slate": "4f5660 3d3d44 2b3038",
    "Plaster": "c8bda6 b9ab90 e5d3a3",
    "Sea": "4f93cc 16305f 2f6aa8",
    "Leaves": "5c8f35 24421f 3c6a28",
    "Petals": "f0c6c4 5a2f6e 8f4f93",
}


def palette_of_32() -> Palette:
    """Returns 32 materials such as builders have: 20 plain ones, and 12 with another top and bottom than sides."""
    slots = [(code, code, code) for code in _PLAIN.split()] + [tuple(codes.split()) for codes in _CAPPED.values()]
    colors = [[[int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)] for code in codes] for codes in slots]
    names = ("Air", *(f"Plain {n:02d}" for n in range(1, len(_PLAIN.split()) + 1)), *_CAPPED)
    return Palette(names, np.concatenate([np.zeros((1, 3, 3)), colors]))


def write_quality_scenes(folder: Path) -> Iterator[str]:
    """Makes each model in an empty file, turns it into blocks, renders its views and writes a BlockScene of it.

    Args:
        folder: gets a folder per group of models, with one scene folder per model.

    Yields:
        The name of each model once its scene is there.
    """
    with new_folder(folder, MARKER) as fresh:
        write_file(fresh / MARKER, "Scenes for python -m blockcore bench --suite quality\n")
        for group, models in MODELS.items():
            for name, build in models.items():
                bpy.ops.wm.read_factory_settings(use_empty=True)
                _set_up()
                _scene_of(build()).write(fresh / group / name)
                yield name


def _set_up() -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", _SAMPLES, 0
    scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling, scene.cycles.max_bounces = False, False, 2
    scene.render.resolution_x, scene.render.resolution_y = _SIZE
    scene.render.resolution_percentage = 100
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = _SUN_STRENGTH, 0.02
    sun.rotation_euler = Vector(_SUN).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (*_WORLD, 1.0)


def _scene_of(model: Any) -> BlockScene:
    grid, grid_to_source = _blocks(model)
    lowest, highest = _bounds(model)
    center = tuple(((lowest + highest) / 2).tolist())
    distance = 1.2 * float(np.linalg.norm(highest - lowest))
    # Every fourth view lies between the others and is held out.
    cameras = [
        look_from(
            f"{HELD_OUT} {k // 3}" if k % 3 == 2 else f"view {k}", 30.0 * k, (22, 48, 33)[k % 3], distance, center
        )
        for k in range(12)
    ]
    for _ in render_targets(model, cameras):
        pass
    views = tuple(_covered(read_view(camera, grid_to_source, need_target=True)) for camera in cameras)
    x, y, z = _SUN
    light = Lighting.from_sun_and_world((x, z, -y), (_SUN_STRENGTH,) * 3, _WORLD)
    return BlockScene(grid, np.ones(len(grid), np.int32), palette_of_32(), views, light)


def _covered(view: View) -> View:
    """Returns the view with a mask that leaves out the pixels that the model covers only partly."""
    assert view.target is not None
    alpha = np.full(view.target.shape[:2], 255) if view.target.shape[2] == 3 else view.target[..., 3]
    mask = np.where(alpha == 255, 255, 0).astype(np.uint8)
    return View(view.camera, np.dstack([view.target[..., :3], mask]), view.weight)


def _bounds(model: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    bpy.context.view_layer.update()
    corners = np.array([obj.matrix_world @ Vector(corner) for obj in model.objects for corner in obj.bound_box])
    return corners.min(axis=0), corners.max(axis=0)


def _blocks(model: Any) -> tuple[BlockGrid, npt.NDArray[np.float64]]:
    """Returns the blocks that a model's surfaces go through, and the way to Blender's axes."""
    lowest, highest = _bounds(model)
    edge = float((highest - lowest).max()) / _ACROSS
    size = np.ceil((highest - lowest) / edge).astype(int) + 2
    middle = (lowest + highest) / 2
    trees = [_surface(obj) for obj in model.objects]
    cells = np.stack(np.meshgrid(*(np.arange(n) for n in (size[0], size[2], size[1])), indexing="ij"), axis=-1)
    cells = cells.reshape(-1, 3)
    # Cell (i, j, k) has +Y up; Blender's axes are its (x, -z, y).
    across, deep = ((cells[:, a] + 0.5 - n / 2) * edge for a, n in ((0, size[0]), (2, size[1])))
    centers = np.stack([middle[0] + across, middle[1] - deep, lowest[2] + (cells[:, 1] + 0.5) * edge], axis=1)
    filled = np.array(
        [any(tree.find_nearest(center, _REACH * edge)[3] is not None for tree in trees) for center in centers]
    )
    to_source = np.array(
        [[1.0, 0.0, 0.0, middle[0]], [0.0, 0.0, -1.0, middle[1]], [0.0, 1.0, 0.0, lowest[2]], [0.0, 0.0, 0.0, 1.0]]
    )
    return BlockGrid((int(size[0]), int(size[2]), int(size[1])), edge, cells[filled]), to_source


def _surface(obj: Any) -> BVHTree:
    vertices = [obj.matrix_world @ vertex.co for vertex in obj.data.vertices]
    return BVHTree.FromPolygons(vertices, [tuple(polygon.vertices) for polygon in obj.data.polygons])
