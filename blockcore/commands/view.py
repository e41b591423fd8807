"""``view``: a page that shows a scene in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from blockcore.commands.arguments import add_scene, load_scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="the page to write")
    parser.add_argument("--title", help="the page's title; the map's or the scene's name if left out")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.viewer import write_viewer

    scene = load_scene(args)
    source = (args.scene or args.map).resolve()
    name = source.name if args.scene else f"{source.parent.name}/{source.name}"
    write_viewer(args.out, scene, args.title or name)
    print(f"Saved: {args.out}")
    return 0
