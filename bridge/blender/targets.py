# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that cameras should show: their background images, as exact 8-bit display values, and back."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.pictures import encode_png
from blockcore.model.display import linear_to_srgb
from bridge.blender.stills import still

_INTEGERS = ("PNG", "TIFF", "JPEG2000", "DPX", "TARGA", "BMP")
_STILL = 1e-5


def background_image(camera: Any) -> Any | None:
    """Returns the background image that a camera object's view shows, or None."""
    return next((entry.image for entry in shown_entries(camera) if entry.source == "IMAGE"), None)


def shown_entries(camera: Any) -> list[Any]:
    """Returns the background entries, with an image or a movie clip, that a camera object's view shows."""
    if not camera.data.show_background_images:
        return []
    visible = [one for one in camera.data.background_images if one.show_background_image and one.alpha > 0.0]
    return [entry for entry in visible if _content(entry) is not None]


def _content(entry: Any) -> Any | None:
    if entry.source == "IMAGE":
        return entry.image
    return bpy.context.scene.active_clip if entry.use_camera_clip else entry.clip


def camera_target(camera: Any) -> npt.NDArray[np.uint8]:
    """Reads the picture that a camera's view shows behind the scene: ``target_pixels``, flipped as its entry says.

    How opaque it is, and whether it lies before or behind, is for the eye alone.

    Raises:
        SceneError: see ``target_pixels``; or it is moved, scaled or turned, or there are several.
    """
    what = f"target of camera {camera.name!r}"
    entries = shown_entries(camera)
    if len(entries) != 1:
        raise SceneError(f"{what}: {len(entries)} background images are shown; switch off all but one")
    entry = entries[0]
    moved = [
        name
        for name, changed in (
            ("offset", max(abs(value) for value in entry.offset) > _STILL),
            ("scale", abs(entry.scale - 1.0) > _STILL),
            ("rotation", abs(entry.rotation) > _STILL),
        )
        if changed
    ]
    if moved:
        raise SceneError(
            f"{what}: its background image has {' and '.join(moved)}; clear that, and cut the picture to the frame"
        )
    render = bpy.context.scene.render
    if entry.frame_method != "STRETCH" and abs(render.pixel_aspect_x - render.pixel_aspect_y) > _STILL:
        raise SceneError(f"{what}: its picture does not fill the frame's pixels; choose the frame method Stretch")
    pixels = target_pixels(camera, entry.image, entry.image_user)
    rows = slice(None, None, -1 if entry.use_flip_y else 1)
    columns = slice(None, None, -1 if entry.use_flip_x else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def set_background_image(camera: Any, name: str, pixels: npt.NDArray[np.uint8]) -> Any:
    """Makes a picture the only background image of a camera object, packed into the .blend.

    Args:
        camera: the camera object.
        name: of the image.
        pixels: (H, W, 3 or 4) uint8 display values, row 0 on top.

    Returns:
        The image.
    """
    image = packed_image(name, pixels)
    if camera.data.users > 1 and any(obj.data == camera.data and obj != camera for obj in bpy.data.objects):
        camera.data = camera.data.copy()  # else the other camera's picture would be this one, too
    camera.data.background_images.clear()
    entry = camera.data.background_images.new()
    entry.image = image
    entry.alpha = 1.0
    camera.data.show_background_images = True
    return image


def packed_image(name: str, pixels: npt.NDArray[np.uint8]) -> Any:
    """Makes an image, packed into the .blend as a PNG, of (H, W, 3 or 4) uint8 display values, row 0 on top."""
    height, width = pixels.shape[:2]
    data = encode_png(pixels)
    image = bpy.data.images.new(name, width, height)
    image.pack(data=data, data_len=len(data))
    image.source = "FILE"
    return image


def target_pixels(camera: Any, image: Any, user: Any = None) -> npt.NDArray[np.uint8]:
    """Reads an image's display values.

    Blender keeps 8-bit pictures as their bytes, whatever their colour space, and straight even where the file is
    premultiplied: those come out as they are. Floating point pictures are scene-linear, multiplied with their opacity,
    and get the sRGB curve, as the Standard view does. Where the image ignores opacity, so does the target.

    Args:
        camera: the camera object it belongs to; messages name it.
        image: the image: from a file, packed, or painted.
        user: what says which frame of a sequence or a movie is shown when; None for a still picture.

    Returns:
        (H, W, 3) uint8, or (H, W, 4) where some pixel is not opaque; row 0 on top.

    Raises:
        SceneError: it shows no picture now, it is only generated, or its file is missing or damaged.
    """
    what = f"target of camera {camera.name!r}"
    if image.source == "GENERATED" and not image.is_dirty:
        raise SceneError(f"{what}: image {image.name!r} is generated, not a picture; load the one that it should show")
    try:
        with still(image, user) as shown:
            return _pixels(shown, what)
    except SceneError as error:
        raise error if str(error).startswith(what) else SceneError(f"{what}: {error}") from None


def _pixels(image: Any, what: str) -> npt.NDArray[np.uint8]:
    width, height = image.size
    if not width or not height:
        place = image.filepath or "packed data"
        raise SceneError(f"{what}: image {image.name!r} ({place}) cannot be read; find the file or load another")
    values = np.empty(len(image.pixels), dtype=np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, -1)[::-1]
    if pixels.shape[2] < 3:
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)
    shown = np.clip(np.nan_to_num(_display_values(image, pixels)), 0.0, 1.0)
    rounded: npt.NDArray[np.uint8] = np.rint(shown * 255.0).astype(np.uint8)
    return rounded[..., :3] if rounded.shape[2] == 3 or (rounded[..., 3] == 255).all() else rounded


def _display_values(image: Any, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.floating[Any]]:
    """Returns straight display values, (H, W, 3 or 4)."""
    color: npt.NDArray[np.floating[Any]] = pixels[..., :3]
    alpha = pixels[..., 3:]
    mode = image.alpha_mode
    if alpha.shape[2] and image.is_float and mode in ("STRAIGHT", "PREMUL"):
        color = np.divide(color, alpha, out=color.copy(), where=alpha > 0.0)
    if image.is_float and not (image.colorspace_settings.is_data and image.file_format in _INTEGERS):
        color = linear_to_srgb(color)
    return color if mode == "NONE" else np.concatenate([color, alpha], axis=2)
