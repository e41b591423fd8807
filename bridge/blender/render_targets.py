# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets rendered of a model with Blender; they become background images of the cameras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Vector

from blockcore.errors import SceneError
from blockcore.io.folders import scratch_folder
from blockcore.io.pictures import read_picture
from bridge.blender import marks
from bridge.blender.files import reason
from bridge.blender.held import held
from bridge.blender.identity import Roster
from bridge.blender.render_settings import plain_pictures
from bridge.blender.rendered import Rendered
from bridge.blender.targets import set_background_image

_SHAPES = ("MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "EMPTY")


def render_targets(model: Any, cameras: Sequence[Any]) -> Iterator[str]:
    """Renders a model from each camera, and makes each picture that camera's target; see ``render_pictures``.

    Yields:
        The name of each camera once its target is there.

    Raises:
        BlockcoreError: the layer shows nothing of the model, or a picture was not rendered.
    """
    with scratch_folder() as folder:
        for camera, picture in zip(cameras, render_pictures(model, cameras, folder), strict=True):
            take_picture(camera, read_picture(picture), model)
            yield camera.name


def take_picture(camera: Any, pixels: npt.NDArray[np.uint8], model: Any) -> None:
    """Makes a picture, (H, W, 3 or 4), that was rendered of a model a camera's target."""
    set_background_image(camera, f"{camera.name} Target", pixels)
    marks.write_model(camera, model)


def render_pictures(model: Any, cameras: Sequence[Any], folder: Path) -> Iterator[Path]:
    """Renders a model from each camera, with the scene's render engine.

    Everything but the model, and the scene's lights, is left out. Colours go through the Standard view, and where
    nothing is hit the picture is clear. The scene's settings are as before once the iteration ends.

    Args:
        model: an object (with its children) or a collection.
        cameras: the camera objects.
        folder: where the pictures are put.

    Yields:
        The picture of each camera.

    Raises:
        BlockcoreError: the layer shows nothing of the model, or a picture was not rendered.
    """
    shown = set(parts_of(model))
    rendered = Rendered(Roster())
    if not any(rendered.holds(obj) for obj in shown if obj.type in _SHAPES):
        raise SceneError(
            f"model {model.name!r}: renders of this view layer show nothing of it; include its collection there, and "
            f"switch on the camera beside it"
        )
    sharp = held([(camera.data.dof, "use_dof", False) for camera in cameras])
    with _only(shown), sharp, plain_pictures(bpy.context.scene):
        render = bpy.context.scene.render
        for number, camera in enumerate(cameras):
            path = picture_of(folder, number)
            bpy.context.scene.camera = camera
            render.filepath = str(path)
            _render(camera)
            yield path


def _render(camera: Any) -> None:
    try:
        bpy.ops.render.render(write_still=True)
    except RuntimeError as error:
        words = f"Blender cannot render it ({reason(error)}); change what that names in the Render properties"
        raise SceneError(f"camera {camera.name!r}: {words}") from error


def picture_of(folder: Path, number: int) -> Path:
    """Returns where the picture of the camera of that number is put."""
    return folder / f"{number:03d}.png"


def parts_of(model: Any) -> list[Any]:
    """Returns the objects of a model: all of a collection, or an object with its children."""
    return list(model.all_objects) if isinstance(model, bpy.types.Collection) else [model, *model.children_recursive]


def with_surface(objects: Iterable[Any]) -> frozenset[str]:
    """Returns the full names of the objects of which, with their children, pictures could show anything."""
    found: set[str] = set()
    for obj in objects:
        one = obj if _has_surface(obj) else None
        while one is not None and one.name_full not in found:
            found.add(one.name_full)
            one = one.parent
    return frozenset(found)


def _has_surface(obj: Any) -> bool:
    if obj.type == "EMPTY":
        return obj.instance_type == "COLLECTION" and obj.instance_collection is not None
    if obj.type == "MESH":
        return bool(len(obj.data.polygons) or len(obj.modifiers))
    return obj.type in _SHAPES


def framing(model: Any, cameras: Sequence[Any]) -> dict[Any, tuple[float, float, float]]:
    """Tells where cameras that show nothing of a model have to stand to show all of it, turned as they are.

    A camera that something else moves, a parent, a constraint or a keyframe, stays where it is.

    Returns:
        The place of each of them, in Blender's world.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    corners = _corners(model)
    blind = [camera for camera in cameras if corners and _is_free(camera) and _shows_nothing(camera, corners)]
    flat = np.array(corners, dtype=np.float64).ravel().tolist()
    return {camera: tuple(camera.camera_fit_coords(depsgraph, flat)[0]) for camera in blind}


def _corners(model: Any) -> list[Vector]:
    """Returns the corners of the boxes around a model's objects, in Blender's world."""
    objects = [obj for obj in parts_of(model) if obj.type in _SHAPES and obj.type != "EMPTY"]
    return [obj.matrix_world @ Vector(corner) for obj in objects for corner in obj.bound_box]


def _is_free(camera: Any) -> bool:
    return camera.parent is None and not camera.constraints and camera.animation_data is None


def _shows_nothing(camera: Any, corners: Sequence[Vector]) -> bool:
    """Whether all of these lie beyond one and the same edge of a camera's picture, or behind it."""
    render = bpy.context.scene.render
    size = {"x": render.resolution_x, "y": render.resolution_y}
    aspect = {"scale_x": render.pixel_aspect_x, "scale_y": render.pixel_aspect_y}
    project = camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), **size, **aspect)
    seen = np.array([(project @ camera.matrix_world.inverted() @ corner.to_4d()) for corner in corners])
    inside = np.stack([seen[:, 3:] - seen[:, :3], seen[:, 3:] + seen[:, :3]])
    return bool((inside < 0.0).all(axis=1).any())


def _only(shown: set[Any]) -> AbstractContextManager[None]:
    """Leaves everything but ``shown`` and the lights out of renders; what is hidden there itself stays hidden.

    A model that was switched off as a whole, since blocks took its place, is shown.
    """
    off = all(obj.hide_render for obj in shown if obj.type in _SHAPES)
    switched = {obj: True for obj in bpy.context.scene.objects if obj not in shown and obj.type != "LIGHT"}
    switched |= dict.fromkeys(shown if off else (), False)
    return held([(obj, "hide_render", hidden) for obj, hidden in switched.items()])
