# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets from elsewhere: rendered with Blender, or from a folder of pictures. Both become background images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blockcore.errors import DatasetError, SceneError
from blockcore.formats.webgpu import read_dataset
from blockcore.io.exif import upright
from blockcore.io.folders import scratch_folder
from blockcore.io.pictures import read_picture
from bridge.blender import marks
from bridge.blender.held import held
from bridge.blender.identity import Roster
from bridge.blender.render_settings import plain_pictures
from bridge.blender.rendered import Rendered
from bridge.blender.targets import set_background_image, target_pixels
from bridge.names import match

_SHAPES = ("MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "EMPTY")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".exr")


def render_targets(model: Any, cameras: Sequence[Any]) -> Iterator[str]:
    """Renders a model from each camera, with the scene's render engine, and makes each picture that camera's target.

    Everything but the model, and the scene's lights, is left out. Colours go through the Standard view, and where
    nothing is hit the picture is clear. The scene's settings are as before once the iteration ends.

    Args:
        model: an object (with its children) or a collection.
        cameras: the camera objects.

    Yields:
        The name of each camera once its target is there.

    Raises:
        BlockcoreError: the layer shows nothing of the model, or a picture was not rendered.
    """
    shown = set(model.all_objects) if isinstance(model, bpy.types.Collection) else {model, *model.children_recursive}
    rendered = Rendered(Roster())
    if not any(rendered.holds(obj) for obj in shown if obj.type in _SHAPES):
        raise SceneError(
            f"model {model.name!r}: renders of this view layer show nothing of it; include its collection there, and "
            f"switch on the camera beside it"
        )
    sharp = held([(camera.data.dof, "use_dof", False) for camera in cameras])
    with scratch_folder() as folder, _only(shown), sharp, plain_pictures(bpy.context.scene):
        render = bpy.context.scene.render
        for number, camera in enumerate(cameras):
            path = folder / f"{number:03d}.png"
            bpy.context.scene.camera = camera
            render.filepath = str(path)
            bpy.ops.render.render(write_still=True)
            set_background_image(camera, f"{camera.name} Target", read_picture(path))
            marks.write_model(camera, model)
            yield camera.name


def _only(shown: set[Any]) -> AbstractContextManager[None]:
    """Leaves everything but ``shown`` and the lights out of renders; what is hidden there itself stays hidden.

    A model that was switched off as a whole, since blocks took its place, is shown.
    """
    off = all(obj.hide_render for obj in shown if obj.type in _SHAPES)
    switched = {obj: True for obj in bpy.context.scene.objects if obj not in shown and obj.type != "LIGHT"}
    switched |= dict.fromkeys(shown if off else (), False)
    return held([(obj, "hide_render", hidden) for obj, hidden in switched.items()])


def load_targets(folder: Path | str, cameras: Sequence[Any]) -> list[str]:
    """Makes the pictures of a folder the cameras' targets: a dataset's, or files called like the cameras.

    Args:
        folder: a dataset (with metadata.json), whose views have the cameras' names, or are as many as the cameras;
            or a folder with pictures such as ``Camera.001.png``.
        cameras: the camera objects.

    Returns:
        The names of the cameras that got one.

    Raises:
        DatasetError: no picture there belongs to any camera, or one cannot be read.
    """
    folder = Path(folder)
    find = _dataset_pictures if (folder / "metadata.json").is_file() else _named_pictures
    pictures = find(folder, cameras)
    chosen = [camera for camera in cameras if camera.name in pictures]
    if not chosen:
        raise DatasetError(f"{folder}: no picture is called like a camera; name them such as {_example(cameras)}")
    for camera in chosen:
        set_background_image(camera, f"{camera.name} Target", pictures[camera.name])
        marks.write_model(camera, None)
    return [camera.name for camera in chosen]


def _dataset_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    views = read_dataset(folder)
    named = {view.camera.name: view.target for view in views}
    found = match([camera.name for camera in cameras], list(named))
    if not found and len(views) == len(cameras):
        return {camera.name: view.target for camera, view in zip(cameras, views, strict=True)}
    return {camera: named[name] for camera, name in found.items()}


def _named_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); choose a folder of pictures") from error
    frame = bpy.context.scene.frame_current
    names = match([camera.name for camera in cameras], [path.stem for path in files], frame)
    pictures = {}
    for camera in cameras:
        own = [path for path in files if path.stem == names.get(camera.name)]
        if len(own) > 1:
            raise DatasetError(f"{own[0]}: {own[1].name} is called alike; keep the one that camera should show")
        if own:
            pictures[camera.name] = _read(own[0], camera)
    return pictures


def _read(path: Path, camera: Any) -> Any:
    """Blender reads more kinds of pictures than blockcore does without Pillow, but not how the camera was held."""
    image = bpy.data.images.load(str(path))
    try:
        pixels = target_pixels(camera, image)
    finally:
        bpy.data.images.remove(image)
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    return np.ascontiguousarray(upright(pixels, path.read_bytes())) if is_jpeg else pixels


def _example(cameras: Sequence[Any]) -> str:
    return f"{cameras[0].name}.png" if cameras else "Camera.png, and add that camera"
