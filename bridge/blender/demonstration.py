# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bridge demo``: the whole way once, from a WebGPU map and its captures to an optimised .blend.

The blocks' materials are scrambled before the first .blend is saved, and the captures are all that the engine has to
find them again. How many it found is counted against the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError, SettingsError
from blockcore.formats.webgpu import read_scene
from blockcore.io.archives import read_array
from blockcore.io.files import write_file
from blockcore.io.pictures import encode_png, read_picture
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings

if TYPE_CHECKING:
    from blockcore.report.events import Event

VILLAGE = Path(__file__).parents[1] / "demo"
_STAGES = 6
_GAP = 8  # pixels between pictures that stand side by side
_SHEET_VIEWS = 4


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration did.

    Attributes:
        psnr_before: dB, of the scrambled scene against the captures.
        psnr_after: dB, of the optimised scene; None if every pixel is equal.
        visible: blocks that a camera sees.
        found: those of them that got their true material.
    """

    psnr_before: float | None
    psnr_after: float | None
    visible: int
    found: int


def demonstrate(
    folder: Path, place: Path, map_path: Path, dataset: Path, seed: int, engine: str | None = None
) -> Demonstration:
    """Does the main job on a map and its captures.

    Args:
        folder: for ``scrambled.blend``, ``optimized.blend``, ``scene/`` (the shared format), ``result/`` (with
            ``report.html``) and ``pictures/`` (target, before and after side by side).
        place: where the folder will be in the end.
        map_path: a map.json.
        dataset: its captures.
        seed: of the scrambling.
        engine: the interpreter to optimise with; None to find one.

    Returns:
        What came of it.
    """
    from tqdm import tqdm

    from bridge.blender.apply import apply
    from bridge.blender.build import build
    from bridge.blender.extract import extract
    from bridge.blender.files import new_file, open_file, save_file
    from bridge.engine.optimize import find_materials

    with tqdm(total=_STAGES, bar_format="{desc:<42}{percentage:3.0f}% |{bar:30}| {elapsed}") as bar:

        def stage(text: str) -> None:
            bar.update(0 if bar.desc == "" else 1)
            bar.set_description_str(text)

        stage("Reading the map and its captures")
        truth = read_scene(map_path, dataset)
        stage("Building a scrambled Blender scene")
        new_file()
        build(scrambled(truth, seed))
        save_file(folder / "scrambled.blend")
        stage("Exporting it from the .blend")
        open_file(folder / "scrambled.blend")
        scene = extract()
        assert scene.source is not None
        scene = replace(scene, source=replace(scene.source, file=str(place.absolute() / "scrambled.blend")))
        scene.write(folder / "scene")
        stage("Finding the materials")
        settings = OptimizeSettings(init="map", method="gradient", unseen="fill")
        materials, done = find_materials(scene, settings, engine, folder / "result", _on_step(stage, bar))
        stage("Putting them back into Blender")
        apply(scene.with_materials(materials))
        save_file(folder / "optimized.blend")
        stage("Laying pictures side by side")
        _write_pictures(folder, len(scene.views))
        stage("Done")
    seen = read_array(folder / "result" / "visible_blocks.npy", SceneError, "run the engine again")
    true = _in_order_of(truth, scene)
    result = done.result
    return Demonstration(result.psnr_before, result.psnr_after, len(seen), int((materials == true)[seen].sum()))


def scrambled(scene: BlockScene, seed: int) -> BlockScene:
    """Returns the scene with a random material for every block.

    Raises:
        SettingsError: the seed is negative.
    """
    if seed < 0:
        raise SettingsError(f"scramble seed {seed}: must be a whole number of at least 0")
    return scene.with_materials(np.random.default_rng(seed).integers(1, len(scene.palette), len(scene.grid)))


def summary(demonstration: Demonstration, folder: Path) -> str:
    """Returns what to print of a demonstration, which is in a folder."""
    from blockcore.report.metrics import decibel

    lines = [
        f"PSNR before        {decibel(demonstration.psnr_before)}",
        f"PSNR after         {decibel(demonstration.psnr_after)}",
        f"True materials     {demonstration.found} of {demonstration.visible} visible blocks",
        f"Scrambled scene    {folder / 'scrambled.blend'}",
        f"Optimised scene    {folder / 'optimized.blend'}",
        f"Pictures           {folder / 'pictures' / 'overview.png'}",
        f"Report             {folder / 'result' / 'report.html'}",
    ]
    return "\n".join(lines)


def _on_step(stage: Callable[[str], None], bar: Any) -> Callable[[Event], None]:
    from blockcore.report.events import Step

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            bar.set_description_str(f"Finding the materials, step {event.step}")

    return watch


def _in_order_of(truth: BlockScene, scene: BlockScene) -> npt.NDArray[np.int32]:
    """Returns the true materials in the order of another scene's blocks."""
    mine, theirs = (np.lexsort(s.grid.positions.T) for s in (scene, truth))
    materials = np.empty(len(mine), dtype=np.int32)
    materials[mine] = truth.materials[theirs]
    return materials


def _write_pictures(folder: Path, views: int) -> None:
    rows = []
    for number in range(views):
        trio = [read_picture(folder / "result" / "views" / f"{number:03d}_{kind}.png") for kind in _KINDS]
        row = _beside([picture[..., :3] for picture in trio], axis=1)
        write_file(folder / "pictures" / f"view_{number:03d}.png", encode_png(row))
        rows.append(row[::2, ::2])
    sheet = _beside(rows[:_SHEET_VIEWS], axis=0)
    write_file(folder / "pictures" / "overview.png", encode_png(sheet))


_KINDS = ("target", "before", "after")


def _beside(pictures: Sequence[npt.NDArray[np.uint8]], axis: int) -> npt.NDArray[np.uint8]:
    """Joins pictures along an axis with white gaps."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)
