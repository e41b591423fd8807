# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks from a model: the operators."""

from dataclasses import replace

import bpy
from bpy.types import Operator

from blockcore.errors import SceneError
from bridge.blender.model_blocks import add_light
from bridge.blender.model_cameras import CAMERAS, add_views, remove_cameras
from bridge.blender.model_world import Order, blocks_of, edits_of, family, model_of, order_of, put_blocks

from . import engine, model_status, preferences, properties
from .model_run import ModelRun
from .reporting import Conditional
from .running import RunsBeside
from .session import session


class BLOCKS_OT_make_blocks(RunsBeside, Operator):
    """Makes blocks of the chosen model."""

    bl_idname = "blocks.make_blocks"
    bl_label = "Make Blocks"
    bl_description = "Make blocks that look like the model, in place of those made of it before, and show them"
    doing = "Making blocks"
    about_model = True

    @classmethod
    def obstacle(cls, context):
        """Why there is no model, or not now."""
        chosen = model_status.chosen(context)
        return super().obstacle(context) or ("" if chosen else "Choose the model first: select it, or name it")

    def begin(self, context, is_shown):
        """Starts making blocks as the panel says."""
        self._order = Order(properties.wish_of(context.scene), properties.settings_of(_settings(context)))
        self._names = [obj.name for obj in family(model_status.chosen(context))]
        words = [f"--object={name}" for name in self._names] + self._order.wish.words()
        words += properties.palette_words(context.scene)
        engine.make_room()
        return ModelRun(words, self._order.settings, preferences.engine_python(context))

    def put(self, context, outcome):
        """Shows the blocks and their cameras, in place of earlier blocks of the model."""
        objects = _objects(context, self._names)
        earlier = blocks_of(objects, self._order.wish.beside, context.selected_objects)
        painted = len(edits_of(earlier).painted) if earlier is not None else 0
        said = _put(context, outcome, objects, self._order, earlier)
        session.made = replace(session.made, lost=painted)
        return f"{said}; {painted:,} painted by hand are gone, undo brings them back" if painted else said


class BLOCKS_OT_update_blocks(RunsBeside, Operator):
    """Makes a model's blocks anew."""

    bl_idname = "blocks.update_blocks"
    bl_label = "Update"
    bl_description = "Make the blocks anew after their model changed, as they were made; what was painted by hand stays"
    doing = "Updating blocks"
    about_model = True

    @classmethod
    def obstacle(cls, context):
        """Why the active object has no model, or not now."""
        obj = context.object
        there = obj is not None and model_of(obj)
        return super().obstacle(context) or ("" if there else "Make the blocks of a model the active object first")

    def begin(self, context, is_shown):
        """Starts making the active object's blocks anew."""
        self._world, self._order = context.object.name, order_of(context.object)
        self._names = [obj.name for obj in model_of(context.object)]
        engine.make_room()
        return ModelRun([f"--update={self._world}"], self._order.settings, preferences.engine_python(context))

    def put(self, context, outcome):
        """Shows the new blocks in place of the old ones."""
        world = bpy.data.objects.get(self._world)
        if world is None:
            raise SceneError(f"there is no object {self._world!r} any more; make blocks of the model anew")
        return _put(context, outcome, _objects(context, self._names), self._order, world)


class BLOCKS_OT_remove_model_cameras(Conditional, Operator):
    """Removes the cameras around a model."""

    bl_idname = "blocks.remove_model_cameras"
    bl_label = "Remove Cameras"
    bl_description = "Remove the cameras that were added around the model, with their pictures"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        """That there are none."""
        return "" if CAMERAS in bpy.data.collections else "There are no such cameras"

    def execute(self, context):
        """Removes them."""
        remove_cameras()
        return {"FINISHED"}


def _settings(context):
    return context.scene.optimize_materials.settings


def _objects(context, names) -> list:
    missing = [name for name in names if name not in context.scene.objects]
    if missing:
        raise SceneError(f"there is no object {missing[0]!r} any more; choose the model again")
    return [context.scene.objects[name] for name in names]


def _put(context, outcome, objects, order, earlier) -> str:
    add_light()
    world = put_blocks(outcome.scene, objects, order, earlier)
    add_views(outcome.scene.views, outcome.scene.source.grid_to_source)
    for obj in context.selected_objects:
        obj.select_set(False)
    world.select_set(True)
    context.view_layer.objects.active = world
    properties.choose_blocks(context.scene, world)
    session.made = outcome.summary
    return f"{outcome.summary.blocks:,} blocks, outline match {outcome.summary.outline_match:.3f}"


CLASSES = (BLOCKS_OT_make_blocks, BLOCKS_OT_update_blocks, BLOCKS_OT_remove_model_cameras)
