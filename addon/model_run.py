# SPDX-License-Identifier: GPL-3.0-or-later
"""One run that makes blocks of a model, and what it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy

from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.summary import ModelSummary
from bridge.model.starting import start_blocks

from .copy_run import CopyRun


@dataclass(frozen=True, eq=False)
class MadeBlocks:
    """What a run made.

    Attributes:
        scene: the blocks with their materials, and the views that they were chosen by.
        summary: the figures.
    """

    scene: BlockScene
    summary: ModelSummary


class ModelRun(CopyRun):
    """A run under way."""

    def __init__(self, words: Sequence[str], settings: OptimizeSettings, python: str) -> None:
        """Starts it.

        Args:
            words: options of ``python -m bridge blocks``: what the model is, and what is wished for.
            settings: how the materials are chosen.
            python: the engine's interpreter; "" to find one.

        Raises:
            BlockcoreError: the copy cannot be written, or Blender not be started.
        """
        super().__init__(
            "Reading the model…",
            lambda copy, out: start_blocks(bpy.app.binary_path, copy, words, settings, out, python or None),
        )

    def outcome(self) -> MadeBlocks:
        """Returns what was made, once ``tick`` said that it is there; changes nothing in the scene."""
        return MadeBlocks(BlockScene.read(self._done.out), self._done.result)
