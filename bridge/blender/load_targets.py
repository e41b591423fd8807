# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets from pictures that are there: of a dataset, called like the cameras, or in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blockcore.errors import DatasetError
from blockcore.formats.webgpu import read_dataset
from blockcore.io.exif import upright
from bridge.blender import marks
from bridge.blender.files import reason
from bridge.blender.targets import background_image, set_background_image, target_pixels
from bridge.names import counted, match

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".exr")


def load_targets(folder: Path | str, cameras: Sequence[Any], in_order: bool = False, replace: bool = True) -> list[str]:
    """Makes the pictures of a folder the cameras' targets: a dataset's, files called like the cameras, or all in order.

    Args:
        folder: a dataset (with metadata.json), whose views have the cameras' names, or are as many as the cameras;
            or a folder with pictures such as ``Camera.001.png``.
        cameras: the camera objects.
        in_order: whether the first picture, by the order of names, is the first camera's, and so on.
        replace: whether cameras that have a target get another one.

    Returns:
        The names of the cameras that got one.

    Raises:
        DatasetError: no picture there belongs to any camera, or to one without a target where none is replaced; one
            cannot be read; or in order they are not as many.
    """
    folder = Path(folder)
    find = _dataset_pictures if (folder / "metadata.json").is_file() else _named_pictures
    pictures = _ordered_pictures(folder, cameras) if in_order else find(folder, cameras)
    chosen = [camera for camera in cameras if camera.name in pictures]
    if not chosen:
        raise DatasetError(
            f"{folder}: no picture is called like a camera; name them such as {_example(cameras)}, or match by order"
        )
    chosen = [camera for camera in chosen if replace or background_image(camera) is None]
    if not chosen:
        raise DatasetError(f"{folder}: every camera has a target; choose Replace Targets to load them anew")
    for camera in chosen:
        _take(camera, pictures[camera.name])
    return [camera.name for camera in chosen]


def load_target(file: Path | str, camera: Any) -> None:
    """Makes a picture a camera's target.

    Raises:
        BlockcoreError: it cannot be read.
    """
    _take(camera, _read(Path(file), camera))


def _take(camera: Any, pixels: Any) -> None:
    set_background_image(camera, f"{camera.name} Target", pixels)
    marks.write_model(camera, None)


def _ordered_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    files = _pictures(folder)
    if len(files) != len(cameras):
        raise DatasetError(
            f"{folder}: {len(files)} pictures for {len(cameras)} cameras; tick as many cameras under Views"
        )
    return {camera.name: _read(file, camera) for camera, file in zip(cameras, files, strict=True)}


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted((path for path in folder.iterdir() if path.suffix.lower() in PICTURES), key=counted)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); choose a folder of pictures") from error


def _dataset_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    views = read_dataset(folder)
    named = {view.camera.name: view.target for view in views}
    found = match([camera.name for camera in cameras], list(named))
    if not found and len(views) == len(cameras):
        return {camera.name: view.target for camera, view in zip(cameras, views, strict=True)}
    return {camera: named[name] for camera, name in found.items()}


def _named_pictures(folder: Path, cameras: Sequence[Any]) -> Mapping[str, Any]:
    files = _pictures(folder)
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
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be read ({reason(error)}); choose a picture") from error
    try:
        pixels = target_pixels(camera, image)
    finally:
        bpy.data.images.remove(image)
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    return np.ascontiguousarray(upright(pixels, path.read_bytes())) if is_jpeg else pixels


def _example(cameras: Sequence[Any]) -> str:
    return f"{cameras[0].name}.png" if cameras else "Camera.png, and add that camera"
