# SPDX-License-Identifier: GPL-3.0-or-later
"""The open scene's own light on its blocks: baked by Cycles, shown through the scene's colour management."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera
from blockcore.model.display import Display
from blockcore.model.grid import BlockGrid, lattice_to_world
from blockcore.model.lighting import Rgb
from blockcore.model.scene import BlockScene
from bridge.blender import curtain
from bridge.blender.bake import bake_received
from bridge.blender.display import read_display
from bridge.blender.fingerprint import light_fingerprint
from bridge.blender.identity import find_objects
from bridge.engine.kept import find_light, keep_light
from bridge.engine.lit import ROUNDS

SAMPLES = 64
"""Of a texel; where there are many on a face, fewer do: 256 a face, and at least 16 a texel."""
_OF_A_FACE, _LEAST = 256, 16
_PIXELS = 1.0  # of a picture that a texel shall cover, along an edge
_MOST_SIDE = 8
_MOST_TEXELS = 1 << 21


def has_light() -> bool:
    """Whether the open scene has a light, or a world, that renders show."""
    scene = bpy.context.scene
    return scene.world is not None or any(obj.type == "LIGHT" and not obj.hide_render for obj in scene.objects)


def unmeasured(grid: BlockGrid, display: Display) -> BakedLight:
    """Returns what stands for the scene's own light until it is measured: white on every face."""
    return BakedLight(np.ones((len(grid.exposed_faces), 1, 1, 3), np.float32), display)


def baked(
    scene: BlockScene,
    bounce: npt.NDArray[np.int32] | None = None,
    samples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    keep: bool = False,
) -> BlockScene:
    """Returns a scene with the light that its blocks receive in the open Blender scene, which stays as it is.

    Args:
        scene: of the open file; a display transform that it has already stays. The objects that its source names, and
            earlier results made of them, are left out of the light. The larger a block is in the pictures of its views,
            the finer is the light.
        bounce: (N,) palette indices of the blocks, whose colours bounce; the scene's own if None.
        samples: of each texel; None for as many as ``SAMPLES`` says.
        progress: told how many faces are done, of how many.
        keep: whether light measured before is taken, where all it depends on is the same, and this one kept.

    Raises:
        SceneError: no light reaches any block, the scene has no source, or ``bounce`` are not its blocks.
        BlockcoreError: Cycles is missing or cannot bake the scene.
    """
    if scene.source is None:
        raise SceneError("the scene does not tell where its blocks are in Blender; export it again")
    materials = (scene if bounce is None else scene.with_materials(bounce)).materials
    names = [name for name in dict.fromkeys(scene.source.block_objects) if name]
    blocks = [obj for obj in find_objects(names) if obj is not None]
    hidden = [*blocks, *(obj for obj in curtain.in_front(blocks) if obj not in blocks)]
    side = texel_side(scene.grid, [view.camera for view in scene.views if view.target is not None])
    if samples is None:
        samples = int(np.clip(_OF_A_FACE // side**2, _LEAST, SAMPLES))
    shape = len(scene.grid.exposed_faces), side, side, 3
    key = _key(scene, materials, side, samples, hidden) if keep else None
    received = find_light(key, shape) if key else None
    if received is None:
        received = bake_received(
            scene.grid, materials, scene.palette, scene.source.grid_to_source, hidden, side, samples, progress
        )
        if key:
            keep_light(key, received)
    elif progress is not None:
        progress(shape[0], shape[0])
    if not received.any():
        raise SceneError("the scene's light reaches no block; add a light, or choose the lighting fitted or unlit")
    display = scene.lighting.display if isinstance(scene.lighting, BakedLight) else read_display()
    return replace(scene, lighting=BakedLight(received, display, _background(display)))


def _key(
    scene: BlockScene, materials: npt.NDArray[np.int32], side: int, samples: int, hidden: Sequence[Any]
) -> str | None:
    """Returns a name for the light measured, which is another where the light may be; None where that is not known."""
    around = light_fingerprint(hidden)
    if around is None or scene.source is None:
        return None
    digest = hashlib.sha256(f"{around} {side} {samples} {scene.grid.size} {scene.grid.world_scale}".encode())
    for array in (scene.grid.positions, materials, scene.palette.colors, scene.source.grid_to_source):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def settled(
    scene: BlockScene, choose: Callable[[BlockScene], npt.NDArray[np.int32]], samples: int | None = None
) -> tuple[npt.NDArray[np.int32], BlockScene]:
    """Chooses materials and measures light in turn, in this process; ``engine.baker`` does so beside a window.

    Args:
        scene: of the open file.
        choose: finds materials (N,) in a scene's light.
        samples: as for ``baked``.

    Returns:
        The materials, and the scene in the light that they were chosen in.
    """
    materials = None
    for _ in range(ROUNDS):
        before = materials
        scene = baked(scene, before, samples)
        materials = choose(scene)
        if before is not None and np.array_equal(before, materials):
            break
    assert materials is not None
    return materials, scene


def texel_side(grid: BlockGrid, cameras: Sequence[Camera]) -> int:
    """Returns into how many texels along an edge the light on a face is cut, for texels of about a pixel."""
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


def _background(display: Display) -> Rgb:
    """Returns the display colour of a plain world; black where there is none."""
    world = bpy.context.scene.world
    if world is None:
        return (0.0, 0.0, 0.0)
    linear = np.array(world.color, dtype=np.float64)
    for node in world.node_tree.nodes if world.node_tree else ():
        if node.type == "BACKGROUND":
            linear = np.array(node.inputs["Color"].default_value[:3]) * node.inputs["Strength"].default_value
    red, green, blue = np.clip(display.show(linear), 0.0, 1.0).tolist()
    return (red, green, blue)
