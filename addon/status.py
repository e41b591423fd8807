# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel knows about the scene: the blocks, what is wrong with them, and each camera's target.

Finding out takes a walk over all objects, too long for every redraw. It is done once, shortly after the panel is first
drawn, and again when asked to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy

from blockcore.errors import BlockcoreError
from blockcore.formats.palette_file import read_palette
from blockcore.model.palette import AIR, WEBGPU_PALETTE, Palette
from bridge.blender import marks
from bridge.blender.extract import extract, fills_frame, frame_size
from bridge.blender.own_palette import own_palette
from bridge.blender.targets import background_image

from . import layouts, thumbnails
from .outcome import find_appended
from .session import session

_WAIT = 0.05  # seconds from the first drawing to the look


@dataclass(frozen=True)
class ViewNote:
    """What the list of cameras says about one.

    Attributes:
        image: name of the target's image, or "".
        problem: what is wrong, or "".
        is_other_shape: whether that is the picture's shape, which can become the camera's own.
    """

    image: str = ""
    problem: str = ""
    is_other_shape: bool = False


@dataclass(frozen=True)
class Status:
    """What was found.

    Attributes:
        blocks: how many there are.
        block_size: edge, in Blender's units.
        grid: cells along Blender's x, y and z.
        problem: what is wrong with the blocks or the palette, or "".
    """

    blocks: int = 0
    block_size: float = 0.0
    grid: tuple[int, int, int] = (0, 0, 0)
    problem: str = ""


_found: dict[str, Status] = {}
_up_to_date: set[str] = set()  # scenes; what is known of others is shown until it is found out anew, so nothing jumps
_shown: dict[str, Palette | None] = {}
_listed: dict[str, Palette] = {}
_notes: dict[str, ViewNote] = {}
_objects_then = -1


def of(scene: Any) -> Status | None:
    """Returns what was last known about a scene, or None; what is old is found out, and the panel drawn again."""
    status = _found.get(scene.name)
    is_old = scene.name not in _up_to_date or len(bpy.data.objects) != _objects_then
    if is_old and not bpy.app.timers.is_registered(_look):
        bpy.app.timers.register(_look, first_interval=_WAIT)
    return status


def note_of(camera: Any) -> ViewNote:
    """Returns what is known about a camera."""
    return _notes.get(camera.name, ViewNote())


def forget(*_: Any) -> None:
    """Finds out anew, because the scene is another now."""
    _up_to_date.clear()
    session.hush()
    redraw()


def redraw() -> None:
    """Draws the sidebars of all 3D views again."""
    layouts.redraw({"VIEW_3D"})


def stop() -> None:
    """Drops what is known, and does not look again."""
    _found.clear()
    _up_to_date.clear()
    thumbnails.stop()
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)


def _look() -> None:
    scene = bpy.context.scene
    find_appended(scene)
    session.look_again()
    if scene.name in _up_to_date:
        _list_cameras(scene)
    else:
        refresh(scene)
    redraw()


def refresh(scene: Any) -> None:
    """Looks at a scene, and brings the panel's lists of cameras and materials up to date."""
    group = scene.optimize_materials
    _list_cameras(scene)
    own, status, regions = None, Status(), ()
    try:
        if group.source is not None:
            world = extract(group.source, cameras=(), need_targets=False, bake=False, as_boxes=group.as_boxes)
            regions = sorted(world.regions)
            x, up, y = world.grid.size
            own, status = world.palette, Status(len(world.grid), world.grid.world_scale, (x, y, up))
        _shown[scene.name] = own
        _listed[scene.name] = palette_of(scene)
        _list_materials(group, _listed[scene.name])
        thumbnails.show(_listed[scene.name])
        _list_regions(group, regions)
    except BlockcoreError as error:
        status = Status(problem=str(error))
    _found[scene.name] = status
    _up_to_date.add(scene.name)


def _list_cameras(scene: Any) -> None:
    global _objects_then
    _objects_then = len(bpy.data.objects)
    views = scene.optimize_materials.views
    cameras = sorted((obj for obj in scene.objects if obj.type == "CAMERA"), key=lambda obj: obj.name)
    if [view.camera for view in views] != cameras:
        ticks = {view.camera.name: view.use for view in views if view.camera is not None}
        views.clear()
        for camera in cameras:
            view = views.add()
            view.camera = camera
            view.use = ticks.get(camera.name, background_image(camera) is not None)
    _notes.clear()
    _notes.update({camera.name: _note(camera, scene.render) for camera in cameras})


def _note(camera: Any, render: Any) -> ViewNote:
    image = background_image(camera)
    if image is None:
        return ViewNote(problem="No target: left out until it has a background image; load or render one")
    if not image.has_data and not all(image.size):
        return ViewNote(image.name, f"The picture {image.name} cannot be read; find the file or load another")
    if not (marks.keeps_frame(camera) or fills_frame(tuple(image.size), render)):
        width, height = frame_size(render)
        return ViewNote(
            image.name,
            f"The picture has {image.size[0]} × {image.size[1]} pixels, of another shape than the scene's frame, "
            f"{width} × {height}; let the picture be the frame, or change the resolution in the Output properties",
            is_other_shape=True,
        )
    return ViewNote(image.name)


def listed_palette(scene: Any) -> Palette:
    """Returns the palette that the panel lists."""
    return _listed.get(scene.name, WEBGPU_PALETTE)


def palette_of(scene: Any) -> Palette:
    """Returns the palette that is chosen.

    Raises:
        BlockcoreError: it cannot be read.
    """
    group = scene.optimize_materials
    match group.palette:
        case "file" if group.palette_file:
            return read_palette(bpy.path.abspath(group.palette_file))
        case "own":
            return own_palette(scene)
        case "scene":
            return _shown.get(scene.name) or WEBGPU_PALETTE
        case _:
            return WEBGPU_PALETTE


def _list_materials(group: Any, palette: Palette) -> None:
    materials = group.materials
    if [material.name for material in materials] != list(palette.names[AIR + 1 :]):
        unused = {material.name for material in materials if not material.use}
        materials.clear()
        for name in palette.names[AIR + 1 :]:
            material = materials.add()
            material.name, material.use = name, name not in unused
    for material, colors in zip(materials, palette.colors[AIR + 1 :], strict=True):
        material.colors = colors.ravel()


def _list_regions(group: Any, names: Sequence[str]) -> None:
    if [region.name for region in group.regions] != list(names):
        group.regions.clear()
        for name in names:
            group.regions.add().name = name
