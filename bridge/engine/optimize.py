# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender asks of an engine: the materials of a scene, through the files that go there and come back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.commands.arguments import settings_words
from blockcore.errors import BackendError, Cancelled
from blockcore.io.folders import scratch_folder
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.events import Done, Event, Failed
from bridge.engine.environment import absolute
from bridge.engine.interpreter import GUIDANCE, ask, find_engine
from bridge.engine.materials import read_materials
from bridge.engine.process import EngineRun, Running, StandingRun


class StandingEngine:
    """An engine that stays for one scene after another: started when first needed, and again after it died."""

    def __init__(self, python: str | None = None) -> None:
        """Takes the interpreter; None for the one that ``find_engine`` finds."""
        self._python = python
        self._run: StandingRun | None = None

    def run(self, words: list[str], settings: OptimizeSettings) -> StandingRun:
        """Starts one ``optimize``, whose words say these settings."""
        if self._run is None or not self._run.is_alive:
            self._python = self._python or find_engine(settings)
            self._run = StandingRun.launch([absolute(self._python), "-m", "blockcore", "serve"])
        self._run.hand(words)
        return self._run

    def end(self) -> None:
        """Ends it."""
        if self._run is not None:
            self._run.end()


Engine = str | StandingEngine | None
"""What finds materials: an interpreter, started anew for each scene; one that stands; None for one that is found."""


def start(
    scene: Path | str,
    out: Path | str,
    settings: OptimizeSettings,
    engine: Engine = None,
    preview: Path | str | None = None,
) -> EngineRun:
    """Starts the engine on a scene.

    Args:
        scene: a folder that ``BlockScene.write`` wrote.
        out: folder for the result.
        settings: how to look for the materials.
        engine: what finds them.
        preview: a file that shall hold the assignment so far, for Preview events.

    Raises:
        BackendError: there is no such interpreter.
    """
    words = ["--scene", str(Path(scene).resolve()), "--out", str(Path(out).resolve()), "--progress", "jsonl"]
    words += ["--preview", str(Path(preview).resolve())] if preview is not None else []
    words += settings_words(settings)
    if isinstance(engine, StandingEngine):
        return engine.run(words, settings)
    python = absolute(engine or find_engine(settings))
    return EngineRun.launch([python, "-m", "blockcore", "optimize", *words, "--watch-stdin"])


def start_dream(scene: Path, out: Path, words: list[str], python: str | None = None) -> EngineRun:
    """Starts the engine on a dream.

    Args:
        scene: a folder that ``BlockScene.write`` wrote.
        out: folder for the result.
        words: what is dreamed of, as ``dream_words`` says it.
        python: the interpreter; None for one that has what words need.

    Raises:
        BackendError: there is no such interpreter.
    """
    python = absolute(python or find_engine(besides=GUIDANCE))
    told = ["--scene", str(scene), "--out", str(out.resolve()), "--progress", "jsonl", "--watch-stdin"]
    return EngineRun.launch([python, "-m", "blockcore", "dream", *told, *words])


def find_materials(
    scene: BlockScene,
    settings: OptimizeSettings,
    engine: Engine = None,
    out: Path | str | None = None,
    watch: Callable[[Event], None] = lambda event: None,
    begin: Callable[[Path, Path], Running] | None = None,
) -> tuple[npt.NDArray[np.int32], Done]:
    """Runs the engine on a scene and waits for it.

    Args:
        scene: the scene.
        settings: how to look for the materials.
        engine: what finds them.
        out: folder for the result; None for one that does not stay.
        watch: is called with every event.
        begin: starts what finds the materials of the scene in a folder's "scene", such as ``baker.start_lit``; the
            second folder is for the result. None for the engine alone.

    Returns:
        (N,) int32 palette indices in block order, and the engine's last event.

    Raises:
        Cancelled: the engine was stopped.
        BackendError: the engine refused the scene, or died.
    """
    with scratch_folder() as folder:
        scene.write(folder / "scene")
        out = folder / "result" if out is None else Path(out)
        running = begin(folder, out) if begin else start(folder / "scene", out, settings, engine)
        with running as run:
            for event in run.events():
                watch(event)
        if isinstance(event, Failed):
            raise BackendError(event.message)
        if not isinstance(event, Done):
            raise Cancelled("stopped; nothing was changed")
        return read_materials(out / "materials.npy"), event


def told_plan(scene: BlockScene, settings: OptimizeSettings, form: str, python: str | None = None) -> str:
    """Asks the engine what it would do with a scene, and why; see ``blockcore.plan``.

    Args:
        scene: the scene.
        settings: how to look for the materials.
        form: ``"text"`` or ``"json"``.
        python: the interpreter; None for the one that ``find_engine`` finds.

    Raises:
        BackendError: there is no such interpreter, or it refuses the scene.
    """
    python = python or find_engine(settings)
    with scratch_folder() as folder:
        scene.write(folder / "scene")
        words = ["-m", "blockcore", "optimize", "--scene", str(folder / "scene"), f"--dry-run={form}"]
        try:
            answer = ask(python, *words, *settings_words(settings))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendError(f"{python}: gave no answer ({error}); choose another interpreter") from error
    if answer.returncode:
        raise BackendError(answer.stderr.decode(errors="replace").strip().removeprefix("blockcore: "))
    return answer.stdout.decode().strip()
