# SPDX-License-Identifier: GPL-3.0-or-later
"""What procedural materials show on the faces of blocks: pictures that Cycles takes of them, from straight above."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from blockcore.errors import SceneError
from blockcore.io.folders import scratch_folder
from bridge.blender.glowing import glowing
from bridge.blender.held import held
from bridge.blender.render_settings import plain_pictures

Floats = npt.NDArray[np.float64]

TEXELS = 32
"""Along an edge of a face that is photographed."""
_SAMPLES = 16  # of a texel
_ACROSS = 16  # faces side by side in a picture
_AT_ONCE = 256  # faces of a picture
_NAME = "blockcore photograph"


@dataclass(frozen=True, eq=False)
class Surface:
    """A face of a block to take a picture of.

    Attributes:
        corners: (T, 3, 3): those of its triangles, in the mesh's space.
        slot: (T,): which of the materials each shows.
        uv: by UV map, (3 T, 2).
        paint: by attribute, (3 T, 3) or (3 T, 1).
        rendered: the UV map and the colour attribute that renders take where none is named; "" for none.
        texture_space: (2, 3): the mesh's, its middle and half its size.
        materials: of the slots; None for none.
        color: the object's own colour.
        frame: (4, 4): a picture's (u, v, height, 1), v downwards, to where in the mesh's space that is.
    """

    corners: Floats
    slot: npt.NDArray[np.int32]
    uv: dict[str, Floats]
    paint: dict[str, Floats]
    rendered: tuple[str, str]
    texture_space: Floats
    materials: tuple[Any, ...]
    color: tuple[float, ...]
    frame: Floats


def photographed(surfaces: Sequence[Surface]) -> list[Floats]:
    """Returns what Cycles shows of surfaces whose materials shine with their colours; the file is as before.

    Returns:
        (TEXELS, TEXELS, 4) each: scene-linear colours times opacity, and that, row 0 on top.

    Raises:
        SceneError: Cycles is missing, or Blender cannot render.
    """
    found: list[Floats] = []
    for start in range(0, len(surfaces), _AT_ONCE):
        found += _picture(surfaces[start : start + _AT_ONCE])
    return found


def _picture(surfaces: Sequence[Surface]) -> list[Floats]:
    down = -(-len(surfaces) // _ACROSS)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        stack.callback(_forget_renders, _renders())
        scene = bpy.data.scenes.new(_NAME)
        stack.callback(bpy.data.scenes.remove, scene)
        painted = dict.fromkeys(material for surface in surfaces for material in surface.materials)
        copies = {material: stack.enter_context(glowing(material)) for material in painted}
        for number, surface in enumerate(surfaces):
            row, column = divmod(number, _ACROSS)
            _put(scene, surface, copies, column, row, stack)
        _look_down(scene, down, stack)
        pixels = _render(scene, str(folder / "faces.exr"), (_ACROSS * TEXELS, down * TEXELS))
    cells = pixels.reshape(down, TEXELS, _ACROSS, TEXELS, 4).transpose(0, 2, 1, 3, 4)
    return list(cells.reshape(-1, TEXELS, TEXELS, 4)[: len(surfaces)])


def _renders() -> list[Any]:
    return [image for image in bpy.data.images if image.type == "RENDER_RESULT"]


def _forget_renders(known: list[Any]) -> None:
    for image in _renders():
        if image not in known:
            bpy.data.images.remove(image)


def _put(scene: Any, surface: Surface, copies: dict[Any, Any], column: int, row: int, stack: ExitStack) -> None:
    """Lays a surface into its cell of the picture, its outside up."""
    mesh = _mesh(surface)
    stack.callback(bpy.data.meshes.remove, mesh)
    for material in surface.materials:
        mesh.materials.append(copies[material])
    obj = bpy.data.objects.new(_NAME, mesh)
    stack.callback(bpy.data.objects.remove, obj)
    obj.color = (*surface.color, 1.0)
    cell = np.diag([1.0, -1.0, 1.0, 1.0])
    cell[:2, 3] = column, -row
    obj.matrix_world = Matrix((cell @ np.linalg.inv(surface.frame)).tolist())
    scene.collection.objects.link(obj)


def _mesh(surface: Surface) -> Any:
    mesh = bpy.data.meshes.new(_NAME)
    count = len(surface.corners)
    mesh.from_pydata(surface.corners.reshape(-1, 3), [], np.arange(3 * count).reshape(-1, 3).tolist())
    mesh.polygons.foreach_set("material_index", surface.slot.astype(np.int32))
    mesh.use_auto_texspace = False
    mesh.texspace_location, mesh.texspace_size = surface.texture_space.tolist()
    map_, color = surface.rendered
    for name, values in surface.uv.items():
        layer = mesh.uv_layers.new(name=name, do_init=False)
        layer.data.foreach_set("uv", values.astype(np.float32).ravel())
        layer.active_render = name == map_
    for name, values in surface.paint.items():
        if name not in mesh.attributes:
            _paint(mesh, name, values)
    if color:
        mesh.color_attributes.render_color_index = mesh.color_attributes.find(color)
    mesh.update()
    return mesh


def _paint(mesh: Any, name: str, values: Floats) -> None:
    if values.shape[1] == 1:
        attribute = mesh.attributes.new(name, "FLOAT", "CORNER")
        attribute.data.foreach_set("value", values.astype(np.float32).ravel())
        return
    attribute = mesh.attributes.new(name, "FLOAT_COLOR", "CORNER")
    attribute.data.foreach_set("color", np.insert(values, 3, 1.0, axis=1).astype(np.float32).ravel())


def _look_down(scene: Any, down: int, stack: ExitStack) -> None:
    lens = bpy.data.cameras.new(_NAME)
    stack.callback(bpy.data.cameras.remove, lens)
    lens.type, lens.sensor_fit, lens.ortho_scale = "ORTHO", "HORIZONTAL", float(_ACROSS)
    camera = bpy.data.objects.new(_NAME, lens)
    stack.callback(bpy.data.objects.remove, camera)
    camera.location = _ACROSS / 2, -down / 2, 1.0
    scene.collection.objects.link(camera)
    scene.camera = camera


def _render(scene: Any, path: str, size: tuple[int, int]) -> Floats:
    """Returns (H, W, 4), row 0 on top."""
    if not hasattr(scene, "cycles"):
        raise SceneError("procedural materials need Cycles; enable its add-on, or choose a palette")
    render, cycles = scene.render, scene.cycles
    scene.frame_current, scene.frame_subframe = bpy.context.scene.frame_current, bpy.context.scene.frame_subframe
    render.engine, render.resolution_percentage = "CYCLES", 100
    render.resolution_x, render.resolution_y = size
    cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling = _SAMPLES, False, False
    cycles.pixel_filter_type, cycles.max_bounces = "BOX", 0
    picture = render.image_settings
    exact = [(picture, "file_format", "OPEN_EXR"), (picture, "color_depth", "32"), (render, "filepath", path)]
    try:
        with plain_pictures(scene), held(exact):
            bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise SceneError(f"procedural materials cannot be rendered: Blender says {str(error).strip()}") from error
    image = bpy.data.images.load(path, check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        values = np.empty(size[0] * size[1] * 4, dtype=np.float32)
        image.pixels.foreach_get(values)
    finally:
        bpy.data.images.remove(image)
    return values.reshape(size[1], size[0], 4)[::-1].astype(np.float64)
