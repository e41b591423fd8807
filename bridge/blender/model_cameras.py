# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras around a model, in a collection of their own, and the pictures that they take of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from blockcore.model.scene import View
from bridge.blender.build import add_camera
from bridge.blender.held import held
from bridge.blender.targets import shown_entries
from bridge.cameras import orbit

CAMERAS = "Model Cameras"
_LENS = 50.0  # millimetres
_ELEVATIONS = (math.radians(10.0), math.radians(35.0), math.radians(62.0))

Floats = npt.NDArray[np.float64]


def add_cameras(low: Floats, high: Floats, count: int) -> tuple[Any, ...]:
    """Adds cameras around a box, in place of earlier ones, and returns their objects."""
    fov = 2.0 * math.atan(18.0 / _LENS)
    poses = orbit(low, high, count, _ELEVATIONS[: max(1, min(count, 3))], fov, fov)
    away = float(np.linalg.norm(poses[:, :3, 3] - (low + high) / 2.0, axis=1).max())
    collection = _fresh_collection()
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


def add_views(views: Sequence[View], grid_to_source: Floats) -> None:
    """Adds the cameras of views with their targets, in place of earlier ones."""
    collection = _fresh_collection()
    for view in views:
        add_camera(view, grid_to_source, collection)


def remove_cameras() -> None:
    """Removes the cameras around a model, with their targets, and their collection."""
    collection = bpy.data.collections.get(CAMERAS)
    if collection is None:
        return
    for camera in list(collection.objects):
        images = [entry.image for entry in shown_entries(camera) if entry.source == "IMAGE"]
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


def _fresh_collection() -> Any:
    remove_cameras()
    collection = bpy.data.collections.new(CAMERAS)
    bpy.context.scene.collection.children.link(collection)
    return collection
