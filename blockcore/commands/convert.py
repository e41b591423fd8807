"""``convert``: a block world from one format to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from blockcore.commands.arguments import add_export, export_all, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="a file of any format, or a BlockScene folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="what to write; the end of its name says the format")
    text = "materials or blocks, by name and colour, to choose among"
    parser.add_argument("--palette", type=Path, metavar="FILE.json", help=text)
    add_export(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore import formats
    from blockcore.formats.palette_file import read_palette

    formats.writer(args.out)  # refuses a name before it reads what may be large
    palette = read_palette(args.palette) if args.palette else None
    found, unread = formats.read(args.input, palette)
    tell(unread)
    export_all((args.out, *args.export), found, palette)
    return 0
