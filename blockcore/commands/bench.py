"""``bench``: measure speed or quality, as ratios within one run."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from blockcore.commands.arguments import emit_json

_SUITES = ("speed", "quality", "scale", "guidance", "shape")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--suite", choices=_SUITES, default="speed", help="what to measure")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="speed: cuda measures the GPU path instead"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with maps/ and datasets/")
    parser.add_argument("--out", type=Path, metavar="DIR", help="quality: folder for report.html")
    parser.add_argument("--json", metavar="PATH", help="write the figures there; - for standard output")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.bench.timing import data_folder

    name = "cuda" if args.device == "cuda" and args.suite == "speed" else args.suite
    suite = importlib.import_module(f"blockcore.bench.{name}")
    options = {"out": args.out} if name == "quality" else {}
    figures = suite.run(data_folder(args.data), **options)
    print("\n".join(suite.lines(figures)), file=sys.stderr if args.json == "-" else sys.stdout)
    if args.json:
        emit_json({"suite": name} | figures, args.json)
    return 0
