# SPDX-License-Identifier: GPL-3.0-or-later
"""What the light in the open scene depends on, as one number: geometry, materials, lights, world, Cycles' settings.

What is not known to be told apart (volumes, hair, particles) has no number: its light is measured every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

_SOLID = ("MESH", "CURVE", "SURFACE", "FONT", "META")
_NOTHING = ("EMPTY", "CAMERA", "ARMATURE", "LATTICE", "SPEAKER")
_READ = {  # what an attribute of a mesh holds: the name it is read by, kind and numbers each
    "FLOAT": ("value", np.float32, 1),
    "INT": ("value", np.int32, 1),
    "BOOLEAN": ("value", np.bool_, 1),
    "INT8": ("value", np.int32, 1),
    "FLOAT2": ("vector", np.float32, 2),
    "FLOAT_VECTOR": ("vector", np.float32, 3),
    "FLOAT_COLOR": ("color", np.float32, 4),
    "BYTE_COLOR": ("color", np.float32, 4),
}
_SKIPPED = {"rna_type", "name_full", "session_uid", "users", "original", "preview", "animation_data", "asset_data"}
_WALKED = (bpy.types.NodeTree, bpy.types.Material, bpy.types.World, bpy.types.Light, bpy.types.Texture)
_VISIBLE = ("visible_camera", "visible_diffuse", "visible_glossy", "visible_transmission", "visible_shadow")


class UnknownError(Exception):
    """There is something whose light cannot be told from another's."""


def light_fingerprint(hidden: Sequence[Any]) -> str | None:
    """Returns a number, in hex, that differs where the light on the blocks of the open scene may.

    Args:
        hidden: objects that are left out of the light.

    Returns:
        It, or None where that cannot be told.
    """
    try:
        return _Digest({obj.name_full for obj in hidden}).of_scene()
    except UnknownError:
        return None


class _Digest:
    def __init__(self, hidden: set[str]) -> None:
        self._hidden, self._hash = hidden, hashlib.sha256()
        self._met: dict[tuple[int, str], int] = {}

    def of_scene(self) -> str:
        scene = bpy.context.scene
        self._add(bpy.app.version_string, bpy.app.build_hash, scene.frame_current_final)
        self._struct(scene.cycles)
        self._value(scene.world)
        self._value(bpy.context.view_layer.material_override)
        for obj in sorted(scene.objects, key=lambda obj: str(obj.name_full)):
            if self._counts(obj):
                self._object(obj)
        for instance in bpy.context.evaluated_depsgraph_get().object_instances:
            emitter = (instance.parent if instance.is_instance else instance.object).original
            if self._counts(emitter):
                self._add(emitter.name_full, *np.ravel(instance.matrix_world).tolist())
                self._shape(instance.object)
        return self._hash.hexdigest()

    def _counts(self, obj: Any) -> bool:
        return not obj.hide_render and obj.name_full not in self._hidden and obj.type != "CAMERA"

    def _object(self, obj: Any) -> None:
        """Adds what the viewport need not show of an object: its place, and what renders make of its modifiers."""
        if obj.type not in (*_SOLID, *_NOTHING, "LIGHT") or len(obj.particle_systems):
            raise UnknownError
        self._add(obj.name_full, obj.type, *np.ravel(obj.matrix_world).tolist(), obj.is_holdout)
        self._add(*(getattr(obj, name) for name in _VISIBLE))
        self._add(*((key, obj[key]) for key in sorted(obj.keys()) if isinstance(obj[key], bool | int | float | str)))
        for modifier in obj.modifiers:
            self._struct(modifier)
        self._shape(obj)

    def _shape(self, obj: Any) -> None:
        for slot in obj.material_slots:
            self._value(slot.material)
        if obj.type == "MESH":
            if self._is_new(obj.data):
                self._mesh(obj.data)
        elif obj.type == "LIGHT":
            self._value(obj.data)
        elif obj.type in _SOLID:
            mesh = obj.to_mesh()
            if mesh is not None:
                self._mesh(mesh)
            obj.to_mesh_clear()

    def _mesh(self, mesh: Any) -> None:
        self._array(mesh.loops, "vertex_index", np.int32, 1)
        self._array(mesh.polygons, "loop_start", np.int32, 1)
        for attribute in mesh.attributes:
            self._add(attribute.name, attribute.data_type, attribute.domain)
            if attribute.data_type in _READ:
                self._array(attribute.data, *_READ[attribute.data_type])

    def _array(self, items: Any, name: str, kind: Any, numbers: int) -> None:
        values = np.empty(len(items) * numbers, kind)
        items.foreach_get(name, values)
        self._add(len(items))
        self._hash.update(values.tobytes())

    def _value(self, value: Any) -> None:
        if isinstance(value, bpy.types.Image):
            self._image(value)
        elif isinstance(value, bpy.types.ID) and not isinstance(value, _WALKED):
            self._add(value.name_full, *np.ravel(getattr(value, "matrix_world", ())).tolist())
        elif isinstance(value, bpy.types.bpy_struct):
            self._struct(value)
        else:
            self._add(value)

    def _image(self, image: Any) -> None:
        if not self._is_new(image):
            return
        self._add(image.source, *image.size, image.colorspace_settings.name, image.alpha_mode)
        if image.packed_file is not None:
            self._hash.update(image.packed_file.data)
        elif image.source == "GENERATED":
            pixels = np.empty(len(image.pixels), np.float32)
            image.pixels.foreach_get(pixels)
            self._hash.update(pixels.tobytes())
        else:
            path = Path(bpy.path.abspath(image.filepath, library=image.library))
            there = path.stat() if path.is_file() else None
            self._add(path, there and (there.st_size, there.st_mtime_ns))

    def _struct(self, struct: Any) -> None:
        """Adds all that a piece of Blender's data says of itself, and what it points to."""
        if not self._is_new(struct):
            return
        for prop in struct.bl_rna.properties:
            if prop.identifier in _SKIPPED:
                continue
            value = getattr(struct, prop.identifier, None)
            self._add(prop.identifier)
            if prop.type == "COLLECTION":
                items = list(value or ())
                self._add(len(items))
                for item in items:
                    self._value(item)
            else:
                self._value(list(value) if getattr(prop, "is_array", False) and value is not None else value)

    def _is_new(self, struct: Any) -> bool:
        """Adds which of the pieces met so far it is; tells whether it is the first time."""
        kind, met = type(struct).__name__, len(self._met)
        number = self._met.setdefault((struct.as_pointer(), kind), met)
        self._add(kind, number)
        return number == met

    def _add(self, *values: Any) -> None:
        self._hash.update(repr(values).encode())
