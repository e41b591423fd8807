# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way from a model in the open file to blocks that look like it, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.events import Working
from blockcore.report.summary import ModelSummary, Summary
from bridge.blender.held import held
from bridge.blender.light import baked
from bridge.blender.model_blocks import Fitted, add_light, fit_blocks, render_views, scene_of
from bridge.blender.model_world import Order, edits_of, model_of, order_of, palette_of, put_blocks, revealed
from bridge.model.edits import HAND, Carried, Edits, carry
from bridge.model.engine import choose

Watch = Callable[[Working], None]
_ROUNDS = 2  # of measuring the light: the second knows what colours bounce
_SHARES = {"blocks": 0.08, "views": 0.55, "light": 0.13, "materials": 0.055}
"""Of the whole time, on average: reading and making blocks, rendering, and each round's light and materials."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be made.

    Attributes:
        objects: the model's.
        order: how.
        palette: the materials.
        edits: what a user did to earlier blocks of the model, or None.
        earlier: the object that shows those, or None.
        engine: the engine's interpreter; see ``bridge.model.engine``.
        report: folder for the engine's result, or None.
    """

    objects: Sequence[Any]
    order: Order
    palette: Palette
    edits: Edits | None = None
    earlier: Any | None = None
    engine: str | None = None
    report: Path | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """Blocks that look like a model; nothing of them is shown yet.

    Attributes:
        scene: the blocks with their materials, the views they were chosen by, and the light.
        summary: the figures.
    """

    scene: BlockScene
    summary: ModelSummary


def update_task(world: Any, engine: str | None = None, report: Path | None = None) -> Task:
    """Returns what makes a model's blocks anew, as they were made, keeping what a user did to them.

    Raises:
        SceneError: the object shows no blocks of a model, or that is gone.
    """
    order = order_of(world)
    edits = edits_of(world)
    return Task(model_of(world), order, palette_of(world), edits, world, engine, report)


def make(task: Task, watch: Watch = lambda working: None) -> Made:
    """Makes blocks of a model; adds its cameras, and light to a scene without any.

    Args:
        task: what.
        watch: told what is under way.

    Raises:
        BlockcoreError: the model or the order cannot be used.
    """
    # Blocks beside the model, which the new ones take the place of, would reflect light on it.
    switches = [] if task.earlier is None else [(task.earlier, name, True) for name in ("hide_viewport", "hide_render")]
    with held(switches), revealed(task.objects):
        return _made(task, _Stages(watch, _stages_of(task)))


def put(made: Made, task: Task) -> Any:
    """Shows what was made in the open file, and returns the object that does."""
    return put_blocks(made.scene, task.objects, task.order, task.earlier)


def _made(task: Task, stages: _Stages) -> Made:
    with stages("blocks", "Making blocks"):
        fitted = fit_blocks(task.objects, task.order.wish, task.engine)
    add_light()
    with stages("views", "Rendering the model") as told:
        render_views(fitted, lambda done, of: told(done / of, f"Rendering view {done} of {of}"))
    carried = Carried(scene_of(fitted, task.palette))
    if task.edits is not None:
        carried = carry(task.edits, carried.scene)
    scene, result = _choose(carried.scene, task, stages)
    return Made(scene, _summary(fitted, scene, result, carried, stages))


def _choose(scene: BlockScene, task: Task, stages: _Stages) -> tuple[BlockScene, Summary]:
    """Finds the materials in the scene's own light, in turn with measuring it, or in the light that settings name."""
    settings = _with_lock(task.order.settings, scene)
    own = _in_own_light(task)
    rounds = _ROUNDS if own else 1
    for number in range(1, rounds + 1):
        if own:
            with stages("light", f"Measuring the light, round {number} of {_ROUNDS}") as told:
                scene = baked(scene, progress=lambda done, of: told(done / of))
        with stages("materials", f"Choosing materials, round {number} of {_ROUNDS}" if own else "Choosing materials"):
            materials, result = choose(scene, settings, task.engine, task.report if number == rounds else None)
        scene = scene.with_materials(materials)
    return scene, result


def _in_own_light(task: Task) -> bool:
    return bool(task.order.settings.lighting == "scene")


def _stages_of(task: Task) -> list[str]:
    return ["blocks", "views", *(("light", "materials") * _ROUNDS if _in_own_light(task) else ("materials",))]


def _with_lock(settings: OptimizeSettings, scene: BlockScene) -> OptimizeSettings:
    if HAND not in scene.regions:
        return settings
    return replace(settings, rules=replace(settings.rules, locked=(*settings.rules.locked, HAND)))


def _summary(fitted: Fitted, scene: BlockScene, result: Summary, carried: Carried, stages: _Stages) -> ModelSummary:
    voxels = fitted.fit.voxels
    counts = np.bincount(scene.materials, minlength=len(scene.palette))
    return ModelSummary(
        blocks=len(scene.grid),
        visible_blocks=result.visible_blocks,
        grid=scene.grid.size,
        block_size=scene.grid.world_scale,
        outline_match=fitted.fit.match,
        psnr=result.psnr_after,
        seconds=stages.seconds,
        stages=stages.times,
        leaked_cells=voxels.leaked,
        left_out=fitted.model.left_out,
        materials={name: int(count) for name, count in zip(scene.palette.names, counts, strict=True) if count},
        kept=carried.kept,
        lost=carried.lost,
    )


class _Stages:
    """Tells which stage is under way, and adds up how long each takes.

    Attributes:
        times: seconds by the stage's key.
    """

    def __init__(self, watch: Watch, keys: Sequence[str]) -> None:
        self._watch, self._begun, self._share = watch, time.monotonic(), 0.0
        self._whole = sum(_SHARES[key] for key in keys)
        self.times: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """How long it has been since the start."""
        return time.monotonic() - self._begun

    @contextmanager
    def __call__(self, key: str, stage: str) -> Iterator[Callable[..., None]]:
        """Enters a stage; what it yields tells how much of the stage is done, and a better name for it."""
        start, base = self.seconds, self._share
        part = _SHARES[key] / self._whole

        def told(share: float, name: str = stage) -> None:
            self._watch(Working(name, base + part * share, self.seconds))

        told(0.0)
        yield told
        self._share = base + part
        self.times[key] = self.times.get(key, 0.0) + self.seconds - start
