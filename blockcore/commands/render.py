"""``render``: views of a scene as PNG files."""

from __future__ import annotations

import argparse
from pathlib import Path

from blockcore.commands.arguments import add_backend, add_scene, load_scene
from blockcore.errors import SceneError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser)
    parser.add_argument("--view", type=int, metavar="N", help="this view alone")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for view_000.png and so on")
    add_backend(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.io.files import write_file
    from blockcore.io.folders import new_folder
    from blockcore.io.pictures import encode_png
    from blockcore.machine.device import choose_device
    from blockcore.shading.frames import draw, frame_colors
    from blockcore.visibility import choose_rasterizer, rasterize

    scene = load_scene(args)
    numbers = range(len(scene.views)) if args.view is None else [args.view]
    if not scene.views or not all(0 <= number < len(scene.views) for number in numbers):
        raise SceneError(f"there is no view {args.view or 0} to render; the scene has {len(scene.views)} views")
    rasterizer, _ = choose_rasterizer(args.rasterizer, choose_device(args.device)[0].type)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    names = {number: f"view_{number:03d}.png" for number in numbers}
    with new_folder(args.out, "view_000.png") as fresh:
        for number, name in names.items():
            camera = scene.views[number].camera
            (visibility,) = rasterize(faces, [camera], rasterizer)
            write_file(fresh / name, encode_png(draw(visibility, camera, colors)[..., :3]))
    for name in names.values():
        print(f"Saved: {args.out / name}")
    return 0
