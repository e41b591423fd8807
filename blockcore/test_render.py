"""``python -m blockcore.test_render``: renders and checks a dataset's views, where ``maps/`` and ``datasets/`` lie."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from blockcore.commands.arguments import add_backend
from blockcore.errors import BlockcoreError, DatasetError
from blockcore.model.scene import BlockScene, View

_OUT = Path("out_local/nvdiff_test")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m blockcore.test_render", description=__doc__)
    parser.add_argument("--dataset_id", default="1", help="maps/ID and datasets/ID are read")
    parser.add_argument("--view_index", type=int, default=0, help="which view")
    parser.add_argument("--all_views", action="store_true", help="every view")
    parser.add_argument("--compare", action="store_true", help="compare with the dataset's pictures")
    add_backend(parser)
    args = parser.parse_args(argv)
    try:
        count = _render(args)
    except BlockcoreError as error:
        print(f"blockcore: {error}", file=sys.stderr)
        return 2
    print(f"=== Done! Rendered {count} view(s) ===")
    return 0


def _render(args: argparse.Namespace) -> int:
    from blockcore.formats.webgpu import read_dataset, read_map
    from blockcore.machine.device import choose_device
    from blockcore.shading.frames import draw, frame_colors
    from blockcore.visibility import choose_rasterizer, rasterize

    device, _ = choose_device(args.device)
    print(f"Using device: {device}")
    print(f"Loading dataset {args.dataset_id}...")
    blocks = read_map(Path("maps") / args.dataset_id / "map.json")
    folder = Path("datasets") / args.dataset_id
    scene = BlockScene(blocks.grid, blocks.materials, blocks.palette, read_dataset(folder, need_pictures=args.compare))
    numbers = range(len(scene.views)) if args.all_views else [args.view_index]
    if not 0 <= numbers[0] < len(scene.views):
        raise DatasetError(f"{folder}: has no view {numbers[0]}; its views are 0 to {len(scene.views) - 1}")
    print("Initializing renderer...\n")
    rasterizer, _ = choose_rasterizer(args.rasterizer, device.type)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    for number in numbers:
        view = scene.views[number]
        print(f"=== Rendering view {number} ===")
        print(f"Rendering {len(scene.grid)} blocks at {view.camera.width}x{view.camera.height}...")
        (visibility,) = rasterize(faces, [view.camera], rasterizer)
        _finish(args, number, view, scene, draw(visibility, view.camera, colors)[..., :3])
    return len(numbers)


def _finish(args: argparse.Namespace, number: int, view: View, scene: BlockScene, picture: object) -> None:
    import numpy as np

    from blockcore.io.files import write_file
    from blockcore.io.pictures import encode_png
    from blockcore.report.metrics import compare_pictures

    pixels = np.asarray(picture, dtype=np.uint8)
    path = _OUT / f"dataset_{args.dataset_id}_view_{number}.png"
    write_file(path, encode_png(pixels))
    print(f"Saved: {path}")
    if args.compare and view.target is not None:
        metrics = compare_pictures(pixels, view.target, scene.lighting.background)
        print("Comparing with ground truth...\nMetrics:")
        print(f"  MSE:            {metrics.mse:.6f}")
        print(f"  PSNR:           {metrics.psnr:.2f} dB")
        print(f"  Max Error:      {metrics.max_error:.4f}")
        print(f"  Geometry Match: {metrics.geometry_match:.4f}")
    print()


if __name__ == "__main__":
    sys.exit(main())
