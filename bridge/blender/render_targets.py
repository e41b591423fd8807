# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets from elsewhere: rendered with Blender, or from a folder of pictures. Both become background images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bpy

from blockcore.errors import DatasetError
from blockcore.formats.webgpu import read_dataset
from blockcore.io.folders import scratch_folder
from blockcore.io.pictures import read_picture
from bridge.blender import marks
from bridge.blender.held import held
from bridge.blender.render_settings import plain_pictures
from bridge.blender.targets import set_background_image, target_pixels

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
        BlockcoreError: a picture was not rendered.
    """
    shown = set(model.all_objects) if isinstance(model, bpy.types.Collection) else {model, *model.children_recursive}
    with scratch_folder() as folder, _only(shown), plain_pictures(bpy.context.scene):
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
    others = [obj for obj in bpy.context.scene.objects if obj not in shown and obj.type != "LIGHT"]
    off = all(obj.hide_render for obj in shown if obj.type in _SHAPES)
    return held(
        [*((obj, "hide_render", True) for obj in others), *((obj, "hide_render", False) for obj in shown if off)]
    )


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
    if not any(camera.name in named for camera in cameras) and len(views) == len(cameras):
        return {camera.name: view.target for camera, view in zip(cameras, views, strict=True)}
    return named


def _named_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    try:
        files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); choose a folder of pictures") from error
    return {camera.name: _read(files[camera.name], camera) for camera in cameras if camera.name in files}


def _read(path: Path, camera: Any) -> Any:
    """Blender reads more kinds of pictures than blockcore does without Pillow."""
    image = bpy.data.images.load(str(path))
    try:
        return target_pixels(camera, image)
    finally:
        bpy.data.images.remove(image)


def _example(cameras: Sequence[Any]) -> str:
    return f"{cameras[0].name}.png" if cameras else "Camera.png, and add that camera"
