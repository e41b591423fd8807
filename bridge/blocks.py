# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``python -m bridge blocks``: a model to blocks that look like it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockcore.commands.arguments import add_export, add_settings, settings_of, tell
from blockcore.errors import SettingsError
from bridge.model.wish import add_wish, wish_of

if TYPE_CHECKING:
    from blockcore.report.events import Working
    from blockcore.report.summary import ModelSummary
    from bridge.blender.making import Task

MODELS = (".obj", ".glb", ".gltf", ".fbx", ".stl", ".ply", ".usd", ".usda", ".usdc", ".usdz", ".abc")
"""How the names of model files end that Blender can import."""


def add_blocks_command(commands: Any) -> None:
    """Adds the command to those of the bridge."""
    command = commands.add_parser("blocks", help="make blocks that look like a model")
    command.add_argument("model", type=Path, metavar="MODEL", help="a .blend, or a model's file (.obj .glb .stl …)")
    add_blocks_options(command)
    command.add_argument("--out", type=Path, metavar="Y.blend", help="where to write")
    add_export(command)
    command.add_argument("--report", type=Path, metavar="DIR", help="keep the engine's result folder")
    command.add_argument("--json", choices=("-",), help="print the figures as JSON")
    command.add_argument("--progress", choices=("jsonl", "none"), default="none", help="how to show progress")
    command.set_defaults(run=make_blocks)


def add_blocks_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that say what is made, and how."""
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--object", action="append", metavar="NAME", help="only this object, with its children; may be given again"
    )
    which.add_argument("--collection", metavar="NAME", help="only this collection")
    which.add_argument(
        "--update", metavar="NAME", help="make the blocks that this object shows anew, as they were made"
    )
    add_wish(command)
    told = "materials; 'own' for those that the .blend's panel keeps (default: the built-in ones)"
    command.add_argument("--palette", type=Path, metavar="FILE.json", help=told)
    command.add_argument("--engine", metavar="PYTHON", help="interpreter with blockcore and torch (default: found)")
    add_settings(command)


def make_blocks(args: argparse.Namespace) -> None:
    """Runs the command.

    Raises:
        BlockcoreError: the model or a setting cannot be used; nothing is written.
    """
    from blockcore.report.events import Made
    from bridge.blender.files import quiet
    from bridge.blender.speaking import heard_out, say

    if args.out is None and not args.export:
        raise SettingsError("--out Y.blend is missing; name the file to write, or another format with --export")
    if args.progress == "none":
        with quiet():
            summary, lost = _make(args, lambda working: None)
        _show(args, summary, lost)
        return
    with heard_out():
        summary, _ = _make(args, say)
    say(Made(str(args.out or args.export[0]), summary.seconds, summary))


def _make(args: argparse.Namespace, watch: Callable[[Working], None]) -> tuple[ModelSummary, list[str]]:
    from blockcore.formats.exchange import export
    from bridge.blender.files import save_file
    from bridge.blender.making import make, put

    task = _task(args)
    made = make(task, watch)
    lost = [sentence for path in args.export for sentence in export(path, made.scene)]
    if args.out is not None:
        put(made, task)
        save_file(args.out)
    return made.summary, lost


def _task(args: argparse.Namespace) -> Task:
    """Opens the model, and returns what is to be made of it."""
    import bpy

    from blockcore.model.palette import WEBGPU_PALETTE
    from bridge.blender.making import Task, update_task
    from bridge.blender.model_blocks import chosen_objects
    from bridge.blender.model_import import open_model
    from bridge.blender.model_world import Order, blocks_of
    from bridge.blender.own_palette import named_palette

    order = Order(wish_of(args), settings_of(args))
    open_model(args.model)
    palette = named_palette(args.palette) if args.palette else WEBGPU_PALETTE
    if args.update is None:
        objects = chosen_objects(args.object or (), args.collection)
        earlier = blocks_of(objects, order.wish.beside)
        return Task(objects, order, palette, earlier=earlier, engine=args.engine, report=args.report)
    world = bpy.context.scene.objects.get(args.update)
    if world is None:
        raise SettingsError(f"there is no object {args.update!r} in this scene; name one that shows a model's blocks")
    return update_task(world, args.engine, args.report)


def _show(args: argparse.Namespace, summary: ModelSummary, lost: list[str]) -> None:
    if args.json:
        json.dump(summary.to_dict(), sys.stdout)
        print()
        return
    from blockcore.report.metrics import decibel

    if summary.left_out:
        print(f"left out, since they have no surface: {', '.join(summary.left_out)}")
    if args.fill == "solid" and summary.leaked_cells:
        print(f"the surface has holes: {summary.leaked_cells} cells inside were filled by votes of rays")
    if summary.kept or summary.lost:
        print(f"{summary.kept} blocks painted by hand stay; {summary.lost} are no longer there")
    tell(dict.fromkeys(lost))
    print(f"{args.out or args.export[0]}: {summary.blocks} blocks, {summary.visible_blocks} of them visible")
    print(f"outline match {summary.outline_match:.3f}, PSNR {decibel(summary.psnr)}, {summary.seconds:.1f} s")
