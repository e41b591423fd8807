# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that each exposed face of a block world receives in the open scene, measured by Cycles.

The blocks are replaced by one mesh of their exposed faces, coloured as their materials are, and Cycles bakes into a
picture what a white matt face would send there: direct and indirect light, with shadows and the bounce from the blocks'
own materials. Every face has its own k × k texels, and Cycles samples a texel inside itself, so that nothing bleeds.

Left out: the light that blocks emit, and what glossy and transparent blocks would reflect and let through; all blocks
are matt here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError
from blockcore.model.display import srgb_to_linear
from blockcore.model.grid import FACE_SLOTS, FACE_UVS, BlockGrid
from blockcore.model.palette import Palette
from bridge.blender.held import held

_NAME = "blockcore bake"
_TEXELS_AT_ONCE = 1 << 17
_DARKEST = 1e-3  # of a colour: Cycles finds the light by dividing by it


def bake_received(
    grid: BlockGrid,
    materials: npt.NDArray[np.int32],
    palette: Palette,
    grid_to_source: npt.NDArray[np.float64],
    hidden: Sequence[Any],
    side: int,
    samples: int,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Measures the light on the exposed faces of blocks. The scene is as before afterwards.

    Args:
        grid: the blocks.
        materials: (N,) palette indices of the blocks: the light that bounces off them.
        palette: the materials.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        hidden: objects that the blocks take the place of: left out of the light.
        side: texels along each edge of a face.
        samples: of each texel.
        progress: told how many faces are done, of how many.

    Returns:
        (F, side, side, 3) float32, scene-linear RGB: irradiance / π, on face, row and column, as a tile lies on it.

    Raises:
        BlockcoreError: Cycles is missing or cannot bake the scene.
    """
    faces = grid.exposed_faces
    corners = faces.corners() @ grid_to_source[:3, :3].T + grid_to_source[:3, 3]
    colors = srgb_to_linear(palette.colors)[materials[faces.block], FACE_SLOTS[faces.direction]]
    batches = np.array_split(np.arange(len(faces)), max(1, -(-len(faces) * side**2 // _TEXELS_AT_ONCE)))
    parts, received = [], []
    try:
        for some in batches:
            parts.append(_Part(corners[some], faces.direction[some], colors[some], side))
        with _settings(hidden, samples):
            for number, part in enumerate(parts):
                _bake(part.object)
                received.append(part.read())
                if progress is not None:
                    progress(int(batches[number][-1]) + 1, len(faces))
    finally:
        for part in parts:
            part.remove()
    return np.concatenate(received) if len(faces) else np.zeros((0, side, side, 3), np.float32)


class _Part:
    """Some of the faces: an object of the scene, with the picture that its light is baked into."""

    def __init__(
        self,
        corners: npt.NDArray[np.float64],
        direction: npt.NDArray[np.int32],
        colors: npt.NDArray[np.float64],
        side: int,
    ) -> None:
        self.count, self.side = len(corners), side
        self.across = max(1, int(np.ceil(np.sqrt(self.count))))
        self.down = max(1, -(-self.count // self.across))
        self.image = bpy.data.images.new(_NAME, self.across * side, self.down * side, alpha=False, float_buffer=True)
        self.material = _material(self.image)
        self.mesh = _mesh(corners, _texel_uv(direction, self.across, self.down), colors)
        self.mesh.materials.append(self.material)
        self.object = bpy.data.objects.new(_NAME, self.mesh)
        bpy.context.scene.collection.objects.link(self.object)

    def read(self) -> npt.NDArray[np.float32]:
        """Returns what was baked, (faces, side, side, 3)."""
        pixels = np.empty(len(self.image.pixels), dtype=np.float32)
        self.image.pixels.foreach_get(pixels)
        cells = pixels.reshape(self.down, self.side, self.across, self.side, -1)
        upright = cells[:, ::-1, :, :, :3].swapaxes(1, 2)  # Blender counts rows from below
        return np.ascontiguousarray(upright.reshape(-1, self.side, self.side, 3)[: self.count])

    def remove(self) -> None:
        """Leaves nothing of it in the file."""
        bpy.data.objects.remove(self.object)
        bpy.data.meshes.remove(self.mesh)
        bpy.data.materials.remove(self.material)
        bpy.data.images.remove(self.image)


def _texel_uv(direction: npt.NDArray[np.int32], across: int, down: int) -> npt.NDArray[np.float64]:
    """Returns where the corners of each face lie in the picture, (F, 4, 2): a face a cell, row by row from below."""
    row, column = np.divmod(np.arange(len(direction)), across)
    within = FACE_UVS[direction] * (1.0, -1.0) + (0.0, 1.0)
    placed: npt.NDArray[np.float64] = (within + np.stack([column, row], axis=1)[:, None]) / (across, down)
    return placed


def _mesh(
    corners: npt.NDArray[np.float64],
    uv: npt.NDArray[np.float64],
    colors: npt.NDArray[np.float64],
) -> Any:
    mesh = bpy.data.meshes.new(_NAME)
    count = len(colors)
    mesh.vertices.add(4 * count)
    mesh.vertices.foreach_set("co", corners.astype(np.float32).ravel())
    mesh.loops.add(4 * count)
    mesh.loops.foreach_set("vertex_index", np.arange(4 * count, dtype=np.int32))
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 4 * count, 4, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())
    opaque = np.ones((count, 4), dtype=np.float32)
    opaque[:, :3] = np.maximum(colors, _DARKEST)
    mesh.attributes.new("albedo", "FLOAT_COLOR", "FACE").data.foreach_set("color", opaque.ravel())
    mesh.update(calc_edges=True)
    return mesh


def _material(image: Any) -> Any:
    material = bpy.data.materials.new(_NAME)
    if material.node_tree is None:  # Blender 5 makes it by itself
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    surface, out = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeOutputMaterial")
    albedo, texture = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeTexImage")
    albedo.attribute_name, texture.image = "albedo", image
    nodes.active = texture
    links.new(albedo.outputs["Color"], surface.inputs["Color"])
    links.new(surface.outputs["BSDF"], out.inputs["Surface"])
    return material


def _bake(obj: Any) -> None:
    here = {"active_object": obj, "object": obj, "selected_objects": [obj], "selected_editable_objects": [obj]}
    bpy.context.view_layer.update()
    try:
        with bpy.context.temp_override(**here):
            done = bpy.ops.object.bake(
                type="DIFFUSE",
                pass_filter={"DIRECT", "INDIRECT"},
                target="IMAGE_TEXTURES",
                save_mode="INTERNAL",
                margin=0,
                use_clear=True,
                use_selected_to_active=False,
            )
    except RuntimeError as error:
        raise BlockcoreError(f"the light cannot be baked: Blender says {str(error).strip()}") from error
    if "FINISHED" not in done:
        raise BlockcoreError("the light cannot be baked: Blender stopped the bake; try it with Render > Bake")


def _settings(hidden: Sequence[Any], samples: int) -> AbstractContextManager[None]:
    scene = bpy.context.scene
    if not hasattr(scene, "cycles"):
        raise BlockcoreError("the light cannot be baked: Cycles is missing; enable the add-on Cycles Render Engine")
    changes = [(scene.render, "engine", "CYCLES"), (scene.render, "use_simplify", False)]
    changes += [(scene.cycles, "samples", samples), (scene.cycles, "use_denoising", False)]
    changes += [(scene.cycles, "use_adaptive_sampling", False)]
    return held([*changes, *((obj, "hide_render", True) for obj in hidden)])
