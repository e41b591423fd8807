"""``info``: what is installed, and what ``auto`` chooses and why."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys

from blockcore import __version__
from blockcore.commands.arguments import emit_json
from blockcore.io.files import Json

_LIBRARIES = ("torch", "numba", "numpy", "pillow", "triton", "nvdiffrast", "wgpu", "bpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--json", metavar="PATH", help="write it as JSON; - for standard output")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    information = _information()
    if args.json:
        emit_json(information, args.json)
    if args.json != "-":
        _print(information)
    return 0


def _information() -> Json:
    from blockcore.machine.device import choose_device
    from blockcore.visibility import choose_rasterizer
    from blockcore.webgpu_live.adapter import describe_adapter

    device, why_device = choose_device("auto")
    rasterizer, why_rasterizer = choose_rasterizer("auto", device.type)
    webgpu, why_webgpu = describe_adapter()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "device": str(device),
        "why_device": why_device,
        "rasterizer": rasterizer,
        "why_rasterizer": why_rasterizer,
        "webgpu": webgpu,
        "why_webgpu": why_webgpu,
    }


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _print(information: Json) -> None:
    print(f"blockcore   {information['version']}")
    print(f"python      {information['python']}  ({information['executable']})")
    for name, version in information["libraries"].items():
        print(f"{name:<11} {version or 'not installed'}")
    print(f"device      {information['device']}  ({information['why_device']})")
    print(f"rasterizer  {information['rasterizer']}  ({information['why_rasterizer']})")
    print(f"webgpu      {information['webgpu'] or 'none'}  ({information['why_webgpu']})")
