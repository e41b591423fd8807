# SPDX-License-Identifier: GPL-3.0-or-later
"""What the viewport shows while the materials are being looked for: the visible faces as one mesh, nothing else.

An update writes one attribute. What no camera could see does not take part, which keeps even large worlds fluid. The
blocks it stands for are hidden meanwhile, and ``remove`` leaves the scene as it was.
"""

from __future__ import annotations

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.model.grid import FACE_SLOTS
from blockcore.model.palette import SLOT_NAMES
from blockcore.model.scene import BlockScene
from bridge.blender.identity import find_objects
from bridge.blender.materials import block_materials
from bridge.blender.references import forget, refer, referred

NAME = "Optimizing…"
_HIDDEN = "blockcore_preview_hides"
_LAYER = "blockcore_preview_layer"


class Preview:
    """A mesh that stands for the blocks of a scene. Keeps names, not objects: those do not survive an undo."""

    def __init__(self, scene: BlockScene) -> None:
        """Shows the scene's blocks with the materials they have, and hides the objects they came from.

        Args:
            scene: as ``extract`` gave it for the open file.
        """
        faces = scene.grid.exposed_faces
        self._block = faces.block
        self._slot = FACE_SLOTS[faces.direction]
        mesh = _face_mesh(scene)
        before = {material.name for material in bpy.data.materials}
        for index in range(1, len(scene.palette)):
            for material in block_materials(scene.palette, index):
                mesh.materials.append(material)
        self._own_materials = {material.name for material in mesh.materials} - before
        self._mesh = mesh.name
        preview = bpy.data.objects.new(NAME, mesh)
        preview.hide_select = True
        preview[_LAYER] = bpy.context.view_layer.name
        _hide(preview, dict.fromkeys(scene.source.block_objects) if scene.source else {})
        bpy.context.scene.collection.objects.link(preview)
        self.update(scene.materials)

    def update(self, materials: npt.NDArray[np.int32]) -> None:
        """Shows other materials: (N,) palette indices, never Air, in block order."""
        mesh = bpy.data.meshes.get(self._mesh)
        if mesh is not None and len(mesh.polygons) == len(self._block):
            slots = (materials[self._block] - 1) * len(SLOT_NAMES) + self._slot
            mesh.attributes["material_index"].data.foreach_set("value", slots.astype(np.int32))
            mesh.update_tag()

    def remove(self) -> None:
        """Takes the mesh away, with the materials made for it that nothing else uses, and shows what was hidden."""
        remove_previews()
        for name in self._own_materials:
            material = bpy.data.materials.get(name)
            if material is not None and not material.users:
                bpy.data.materials.remove(material)


def remove_previews() -> None:
    """Removes previews from all scenes, also those that came back with an undo or an old file."""
    for preview in [obj for obj in bpy.data.objects if _LAYER in obj]:
        for layer in [layer for scene in preview.users_scene for layer in scene.view_layers]:
            if layer.name == preview[_LAYER]:
                inside = set(layer.objects)
                for hidden in inside.intersection(referred(preview, _HIDDEN)):
                    hidden.hide_set(False, view_layer=layer)
        mesh = preview.data
        forget(preview, _HIDDEN)
        bpy.data.objects.remove(preview)
        bpy.data.meshes.remove(mesh)


def _face_mesh(scene: BlockScene) -> bpy.types.Mesh:
    corners = scene.grid.exposed_faces.corners().reshape(-1, 3)
    frame = np.eye(4) if scene.source is None else scene.source.grid_to_source
    points = corners @ frame[:3, :3].T + frame[:3, 3]
    mesh = bpy.data.meshes.new(NAME)
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).ravel())
    mesh.loops.add(len(points))
    mesh.loops.foreach_set("vertex_index", np.arange(len(points), dtype=np.int32))
    mesh.polygons.add(len(points) // 4)
    mesh.polygons.foreach_set("loop_start", np.arange(0, len(points), 4, dtype=np.int32))
    mesh.attributes.new("material_index", "INT", "FACE")
    mesh.update(calc_edges=True)
    return mesh


def _hide(preview: bpy.types.Object, names: dict[str, None]) -> None:
    layer = set(bpy.context.view_layer.objects)
    shown = [obj for obj in find_objects(list(names)) if obj is not None and obj in layer and not obj.hide_get()]
    refer(preview, _HIDDEN, shown, f"Blocks behind {NAME}")
    for obj in shown:
        obj.hide_set(True)
