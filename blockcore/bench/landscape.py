"""A world of any size to measure with: rolling hills, seen from rings of cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize


def landscape(side: int, views: int, size: int, rasterizer: str, palette: Palette = WEBGPU_PALETTE) -> BlockScene:
    """Returns rolling hills, one block a column, with pictures of random materials.

    Args:
        side: columns along x and z.
        views: how many pictures.
        size: width and height of each.
        rasterizer: what draws them.
        palette: the materials.
    """
    x, z = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    height = (16 + 8 * np.sin(x / 23.0) + 6 * np.cos(z / 17.0)).astype(np.int32)
    cells = np.stack([x, height, z], axis=-1).reshape(-1, 3)
    materials = np.random.default_rng(0).integers(1, len(palette), len(cells)).astype(np.int32)
    grid = BlockGrid((side, 48, side), 2.0, cells)
    lens = perspective(1.0, 1.0, 0.5, 8.0 * side)
    cameras = []
    for k in range(views):
        angle, reach = 2.0 * np.pi * k / views, side * (0.3 + 0.7 * (k % 4) / 4)
        eye = (reach * np.cos(angle), 60.0 + 0.25 * side * (1 + k % 3), reach * np.sin(angle))
        cameras.append(Camera(look_at(eye, (0.3 * eye[0], 20.0, 0.3 * eye[2])), lens, size, size))
    scene = BlockScene(grid, materials, palette=palette)
    colors = frame_colors(grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
    seen = ((camera, rasterize(grid.exposed_faces, [camera], rasterizer)[0]) for camera in cameras)
    return replace(scene, views=tuple(View(camera, draw(v, camera, colors)[..., :3]) for camera, v in seen))
