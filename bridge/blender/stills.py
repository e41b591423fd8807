# SPDX-License-Identifier: GPL-3.0-or-later
"""The one still picture that an image shows at the current frame: of a sequence its file, of a movie its frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy

from blockcore.errors import SceneError
from blockcore.io.folders import scratch_folder
from bridge.blender.held import held
from bridge.blender.render_settings import plain_pictures

_NUMBER = re.compile(r"\d+(?=\D*$)")
_NO_STILLS = {
    "TILED": "has UDIM tiles; save the one that is meant as a picture of its own, and use that",
    "VIEWER": "is what Blender rendered last; save it as a PNG and use that",
}
_LAYERED = "has several layers; save the one that is meant as a PNG and use that"


@contextmanager
def still(image: Any, user: Any) -> Iterator[Any]:
    """Yields an image that has the pixels which another one shows at the scene's current frame.

    Args:
        image: of the open file; itself, if it is a still picture.
        user: what says which frame of a sequence or a movie is shown when.

    Raises:
        SceneError: it shows none; names the image.
    """
    what = f"image {image.name!r}"
    if image.source in _NO_STILLS or image.type not in ("IMAGE", "UV_TEST"):
        raise SceneError(f"{what}: {_NO_STILLS.get(image.source, _LAYERED)}")
    if image.source not in ("SEQUENCE", "MOVIE"):
        yield image
        return
    frame = None if user is None else frame_of(user, bpy.context.scene.frame_current)
    if frame is None:
        raise SceneError(f"{what}: shows nothing at frame {bpy.context.scene.frame_current}; set its frames and start")
    path = bpy.path.abspath(image.filepath, library=image.library)
    with ExitStack() as stack:
        if image.source == "SEQUENCE":
            path = _numbered(path, frame)
        else:
            path = _movie_frame(path, frame, what, stack.enter_context(scratch_folder()))
        yield stack.enter_context(_loaded(path, image, what))


def frame_of(user: Any, current: int) -> int | None:
    """Returns which frame of a sequence or a movie an image user shows at a frame of the scene; None for none."""
    length = user.frame_duration
    place = current - user.frame_start + 1
    if length and user.use_cyclic:
        place = (place - 1) % length + 1
    return place + user.frame_offset if 1 <= place <= length else None


def _numbered(path: str, frame: int) -> str:
    """Returns the path of a sequence's frame: its last number is the frame's, as long as it was."""
    folder, name = str(Path(path).parent), Path(path).name
    stem, suffix = Path(name).stem, Path(name).suffix
    return str(Path(folder) / (_NUMBER.sub(lambda found: f"{frame:0{len(found[0])}d}", stem, count=1) + suffix))


def _movie_frame(path: str, frame: int, what: str, folder: Path) -> str:
    """Lets Blender's sequencer save a frame of a movie, in a scene of its own; returns the picture's path."""
    if not Path(path).is_file():
        raise SceneError(f"{what} ({path}): cannot be read; find the file or load another")
    now = bpy.context.scene.frame_current  # which Blender renders of any scene
    scene = bpy.data.scenes.new("blockcore movie")
    try:
        editor = scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # since Blender 4.4
        strip = strips.new_movie(name="movie", filepath=path, channel=1, frame_start=now + 1 - max(1, frame))
        size = strip.elements[0]
        picture = str(folder / "frame.png")
        with plain_pictures(scene), held(_size(scene.render, size, picture)):
            bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise SceneError(f"{what} ({path}): cannot be read ({error}); save its frame as a PNG and use that") from error
    finally:
        bpy.data.scenes.remove(scene)
    return picture


def _size(render: Any, size: Any, picture: str) -> list[tuple[Any, str, Any]]:
    return [
        (render, "resolution_x", size.orig_width),
        (render, "resolution_y", size.orig_height),
        (render, "resolution_percentage", 100),
        (render, "filepath", picture),
        (render, "use_sequencer", True),
        (render.image_settings, "color_mode", "RGB"),
    ]


@contextmanager
def _loaded(path: str, image: Any, what: str) -> Iterator[Any]:
    """Yields a picture's file as an image that is read as another one says."""
    if not Path(path).is_file():
        raise SceneError(f"{what} ({path}): cannot be read; find the file or load another")
    fresh = bpy.data.images.load(path, check_existing=False)
    try:
        if image.source == "SEQUENCE":
            fresh.colorspace_settings.name = image.colorspace_settings.name
        fresh.alpha_mode = image.alpha_mode
        yield fresh
    finally:
        bpy.data.images.remove(fresh)
