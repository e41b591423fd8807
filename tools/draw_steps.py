"""Draws what is found on the way from a picture to materials, by the code that finds it; for the documentation.

``python tools/draw_steps.py FOLDER``
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.formats.webgpu import read_scene
from blockcore.io.files import write_file
from blockcore.io.pictures import encode_png
from blockcore.model.scene import View
from blockcore.optimize import optimize_materials
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from blockcore.visibility.texels import triangle_array

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
STEPS = ("target", "faces", "means", "found")
VIEW, NOISE = 1, 40.0  # which view is drawn; the noise in all, in shades


def draw_steps(folder: Path) -> None:
    """Draws a view of the village: its noisy picture, the faces it shows, their mean colours, the blocks found."""
    random = np.random.default_rng(0)
    scene = read_scene(DATA / "maps" / "1" / "map.json", DATA / "datasets" / "1")
    scene = replace(scene, views=tuple(_noisy(view, random) for view in scene.views))
    view, result = scene.views[VIEW], optimize_materials(scene)
    assert view.target is not None
    faces, target = scene.grid.exposed_faces, view.target
    (seen,) = rasterize(faces, [view.camera])
    face = (triangle_array(seen).astype(np.int64) - 1) // 2  # of its two triangles; -1 where no block shows
    numbers = random.integers(50, 256, (len(faces), 3)).astype(np.float64)
    colors = frame_colors(faces, result.materials, scene.palette, result.lighting)
    pictures = {
        "target": target,
        "faces": _paint(face, numbers),
        "means": _paint(face, _means(face, target, len(faces))),
        "found": draw(seen, view.camera, colors)[..., :3],
    }
    for step in STEPS:
        write_file(folder / f"{step}.png", encode_png(np.ascontiguousarray(pictures[step])))


def _noisy(view: View, random: np.random.Generator) -> View:
    """Returns a view whose picture is spoiled, so that there is something to find out."""
    assert view.target is not None
    target = view.target[..., :3] + random.normal(0.0, NOISE, (*view.target.shape[:2], 3))
    return View(view.camera, np.rint(target.clip(0.0, 255.0)).astype(np.uint8))


def _means(face: npt.NDArray[np.int64], target: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.float64]:
    """Returns (F, 3): the mean colour that a picture (H, W, 3) has where each face shows."""
    shown = face >= 0
    sums = [np.bincount(face[shown], target[shown][:, channel], count) for channel in range(3)]
    return np.stack(sums, axis=1) / np.maximum(np.bincount(face[shown], minlength=count), 1)[:, None]


def _paint(face: npt.NDArray[np.int64], colors: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Gives each pixel the colour (F, 3) of its face, 0…255; white where there is none."""
    painted = np.full((*face.shape, 3), 255, np.uint8)
    painted[face >= 0] = np.rint(colors[face[face >= 0]])
    return painted


if __name__ == "__main__":
    draw_steps(Path(sys.argv[1]))
