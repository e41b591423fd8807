"""``compare``: a dataset's views, rendered and compared with its pictures."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockcore.commands.arguments import add_backend, add_scene, emit_json, load_scene
from blockcore.errors import DatasetError
from blockcore.io.files import Json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from blockcore.model.scene import BlockScene

_LIMITS = {
    "max-mse": "highest mean squared error, of values in 0 to 1",
    "min-psnr": "lowest PSNR, in dB",
    "min-ssim": "lowest structural similarity",
    "max-error": "highest error of a channel, 0 to 1",
    "min-geometry-match": "lowest share of pixels that agree on block or background",
    "min-equal": "lowest share of pixels within 1/255",
}
_FIGURES = {"max-error": "max_error"}  # the figure a limit is of, where its name does not say so
_GAP = 8  # pixels between pictures side by side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--view", type=int, metavar="N", help="this view alone")
    which.add_argument("--all-views", "--all_views", action="store_true", help="every view (the default)")
    parser.add_argument("--json", metavar="PATH", help="write the figures there; - for standard output")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for render, target and difference side by side, and summary.json",
    )
    parser.add_argument(
        "--subpixel-bits", type=int, default=8, metavar="BITS", help="vertices snap to 1/2^BITS of a pixel (default: 8)"
    )
    limits = parser.add_argument_group("limits", "exit with code 1 where a view misses one")
    for name, text in _LIMITS.items():
        limits.add_argument(f"--{name}", type=_finite, metavar="X", help=text)
    add_backend(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.machine.device import choose_device
    from blockcore.report.metrics import compare_pictures
    from blockcore.shading.frames import draw, frame_colors
    from blockcore.visibility import choose_rasterizer, rasterize

    scene = load_scene(args)
    numbers = _chosen(args, scene)
    device, _ = choose_device(args.device)
    rasterizer, _ = choose_rasterizer(args.rasterizer, device.type)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    rows: list[Json] = []
    pictures: list[tuple[int, npt.NDArray[np.uint8]]] = []
    for number in numbers:
        view = scene.views[number]
        assert view.target is not None  # _chosen leaves out views without one
        (visibility,) = rasterize(faces, [view.camera], rasterizer, args.subpixel_bits)
        picture = draw(visibility, view.camera, colors)
        metrics = compare_pictures(picture, view.target, scene.lighting.background)
        row = {"index": number, "name": view.camera.name} | asdict(metrics)
        row["equal"] = 1.0 - metrics.differing_over_1 / max(metrics.pixels, 1)
        row["missed"] = _missed(args, row)
        rows.append(row)
        if args.out:
            pictures.append((number, _side_by_side(picture, view.target)))
    summary = {"device": str(device), "rasterizer": rasterizer, "subpixel_bits": args.subpixel_bits}
    summary |= {"passed": not any(row["missed"] for row in rows), "limits": _limits(args), "views": rows}
    _print(rows, sys.stderr if args.json == "-" else sys.stdout)
    if args.out:
        _write(args.out, pictures, summary)
    if args.json:
        emit_json(summary, args.json)
    return 0 if summary["passed"] else 1


def _chosen(args: argparse.Namespace, scene: BlockScene) -> list[int]:
    if args.view is not None and not 0 <= args.view < len(scene.views):
        where = args.scene or args.dataset or args.map
        raise DatasetError(f"{where}: has no view {args.view}; its views are 0 to {len(scene.views) - 1}")
    chosen = [n for n, view in enumerate(scene.views) if view.target is not None and args.view in (None, n)]
    if not chosen:
        raise DatasetError(f"{args.scene or args.map}: there is no target picture to compare with; give --dataset DIR")
    return chosen


def _limits(args: argparse.Namespace) -> dict[str, float]:
    given = {name: getattr(args, name.replace("-", "_")) for name in _LIMITS}
    return {name: limit for name, limit in given.items() if limit is not None}


def _missed(args: argparse.Namespace, row: Json) -> list[str]:
    """Returns the limits that a view's figures miss."""
    missed = []
    for name, limit in _limits(args).items():
        value = row[_FIGURES.get(name, name[4:].replace("-", "_"))]
        if value > limit if name.startswith("max") else value < limit:
            missed.append(name)
    return missed


def _side_by_side(picture: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lays a picture, its target and their difference side by side."""
    import numpy as np

    from blockcore.report.overlays import difference

    gap = np.full((len(picture), _GAP, 3), 255, np.uint8)
    parts = [picture[..., :3], gap, target[..., :3], gap, difference(picture, target)[..., :3]]
    return np.concatenate(parts, axis=1)


def _write(folder: Path, pictures: list[tuple[int, npt.NDArray[np.uint8]]], summary: Json) -> None:
    from blockcore.io.files import finite, write_file, write_json
    from blockcore.io.folders import new_folder
    from blockcore.io.pictures import encode_png

    with new_folder(folder, "summary.json") as fresh:
        for number, picture in pictures:
            write_file(fresh / f"view_{number:03d}.png", encode_png(picture))
        write_json(fresh / "summary.json", finite(summary))


def _print(rows: list[Json], file: Any) -> None:
    print("view  pixels    differing  over 1/255  max error  MSE       PSNR      SSIM      geometry", file=file)
    for row in rows:
        print(
            f"{row['index']:4d}  {row['pixels']:8d}  {row['differing']:9d}  {row['differing_over_1']:10d}  "
            f"{row['max_error']:9.4f}  {row['mse']:.6f}  {row['psnr']:6.2f} dB {row['ssim']:.6f}  "
            f"{row['geometry_match']:.6f}",
            file=file,
        )
    for row in rows:
        for name in row["missed"]:
            print(f"view {row['index']} misses --{name}", file=file)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value
