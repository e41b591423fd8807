"""``voxelize``: make blocks of a model's triangles, in the place of the grid where their outline matches best."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockcore.commands.stopping import stop_requests
from blockcore.errors import CameraError, MapError
from blockcore.io.archives import pack_arrays, read_array, read_arrays
from blockcore.io.damage import reading
from blockcore.io.files import write_file
from blockcore.voxelize.voxels import FILLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockcore.model.camera import Camera

_CAMERAS = ("view", "proj", "pixels")
_REMEDY = "write it again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("model", type=Path, metavar="TRIANGLES.npy", help="(T, 3, 3) corners, with +Y up")
    parser.add_argument("--cameras", type=Path, metavar="FILE.npz", help="whose outlines count (default: none)")
    add_size(parser)
    parser.add_argument("--watch-stdin", action="store_true", help="cancel when standard input closes")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz", help="where to write the blocks")


def add_size(parser: argparse.ArgumentParser) -> None:
    """Adds --across, --block-size, --budget and --fill."""
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--across", type=float, default=36.0, metavar="N", help="blocks along the longest side (36)")
    size.add_argument("--block-size", type=float, metavar="S", help="edge of a block")
    size.add_argument("--budget", type=int, metavar="N", help="most blocks")
    parser.add_argument("--fill", choices=FILLS, default="shell", help="what is inside (default: shell)")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from blockcore.voxelize.outline import fit_blocks

    with stop_requests(args.watch_stdin):
        triangles = read_array(args.model, MapError, _REMEDY)
        cameras = read_cameras(args.cameras) if args.cameras else ()
        fit = fit_blocks(triangles, cameras, args.across, args.block_size, args.budget, args.fill)
        fit.write(args.out)
    print(f"{args.out}: {len(fit.voxels.grid)} blocks, outline match {fit.match:.3f}")
    return 0


def write_cameras(path: Path, cameras: Sequence[Camera]) -> None:
    """Writes cameras to a file that the command reads."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "view": np.array([camera.view for camera in cameras]).reshape(-1, 4, 4),
        "proj": np.array([camera.proj for camera in cameras]).reshape(-1, 4, 4),
        "pixels": np.array([(camera.width, camera.height) for camera in cameras]).reshape(-1, 2),
    }
    write_file(path, pack_arrays(arrays))


def read_cameras(path: Path) -> tuple[Camera, ...]:
    """Reads what ``write_cameras`` wrote.

    Raises:
        CameraError: the file is missing or damaged.
    """
    from blockcore.model.camera import Camera

    arrays = read_arrays(path, _CAMERAS, CameraError, _REMEDY)
    with reading(path, CameraError, _REMEDY):
        return tuple(
            Camera(view, proj, width, height)
            for view, proj, (width, height) in zip(
                arrays["view"], arrays["proj"], arrays["pixels"].tolist(), strict=True
            )
        )
