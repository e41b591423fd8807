# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks that look like a model of the open scene: made of its triangles, chosen by pictures that Cycles renders of it.

The blocks are linked to their model: their object notes which objects it was made of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix, Vector

from blockcore.errors import SceneError
from blockcore.model.palette import AIR, Palette
from blockcore.model.scene import BlockScene, Source, View
from blockcore.voxelize.blocks import Voxels, checked_size, checked_triangles, size_for_budget
from blockcore.voxelize.outline import best_fit
from bridge.blender.extract import read_camera, read_view
from bridge.blender.held import held
from bridge.blender.light import has_light
from bridge.blender.render_targets import render_targets
from bridge.blender.triangles import Model, read_model
from bridge.blender.world import add_world
from bridge.cameras import orbit
from bridge.convert import TO_BLENDER

CAMERAS = "Model Cameras"
LIGHT = "Model Light"
MODEL = "blockcore_model"
"""Notes, on a world, the names of the objects that it was made of."""
AXES = ("world", "object")
_LENS = 50.0  # millimetres
_ELEVATIONS = (math.radians(10.0), math.radians(35.0), math.radians(62.0))
_OUTLINE = 128  # pixels along an edge of the pictures that outlines are compared in
_SUN = (0.45, -0.55, 0.75)  # towards the sun
_SUN_STRENGTH, _SKY = 3.0, (0.32, 0.36, 0.42)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wish:
    """What blocks are asked for.

    Attributes:
        across: how many along the model's longest side; taken where neither of the next two is given.
        block_size: edge of a block, in Blender's units.
        budget: most blocks.
        fill: ``"shell"`` or ``"solid"``.
        axes: along which the grid lies: the ``"world"``'s or those of the model's first ``"object"``.
        views: how many cameras.
        pixels: edge of the pictures that they render.
        samples: of each pixel.
    """

    across: float = 36.0
    block_size: float | None = None
    budget: int | None = None
    fill: str = "shell"
    axes: str = "world"
    views: int = 24
    pixels: int = 160
    samples: int = 16


@dataclass(frozen=True, eq=False)
class Fitted:
    """Blocks in the place where they match their model best.

    Attributes:
        voxels: the blocks.
        match: of their outline with the model's, 0…1.
        grid_to_source: (4, 4): blockcore's world to Blender's.
        model: what they were made of.
        cameras: the camera objects around it.
    """

    voxels: Voxels
    match: float
    grid_to_source: Floats
    model: Model
    cameras: tuple[Any, ...]


def fit_blocks(objects: Sequence[Any], wish: Wish) -> Fitted:
    """Makes blocks of a model, and adds cameras around it in a collection of their own, in place of earlier ones.

    Nothing is added where the model or the wish cannot be used.

    Args:
        objects: the model's objects.
        wish: what to make.

    Raises:
        BlockcoreError: the model has no face, or the blocks would be too many.
    """
    model = read_model(objects)
    turn = _axes(objects[0]) if wish.axes == "object" else np.eye(3)
    to_model = np.eye(4)
    to_model[:3, :3] = turn @ TO_BLENDER[:3, :3]
    triangles = checked_triangles(model.triangles @ to_model[:3, :3])
    size = (
        size_for_budget(triangles, wish.budget, wish.fill)
        if wish.budget is not None
        else checked_size(triangles, wish.across, wish.block_size)
    )
    corners = model.triangles.reshape(-1, 3)
    cameras = _add_cameras(corners.min(axis=0), corners.max(axis=0), wish.views)
    try:
        with picture(_OUTLINE):
            posed = [read_camera(camera, to_model) for camera in cameras]
        voxels, match = best_fit(triangles, size, posed, wish.fill)
    except Exception:
        remove_cameras()
        raise
    away = np.eye(4)
    away[:3, 3] = voxels.offset
    return Fitted(voxels, match, to_model @ away, model, cameras)


