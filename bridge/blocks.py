# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``python -m bridge blocks``: a model to blocks that look like it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockcore.commands.arguments import add_settings, settings_of
from blockcore.errors import SettingsError
from blockcore.io.files import Json

if TYPE_CHECKING:
    from blockcore.model.scene import BlockScene
    from blockcore.model.settings import OptimizeSettings
    from blockcore.report.summary import Summary

_ROUNDS = 2  # of measuring the light: the second knows what colours bounce


def add_blocks_command(commands: Any) -> None:
    """Adds the command to those of the bridge."""
    command = commands.add_parser("blocks", help="make blocks that look like a model")
    command.add_argument("model", type=Path, metavar="MODEL", help="a .blend, or a model's file (.obj .glb .stl …)")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--object", metavar="NAME", help="only this object, with its children")
    which.add_argument("--collection", metavar="NAME", help="only this collection")
    size = command.add_mutually_exclusive_group()
    size.add_argument("--across", type=float, default=36.0, metavar="N", help="blocks along the longest side (36)")
    size.add_argument("--block-size", type=float, metavar="S", help="edge of a block")
    size.add_argument("--budget", type=int, metavar="N", help="most blocks")
    command.add_argument("--fill", choices=("shell", "solid"), default="shell", help="what is inside (default: shell)")
    command.add_argument("--axes", choices=("world", "object"), default="world", help="of the grid (default: world)")
    command.add_argument("--palette", type=Path, metavar="FILE.json", help="materials (default: the built-in ones)")
    command.add_argument("--views", type=int, default=24, metavar="N", help="cameras around the model (24)")
    command.add_argument("--beside", action="store_true", help="show the blocks beside the model, not instead of it")
    command.add_argument("--out", type=Path, required=True, metavar="Y.blend", help="where to write")
    command.add_argument("--report", type=Path, metavar="DIR", help="keep the engine's result folder")
    command.add_argument("--engine", metavar="PYTHON", help="interpreter with blockcore and torch (default: found)")
    command.add_argument("--json", choices=("-",), help="print the figures as JSON")
    add_settings(command)
    command.set_defaults(run=make_blocks)


def make_blocks(args: argparse.Namespace) -> None:
    """Runs the command.

    Raises:
        BlockcoreError: the model or a setting cannot be used; nothing is written.
    """
    settings = settings_of(args)
    if not 1 <= args.views <= 256:
        raise SettingsError(f"{args.views} views are out of range; give 1 to 256")
    from blockcore.formats.palette_file import read_palette
    from blockcore.model.palette import WEBGPU_PALETTE
    from bridge.blender.files import quiet, save_file
    from bridge.blender.model_blocks import (
        Wish,
        add_light,
        chosen_objects,
        fit_blocks,
        put_blocks,
        render_views,
        scene_of,
    )
    from bridge.blender.model_import import open_model

    begun = time.perf_counter()
    palette = read_palette(args.palette) if args.palette else WEBGPU_PALETTE
    wish = Wish(args.across, args.block_size, args.budget, args.fill, args.axes, args.views)
    with quiet():
        open_model(args.model)
        fitted = fit_blocks(chosen_objects(args.object, args.collection), wish)
        add_light()
        times = {"voxelize": time.perf_counter() - begun}
        render_views(fitted, wish)
        times["render"] = time.perf_counter() - begun - times["voxelize"]
        scene, result = _choose(scene_of(fitted, palette, wish), settings, args, times)
        put_blocks(scene, fitted, beside=args.beside)
    save_file(args.out)
    _show(args, _figures(fitted, result, time.perf_counter() - begun, times))


def _choose(
    scene: BlockScene, settings: OptimizeSettings, args: argparse.Namespace, times: dict[str, float]
) -> tuple[BlockScene, Summary]:
    """Finds the materials in the scene's own light, in turn with measuring it, or in the light that settings name."""
    from bridge.blender.light import baked
    from bridge.engine.optimize import find_materials

    own = settings.lighting == "scene"
    times |= {"light": 0.0, "materials": 0.0}
    for _ in range(_ROUNDS if own else 1):
        start = time.perf_counter()
        scene = baked(scene) if own else scene
        times["light"] += time.perf_counter() - start
        start = time.perf_counter()
        materials, done = find_materials(scene, settings, args.engine, args.report)
        scene = scene.with_materials(materials)
        times["materials"] += time.perf_counter() - start
    return scene, done.result


def _figures(fitted: Any, result: Summary, seconds: float, times: dict[str, float]) -> Json:
    return {
        "blocks": len(fitted.voxels.grid),
        "visible_blocks": result.visible_blocks,
        "grid": list(fitted.voxels.grid.size),
        "block_size": fitted.voxels.grid.world_scale,
        "outline_match": fitted.match,
        "psnr": result.psnr_after,
        "seconds": seconds,
        "stages": times,
        "leaked_cells": fitted.voxels.leaked,
        "left_out": list(fitted.model.left_out),
    }


def _show(args: argparse.Namespace, figures: Json) -> None:
    if args.json:
        json.dump(figures, sys.stdout)
        print()
        return
    from blockcore.report.metrics import decibel

    if figures["left_out"]:
        print(f"left out, since they have no surface: {', '.join(figures['left_out'])}")
    if args.fill == "solid" and figures["leaked_cells"]:
        print(f"the surface has holes: {figures['leaked_cells']} cells inside were filled by votes of rays")
    print(f"{args.out}: {figures['blocks']} blocks, {figures['visible_blocks']} of them visible")
    print(f"outline match {figures['outline_match']:.3f}, PSNR {decibel(figures['psnr'])}, {figures['seconds']:.1f} s")
