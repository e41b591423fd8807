# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a model beside a window: by a second Blender, on a copy of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blockcore.commands.arguments import settings_words
from blockcore.model.settings import OptimizeSettings
from bridge.engine.itself import bridge_command
from bridge.engine.process import EngineRun


def start_blocks(
    blender: str, blend: Path, words: Sequence[str], settings: OptimizeSettings, out: Path, python: str | None = None
) -> EngineRun:
    """Starts making blocks.

    Args:
        blender: Blender's program; "" where bpy is a package of this interpreter.
        blend: the file; it is only read.
        words: options of ``python -m bridge blocks``: what the model is, and what is wished for.
        settings: how the materials are chosen.
        out: folder for the blocks as a BlockScene.
        python: the engine's interpreter; None for the one that is found.

    Raises:
        BackendError: Blender cannot be started.
    """
    arguments = ["blocks", str(blend), *words, f"--export={out}", "--progress=jsonl", *settings_words(settings)]
    arguments += [f"--engine={python}"] if python else []
    return EngineRun.launch([*bridge_command(blender), *arguments], temporary=out.parent)


def start_targets(blender: str, blend: Path, words: Sequence[str], out: Path) -> EngineRun:
    """Starts rendering a model from cameras.

    Args:
        blender: as for ``start_blocks``.
        blend: the file; it is only read.
        words: options of ``python -m bridge targets``: the model, and the cameras.
        out: folder for the pictures.

    Raises:
        BackendError: Blender cannot be started.
    """
    arguments = ["targets", str(blend), *words, f"--pictures={out}", "--progress=jsonl"]
    return EngineRun.launch([*bridge_command(blender), *arguments], temporary=out.parent)
