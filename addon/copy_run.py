# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is a second Blender at work on a copy of the open file: how it is begun, followed and ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bpy

from blockcore.errors import BackendError, Cancelled
from blockcore.report import events
from bridge.blender.files import save_file
from bridge.engine.environment import stand_back
from bridge.engine.process import EngineRun

from .layouts import TimeLeft
from .outcome import scene_of_run


class CopyRun:
    """A run under way; the panel and the handlers see it as they see a ``Run``.

    Attributes:
        headline: what the progress bar says.
        factor: how far it is, 0…1.
        loss_text: empty.
        time_text: the time left, in words.
    """

    loss_text = ""

    def __init__(self, headline: str, begin: Callable[[Path, Path], EngineRun]) -> None:
        """Saves a copy of the open file, and starts a second Blender on it.

        Args:
            headline: what the progress bar says at first.
            begin: starts it; takes the copy, and where its result is to be put.

        Raises:
            BlockcoreError: the copy cannot be written, or Blender not be started.
        """
        self.headline, self.factor, self.time_text = headline, 0.0, ""
        self._left = TimeLeft()
        self._folder = Path(tempfile.mkdtemp(prefix="blockcore-", dir=bpy.app.tempdir or None))
        self._scene_uid, self._layer = bpy.context.scene.session_uid, bpy.context.view_layer.name
        self._done: Any = None
        copy = self._folder / "copy.blend"
        try:
            save_file(copy)
            self._blender = begin(copy, self._folder / "out")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        stand_back(self._blender.pid)

    def tick(self) -> bool:
        """Takes in what happened since the last time; returns whether the result is there.

        Raises:
            Cancelled: the run was cancelled.
            BlockcoreError: what is wished for cannot be done, or the second Blender died.
        """
        for event in self._blender.poll():
            match event:
                case events.Working():
                    self.headline, self.factor = event.stage, event.share
                    self.time_text = self._left.words(event.share, event.seconds)
                case events.Made() | events.Rendered():
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

    def where(self) -> AbstractContextManager[None]:
        """Makes the scene that the run is for the open one, wherever the user went meanwhile."""
        return scene_of_run(self._scene_uid, self._layer)

    def show_preview(self) -> None:
        """Does nothing: there is nothing to show before the result is there."""

    def hide_preview(self) -> None:
        """Does nothing, likewise."""

    def close(self) -> None:
        """Ends what still runs, and removes its files."""
        self._blender.close()
        shutil.rmtree(self._folder, ignore_errors=True)
