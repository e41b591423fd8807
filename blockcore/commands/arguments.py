"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from blockcore.errors import SettingsError
from blockcore.io.files import finite, write_json
from blockcore.model.settings import SETTINGS, Machine, OptimizeSettings, settings_in

if TYPE_CHECKING:
    from blockcore.model.palette import Palette
    from blockcore.model.scene import BlockScene


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Adds --device and --rasterizer."""
    for entry in settings_in(Machine):
        parser.add_argument(entry.option, choices=entry.few, default=entry.default, help=entry.help)


def add_scene(parser: argparse.ArgumentParser, views: bool = True) -> None:
    """Adds --scene and --map, and where views count --dataset."""
    parser.add_argument("--scene", type=Path, metavar="DIR", help="a BlockScene folder")
    parser.add_argument("--map", type=Path, metavar="FILE", help="a map of the WebGPU editor, or blocks of any format")
    if views:
        parser.add_argument("--dataset", type=Path, metavar="DIR", help="a dataset of posed captures")
    else:
        parser.set_defaults(dataset=None)


def add_palette(parser: argparse.ArgumentParser) -> None:
    """Adds --palette."""
    parser.add_argument("--palette", type=Path, metavar="FILE.json", help="materials to choose among")


def add_watching(parser: argparse.ArgumentParser) -> None:
    """Adds what is for those who watch: --progress, --preview and --watch-stdin."""
    parser.add_argument("--progress", choices=("bar", "jsonl", "none"), default="bar", help="how to show progress")
    parser.add_argument("--preview", type=Path, metavar="FILE.npy", help="keep the assignment so far in this file")
    parser.add_argument("--watch-stdin", action="store_true", help="cancel when standard input closes")


def load_scene(args: argparse.Namespace) -> BlockScene:
    """Reads what --scene, or --map and --dataset, name.

    Raises:
        SettingsError: neither or both are given.
    """
    from blockcore.formats.exchange import read_blocks
    from blockcore.formats.webgpu import read_dataset
    from blockcore.model.scene import BlockScene

    if (args.scene is None) == (args.map is None):
        raise SettingsError("give either --scene DIR, or --map MAP_JSON with --dataset DIR")
    if args.scene is not None:
        if args.dataset is not None:
            raise SettingsError("--dataset goes with --map; a scene has its own views")
        return BlockScene.read(args.scene)
    scene, unread = read_blocks(args.map)
    tell(unread, sys.stderr)
    return scene if args.dataset is None else replace(scene, views=read_dataset(args.dataset))


def chosen_scene(args: argparse.Namespace, scene: BlockScene | None = None) -> tuple[BlockScene, Sequence[str]]:
    """Returns a scene, its blocks ready for the palette that was given, and what that changed.

    Args:
        args: the command line.
        scene: what there is; what ``load_scene`` reads if None.

    Raises:
        BlockcoreError: one of them cannot be read.
    """
    scene = load_scene(args) if scene is None else scene
    if args.palette is None:
        return scene, ()
    from blockcore.formats.exchange import chosen_from
    from blockcore.formats.palette_file import read_palette

    return chosen_from(scene, read_palette(args.palette))


def add_settings(
    parser: argparse.ArgumentParser, names: Collection[str] = SETTINGS, usual: OptimizeSettings | None = None
) -> None:
    """Adds one option for each setting of these names; what is left out is as ``usual``, which the help says."""
    expected = (usual or OptimizeSettings()).to_dict()
    for entry in (entry for name, entry in SETTINGS.items() if name in names):
        default, choices = expected[entry.name], entry.few
        text = f"{entry.help} (default: {default})"
        if isinstance(default, bool):
            parser.add_argument(entry.option, action="store_true", default=None, help=text)
        else:
            parser.add_argument(entry.option, type=type(default), choices=choices, help=text)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds --dry-run."""
    text = "say what would be done and why, in words or as JSON, and do nothing"
    parser.add_argument("--dry-run", nargs="?", choices=("text", "json"), const="text", help=text)


def add_export(parser: argparse.ArgumentParser) -> None:
    """Adds --export."""
    text = "write the blocks to this file, too, in the format that the end of its name says; may be given again"
    parser.add_argument("--export", type=Path, action="append", default=[], metavar="FILE", help=text)


def export_all(paths: Iterable[Path], what: Any, palette: Palette | None = None, file: TextIO | None = None) -> None:
    """Writes a world to files of any format, and prints where it is and what they could not carry.

    Raises:
        BlockcoreError: one cannot be written.
    """
    from blockcore.formats.exchange import export

    losses: dict[str, None] = {}
    for path in paths:
        losses |= dict.fromkeys(export(path, what, palette))
        print(f"Saved: {path}", file=file)
    tell(losses, file)


def tell(losses: Iterable[str], file: TextIO | None = None) -> None:
    """Prints what a file could not carry, a line each."""
    for sentence in losses:
        print(f"Not carried over: {sentence}", file=file)


def settings_of(args: argparse.Namespace, usual: OptimizeSettings | None = None) -> OptimizeSettings:
    """Returns the settings given on a command line; what was left out is as ``usual``, or keeps its default.

    Raises:
        SettingsError: a value is out of range.
    """
    given = {name: getattr(args, name, None) for name in SETTINGS}
    expected = {} if usual is None else usual.to_dict()
    return OptimizeSettings.from_dict(expected | {name: value for name, value in given.items() if value is not None})


def settings_words(settings: OptimizeSettings, names: Collection[str] = SETTINGS) -> list[str]:
    """Returns the options of a command line that say the settings of these names."""
    words = []
    for name, value in settings.to_dict().items():
        option = f"--{name.replace('_', '-')}"
        if name not in names:
            continue
        if isinstance(value, bool):
            words += [option] if value else []
        else:
            words.append(f"{option}={value}")
    return words


def emit_json(value: Any, where: str) -> None:
    """Writes JSON to a file, or to standard output for ``-``. Infinities, which JSON lacks, become null."""
    if where == "-":
        json.dump(finite(value), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        write_json(Path(where), value)
