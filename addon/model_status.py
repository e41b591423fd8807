# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel knows about the chosen model: about how many blocks it will be, and where their grid lies.

Its surface is looked at shortly after the panel is first drawn, and after the model changed; a number of blocks is then
followed without another look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from blockcore.errors import BlockcoreError
from blockcore.voxelize.estimate import Sampled, estimated_blocks, sample
from bridge.blender.marks import is_world
from bridge.blender.model_blocks import axes_of
from bridge.blender.model_world import family, models_in, revealed
from bridge.blender.triangles import read_model

from . import layouts

_WAIT = 0.3  # seconds after the last change
_MOST_FACES = 500_000  # that are looked at between two frames
_SURFACES = {"MESH", "CURVE", "SURFACE", "META", "FONT", "EMPTY", "CURVES", "POINTCLOUD"}


@dataclass(frozen=True, eq=False)
class Look:
    """What was found about a model.

    Attributes:
        names: of its objects.
        axes: along which the grid lies, ``"world"`` or ``"object"``.
        turn: (3, 3) these axes, as columns.
        sampled: its surface along them; None where there is none.
        problem: why there is none, or "".
    """

    names: tuple[str, ...] = ()
    axes: str = "world"
    turn: Any = None
    sampled: Sampled | None = None
    problem: str = ""

    def block_size(self, across: int) -> float:
        """Returns the edge of a block, for so many along the longest side."""
        assert self.sampled is not None
        return float((self.sampled.high - self.sampled.low).max()) / across

    def cells(self, across: int) -> tuple[int, int, int]:
        """Returns how many cells the grid has along its axes, Z up."""
        assert self.sampled is not None
        extent = (self.sampled.high - self.sampled.low) / self.block_size(across)
        x, y, z = np.maximum(1, np.ceil(extent - 1e-6)).astype(int).tolist()
        return x, y, z

    def blocks(self, across: int, fill: str) -> int:
        """Returns about how many blocks the model will be."""
        assert self.sampled is not None
        return estimated_blocks(self.sampled, self.block_size(across), fill)


_looked: dict[str, Look] = {}
_old: set[str] = set()  # scenes whose model changed since


def chosen(context: Any) -> list[Any]:
    """Returns the objects that the panel's model consists of, without their children.

    Blocks that were made of a model stand for it, so that they can be made anew in another size.
    """
    group = context.scene.optimize_materials.model
    if group.kind == "OBJECT":
        return models_in([group.object]) if group.object is not None else []
    if group.kind == "COLLECTION":
        return models_in(group.collection.all_objects) if group.collection is not None else []
    models = models_in(context.selected_objects)
    return [obj for obj in models if obj.type in _SURFACES and not is_world(obj)]


def of(context: Any) -> Look | None:
    """Returns what is known about the chosen model, or None; what is unknown or old is found out before long."""
    objects = chosen(context)
    look = _looked.get(context.scene.name)
    axes = context.scene.optimize_materials.model.axes
    is_known = look is not None and (look.names, look.axes) == (_names(objects), axes)
    if objects and not (is_known and context.scene.name not in _old) and not bpy.app.timers.is_registered(_look):
        bpy.app.timers.register(_look, first_interval=_WAIT)
    return look if objects and is_known else None


def stop() -> None:
    """Drops what is known, and does not look again."""
    _looked.clear()
    _old.clear()
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)


def _look() -> None:
    context = bpy.context
    objects = chosen(context)
    if objects:
        axes = context.scene.optimize_materials.model.axes
        with revealed(objects):
            _looked[context.scene.name] = _looked_at(objects, axes)
        context.view_layer.update()  # else what was revealed would count as a change
        _old.discard(context.scene.name)
    layouts.redraw({"VIEW_3D"})
    layouts.redraw_views()


def _looked_at(objects: list[Any], axes: str) -> Look:
    names = _names(objects)
    graph = bpy.context.evaluated_depsgraph_get()
    faces = sum(len(obj.evaluated_get(graph).data.polygons) for obj in objects if obj.type == "MESH")
    if faces > _MOST_FACES:
        return Look(names, axes, problem=f"{faces:,} faces are too many to count blocks live")
    try:
        turn = axes_of(objects[0]) if axes == "object" else np.eye(3)
        return Look(names, axes, turn, sample(read_model(family(objects)).triangles @ turn))
    except BlockcoreError as error:
        return Look(names, axes, problem=str(error))


def _names(objects: list[Any]) -> tuple[str, ...]:
    return tuple(obj.name_full for obj in objects)


@persistent
def _after_change(scene: Any, graph: Any) -> None:
    if any(update.is_updated_geometry or update.is_updated_transform for update in graph.updates):
        _old.add(scene.name)


def register() -> None:
    """Notices changes."""
    bpy.app.handlers.depsgraph_update_post.append(_after_change)


def unregister() -> None:
    """Notices them no longer."""
    stop()
    bpy.app.handlers.depsgraph_update_post.remove(_after_change)
