"""How well the materials are found: planted worlds with spoilt pictures; ``bridge quality`` looks at models."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.decide import seams_between
from blockcore.assignment.problem import look, pose
from blockcore.assignment.smoothing import lower_bound, smooth
from blockcore.assignment.solve import cheapest_materials
from blockcore.assignment.statistics import face_statistics
from blockcore.bench.baselines import nearest_color, random_materials
from blockcore.bench.quality_page import write_page
from blockcore.formats.webgpu import read_scene
from blockcore.io.files import Json
from blockcore.io.folders import new_folder
from blockcore.model.scene import BlockScene
from blockcore.model.settings import SETTINGS, OptimizeSettings
from blockcore.optimize import optimize_materials

Picture = npt.NDArray[Any]
Materials = npt.NDArray[np.int32]

METHODS = ("blockcore", "nearest colour", "nearest in Lab", "random")
_PLANTED = OptimizeSettings(device="cpu", exposure="exposure")
_LEAST_PIXELS = 20
_NOISE, _QUALITY, _EXPOSURE = 8.0, 60, 0.2


def run(data: Path, out: Path | None = None) -> Json:
    """Measures all there is.

    Args:
        data: folder with maps/ and datasets/.
        out: gets ``report.html``; or None.

    Returns:
        ``{"planted": {condition: {world: {method: share}}}, "smoothing": {method: {energy, above_bound, seconds}}}``.
    """
    figures: Json = {"planted": planted(data), "smoothing": smoothing(data)}
    if out is not None:
        with new_folder(out, "report.html") as fresh:
            write_page(fresh / "report.html", figures, METHODS)
    return figures


def planted(data: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Plants materials, spoils the captures and counts the blocks of at least 20 pixels that come back right."""
    shares: dict[str, dict[str, dict[str, float]]] = {name: {} for name in CONDITIONS}
    for folder in sorted((data / "maps").iterdir()):
        scene = read_scene(folder / "map.json", data / "datasets" / folder.name)
        for name, spoil in CONDITIONS.items():
            shares[name][folder.name] = _shares(spoil(scene))
    for worlds in shares.values():
        blocks = {name: worlds[name].pop("blocks") for name in worlds}
        total = sum(blocks.values())
        worlds["all"] = {m: sum(worlds[w][m] * blocks[w] for w in blocks) / total for m in METHODS}
    return shares


def smoothing(data: Path) -> dict[str, dict[str, float]]:
    """Compares the ways to minimise seams, on the noisy hills."""
    scene = _spoilt(_noisy)(read_scene(data / "maps" / "2" / "map.json", data / "datasets" / "2"))
    settings = OptimizeSettings(device="cpu", smoothness=0.05)
    views = list(scene.views)
    problem = pose(scene, settings, views, look(scene, views, 1, "auto", torch.device("cpu"), None))
    model = seams_between(scene, settings, problem.blocks, problem.pixels, problem.costs.numpy())
    start = cheapest_materials(torch.from_numpy(model.costs)).numpy()
    bound = lower_bound(model)
    figures = {}
    for method in tuple(SETTINGS["smoother"].choices)[1:]:
        began = time.perf_counter()
        energy = model.energy(smooth(model, method, start))
        seconds = time.perf_counter() - began
        figures[method] = {"energy": energy, "above_bound": energy / bound - 1.0, "seconds": seconds}
    return figures


def _others(scene: BlockScene) -> dict[str, Materials]:
    return {
        "nearest colour": nearest_color(scene),
        "nearest in Lab": nearest_color(scene, lab=True),
        "random": random_materials(scene),
    }


def _shares(scene: BlockScene) -> dict[str, float]:
    visible = look(scene, scene.views, 1, "auto", torch.device("cpu"), None)
    targets = [view.target for view in scene.views if view.target is not None]
    count = face_statistics(visible, targets, scene.lighting.background).count.numpy()
    pixels = np.bincount(visible.block.numpy(), count, len(visible.blocks))
    judged = visible.blocks.numpy()[pixels >= _LEAST_PIXELS]
    found = _others(scene) | {"blockcore": optimize_materials(scene, _PLANTED).materials}
    right = {method: float((found[method] == scene.materials)[judged].mean()) for method in METHODS}
    return right | {"blocks": len(judged)}


def lines(figures: Json) -> list[str]:
    """Returns the figures as lines to print."""
    rows = [f"{'blocks found, of those with 20 pixels or more':48}" + "".join(f"{m:>16}" for m in METHODS)]
    for condition, worlds in figures["planted"].items():
        for world, shares in worlds.items():
            rows.append(f"{condition + ', world ' + world:48}" + "".join(f"{100 * shares[m]:15.2f}%" for m in METHODS))
    rows += ["", "seams of the noisy hills: energy, above its lower bound, seconds"]
    for method, found in figures["smoothing"].items():
        rows.append(f"{method:48}{found['energy']:16.2f}{100 * found['above_bound']:15.3f}%{found['seconds']:16.3f}")
    return rows


def _spoilt(change: Callable[[Picture, np.random.Generator], Picture]) -> Callable[[BlockScene], BlockScene]:
    def spoil(scene: BlockScene) -> BlockScene:
        draws = np.random.default_rng(0)
        views = []
        for view in scene.views:
            assert view.target is not None
            changed = np.clip(np.rint(change(view.target[..., :3].astype(np.float64), draws)), 0, 255)
            views.append(replace(view, target=changed.astype(np.uint8)))
        return replace(scene, views=tuple(views))

    return spoil


def _noisy(picture: Picture, draws: np.random.Generator) -> Picture:
    return np.asarray(picture + draws.normal(0.0, _NOISE, picture.shape))


def _exposed(picture: Picture, draws: np.random.Generator) -> Picture:
    return np.asarray(picture * draws.uniform(1.0 - _EXPOSURE, 1.0 + _EXPOSURE))


def _compressed(picture: Picture, draws: np.random.Generator) -> Picture:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=_QUALITY)
    restored: Picture = np.asarray(Image.open(buffer), dtype=np.float64)
    return restored


def _together(picture: Picture, draws: np.random.Generator) -> Picture:
    exposed = np.minimum(_exposed(picture, draws), 255.0)
    return _compressed(_noisy(exposed, draws), draws)


def _half(scene: BlockScene) -> BlockScene:
    return replace(scene, views=scene.views[::2])


CONDITIONS: Mapping[str, Callable[[BlockScene], BlockScene]] = {
    "as captured": lambda scene: scene,
    "noise": _spoilt(_noisy),
    "JPEG": _spoilt(_compressed),
    "exposure": _spoilt(_exposed),
    "half the views": _half,
    "noise, JPEG and exposure": _spoilt(_together),
}
