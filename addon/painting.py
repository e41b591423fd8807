# SPDX-License-Identifier: GPL-3.0-or-later
"""A brush for blocks: in the 3D view, a click or a drag over blocks gives them the material that the panel names."""

import bpy
import numpy as np
from bpy.types import Operator
from bpy_extras import view3d_utils

from blockcore.errors import BlockcoreError
from bridge.blender.brush import Brush, material_at, paint
from bridge.blender.marks import is_world
from bridge.blender.world_edit import PAINTED, index_of, material_names

from . import properties, status
from .reporting import Conditional, reporting
from .session import session

_STEP = 4.0  # pixels between two looks along a drag
_KEYS = "left mouse button    |    Pick the material of a block: E    |    End: Esc or right mouse button"


class BLOCKS_OT_paint(Conditional, Operator):
    """The brush. Each stroke can be undone by itself."""

    bl_idname = "blocks.paint"
    bl_label = "Paint Blocks"
    bl_description = (
        "Click on blocks in the view, or drag over them, to give them the material above. "
        "Runs leave painted blocks as they are"
    )

    @classmethod
    def obstacle(cls, context):
        """That the active object shows no blocks, or they are busy."""
        if session.run is not None:
            return "Wait for the run to end, or cancel it"
        if context.object is None or not is_world(context.object):
            return "Make an object that shows blocks the active one first"
        return "" if context.mode == "OBJECT" else "Leave this mode first; in Edit Mode there is Paint Selected"

    def invoke(self, context, event):
        """Takes the brush."""
        return self.execute(context)

    @reporting
    def execute(self, context):
        """Takes the brush."""
        world, group = context.object, context.scene.optimize_materials
        self._world, self._brush, self._is_painting, self._last = world.name_full, Brush(world), False, None
        if group.paint not in material_names(world):
            group.paint = material_names(world)[0]
        context.window.cursor_modal_set("PAINT_BRUSH")
        self._tell(context)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Paints, picks a material, or lays the brush away; all else is Blender's own."""
        world = bpy.data.objects.get(self._world)
        is_gone = world is None or self.obstacle(context) or context.object != world or context.area is None
        if is_gone or (event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS"):
            self._end_stroke(context, world)
            return self._finish(context)
        if context.scene.optimize_materials.paint != self._told:
            self._tell(context)
        place = _place_in_view(context.area, event)
        if event.type == "LEFTMOUSE" and event.value == "PRESS" and place is not None:
            if self._begin_stroke(context, world):
                self._paint(context, world, place)
        elif event.type == "LEFTMOUSE" and self._is_painting:
            self._end_stroke(context, world)
        elif event.type == "MOUSEMOVE" and self._is_painting:
            self._paint(context, world, place)
        elif event.type == "E" and event.value == "PRESS" and place is not None and not self._is_painting:
            self._pick(context, world, place)
        elif not self._is_painting:
            return {"PASS_THROUGH"}
        return {"RUNNING_MODAL"}

    def cancel(self, context):
        """Lays the brush away, as Blender asks for it."""
        self._end_stroke(context, bpy.data.objects.get(self._world))
        self._finish(context)

    def _tell(self, context):
        """Says at the bottom of the window what the brush does."""
        self._told = context.scene.optimize_materials.paint
        context.workspace.status_text_set(f"Paint {self._told}: {_KEYS}")

    def _begin_stroke(self, context, world):
        """Returns whether there is such a material to paint with."""
        try:
            self._material = index_of(world, context.scene.optimize_materials.paint)
        except BlockcoreError as error:
            self.report({"ERROR"}, str(error))
            return False
        self._is_painting, self._is_changed, self._last = True, False, None
        return True

    def _paint(self, context, world, place):
        """Paints what lies under the mouse, and on its way from where it was before."""
        if place is None:
            self._last = None
            return
        before = place if self._last is None else self._last
        looks = 1 + int(np.hypot(*np.subtract(place, before)) / _STEP)
        for part in range(1, looks + 1):
            block = self._block(context, world, np.add(before, np.subtract(place, before) * (part / looks)))
            if block is not None:
                self._is_changed |= paint(world, block, self._material)
        self._last = place

    def _end_stroke(self, context, world):
        if self._is_painting and self._is_changed and world is not None:
            keep_painted(context.scene, world)
            bpy.ops.ed.undo_push(message=self.bl_label)
        self._is_painting = False

    def _pick(self, context, world, place):
        block = self._block(context, world, place)
        if block is not None:
            context.scene.optimize_materials.paint = material_at(world, block)
            status.redraw()

    def _block(self, context, world, place):
        region, view = _window_of(context.area), context.area.spaces.active.region_3d
        origin = view3d_utils.region_2d_to_origin_3d(region, view, place)
        return self._brush.block_at(world, origin, view3d_utils.region_2d_to_vector_3d(region, view, place))

    def _finish(self, context):
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        return {"FINISHED"}


def keep_painted(scene, world) -> None:
    """Locks what was painted, where runs work on that object; on a result, applying the next one keeps it."""
    source, settings = scene.optimize_materials.source, scene.optimize_materials.settings
    within = getattr(source, "all_objects", (source,))
    if world in set(within):
        properties.lock_region(settings, PAINTED)
    status.forget()


def _window_of(area):
    return next(region for region in area.regions if region.type == "WINDOW")


def _place_in_view(area, event):
    """Returns where the mouse is in a 3D view, in pixels; None outside it and over its header or sidebar."""

    def holds(region):
        across, up = event.mouse_x - region.x, event.mouse_y - region.y
        return 0 <= across < region.width and 0 <= up < region.height

    window = _window_of(area)
    if not holds(window) or any(holds(other) for other in area.regions if other.type != "WINDOW" and other.width > 1):
        return None
    return event.mouse_x - window.x, event.mouse_y - window.y


CLASSES = (BLOCKS_OT_paint,)
