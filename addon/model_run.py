# SPDX-License-Identifier: GPL-3.0-or-later
"""One run that makes blocks of a model: a second Blender at work on a copy of the file, and what it made."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import bpy

from blockcore.errors import BackendError, Cancelled
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report import events
from blockcore.report.summary import ModelSummary
from bridge.blender.files import save_file
from bridge.engine.environment import stand_back
from bridge.model.starting import start_blocks

from .layouts import time_left
from .outcome import scene_of_run


@dataclass(frozen=True, eq=False)
class MadeBlocks:
    """What a run made.

    Attributes:
        scene: the blocks with their materials, and the views that they were chosen by.
        summary: the figures.
    """

    scene: BlockScene
    summary: ModelSummary


class ModelRun:
    """A run under way; the panel and the handlers see it as they see a ``Run``.

    Attributes:
        headline: what the progress bar says.
        factor: how far it is, 0…1.
        loss_text: empty.
        time_text: the time left, in words.
    """

    loss_text = ""

    def __init__(self, words: Sequence[str], settings: OptimizeSettings, python: str) -> None:
        """Saves a copy of the open file, and starts a second Blender on it.

        Args:
            words: options of ``python -m bridge blocks``: what the model is, and what is wished for.
            settings: how the materials are chosen.
            python: the engine's interpreter; "" to find one.

        Raises:
            BlockcoreError: the copy cannot be written, or Blender not be started.
        """
        self.headline, self.factor, self.time_text = "Reading the model…", 0.0, ""
        self._folder = Path(tempfile.mkdtemp(prefix="blockcore-", dir=bpy.app.tempdir or None))
        self._scene_uid, self._layer = bpy.context.scene.session_uid, bpy.context.view_layer.name
        self._done: events.Made | None = None
        copy, out = self._folder / "copy.blend", self._folder / "scene"
        try:
            save_file(copy)
            self._blender = start_blocks(bpy.app.binary_path, copy, words, settings, out, python or None)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        stand_back(self._blender.pid)

    def tick(self) -> bool:
        """Takes in what happened since the last time; returns whether the blocks are there.

        Raises:
            Cancelled: the run was cancelled.
            BlockcoreError: the model or what is wished for cannot be used, or the second Blender died.
        """
        for event in self._blender.poll():
            match event:
                case events.Working():
                    self.headline, self.factor = event.stage, event.share
                    left = event.seconds * (1.0 / event.share - 1.0) if event.share else 0.0
                    self.time_text = time_left(left)
                case events.Made():
                    self._done = event
                case events.Failed():
                    raise BackendError(event.message)
                case events.Stopped():
                    raise Cancelled("cancelled; nothing was changed")
        return self._done is not None

    @property
    def text(self) -> tuple[str, str, str]:
        """What the panel says about the run."""
        return self.headline, self.loss_text, self.time_text

    def cancel(self) -> None:
        """Asks the second Blender to stop; a later ``tick`` raises ``Cancelled``."""
        self.headline, self.time_text = "Stopping…", ""
        self._blender.cancel()

    def outcome(self) -> MadeBlocks:
        """Returns what was made, once ``tick`` said that it is there; changes nothing in the scene."""
        assert self._done is not None
        return MadeBlocks(BlockScene.read(self._done.out), self._done.result)

    def where(self) -> AbstractContextManager[None]:
        """Makes the scene that the run is for the open one, wherever the user went meanwhile."""
        return scene_of_run(self._scene_uid, self._layer)

    def show_preview(self) -> None:
        """Does nothing: there is nothing to show before the blocks are there."""

    def hide_preview(self) -> None:
        """Does nothing, likewise."""

    def close(self) -> None:
        """Ends what still runs, and removes its files."""
        self._blender.close()
        shutil.rmtree(self._folder, ignore_errors=True)
