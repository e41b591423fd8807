"""``compare``: a dataset's views, rendered and compared with its pictures."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blockcore.commands.arguments import add_backend, emit_json
from blockcore.errors import DatasetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--map", type=Path, required=True, metavar="MAP_JSON", help="a map of the WebGPU editor")
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="a dataset of posed captures")
    parser.add_argument("--view", type=int, metavar="N", help="this view alone")
    parser.add_argument("--json", metavar="PATH", help="write the figures there; - for standard output")
    add_backend(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.device import choose_device
    from blockcore.frames import draw, frame_colors
    from blockcore.metrics import compare_pictures
    from blockcore.visibility import choose_rasterizer, rasterize
    from blockcore.webgpu import read_scene

    scene = read_scene(args.map, args.dataset)
    numbers = range(len(scene.views)) if args.view is None else [args.view]
    if args.view is not None and not 0 <= args.view < len(scene.views):
        raise DatasetError(f"{args.dataset}: has no view {args.view}; its views are 0 to {len(scene.views) - 1}")
    device, _ = choose_device(args.device)
    rasterizer, _ = choose_rasterizer(args.rasterizer, device.type)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    rows: list[dict[str, Any]] = []
    for number in numbers:
        view = scene.views[number]
        assert view.target is not None  # read_scene refuses a dataset with a picture missing
        (visibility,) = rasterize(faces, [view.camera], rasterizer)
        metrics = compare_pictures(draw(visibility, view.camera, colors), view.target, scene.lighting.background)
        rows.append({"index": number} | asdict(metrics))
    _print(rows, sys.stderr if args.json == "-" else sys.stdout)
    if args.json:
        emit_json({"device": str(device), "rasterizer": rasterizer, "views": rows}, args.json)
    return 0


def _print(rows: list[dict[str, Any]], file: Any) -> None:
    print("view  pixels   differing  over 1/255  max error  PSNR      SSIM      geometry", file=file)
    for row in rows:
        print(
            f"{row['index']:4d}  {row['pixels']:7d}  {row['differing']:9d}  {row['differing_over_1']:10d}  "
            f"{row['max_error']:9.4f}  {row['psnr']:6.2f} dB {row['ssim']:.6f}  {row['geometry_match']:.6f}",
            file=file,
        )
