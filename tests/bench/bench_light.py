"""How long Cycles takes to measure the light on a landscape of blocks, under a sun and a sky, in light that bounces.

Usage: python -m tests.bench.bench_light [--json PATH|-]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import bpy
import numpy as np

from blockcore.commands.arguments import emit_json
from blockcore.model.camera import Camera, look_at, perspective
from blockcore.model.grid import BlockGrid
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.model.scene import BlockScene, Source, View
from bridge.blender.files import new_file
from bridge.blender.light import baked
from bridge.blender.quality_scenes import LIGHTS
from bridge.convert import TO_BLENDER

FACES = (6_000, 100_000)


def landscape(faces: int) -> BlockScene:
    """Returns hills of about so many faces, seen from a little outside, where a block is about six pixels wide."""
    side = round((faces / 3.29) ** 0.5)
    x, z = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    height = (6 + 3 * np.sin(x / 5) + 3 * np.cos(z / 7)).astype(int)
    cells = [(i, j, k) for i in range(side) for k in range(side) for j in range(max(0, height[i, k] - 2), height[i, k])]
    grid = BlockGrid((side, 16, side), 1.0, cells)
    view = look_at((0.9 * side, 0.7 * side, 0.9 * side), (0.0, 4.0, 0.0))
    camera = Camera(view, perspective(0.8, 1.0, 0.1, 10.0 * side), 8 * side, 8 * side, "C")
    materials = np.random.default_rng(0).integers(1, len(WEBGPU_PALETTE), len(grid)).astype(np.int32)
    source = Source("", ("",) * len(grid), TO_BLENDER)
    target = np.zeros((camera.height, camera.width, 3), np.uint8)
    return BlockScene(grid, materials, WEBGPU_PALETTE, (View(camera, target),), source=source)


def measure() -> dict[str, dict[str, float]]:
    """Returns seconds, and those of all cores together, for each number of faces: by default, and at 64 samples."""
    figures = {}
    for faces in FACES:
        scene = landscape(faces)
        for name, views, samples in (("default", scene.views, None), ("one texel, 64 samples", (), 64)):
            new_file()
            bpy.context.scene.cycles.max_bounces = 4
            LIGHTS["evening sun"]()
            began, busy = time.perf_counter(), time.process_time()
            lit = baked(replace(scene, views=views), samples=samples)
            figures[f"{len(scene.grid.exposed_faces)} faces, {name}"] = {
                "side": lit.lighting.side,
                "seconds": round(time.perf_counter() - began, 2),
                "core_seconds": round(time.process_time() - busy, 2),
            }
    return figures


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", metavar="PATH", default="-")
    emit_json(measure(), parser.parse_args().json)


if __name__ == "__main__":
    main()
