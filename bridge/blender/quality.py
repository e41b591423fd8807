# SPDX-License-Identifier: GPL-3.0-or-later
"""How good blocks look in Blender: what peers and what blockcore choose, as Cycles shows it in views held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.bench.baselines import to_lab
from blockcore.bench.color_difference import ciede2000
from blockcore.bench.peers import block_colors, nearest_blocks
from blockcore.io.files import Json, write_file, write_json
from blockcore.io.folders import scratch_folder
from blockcore.io.pictures import encode_png, read_picture
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.report.metrics import psnr, ssim
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from bridge.blender.light import baked, settled
from bridge.blender.quality_scenes import SETTINGS, Stage, set_stage
from bridge.blender.world import add_world, remove_world, update_materials

Materials = npt.NDArray[np.int32]
Picture = npt.NDArray[np.uint8]

METHODS = ("blockcore", "nearest RGB", "nearest Lab", "dithered RGB", "dithered Lab")
PEERS = METHODS[1:3]
_GREY = 128.0  # behind blocks that do not cover what the model covers
_EXACT_SAMPLES, _BAKED_SAMPLES = 256, 32  # of a pixel, of a texel
_FINE = 3  # samples of a pixel along each axis of a predicted picture
_HOW = OptimizeSettings(device="cpu", unseen="fill")


def measure_quality(folder: Path) -> Iterator[tuple[str, str, Json]]:
    """Measures all settings; the folder gets ``figures.json`` and a picture of each.

    Yields:
        Group and name of each setting and, of each method, PSNR in dB, SSIM and mean CIEDE2000 over the views held out;
        ``predicted``: PSNR of the picture that blockcore predicts against Cycles' of the same blocks, within faces.
    """
    figures: dict[str, Json] = {}
    for group, settings in SETTINGS.items():
        for setting in settings:
            name = f"{setting.model}, {setting.light}, {setting.transform}"
            found, sheet = measure(set_stage(setting))
            figures.setdefault(group, {})[name] = found
            write_file(folder / f"{group} {name}.png", encode_png(sheet))
            write_json(folder / "figures.json", figures)
            yield group, name, found


def measure(stage: Stage) -> tuple[Json, Picture]:
    """Returns the figures of one stage, and its first held-out view: the target, then what each method shows."""
    materials, scene = settled(stage.scene, lambda lit: optimize_materials(lit, _HOW).materials)
    wanted = block_colors(scene.grid, stage.points, stage.colors)
    chosen = {"blockcore": materials}
    for lab, space in ((False, "RGB"), (True, "Lab")):
        for dithered, how in ((False, "nearest"), (True, "dithered")):
            chosen[f"{how} {space}"] = nearest_blocks(scene.grid, scene.palette, wanted, lab, dithered)
    shown = {method: _renders(stage, chosen[method]) for method in METHODS}
    figures: Json = {method: _likeness(shown[method], stage.held) for method in METHODS}
    better = max(figures[method]["psnr"] for method in PEERS)
    figures["gain"] = figures["blockcore"]["psnr"] - better
    figures["predicted"] = _prediction(stage, scene.with_materials(materials))
    first = stage.held[0].target
    assert first is not None
    return figures, np.concatenate([first[..., :3], *(shown[m][0][..., :3].astype(np.uint8) for m in METHODS)], axis=1)


def _renders(stage: Stage, materials: Materials, samples: int | None = None) -> list[npt.NDArray[np.float64]]:
    """Returns what Cycles shows of blocks in the views held out, (H, W, 4) each: RGB over grey, and the coverage."""
    scene = bpy.context.scene
    world = add_world(stage.scene, "Quality", scene.collection)
    update_materials(world, materials)
    before = scene.cycles.samples, scene.render.filepath
    scene.cycles.samples = samples or before[0]
    pictures = []
    with scratch_folder() as folder:
        for camera in stage.cameras:
            scene.camera, scene.render.filepath = camera, str(folder / "shown.png")
            bpy.ops.render.render(write_still=True)
            picture = read_picture(Path(scene.render.filepath)).astype(np.float64)
            alpha = picture[..., 3:] if picture.shape[2] == 4 else np.full((*picture.shape[:2], 1), 255.0)
            over = picture[..., :3] * alpha / 255.0 + _GREY * (1.0 - alpha / 255.0)
            pictures.append(np.concatenate([over, alpha], axis=2))
    scene.cycles.samples, scene.render.filepath = before
    remove_world(world)
    return pictures


def _likeness(pictures: Sequence[npt.NDArray[np.float64]], views: Sequence[View]) -> dict[str, float]:
    squares, differences, alike = [], [], []
    for picture, view in zip(pictures, views, strict=True):
        assert view.target is not None
        counts, target = view.target[..., 3] > 0, view.target[..., :3].astype(np.float64)
        shown = np.where(counts[..., None], picture[..., :3], target)
        squares.append((shown - target)[counts] ** 2)
        differences.append(ciede2000(to_lab(shown[counts] / 255.0), to_lab(target[counts] / 255.0)))
        alike.append(ssim(shown / 255.0, target / 255.0))
    return {
        "psnr": psnr(float(np.concatenate(squares).mean()) / 255.0**2),
        "ssim": float(np.mean(alike)),
        "ciede2000": float(np.concatenate(differences).mean()),
    }


def _prediction(stage: Stage, scene: BlockScene) -> float:
    """Returns the PSNR of predicted pictures against Cycles' of the same blocks, over pixels within faces."""
    lit = baked(scene, samples=_BAKED_SAMPLES)
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, lit.lighting)
    squares = []
    for picture, view in zip(_renders(stage, scene.materials, _EXACT_SAMPLES), stage.held, strict=True):
        height, width = view.camera.height, view.camera.width
        fine = replace(view.camera, height=_FINE * height, width=_FINE * width)
        seen, drawn = rasterize(scene.grid.exposed_faces, [view.camera, fine], "cpu")
        predicted = draw(drawn, fine, colors)[..., :3].reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3))
        inside = _within_faces(np.asarray(seen.face)) & (picture[..., 3] == 255.0)
        squares.append((predicted - picture[..., :3])[inside] ** 2)
    return psnr(float(np.concatenate(squares).mean()) / 255.0**2)


def _within_faces(face: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tells which pixels show a face that the eight around them show, too."""
    padded = np.pad(face, 1, mode="edge")
    height, width = face.shape
    same = face >= 0
    for down in range(3):
        for across in range(3):
            same = same & (padded[down : down + height, across : across + width] == face)
    return np.asarray(same)


def lines(figures: Mapping[str, Any]) -> list[str]:
    """Returns the figures of one setting as lines to print."""
    rows = [
        f"  {method:14}{found['psnr']:7.2f} dB  SSIM {found['ssim']:.3f}  CIEDE2000 {found['ciede2000']:5.2f}"
        for method, found in ((method, figures[method]) for method in METHODS)
    ]
    return [*rows, f"  gain {figures['gain']:+.2f} dB over the better peer; predicted {figures['predicted']:.1f} dB"]
