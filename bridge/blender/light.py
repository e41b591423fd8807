# SPDX-License-Identifier: GPL-3.0-or-later
"""The open scene's own light on its blocks: baked by Cycles, shown through the scene's colour management."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera
from blockcore.model.grid import BlockGrid, lattice_to_world
from blockcore.model.lighting import Rgb
from blockcore.model.palette import Palette
from bridge.blender.bake import bake_received
from bridge.blender.display import read_display

SAMPLES = 64
_PIXELS = 3.0  # of a picture that a texel shall cover, along an edge
_MOST_SIDE = 8
_MOST_TEXELS = 1 << 21


def has_light() -> bool:
    """Whether the open scene has a light, or a world, that renders show."""
    scene = bpy.context.scene
    return scene.world is not None or any(obj.type == "LIGHT" and not obj.hide_render for obj in scene.objects)


def scene_light(
    grid: BlockGrid,
    materials: npt.NDArray[np.int32],
    palette: Palette,
    grid_to_source: npt.NDArray[np.float64],
    hidden: Sequence[Any],
    cameras: Sequence[Camera],
    samples: int = SAMPLES,
) -> BakedLight:
    """Bakes the light that the blocks receive in the open scene; leaves the scene as it is.

    Args:
        grid: the blocks.
        materials: (N,) palette indices of the blocks, whose colours bounce.
        palette: the materials.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        hidden: objects that the blocks take the place of.
        cameras: that will look at them: the larger a block is in their pictures, the finer is the light.
        samples: of each texel.

    Raises:
        SceneError: no light reaches any block.
        BlockcoreError: Cycles is missing or cannot bake the scene.
    """
    side = texel_side(grid, cameras)
    received = bake_received(grid, materials, palette, grid_to_source, hidden, side, samples)
    if not received.any():
        raise SceneError("the scene's light reaches no block; add a light, or choose the lighting fitted or unlit")
    return BakedLight(received, read_display(), _background())


def texel_side(grid: BlockGrid, cameras: Sequence[Camera]) -> int:
    """Returns into how many texels along an edge the light on a face is cut, for texels of about three pixels."""
    centers = lattice_to_world(grid.positions + 0.5, grid.size, grid.world_scale).astype(np.float64)
    sizes = [np.zeros(1)]
    for camera in cameras:
        clip = np.concatenate([centers, np.ones((len(centers), 1))], axis=1) @ camera.view_proj.T
        inside = (np.abs(clip[:, :2]) <= clip[:, 3:]).all(axis=1) & (clip[:, 3] > 0.0)
        across = camera.proj[0, 0] * camera.width / 2.0 * grid.world_scale
        sizes.append(across / clip[inside, 3])
    largest = float(np.quantile(np.concatenate(sizes), 0.9))
    most = min(_MOST_SIDE, int((_MOST_TEXELS / max(1, len(grid.exposed_faces))) ** 0.5))
    return int(np.clip(np.ceil(largest / _PIXELS), 1, max(1, most)))


def _background() -> Rgb:
    """Returns the display colour of a plain world; black where there is none."""
    world = bpy.context.scene.world
    if world is None:
        return (0.0, 0.0, 0.0)
    linear = np.array(world.color, dtype=np.float64)
    for node in world.node_tree.nodes if world.node_tree else ():
        if node.type == "BACKGROUND":
            linear = np.array(node.inputs["Color"].default_value[:3]) * node.inputs["Strength"].default_value
    red, green, blue = np.clip(read_display().show(linear), 0.0, 1.0).tolist()
    return (red, green, blue)
