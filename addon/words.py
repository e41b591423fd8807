# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel *Look from Words*, where the engine has what it needs: materials as a text-to-image model sees them."""

from dataclasses import replace

import bpy
from bpy.types import Operator, Panel

from blockcore.commands.arguments import settings_words
from blockcore.commands.dream import SETTINGS, USUAL
from blockcore.errors import SettingsError
from blockcore.model.settings import OptimizeSettings
from bridge.blender.jobs import read_scene
from bridge.engine.optimize import start_dream

from . import engine, preferences, progress, properties
from .operators import FindsMaterials
from .run import Run
from .session import session


class WordsRun(Run):
    """A run that words guide. The light is measured once, on the blocks as they are."""

    _rounds = 1

    def __init__(self, job, python, is_shown, words):
        """Starts it; ``words`` are those of ``python -m blockcore dream``."""
        self._words = words
        super().__init__(job, python, is_shown)

    def _read(self, job):
        return read_scene(job, need_targets=False)

    def _choose(self, scene):
        words = [*self._words, f"--preview={self._folder / 'preview.npy'}"]
        return start_dream(scene, self._folder / "result", words, self._python or None)


class BLOCKS_OT_dream(FindsMaterials, Operator):
    """Runs the engine on words."""

    bl_idname = "blocks.dream"
    bl_label = "Find Materials"
    bl_description = "Find the materials with which the blocks look most like the words"
    doing = "Finding materials"

    def begin(self, context, is_shown):
        """Starts the engine on what the panel says."""
        group = context.scene.optimize_materials.words
        if not group.model:
            raise SettingsError("choose the folder of a text-to-image model first")
        job = properties.job_of(context.scene, need_targets=False)
        engine.make_room()
        return WordsRun(job, preferences.engine_python(context), is_shown, _words_of(group, job.settings))


class BLOCKS_PT_look_from_words(Panel):
    """What the blocks should look like, and the button."""

    bl_label = "Look from Words"
    bl_idname = "BLOCKS_PT_look_from_words"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Blocks"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        """Whether the engine has what words need."""
        return bool(engine.has_guidance(preferences.engine_python(context)))

    def draw(self, context):
        """Draws the panel."""
        layout, group = self.layout, context.scene.optimize_materials.words
        layout.use_property_split = True
        layout.use_property_decorate = False
        body = layout.column()
        body.enabled = session.run is None
        for name in ("prompt", "negative", "model", "steps", "size", "scale"):
            body.prop(group, name)
        if isinstance(session.run, WordsRun):
            progress.draw(layout, session.run)
        else:
            row = layout.row()
            row.scale_y = 1.8
            row.operator(BLOCKS_OT_dream.bl_idname, icon="SHADERFX")


def _words_of(group, settings: OptimizeSettings) -> list[str]:
    """Returns the words that say what the panel does; rules and engine are those of the other panel."""
    search = {"steps": group.steps, "learning_rate": USUAL.learning_rate, "temperature_end": USUAL.temperature_end}
    words = [f"--prompt={group.prompt}", f"--negative={group.negative}"]
    words += [f"--model={bpy.path.abspath(group.model)}", f"--size={group.size}", f"--scale={group.scale}"]
    return words + settings_words(replace(settings, init="random", **search), SETTINGS)


CLASSES = (BLOCKS_OT_dream, BLOCKS_PT_look_from_words)
