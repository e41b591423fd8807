# SPDX-License-Identifier: GPL-3.0-or-later
"""One run that renders a model from cameras, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.pictures import read_picture
from bridge.blender.held import held
from bridge.blender.render_targets import picture_of
from bridge.model.starting import start_targets

from .copy_run import CopyRun

Place = tuple[float, float, float]


class TargetsRun(CopyRun):
    """A run under way."""

    def __init__(self, model: Any, cameras: Sequence[Any], moved: Mapping[Any, Place]) -> None:
        """Starts it.

        Args:
            model: the object or collection to render.
            cameras: the cameras to render it from.
            moved: where some of them are to stand instead; they stay where they are until the result is there.

        Raises:
            BlockcoreError: the copy cannot be written, or Blender not be started.
        """
        self._model, self._cameras = model.session_uid, [camera.session_uid for camera in cameras]
        self._moved = {camera.session_uid: place for camera, place in moved.items()}
        kind = "collection" if isinstance(model, bpy.types.Collection) else "object"
        words = [f"--{kind}={model.name_full}", *(f"--camera={camera.name_full}" for camera in cameras)]
        with held([(camera, "location", place) for camera, place in moved.items()]):
            super().__init__(
                "Reading the model…", lambda copy, out: start_targets(bpy.app.binary_path, copy, words, out)
            )

    def outcome(self) -> list[npt.NDArray[np.uint8]]:
        """Returns the pictures, once ``tick`` said that they are there; changes nothing in the scene."""
        return [read_picture(picture_of(Path(self._done.out), number)) for number in range(len(self._cameras))]

    def found(self) -> tuple[Any, list[Any], dict[Any, Place]]:
        """Returns the model, the cameras, and where they are to stand, whatever they are called by now.

        Raises:
            SceneError: one of them is no longer there.
        """
        here = {one.session_uid: one for kind in (bpy.data.objects, bpy.data.collections) for one in kind}
        if not {self._model, *self._cameras} <= here.keys():
            raise SceneError("the model or a camera is no longer there; render the targets anew")
        moved = {here[uid]: place for uid, place in self._moved.items()}
        return here[self._model], [here[uid] for uid in self._cameras], moved
