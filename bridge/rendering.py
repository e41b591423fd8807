# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``python -m bridge targets``: a model rendered from a .blend's cameras, as their targets."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockcore.errors import SettingsError

if TYPE_CHECKING:
    from blockcore.report.events import Working


def add_targets_command(commands: Any) -> None:
    """Adds the command to those of the bridge."""
    command = commands.add_parser("targets", help="render a model from a .blend's cameras, and make that their targets")
    command.add_argument("blend", type=Path, nargs="?", metavar="X.blend", help="the file (default: the open one)")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--object", metavar="NAME", help="the model: an object, with its children")
    which.add_argument("--collection", metavar="NAME", help="the model: a collection")
    command.add_argument("--camera", action="append", metavar="NAME", help="use this camera; may be given again")
    command.add_argument("--out", type=Path, metavar="Y.blend", help="where to write the file with the targets")
    command.add_argument("--pictures", type=Path, metavar="DIR", help="keep the pictures, in the order of the cameras")
    command.add_argument("--progress", choices=("jsonl", "none"), default="none", help="how to show progress")
    command.set_defaults(run=render)


def render(args: argparse.Namespace) -> None:
    """Runs the command.

    Raises:
        BlockcoreError: the model or a camera cannot be used; nothing is written.
    """
    from blockcore.report.events import Rendered
    from bridge.blender.files import quiet
    from bridge.blender.speaking import heard_out, say

    if args.out is None and args.pictures is None:
        raise SettingsError("--out Y.blend is missing; name the file to write, or a folder with --pictures")
    began = time.monotonic()
    if args.progress == "none":
        with quiet():
            count = _render(args, lambda working: None)
        print(f"{args.out or args.pictures}: {count} targets, {time.monotonic() - began:.1f} s")
        return
    with heard_out():
        _render(args, say)
    say(Rendered(str(args.pictures or args.out), time.monotonic() - began))


def _render(args: argparse.Namespace, watch: Callable[[Working], None]) -> int:
    import bpy

    from blockcore.io.folders import scratch_folder
    from blockcore.io.pictures import read_picture
    from blockcore.report.events import Working
    from bridge.blender.extract import find_camera
    from bridge.blender.files import open_file, save_file
    from bridge.blender.render_targets import render_pictures, take_picture

    if args.blend is not None:
        open_file(args.blend)
    cameras = [find_camera(name) for name in args.camera or ()]
    cameras = cameras or [obj for obj in bpy.context.scene.objects if obj.type == "CAMERA"]
    if not cameras:
        raise SettingsError("there is no camera in this scene; add one")
    model, began = _model(args), time.monotonic()
    with scratch_folder() as scratch:
        folder = args.pictures or scratch
        folder.mkdir(parents=True, exist_ok=True)
        watch(Working(f"Rendering view 1 of {len(cameras)}", 0.0, 0.0))
        for number, picture in enumerate(render_pictures(model, cameras, folder), start=1):
            if args.out is not None:
                take_picture(cameras[number - 1], read_picture(picture), model)
            now = min(number + 1, len(cameras))
            share = number / len(cameras)
            watch(Working(f"Rendering view {now} of {len(cameras)}", share, time.monotonic() - began))
        if args.out is not None:
            save_file(args.out)
    return len(cameras)


def _model(args: argparse.Namespace) -> Any:
    from bridge.blender.identity import find_collection, find_object

    found = find_object(args.object) if args.object else find_collection(args.collection)
    if found is None:
        kind = "object" if args.object else "collection"
        raise SettingsError(f"there is no {kind} {args.object or args.collection!r}; choose the model to render")
    return found
