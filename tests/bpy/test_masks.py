"""What a target's mask hides counts nowhere: `compare` and `optimize` say the same of a .blend's targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from blockcore.commands.cli import main
from blockcore.model.lighting import UNLIT
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.report.results import summarise
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.targets import set_background_image  # noqa: E402
from tests.bpy import scenes  # noqa: E402

Pixels = npt.NDArray[np.uint8]


def hard(alpha: Pixels) -> Pixels:
    alpha[:, : alpha.shape[1] // 2] = 0
    return alpha


def soft(alpha: Pixels) -> Pixels:
    """However little is left of a pixel, it counts."""
    alpha[:, ::2], alpha[::3] = 1, 0
    return alpha


def none(alpha: Pixels) -> Pixels:
    return alpha


@pytest.mark.parametrize("mask", [hard, soft, none], ids=lambda mask: mask.__name__)
def test_optimize_and_compare_say_the_same(
    mask: Callable[[Pixels], Pixels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes.flat_blocks()
    camera = scenes.camera("Eye", (7.0, -6.0, 6.0))
    camera.rotation_euler = (1.0, 0.1, 0.8)
    scenes.picture_size(80, 60)
    scene = replace(extract(bpy.context.scene.collection, [camera], need_targets=False, bake=False), lighting=UNLIT)
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, UNLIT)
    eye = scene.views[0].camera
    picture = draw(rasterize(scene.grid.exposed_faces, [eye], "cpu")[0], eye, colors)[..., :3]
    alpha = mask(np.full((60, 80, 1), 255, np.uint8))
    picture = np.where(alpha > 0, picture // 2 + 64, np.random.default_rng(1).integers(0, 256, (60, 80, 3)))
    set_background_image(camera, "Target", np.dstack([picture.astype(np.uint8), alpha]))
    scene = replace(extract(bpy.context.scene.collection, [camera], bake=False), lighting=UNLIT)
    scene.write(tmp_path / "scene")
    assert main(["compare", "--scene", str(tmp_path / "scene"), "--json", "-"]) == 0
    before = json.loads(capsys.readouterr().out)["views"][0]
    read, settings = BlockScene.read(tmp_path / "scene"), OptimizeSettings(device="cpu")
    summary = summarise(read, settings, optimize_materials(read, settings))
    assert summary.views[0].psnr_before == pytest.approx(before["psnr"], abs=1e-3)
    assert before["pixels"] == int((alpha > 0).sum())
