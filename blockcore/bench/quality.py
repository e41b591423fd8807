"""How well the materials are found: planted worlds with spoilt pictures, and models that are not made of blocks."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
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
from blockcore.bench.quality_page import Gallery, gains_in_words, write_page
from blockcore.errors import SettingsError
from blockcore.formats.webgpu import read_scene
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import SETTINGS, OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.report.metrics import psnr, squared_error, ssim
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize

Picture = npt.NDArray[Any]
Materials = npt.NDArray[np.int32]

HELD_OUT = "held out"  # what the names of views begin with that are kept back
METHODS = ("blockcore", "nearest colour", "nearest in Lab", "random")
_PLANTED = OptimizeSettings(device="cpu", exposure="exposure")
_MODELLED = OptimizeSettings(device="cpu", lighting="fitted", smoothness=0.01, unseen="fill")
_LEAST_PIXELS = 20
_NOISE, _QUALITY, _EXPOSURE = 8.0, 60, 0.2


def run(data: Path, scenes: Path | None = None, out: Path | None = None) -> dict[str, Any]:
    """Measures all there is.

    Args:
        data: folder with maps/ and datasets/.
        scenes: folder of groups of modelled scenes, one BlockScene each, from ``python -m bridge quality-scenes``;
            or None.
        out: gets ``report.html``; or None.

    Returns:
        ``{"planted": {condition: {world: {method: share}}}, "smoothing": {method: {energy, above_bound, seconds}},
        "modelled": {group: {scene: {method: {psnr, ssim}}}}, "summary": {group: gains over nearest colour}}``.

    Raises:
        SettingsError: there is no scene in ``scenes``.
    """
    gallery: Gallery = []
    figures: dict[str, Any] = {"planted": planted(data), "smoothing": smoothing(data), "modelled": {}, "summary": {}}
    if scenes is not None:
        figures["modelled"] = modelled(scenes, gallery)
        figures["summary"] = {group: _gains(found) for group, found in figures["modelled"].items()}
    if out is not None:
        write_page(out / "report.html", figures, METHODS, gallery)
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


def modelled(scenes: Path, gallery: Gallery) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Optimises each scene from its other views and compares the held-out ones with their targets, group by group."""
    figures: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    folders = sorted(path.parent for path in scenes.glob("*/*/scene.json"))
    if not folders:
        raise SettingsError(f"{scenes}: has no scenes; make them with python -m bridge quality-scenes --out DIR")
    for folder in folders:
        scene = BlockScene.read(folder)
        held = [view for view in scene.views if view.camera.name.startswith(HELD_OUT)]
        seen = replace(scene, views=tuple(view for view in scene.views if not view.camera.name.startswith(HELD_OUT)))
        solved = optimize_materials(seen, _MODELLED)
        # All are shown in the light that was fitted: it explains the pictures best, the others' too.
        scene = replace(scene, lighting=solved.lighting)
        found = _others(seen) | {"blockcore": solved.materials}
        pictures = {method: [_drawn(scene, view, found[method]) for view in held] for method in METHODS}
        group = figures.setdefault(folder.parent.name, {})
        group[folder.name] = {method: _likeness(pictures[method], held) for method in METHODS}
        for number, view in enumerate(held[:2]):
            assert view.target is not None
            shown_as = {method: np.dstack([pictures[method][number], view.target[..., 3:]]) for method in METHODS}
            gallery.append((folder.name, {"target": view.target} | shown_as))
    return figures


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


def _drawn(scene: BlockScene, view: View, materials: Materials) -> npt.NDArray[np.uint8]:
    """Draws a held-out view; where its target is masked, it shows the target."""
    assert view.target is not None
    (seen,) = rasterize(scene.grid.exposed_faces, [view.camera], "auto")
    colors = frame_colors(scene.grid.exposed_faces, materials, scene.palette, scene.lighting)
    picture = draw(seen, view.camera, colors)[..., :3]
    if view.target.shape[2] == 3:
        return picture
    return np.where(view.target[..., 3:] > 0, picture, view.target[..., :3])


def _likeness(pictures: Sequence[npt.NDArray[np.uint8]], views: Sequence[View]) -> dict[str, float]:
    targets = [view.target for view in views if view.target is not None]
    errors = np.array([squared_error(picture, target) for picture, target in zip(pictures, targets, strict=True)])
    alike = [ssim(p / 255.0, t[..., :3] / 255.0) for p, t in zip(pictures, targets, strict=True)]
    return {"psnr": psnr(float(errors[:, 0].sum() / errors[:, 1].sum())), "ssim": float(np.mean(alike))}


def _gains(scenes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    psnr_gains = [s["blockcore"]["psnr"] - s["nearest colour"]["psnr"] for s in scenes.values()]
    ssim_gains = [s["blockcore"]["ssim"] - s["nearest colour"]["ssim"] for s in scenes.values()]
    return {
        "psnr_over_nearest": float(np.mean(psnr_gains)),
        "least_psnr_over_nearest": min(psnr_gains),
        "least_ssim_over_nearest": min(ssim_gains),
    }


def lines(figures: dict[str, Any]) -> list[str]:
    """Returns the figures as lines to print."""
    rows = [f"{'blocks found, of those with 20 pixels or more':48}" + "".join(f"{m:>16}" for m in METHODS)]
    for condition, worlds in figures["planted"].items():
        for world, shares in worlds.items():
            rows.append(f"{condition + ', world ' + world:48}" + "".join(f"{100 * shares[m]:15.2f}%" for m in METHODS))
    rows += ["", "seams of the noisy hills: energy, above its lower bound, seconds"]
    for method, found in figures["smoothing"].items():
        rows.append(f"{method:48}{found['energy']:16.2f}{100 * found['above_bound']:15.3f}%{found['seconds']:16.3f}")
    if figures["modelled"]:
        rows += ["", f"{'held-out views, PSNR in dB and SSIM':48}" + "".join(f"{m:>16}" for m in METHODS)]
    for group, scenes in figures["modelled"].items():
        for scene, found in scenes.items():
            cells = (f"{found[m]['psnr']:.2f} / {found[m]['ssim']:.3f}" for m in METHODS)
            rows.append(f"{group + ', ' + scene:48}" + "".join(f"{cell:>16}" for cell in cells))
    rows += [f"{group}, over nearest colour: {gains_in_words(gains)}" for group, gains in figures["summary"].items()]
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
