"""``palette``: a palette of the blocks in Minecraft's resource packs."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from blockcore.errors import listed, quoted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    text = "resource packs, the top one first, and last the game's own client .jar: .zip, .jar or folders"
    parser.add_argument("input", type=Path, nargs="+", metavar="PACK", help=text)
    parser.add_argument("--out", type=Path, required=True, metavar="P.json", help="the palette to write")
    parser.add_argument("--only", type=Path, metavar="LIST", help="take the blocks of this text file, one a line")
    parser.add_argument("--group", action="append", default=[], metavar="NAME", help="take this group; may be repeated")
    parser.add_argument("--grass", metavar="#rrggbb", help="colour of grass in the biome; else it is left out")
    parser.add_argument("--leaves", metavar="#rrggbb", help="likewise of leaves")
    parser.add_argument("--falling", action="store_true", help="take blocks that fall, such as sand")
    parser.add_argument("--game", default="", metavar="VERSION", help="leave out blocks that came later, as in 1.16")
    parser.add_argument("--texels", type=int, default=16, help="the most texels a side of a tile (default: 16)")
    parser.add_argument("--left-out", type=Path, metavar="FILE", help="write why each other block is left out")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.formats.palette_file import hex_color, write_palette
    from blockcore.formats.resource_pack import PackChoice, read_names, read_packs
    from blockcore.io.files import write_file

    found = read_packs(
        args.input,
        PackChoice(
            only=read_names(args.only) if args.only else (),
            groups=args.group,
            grass=hex_color(args.grass) if args.grass else None,
            leaves=hex_color(args.leaves) if args.leaves else None,
            falling=args.falling,
            game=args.game,
            texels=args.texels,
        ),
    )
    if args.left_out:
        write_file(args.left_out, "".join(f"{name}: {reason}\n" for name, reason in found.left_out.items()))
    write_palette(args.out, found.palette)
    for sentence in _reasons(found.left_out):
        print(sentence)
    print(f"Saved: {args.out}: {len(found.palette) - 1} blocks")
    return 0


def _reasons(left_out: Mapping[str, str]) -> list[str]:
    names = defaultdict(list)
    for name, reason in left_out.items():
        names[reason.partition(" minecraft:")[0] if reason.startswith("looks like") else reason].append(name)
    return [f"Left out: {len(some)}, such as {listed(some[:3])}: {quoted(why)[1:-1]}" for why, some in names.items()]