def render_views(fitted: Fitted, wish: Wish, watch: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Renders the model from the cameras, with Cycles, as their targets; the scene's own settings stay."""
    shown = bpy.data.collections.new("Model")
    for name in fitted.model.objects:
        shown.objects.link(bpy.data.objects[name])
    cycles = bpy.context.scene.cycles
    changes = [
        (bpy.context.scene.render, "engine", "CYCLES"),
        *((cycles, name, value) for name, value in (("samples", wish.samples), ("use_denoising", True), ("seed", 0))),
    ]
    try:
        with picture(wish.pixels), held(changes):
            for done, _ in enumerate(render_targets(shown, fitted.cameras), start=1):
                watch(done, len(fitted.cameras))
    finally:
        bpy.data.collections.remove(shown)


def scene_of(fitted: Fitted, palette: Palette, wish: Wish) -> BlockScene:
    """Returns what is to be optimised: the blocks, with the views whose targets were rendered, as yet in no light.

    Pixels that the model covers only partly do not count.
    """
    count = len(fitted.voxels.grid)
    with picture(wish.pixels):
        views = tuple(
            _whole_pixels(read_view(camera, fitted.grid_to_source, need_target=True)) for camera in fitted.cameras
        )
    first = fitted.model.objects
    names = tuple(first[min(block, len(first) - 1)] for block in range(max(count, 1)))[:count]
    source = Source(bpy.data.filepath, names, fitted.grid_to_source)
    return BlockScene(fitted.voxels.grid, np.full(count, AIR + 1, np.int32), palette, views, source=source)


def put_blocks(scene: BlockScene, fitted: Fitted, name: str = "Model Blocks", beside: bool = False) -> Any:
    """Shows blocks instead of their model, or beside it, and links them to it.

    Returns:
        The object that shows them.
    """
    world = add_world(scene, name, bpy.context.scene.collection)
    world[MODEL] = json.dumps(list(fitted.model.objects))
    if beside:
        corners = fitted.model.triangles.reshape(-1, 3)
        away = 1.2 * float(np.ptp(corners[:, 0]))
        world.matrix_world = Matrix.Translation((away, 0.0, 0.0)) @ world.matrix_world
    else:
        for each in fitted.model.objects:
            obj = bpy.data.objects[each]
            obj.hide_render = True
            obj.hide_viewport = True
    return world


def model_of(world: Any) -> list[Any]:
    """Returns the objects that a world was made of, as far as they are still there; empty where none is noted."""
    try:
        names = json.loads(world[MODEL])
    except (KeyError, TypeError, ValueError):
        return []
    return [bpy.data.objects[name] for name in names if name in bpy.data.objects]


def chosen_objects(object_name: str | None, collection_name: str | None) -> list[Any]:
    """Returns the model's objects: those of an object with its children, of a collection, or all of the scene.

    Raises:
        SceneError: there is none of that name.
    """
    if object_name is not None:
        obj = bpy.context.scene.objects.get(object_name)
        if obj is None:
            raise SceneError(f"there is no object {object_name!r} in this scene; name one of its objects")
        return [obj, *obj.children_recursive]
    if collection_name is not None:
        collection = bpy.data.collections.get(collection_name)
        if collection is None:
            raise SceneError(f"there is no collection {collection_name!r} in this file; name one of its collections")
        return list(collection.all_objects)
    return list(bpy.context.scene.objects)


def add_light() -> None:
    """Adds a sun and a sky to a scene that has no light."""
    if has_light():
        return
    sun = bpy.data.objects.new(LIGHT, bpy.data.lights.new(LIGHT, "SUN"))
    sun.data.energy = _SUN_STRENGTH
    sun.rotation_euler = Vector(_SUN).to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(sun)
    world = bpy.data.worlds.new(LIGHT)
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*_SKY, 1.0)
    bpy.context.scene.world = world


def remove_cameras() -> None:
    """Removes the cameras that ``fit_blocks`` added, with their targets, and their collection."""
    collection = bpy.data.collections.get(CAMERAS)
    if collection is None:
        return
    for camera in list(collection.objects):
        images = [entry.image for entry in camera.data.background_images if entry.image is not None]
        bpy.data.cameras.remove(camera.data)  # and the object with it
        for image in images:
            if not image.users:
                bpy.data.images.remove(image)
    bpy.data.collections.remove(collection)


@contextmanager
def picture(pixels: int) -> Iterator[None]:
    """Lets the scene render square pictures for a while."""
    render = bpy.context.scene.render
    names = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
    with held([(render, name, value) for name, value in zip(names, (pixels, pixels, 100, 1.0, 1.0), strict=True)]):
        yield


def _axes(obj: Any) -> Floats:
    """Returns an object's axes as columns, without its scale.

    Raises:
        SceneError: it is scaled to 0 or sheared.
    """
    matrix = np.array(obj.matrix_world, dtype=np.float64)[:3, :3]
    scale = np.linalg.norm(matrix, axis=0)
    turn: Floats = matrix / np.where(scale > 0.0, scale, 1.0)
    if np.abs(turn.T @ turn - np.eye(3)).max() > 1e-4:
        raise SceneError(f"object {obj.name!r}: has no axes at right angles; apply its scale, or use the world's axes")
    if np.linalg.det(turn) < 0.0:
        turn[:, 0] = -turn[:, 0]
    return turn


def _add_cameras(low: Floats, high: Floats, count: int) -> tuple[Any, ...]:
    fov = 2.0 * math.atan(18.0 / _LENS)
    poses = orbit(low, high, count, _ELEVATIONS[: max(1, min(count, 3))], fov, fov)
    away = float(np.linalg.norm(poses[:, :3, 3] - (low + high) / 2.0, axis=1).max())
    remove_cameras()
    collection = bpy.data.collections.new(CAMERAS)
    bpy.context.scene.collection.children.link(collection)
    cameras = []
    for number, pose in enumerate(poses):
        data = bpy.data.cameras.new(f"Model View {number:02d}")
        data.lens, data.clip_start, data.clip_end = _LENS, away / 100.0, 3.0 * away
        camera = bpy.data.objects.new(data.name, data)
        camera.matrix_world = Matrix(pose.tolist())
        collection.objects.link(camera)
        cameras.append(camera)
    bpy.context.view_layer.update()
    return tuple(cameras)


def _whole_pixels(view: View) -> View:
    assert view.target is not None
    shape = view.target.shape
    alpha = view.target[..., 3] if shape[2] == 4 else np.full(shape[:2], 255, np.uint8)
    mask = np.where(alpha == 255, 255, 0).astype(np.uint8)
    return replace(view, target=np.dstack([view.target[..., :3], mask]))
