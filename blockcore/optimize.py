"""Finds each block's material from posed pictures, by gradient descent on all visible blocks' logits at once.

Visibility is found once per view. A step then is: soft-max the logits, compute the loss of the blended face colours,
take the gradient, let Adam move the logits. The final assignment is the likeliest material, without any sampling.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from blockcore.device import choose_device
from blockcore.errors import Cancelled, SceneError
from blockcore.losses import Objective, choose_objective
from blockcore.scene import BlockScene, View
from blockcore.settings import OptimizeSettings
from blockcore.shading import best_materials, gumbel_noise, material_probabilities, radiance_of
from blockcore.statistics import face_statistics
from blockcore.visibility import choose_rasterizer, rasterize
from blockcore.visible import VisibleFaces, visible_faces

_CONFIDENT = 0.99  # a block whose likeliest material has this share will not change its mind
_LOOK_EVERY = 10  # steps between two looks at what changed; a look costs more than a small step


@dataclass(frozen=True, eq=False)
class Progress:
    """How far an optimisation is.

    Attributes:
        step: steps taken.
        steps: the most that will be taken.
        loss: mean squared error per pixel and channel of the last step, of values in 0…1.
        temperature: of the last step.
        seconds: since the optimisation began.
        changed: blocks whose best material is another than at the last report.
        materials: (N,) int32, the assignment as it stands.
    """

    step: int
    steps: int
    loss: float
    temperature: float
    seconds: float
    changed: int
    materials: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """What an optimisation found.

    Attributes:
        initial: (N,) int32, the assignment it started from.
        materials: (N,) int32, the assignment it found; unseen blocks keep the scene's material.
        visible_blocks: (V,) int64, indices of the blocks that some view shows.
        steps: steps taken.
        seconds: wall time, visibility included.
        losses: loss of each step.
        temperatures: temperature of each step.
        device: where tensors lived.
        rasterizer: what filled the visibility.
    """

    initial: npt.NDArray[np.int32]
    materials: npt.NDArray[np.int32]
    visible_blocks: npt.NDArray[np.int64]
    steps: int
    seconds: float
    losses: tuple[float, ...]
    temperatures: tuple[float, ...]
    device: str
    rasterizer: str


def optimize_materials(
    scene: BlockScene,
    settings: OptimizeSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> OptimizeResult:
    """Finds the material of every block that some view with a target shows.

    Args:
        scene: blocks, palette, light and views; views without a target are left out.
        settings: how to look; the defaults if None.
        progress: called every few steps.
        cancelled: asked at every step; true stops the optimisation.

    Returns:
        The assignment found, and how.

    Raises:
        SceneError: there is no block or no view with a target.
        BackendError: the device or rasteriser asked for is not to be had.
        Cancelled: ``cancelled`` said so.
    """
    settings = settings or OptimizeSettings()
    began = time.perf_counter()
    device, _ = choose_device(settings.device)
    rasterizer, _ = choose_rasterizer(settings.rasterizer, device.type)
    views = views_with_target(scene)
    visible = _look(scene, views, rasterizer, device, cancelled)
    radiance = radiance_of(scene.palette, scene.lighting, device, torch.float64)
    targets = [view.target for view in views if view.target is not None]
    statistics = face_statistics(visible, targets, scene.lighting.background)
    objective = choose_objective(settings, visible, statistics, radiance, targets)
    descent = Descent(scene, settings, visible, objective, began)
    initial = descent.materials()
    losses, temperatures = descent.run(progress, cancelled)
    return OptimizeResult(
        initial=initial,
        materials=descent.materials(),
        visible_blocks=visible.blocks.cpu().numpy(),
        steps=len(losses),
        seconds=time.perf_counter() - began,
        losses=tuple(losses),
        temperatures=tuple(temperatures),
        device=str(device),
        rasterizer=rasterizer,
    )


def views_with_target(scene: BlockScene) -> list[View]:
    """Returns the views that can be optimised against.

    Raises:
        SceneError: there is no block or no such view.
    """
    if len(scene.grid) == 0:
        raise SceneError("scene: has no blocks; add some before optimising")
    views = [view for view in scene.views if view.target is not None]
    if not views:
        raise SceneError("scene: no camera has a target picture; give at least one camera a background image")
    return views


def _look(
    scene: BlockScene,
    views: list[View],
    rasterizer: str,
    device: torch.device,
    cancelled: Callable[[], bool] | None,
) -> VisibleFaces:
    faces = scene.grid.exposed_faces
    seen = []
    for view in views:
        if cancelled is not None and cancelled():
            raise Cancelled("optimisation cancelled")
        seen += rasterize(faces, [view.camera], rasterizer)
    return visible_faces(faces, seen, device)


class Descent:
    """Logits on their way down."""

    def __init__(
        self,
        scene: BlockScene,
        settings: OptimizeSettings,
        visible: VisibleFaces,
        objective: Objective,
        began: float,
    ) -> None:
        self.scene, self.settings, self.visible, self.objective = scene, settings, visible, objective
        self.began = began
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.logits = torch.nn.Parameter(_start(scene, settings, visible, self.generator))
        # Blocks of one pixel have gradients far below Adam's usual epsilon; each must move as fast as the others.
        self.adam = torch.optim.Adam([self.logits], lr=settings.learning_rate, eps=1e-15)

    def run(
        self, progress: Callable[[Progress], None] | None, cancelled: Callable[[], bool] | None
    ) -> tuple[list[float], list[float]]:
        """Steps until nothing changes any more; returns the losses and temperatures."""
        steps = self.settings.steps
        temperatures = temperature_schedule(self.settings)
        losses: list[torch.Tensor] = []
        best, settled_since = best_materials(self.logits), 0
        for step, temperature in enumerate(temperatures, start=1):
            if cancelled is not None and cancelled():
                raise Cancelled("optimisation cancelled")
            losses.append(self.step(temperature))
            if step % _LOOK_EVERY and step != steps:
                continue
            now = best_materials(self.logits)
            changed = int((now != best).sum())
            best, settled_since = now, step if changed else settled_since
            if progress is not None:
                loss, seconds = float(losses[-1]), time.perf_counter() - self.began
                progress(Progress(step, steps, loss, temperature, seconds, changed, self.materials()))
            if self._settled(step - settled_since, temperature):
                break
        return torch.stack(losses).tolist(), temperatures[: len(losses)]

    def step(self, temperature: float) -> torch.Tensor:
        """Takes one step; returns the loss it saw, without waiting for the device."""
        noise = None
        if self.settings.relaxation == "gumbel":
            noise = gumbel_noise(self.logits.shape, self.generator, torch.float32).to(self.logits.device)
        self.adam.zero_grad(set_to_none=True)
        shares = material_probabilities(self.logits, temperature, self.settings.hard, noise)
        loss = self.objective(shares)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        return self.objective.mean(loss.detach())

    def materials(self) -> npt.NDArray[np.int32]:
        """The assignment as it stands, (N,) int32; unseen blocks keep the scene's."""
        materials = self.scene.materials.copy()
        materials[self.visible.blocks.cpu().numpy()] = best_materials(self.logits).cpu().numpy()
        return materials

    def _settled(self, steps_unchanged: int, temperature: float) -> bool:
        if self.settings.patience == 0 or steps_unchanged < self.settings.patience:
            return False
        shares = material_probabilities(self.logits.detach(), temperature)
        return bool((shares.amax(dim=1) > _CONFIDENT).all())


def temperature_schedule(settings: OptimizeSettings) -> list[float]:
    """Returns the temperature of each step: geometric from start to end."""
    return [float(t) for t in np.geomspace(settings.temperature_start, settings.temperature_end, settings.steps)]


def _start(
    scene: BlockScene, settings: OptimizeSettings, visible: VisibleFaces, generator: torch.Generator
) -> torch.Tensor:
    shape = (len(visible.blocks), len(scene.palette))
    random = settings.init == "random"
    logits = torch.randn(shape, generator=generator) if random else torch.zeros(shape)
    if settings.init == "map":
        materials = torch.tensor(scene.materials, dtype=torch.int64)[visible.blocks.cpu()]
        logits[torch.arange(shape[0]), materials] = 3.0
    return logits.to(visible.device)
