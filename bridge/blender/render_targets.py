# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets from elsewhere: rendered with Blender, or from a folder of pictures. Both become background images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy

from blockcore.errors import DatasetError
from blockcore.formats.webgpu import read_dataset
from blockcore.io.pictures import read_picture
from bridge.blender.targets import set_background_image, target_pixels

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
    with TemporaryDirectory() as folder, _only(shown), _render_settings():
        render = bpy.context.scene.render
        for number, camera in enumerate(cameras):
            path = Path(folder) / f"{number:03d}.png"
            bpy.context.scene.camera = camera
            render.filepath = str(path)
            bpy.ops.render.render(write_still=True)
            set_background_image(camera, f"{camera.name} Target", read_picture(path))
            yield camera.name


@contextmanager
def _only(shown: set[Any]) -> Iterator[None]:
    """Leaves everything but ``shown`` and the lights out of renders."""
    others = [obj for obj in bpy.context.scene.objects if obj not in shown and obj.type != "LIGHT"]
    before = [(obj, obj.hide_render) for obj in [*others, *shown]]
    for obj, _ in before:
        obj.hide_render = obj not in shown
    try:
        yield
    finally:
        for obj, hidden in before:
            obj.hide_render = hidden


@contextmanager
def _render_settings() -> Iterator[None]:
    scene = bpy.context.scene
    picture = {"file_format": "PNG", "color_mode": "RGBA", "color_depth": "8"}
    view = {"view_transform": "Standard", "look": "None", "exposure": 0.0, "gamma": 1.0}
    changes = [
        (scene.render, {"filepath": scene.render.filepath, "film_transparent": True, "use_file_extension": True}),
        (scene.render, {"dither_intensity": 0.0}),
        (scene.render.image_settings, picture),
        (scene.view_settings, view),
        (scene, {"camera": scene.camera}),
    ]
    before = [(holder, name, getattr(holder, name)) for holder, values in changes for name in values]
    try:
        for holder, values in changes:
            for name, value in values.items():
                setattr(holder, name, value)
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)


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
    return [camera.name for camera in chosen]


def _dataset_pictures(folder: Path, cameras: Sequence[Any]) -> dict[str, Any]:
    views = read_dataset(folder)
    named = {view.camera.name: view.target for view in views}
    if not any(camera.name in named for camera in cameras) and len(views) == len(cameras):
        return {camera.name: view.target for camera, view in zip(cameras, views, strict=True)}
    return named


def _named_pictures(folder: Path, cameras: Sequence[Any]) -> dict[str, Any]:
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
