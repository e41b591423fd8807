# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks of a model of the open scene: made of its triangles, to be chosen by pictures that Cycles renders of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector

from blockcore.errors import SceneError
from blockcore.model.display import SRGB
from blockcore.model.palette import AIR, Palette
from blockcore.model.scene import BlockScene, Source, View
from blockcore.voxelize.voxels import Fit, checked_triangles
from bridge.blender.extract import read_camera, read_view
from bridge.blender.held import held
from bridge.blender.light import has_light, unmeasured
from bridge.blender.model_cameras import add_cameras, picture, remove_cameras
from bridge.blender.model_world import family, models_in
from bridge.blender.render_targets import render_targets
from bridge.blender.triangles import Model, read_model
from bridge.convert import TO_BLENDER
from bridge.model.engine import fit
from bridge.model.wish import Wish

LIGHT = "Model Light"
_OUTLINE = 128  # pixels along an edge of the pictures that outlines are compared in
_PIXELS, _SAMPLES = 160, 16  # of the pictures that blocks are chosen by
_SUN = (0.45, -0.55, 0.75)  # towards the sun
_SUN_STRENGTH, _SKY = 3.0, (0.32, 0.36, 0.42)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model's blocks where they match it best.

    Attributes:
        fit: the blocks.
        grid_to_source: (4, 4): blockcore's world to Blender's.
        model: what they were made of.
        cameras: the camera objects around it.
    """

    fit: Fit
    grid_to_source: Floats
    model: Model
    cameras: tuple[Any, ...]


def fit_blocks(objects: Sequence[Any], wish: Wish, engine: str | None = None) -> Fitted:
    """Makes blocks of a model, and adds cameras around it in a collection of their own, in place of earlier ones.

    Nothing is added where the model or the wish cannot be used.

    Args:
        objects: the model's objects.
        wish: what to make.
        engine: the engine's interpreter; see ``bridge.model.engine``.

    Raises:
        BlockcoreError: the model has no face, or the blocks would be too many.
    """
    model = read_model(objects)
    to_model = np.eye(4)
    to_model[:3, :3] = (axes_of(objects[0]) if wish.axes == "object" else np.eye(3)) @ TO_BLENDER[:3, :3]
    corners = checked_triangles(model.triangles).reshape(-1, 3)
    cameras = add_cameras(corners.min(axis=0), corners.max(axis=0), wish.views)
    try:
        with picture(_OUTLINE):
            posed = [read_camera(camera, to_model) for camera in cameras]
        found = fit(model.triangles @ to_model[:3, :3], posed, wish, engine)
    except BaseException:
        remove_cameras()
        raise
    away = np.eye(4)
    away[:3, 3] = found.voxels.offset
    return Fitted(found, to_model @ away, model, cameras)


def render_views(fitted: Fitted, watch: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Renders the model from the cameras, with Cycles, as their targets; the scene's own settings stay."""
    shown = bpy.data.collections.new("Model")
    for name in fitted.model.objects:
        shown.objects.link(bpy.data.objects[name])
    scene = bpy.context.scene
    changes = [(scene.render, "engine", "CYCLES"), (scene.render, "use_persistent_data", True)]
    changes += [
        # A face's pixels are averaged, which noise survives no better than denoising, at a quarter of its time.
        (scene.cycles, name, value)
        for name, value in (("samples", _SAMPLES), ("use_denoising", False), ("seed", 0))
    ]
    try:
        with picture(_PIXELS), held(changes):
            for done, _ in enumerate(render_targets(shown, fitted.cameras), start=1):
                watch(done, len(fitted.cameras))
    finally:
        bpy.data.collections.remove(shown)


def scene_of(fitted: Fitted, palette: Palette) -> BlockScene:
    """Returns what is to be optimised: the blocks, with the views whose targets were rendered, as yet in no light.

    Pixels that the model covers only partly do not count.
    """
    grid = fitted.fit.voxels.grid
    with picture(_PIXELS):
        views = tuple(
            _whole_pixels(read_view(camera, fitted.grid_to_source, need_target=True)) for camera in fitted.cameras
        )
    first = fitted.model.objects
    names = tuple(first[min(block, len(first) - 1)] for block in range(len(grid)))
    source = Source(bpy.data.filepath, names, fitted.grid_to_source)
    return BlockScene(grid, np.full(len(grid), AIR + 1, np.int32), palette, views, unmeasured(grid, SRGB), source)


def chosen_objects(object_names: Sequence[str] = (), collection_name: str | None = None) -> list[Any]:
    """Returns the model's objects: some with their children, those of a collection, or all of the scene.

    Blocks that were made of a model stand for it.

    Raises:
        SceneError: there is none of that name.
    """
    if collection_name is not None:
        collection = bpy.data.collections.get(collection_name)
        if collection is None:
            raise SceneError(f"there is no collection {collection_name!r} in this file; name one of its collections")
        return models_in(collection.all_objects)
    if not object_names:
        return models_in(bpy.context.scene.objects)
    found = []
    for name in object_names:
        obj = bpy.context.scene.objects.get(name)
        if obj is None:
            raise SceneError(f"there is no object {name!r} in this scene; name one of its objects")
        found.append(obj)
    return family(found)


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


def axes_of(obj: Any) -> Floats:
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


def _whole_pixels(view: View) -> View:
    assert view.target is not None
    shape = view.target.shape
    alpha = view.target[..., 3] if shape[2] == 4 else np.full(shape[:2], 255, np.uint8)
    mask = np.where(alpha == 255, 255, 0).astype(np.uint8)
    return replace(view, target=np.dstack([view.target[..., :3], mask]))
