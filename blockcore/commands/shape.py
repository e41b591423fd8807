"""``optimize --shape``: blocks from posed pictures alone, before their materials are found."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from blockcore import __version__
from blockcore.errors import SettingsError, quoted
from blockcore.io.files import Json
from blockcore.model.settings import settings_in
from blockcore.model.shape_settings import ShapeSettings
from blockcore.report.events import Event, Started, Step

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from blockcore.model.lighting import Lighting
    from blockcore.model.scene import BlockScene, View

_OPTION = "shape_"
_MOST_CELLS = 1 << 26


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Adds --shape, what goes with it, and one option for each of its settings."""
    text = "find which blocks there are, too, in a grid of so many cells; with --dataset alone, or in place of a map's"
    parser.add_argument("--shape", type=_cells, metavar="X,Y,Z", help=text)
    text = "edge of a block for --shape, in the cameras' units (default: the map's, or 2)"
    parser.add_argument("--block-size", type=float, metavar="S", help=text)
    text = "for --shape: a fourth channel of 0 says that a pixel shows no block, rather than that it does not count"
    parser.add_argument("--alpha-is-mask", action="store_true", help=text)
    for entry in settings_in(ShapeSettings):
        option, kind = f"--{_OPTION}{entry.name}".replace("_", "-"), type(entry.default)
        parser.add_argument(option, type=kind, help=f"for --shape: {entry.help} (default: {entry.default})")


def _cells(text: str) -> tuple[int, int, int]:
    parts = text.replace("x", ",").split(",")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(parts) != 3 or len(numbers) != 3 or not all(numbers):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not three whole numbers such as 32,24,32")
    if math.prod(numbers) > _MOST_CELLS:
        raise argparse.ArgumentTypeError(f"{quoted(text)} are more than {_MOST_CELLS:,} cells; give fewer")
    return numbers[0], numbers[1], numbers[2]


class ShapeSearch:
    """What a command line asks to be looked for.

    Attributes:
        scene: palette, light and views; its blocks are those of the map that was given, and do not count.
        settings: how to look.
        size: cells along x, y, z.
        block_size: edge of a block.
        masks: (H, W) of each view, or None.
        device: where the descent runs.
    """

    def __init__(self, args: argparse.Namespace, scene: BlockScene, device: str) -> None:
        """Takes what was asked for.

        Raises:
            SettingsError: a setting is out of range, the light is baked, or there are no views to look at.
        """
        from blockcore.model.lighting import Lighting

        given = {entry.name: getattr(args, _OPTION + entry.name) for entry in settings_in(ShapeSettings)}
        self.settings = ShapeSettings(**{name: value for name, value in given.items() if value is not None})
        self.size: tuple[int, int, int] = args.shape
        self.block_size = scene.grid.world_scale if args.block_size is None else args.block_size
        if not 0.0 < self.block_size < math.inf:
            raise SettingsError(f"--block-size {self.block_size} must be a positive number")
        if not isinstance(scene.lighting, Lighting):
            raise SettingsError("--shape: baked light belongs to blocks that are there; give a sun and a sky")
        views = tuple(view for view in scene.views if view.target is not None)
        if len(views) < 2:
            raise SettingsError(f"--shape: {len(views)} views with a picture; give two or more with --dataset DIR")
        self.masks: list[npt.NDArray[np.bool_]] | None = None
        if args.alpha_is_mask:
            views, self.masks = _masked(views, scene.lighting)
        self.scene, self.device = replace(scene, views=views), device

    def in_words(self) -> str:
        """Returns what would be done."""
        camera, settings = self.scene.views[0].camera, self.settings
        outlines = "masks" if self.masks is not None else "pixels unlike the background"
        return (
            f"Shape: looked for in {' × '.join(map(str, self.size))} cells of {self.block_size:g}\n"
            f"Pictures: {len(self.scene.views)} of {camera.width} × {camera.height}; outlines from {outlines}\n"
            f"Search: carving; {settings.steps} steps on {self.device} if that leaves pictures unexplained; "
            "then the exact solve on the blocks found"
        )

    def to_dict(self) -> Json:
        """Returns what would be done, as JSON values."""
        settings = {entry.name: getattr(self.settings, entry.name) for entry in settings_in(ShapeSettings)}
        size, views, masked = list(self.size), len(self.scene.views), self.masks is not None
        return {"size": size, "block_size": self.block_size, "views": views, "masks": masked, **settings}

    def run(self, report: Callable[[Event], None], cancelled: Callable[[], bool]) -> BlockScene:
        """Returns the scene of the blocks that were found.

        Raises:
            SceneError: pictures differ in size, or no block was found.
            Cancelled: the user stopped it.
        """
        from blockcore.model.lighting import Lighting
        from blockcore.occupancy.shape import find_shape

        began, steps, scene = time.monotonic(), self.settings.steps, self.scene
        report(Started(__version__, self.device, "cells", math.prod(self.size), len(scene.views), steps))

        def progress(step: int, error: float) -> None:
            report(Step(step + 1, steps, error, 1.0, time.monotonic() - began, 0))

        assert isinstance(scene.lighting, Lighting)
        look = self.size, self.block_size, scene.palette, scene.lighting, self.masks, self.settings, self.device
        return find_shape(scene.views, *look, progress, cancelled)


def _masked(views: tuple[View, ...], lighting: Lighting) -> tuple[tuple[View, ...], list[npt.NDArray[np.bool_]]]:
    """Returns views whose pictures lie over the light's background, and where they show blocks."""
    import numpy as np

    plain, masks = [], []
    for view in views:
        target = np.asarray(view.target)
        if target.shape[2] != 4:
            raise SettingsError(f"--alpha-is-mask: the picture of {view.camera.name} has no fourth channel")
        share, behind = target[..., 3:] / 255.0, np.asarray(lighting.background) * 255.0
        over = np.round(target[..., :3] * share + behind * (1.0 - share)).astype(np.uint8)
        plain.append(replace(view, target=over))
        masks.append(target[..., 3] > 0)
    return tuple(plain), masks


def are_views_alone(args: argparse.Namespace) -> bool:
    """Returns whether blocks are to be looked for without a map or a scene to begin with."""
    return args.shape is not None and args.dataset is not None and args.map is None and args.scene is None


def empty_scene(args: argparse.Namespace) -> BlockScene:
    """Returns the views of --dataset, in the editor's light, with no block yet."""
    import numpy as np

    from blockcore.formats.webgpu import read_dataset
    from blockcore.model.grid import BlockGrid
    from blockcore.model.lighting import WEBGPU_LIGHTING
    from blockcore.model.palette import WEBGPU_PALETTE
    from blockcore.model.scene import BlockScene

    grid = BlockGrid(args.shape, args.block_size or 2.0, np.zeros((0, 3), np.int32))
    views = read_dataset(args.dataset)
    return BlockScene(grid, np.zeros(0, np.int32), WEBGPU_PALETTE, views, WEBGPU_LIGHTING)
