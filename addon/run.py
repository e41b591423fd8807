# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: the engine at work on what a job says, the preview meanwhile, the result afterwards.

The engine is a process of its own. Nothing here waits for it: ``tick`` looks at what it said since the last time.
"""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import bpy

from blockcore.errors import BackendError, Cancelled
from blockcore.io.folders import lasting_scratch
from blockcore.model.baked_light import BakedLight
from blockcore.model.scene import BlockScene
from blockcore.report import events
from bridge.blender.files import save_file
from bridge.blender.identity import find_objects
from bridge.blender.jobs import read_scene
from bridge.blender.preview import Preview
from bridge.blender.references import Remembered
from bridge.engine.baker import start_lit
from bridge.engine.environment import stand_back
from bridge.engine.lit import ROUNDS
from bridge.engine.materials import read_materials
from bridge.engine.optimize import start
from bridge.engine.process import EngineRun, Running
from bridge.job import Job

from .layouts import TimeLeft
from .outcome import Outcome, check_place, place_of, scene_of_run

_PATIENCE = 0.2  # seconds that a cancelled run waits for what is being started, which else clears up by itself


class Run:
    """A run under way.

    Attributes:
        headline: what the progress bar says.
        factor: how far it is, 0…1.
        loss_text: the loss, in words.
        time_text: the time left, in words.
    """

    _rounds = ROUNDS

    def __init__(self, job: Job, python: str, is_shown: bool) -> None:
        """Reads the open scene and starts the engine on it.

        Args:
            job: what to do.
            python: the engine's interpreter; "" to find one.
            is_shown: whether the viewport shows the materials as they come.

        Raises:
            BlockcoreError: the scene cannot be used.
        """
        self.headline, self.factor = "Starting the engine…", 0.0
        self.loss_text = self.time_text = ""
        self._job, self._python = job, python
        self._baking_left, self._steps_left = TimeLeft(), TimeLeft()
        self._scene = self._read(job)
        check_place(self._scene, in_place=job.result == "in_place")
        names = list(dict.fromkeys(self._scene.source.block_objects))
        self._remembered = Remembered(names, find_objects(names))
        self._scene_uid, self._layer = bpy.context.scene.session_uid, bpy.context.view_layer.name
        self._folder = lasting_scratch()
        self._blender, self._copy = bpy.app.binary_path, self._folder / "copy.blend"
        self._bakes = isinstance(self._scene.lighting, BakedLight) and job.settings.lighting == "scene"
        if self._bakes:
            save_file(self._copy)
        self._engine: Running | None = None
        self._problem: BaseException | None = None
        self._cancelled_at = 0.0
        self._ending, self._is_started, self._is_closed = threading.Lock(), False, False
        self._preview: Preview | None = None
        self._latest: str | None = None
        self._done: events.Done | None = None
        if is_shown:
            self.show_preview()
        self._starter = threading.Thread(target=self._start, name="engine start", daemon=True)
        self._starter.start()

    def _start(self) -> None:
        """Runs beside Blender's own thread, and touches nothing of Blender's."""
        try:
            self._scene.write(self._folder / "scene")
            if not self._cancelled_at:
                self._engine = self._launch()
        except BaseException as problem:
            self._problem = problem
        with self._ending:
            self._is_started = True
            if self._is_closed:  # nobody waited
                self._clear_up()

    def _launch(self) -> Running:
        if self._bakes:
            out = self._folder / "result"
            return start_lit(self._blender, self._copy, self._folder, out, self._choose, self._rounds, stand_back)
        run = self._choose(self._folder / "scene")
        stand_back(run.pid)
        return run

    def _read(self, job: Job) -> BlockScene:
        """Reads what the job asks for."""
        return read_scene(job)

    def _choose(self, scene: Path) -> EngineRun:
        """Starts the engine on a scene's folder; its result goes to "result", and what it has so far to a file."""
        preview = self._folder / "preview.npy"
        return start(scene, self._folder / "result", self._job.settings, self._python or None, preview)

    def tick(self) -> bool:
        """Takes in what happened since the last time; returns whether the result is there.

        Raises:
            Cancelled: the run was cancelled.
            BlockcoreError: the engine could not be started, refused the scene, or died.
        """
        if self._starter.is_alive():
            if self._cancelled_at:
                raise Cancelled("cancelled; nothing was changed")
            return False
        if self._problem is not None:
            raise self._problem
        if self._engine is None:
            raise Cancelled("cancelled; nothing was changed")
        if self._cancelled_at:
            self._engine.cancel()
        for event in self._engine.poll():
            self._take(event)
        if self._latest is not None and self._preview is not None and self._done is None:
            self._preview.update(read_materials(self._latest))
            self._latest = None
        return self._done is not None

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Started():
                self.headline = f"Looking at {event.views} views…"
            case events.Baking():
                self.factor = event.faces / event.of
                self.headline = f"Measuring the light of {event.faces} of {event.of} faces"
                self.loss_text, self.time_text = "", self._baking_left.words(self.factor, event.seconds)
            case events.Step():
                self.factor = event.step / event.steps
                is_last = event.step == event.steps
                self.headline = "Writing the report…" if is_last else f"Step {event.step} of {event.steps}"
                self.loss_text = f"Loss {event.loss:.2g}"
                self.time_text = self._steps_left.words(self.factor, event.seconds)
            case events.Preview():
                self._latest = event.path
            case events.Done():
                self._done = event
            case events.Failed():
                raise BackendError(event.message)
            case events.Stopped():
                raise Cancelled("cancelled; nothing was changed")

    @property
    def text(self) -> tuple[str, str, str]:
        """What the panel says about the run."""
        return self.headline, self.loss_text, self.time_text

    def cancel(self) -> None:
        """Asks the engine to stop; a later ``tick`` raises ``Cancelled``."""
        self._cancelled_at = self._cancelled_at or time.monotonic()
        self.headline = "Stopping…"

    def outcome(self) -> Outcome:
        """Returns what the engine found, once ``tick`` said that it is there; changes nothing in the scene."""
        assert self._done is not None
        out = Path(self._done.out)
        materials = read_materials(out / "materials.npy")
        source = replace(self._scene.source, block_objects=self._remembered.names_now(self._scene.source.block_objects))
        scene = replace(self._scene, source=source)
        place = place_of(scene, in_place=self._job.result == "in_place")
        return Outcome(self._done.result, place, str(out), scene, materials)

    def where(self) -> AbstractContextManager[None]:
        """Makes the scene that the run is for the open one, wherever the user went meanwhile."""
        return scene_of_run(self._scene_uid, self._layer)

    def show_preview(self) -> None:
        """Shows the preview in place of the blocks."""
        self._preview = Preview(self._scene)

    def hide_preview(self) -> None:
        """Leaves the scene as it was before the run."""
        if self._preview is not None:
            self._preview.remove()
            self._preview = None

    def close(self) -> None:
        """Ends the engine if it still runs, and leaves the scene as it was before the run. Keeps a result's folder."""
        self.cancel()
        self.hide_preview()
        self._starter.join(_PATIENCE)
        with self._ending:
            self._is_closed = True
            if self._is_started:
                self._clear_up()

    def _clear_up(self) -> None:
        if self._engine is not None:
            self._engine.close()
        if self._done is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            for name in ("scene", "lit scene"):
                shutil.rmtree(self._folder / name, ignore_errors=True)
            for name in ("copy.blend", "bounce.npy"):
                (self._folder / name).unlink(missing_ok=True)
