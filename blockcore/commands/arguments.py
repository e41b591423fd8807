"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockcore.errors import SettingsError
from blockcore.io.files import finite, write_json
from blockcore.model.settings import CHOICES, DEVICES, RASTERIZERS, OptimizeSettings

if TYPE_CHECKING:
    from blockcore.model.scene import BlockScene

_HELP = {
    "method": "find the best assignment outright, or descend to it",
    "steps": "most steps taken",
    "learning_rate": "Adam's step size",
    "relaxation": "how a block blends its materials",
    "hard": "straight-through pictures of one material per block",
    "temperature_start": "temperature of the first step",
    "temperature_end": "temperature of the last step",
    "commitment": "weight of the spread of a block's colours, 0 to 1",
    "objective": "how the loss is computed",
    "init": "where the materials start",
    "seed": "of everything random",
    "patience": "stop after so many steps without a change; 0 never",
    "loss": "how pictures are compared: l2, l1, huber, ssim, lowpass, lpips, or a module:function",
    "huber_width": "error from which the Huber loss grows straight",
    "blur": "sigma of the low-pass loss, in pixels",
    "samples": "samples a pixel along each axis, for antialiased targets",
    "lighting": "the light, or 'fitted' to find it",
    "exposure": "find each view's exposure or white balance",
    "smoothness": "cost of a seam between blocks of different materials, as squared error",
    "smoother": "how seams are minimised",
    "seams": "factors of that cost, such as 'Grass/Dirt = 0.2'",
    "allowed": "materials that may be assigned, such as 'Stone, Plank; roof: Snow'",
    "limits": "most blocks of some materials, such as 'Stone = 100'",
    "max_kinds": "most different materials; 0 for any number",
    "locked": "regions whose blocks keep their material",
    "unseen": "what blocks that no view shows get",
    "device": "where tensors live",
    "rasterizer": "what finds which face a pixel shows",
}


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Adds --device and --rasterizer."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help=_HELP["device"])
    parser.add_argument("--rasterizer", choices=RASTERIZERS, default="auto", help=_HELP["rasterizer"])


def add_scene(parser: argparse.ArgumentParser) -> None:
    """Adds --scene, --map and --dataset."""
    parser.add_argument("--scene", type=Path, metavar="DIR", help="a BlockScene folder")
    parser.add_argument("--map", type=Path, metavar="MAP_JSON", help="a map of the WebGPU editor")
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="a dataset of posed captures")


def load_scene(args: argparse.Namespace) -> BlockScene:
    """Reads what --scene, or --map and --dataset, name.

    Raises:
        SettingsError: neither or both are given.
    """
    from blockcore.formats.webgpu import read_scene
    from blockcore.model.scene import BlockScene

    if (args.scene is None) == (args.map is None):
        raise SettingsError("give either --scene DIR, or --map MAP_JSON with --dataset DIR")
    if args.scene is not None:
        if args.dataset is not None:
            raise SettingsError("--dataset goes with --map; a scene has its own views")
        return BlockScene.read(args.scene)
    return read_scene(args.map, args.dataset)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds one option for each field of OptimizeSettings."""
    for field in dataclasses.fields(OptimizeSettings):
        option = f"--{field.name.replace('_', '-')}"
        text = f"{_HELP[field.name]} (default: {field.default})"
        if isinstance(field.default, bool):
            parser.add_argument(option, action="store_true", default=None, help=text)
        else:
            parser.add_argument(option, type=type(field.default), choices=CHOICES.get(field.name), help=text)


def settings_of(args: argparse.Namespace) -> OptimizeSettings:
    """Returns the settings given on a command line; what was left out keeps its default.

    Raises:
        SettingsError: a value is out of range.
    """
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(OptimizeSettings)}
    return OptimizeSettings.from_dict({name: value for name, value in given.items() if value is not None})


def emit_json(value: Any, where: str) -> None:
    """Writes JSON to a file, or to standard output for ``-``. Infinities, which JSON lacks, become null."""
    if where == "-":
        json.dump(finite(value), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        write_json(Path(where), value)
