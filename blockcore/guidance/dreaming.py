"""The loop that follows a guidance: look from new cameras, render, ask, step; then one material for each block.

What is random in a step follows from the seed and the step's number, so that a loop that goes on from what was kept of
it ends as one that was never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from blockcore.assignment.constraints import Constraints
from blockcore.assignment.decide import decide
from blockcore.descent.descent import BARRED, lean_towards, temperature_schedule
from blockcore.descent.progress import Progress
from blockcore.errors import Cancelled, SceneError, SettingsError
from blockcore.guidance.kept import Kept, LoopState
from blockcore.guidance.protocol import Guidance, generator_of
from blockcore.guidance.shots import CameraSampler, Shots
from blockcore.machine import memory
from blockcore.machine.device import choose_device
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.renderer import DifferentiableBlockRenderer
from blockcore.shading.radiance import best_materials

_START, _DRAWN = 2, 3  # tell what is drawn apart from what guidances draw in a step
_LOOK_EVERY = 10  # steps between two looks at what changed


@dataclass(frozen=True)
class Pictures:
    """What a step renders.

    Attributes:
        count: pictures a step.
        size: their edge in pixels.
        samples: each pixel is the mean of samples × samples.
    """

    count: int = 1
    size: int = 512
    samples: int = 1

    def __post_init__(self) -> None:
        for name, most in (("count", 64), ("size", 4096), ("samples", 8)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise SettingsError(f"pictures: {name} {value!r} must be a whole number from 1 to {most}")


@dataclass(frozen=True, eq=False)
class Dreamed:
    """What came of following a guidance.

    Attributes:
        materials: (N,) int32, the assignment found.
        visible_blocks: (V,) int64, indices of the blocks that some picture showed.
        logits: (N, M) float32, what they were decided from; blocks that no picture showed keep those of the start.
        losses: what the guidance said in each step.
        temperatures: of each step.
        seconds: wall time of the steps that were taken here.
        device: where tensors lived.
        rasterizer: what filled the visibility.
    """

    materials: npt.NDArray[np.int32]
    visible_blocks: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    losses: tuple[float, ...]
    temperatures: tuple[float, ...]
    seconds: float
    device: str
    rasterizer: str


def dream(
    scene: BlockScene,
    guidance: Guidance,
    sampler: CameraSampler | None = None,
    settings: OptimizeSettings | None = None,
    pictures: Pictures | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    kept: Kept | None = None,
) -> Dreamed:
    """Finds the materials of a scene's blocks that a guidance likes, seen from cameras drawn anew in each step.

    Args:
        scene: blocks, palette and light; its views are not looked at.
        guidance: says how little pictures are what one has in mind.
        sampler: draws the cameras; around all blocks if None, by the seed of the settings.
        settings: of ``search`` the steps, step size, temperatures, relaxation, start and seed; ``rules``, whose
            smoothness costs so much of a logit for each seam; and ``machine``.
        pictures: what each step renders.
        progress: called every few steps.
        cancelled: asked at every step.
        kept: what is kept of the loop while it runs, to go on from.

    Returns:
        The assignment found, and how.

    Raises:
        SceneError: there is no block.
        SettingsError: rules contradict each other or the scene, or the guidance says what is not a finite number.
        BackendError: the device or rasteriser asked for is not to be had, or its memory is too small.
        Cancelled: ``cancelled`` said so; what is kept stays.
    """
    settings = settings or OptimizeSettings()
    loop = DreamLoop(scene, guidance, sampler, settings, pictures)
    began = time.perf_counter()
    state = None if kept is None else kept.read((len(scene.grid), len(scene.palette)))
    if state is not None:
        loop.go_on(state)
    try:
        while loop.step < settings.steps:
            if cancelled is not None and cancelled():
                raise Cancelled("the dream was stopped")
            loop.take()
            if progress is not None and (loop.step % _LOOK_EVERY == 0 or loop.step == settings.steps):
                progress(loop.progress(time.perf_counter() - began))
            if kept is not None and kept.is_due:
                kept.keep(loop.state())
    except (Cancelled, KeyboardInterrupt):
        if kept is not None and loop.step:
            kept.keep(loop.state())
        raise
    return loop.decided(time.perf_counter() - began)


class DreamLoop:
    """Logits on their way, a step at a time.

    Attributes:
        logits: the parameter, (N, M) float32.
        adam: what moves it.
        step: how many steps were taken.
        losses: what the guidance said in each.
        seen: (N,) bool on the logits' device: which blocks some picture showed.
    """

    def __init__(
        self,
        scene: BlockScene,
        guidance: Guidance,
        sampler: CameraSampler | None = None,
        settings: OptimizeSettings | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        if not len(scene.grid):
            raise SceneError("the scene has no block; there is nothing to find materials for")
        settings = settings or OptimizeSettings()
        self.scene, self.guidance, self.settings = scene, guidance, settings
        self.pictures = pictures or Pictures()
        self.sampler = sampler or CameraSampler.around(scene.grid, seed=settings.seed)
        device = torch.device(choose_device(settings.device)[0].type)
        grid, looks = scene.grid, (scene.palette, scene.lighting, settings.rasterizer)
        self.renderer = DifferentiableBlockRenderer(
            grid.size, grid.world_scale, device, *looks, remembered_views=0, remembered_pixels=0
        )
        self.logits = torch.nn.Parameter(_start(scene, settings).to(device))
        self.adam = torch.optim.Adam([self.logits], lr=settings.learning_rate)
        self.barred = self._barred(device)
        self.temperatures = temperature_schedule(settings)
        self.step, self.losses = 0, list[float]()
        self.seen = torch.zeros(len(grid), dtype=torch.bool, device=device)
        self._best = best_materials(self.logits)

    def _barred(self, device: torch.device) -> torch.Tensor | None:
        if not self.settings.constrained:
            return None
        allowed = torch.from_numpy(Constraints.of(self.settings.rules, self.scene).allowed)
        return torch.where(allowed, 0.0, BARRED).to(device)

    def take(self) -> None:
        """Takes one step.

        Raises:
            SettingsError: the guidance says what is not a finite number.
            BackendError: the GPU's memory is too small.
        """
        shots = self.sampler.shots(self.step, self.pictures.count)
        self.adam.zero_grad(set_to_none=True)
        with memory.cuda_errors("a step of the dream", "use fewer or smaller pictures, or a smaller model"):
            loss = self.guidance(self.render(shots), shots, self.step)
            loss.backward()  # type: ignore[no-untyped-call]
        value, gradient = float(loss.detach()), self.logits.grad
        if not np.isfinite(value) or gradient is None or not bool(torch.isfinite(gradient).all()):
            raise SettingsError(f"the guidance's loss or gradient is not finite in step {self.step + 1} ({value:g})")
        self.seen |= (gradient != 0.0).any(dim=1)
        self.adam.step()
        self.losses.append(value)
        self.step += 1

    def render(self, shots: Shots) -> torch.Tensor:
        """Returns what shots show of the blocks as they stand, (B, 3, H, W)."""
        settings, size = self.settings, self.pictures.size
        self.renderer.lighting = shots.lighting or self.scene.lighting
        logits = self.logits if self.barred is None else self.logits + self.barred
        behind = None if shots.background is None else torch.from_numpy(shots.background).to(logits)
        rgba: torch.Tensor = self.renderer.render(
            self.scene.grid.positions,
            logits,
            torch.from_numpy(shots.view),
            torch.from_numpy(shots.proj),
            size,
            size,
            self.temperatures[min(self.step, len(self.temperatures) - 1)],
            relaxation=settings.relaxation,
            hard=settings.hard,
            generator=generator_of(settings.seed, self.step, _DRAWN),
            background=behind,
            samples=self.pictures.samples,
        )
        return rgba[:, :3]

    def state(self) -> LoopState:
        """Returns what the loop has to know to go on; at least one step was taken."""
        moments = self.adam.state[self.logits]
        tensors = self.logits.detach(), moments["exp_avg"], moments["exp_avg_sq"], self.seen
        logits, mean, square, seen = (tensor.cpu().numpy() for tensor in tensors)
        return LoopState(logits, mean, square, seen, np.array(self.losses))

    def go_on(self, state: LoopState) -> None:
        """Lets the loop be where another one was."""
        device, step = self.logits.device, len(state.losses)
        with torch.no_grad():
            self.logits.copy_(torch.tensor(state.logits))
        self.adam.state[self.logits] = {
            "step": torch.tensor(float(step)),
            "exp_avg": torch.tensor(state.mean, device=device),
            "exp_avg_sq": torch.tensor(state.square, device=device),
        }
        self.seen = torch.tensor(state.seen, device=device)
        self.step, self.losses = step, state.losses.tolist()

    def progress(self, seconds: float) -> Progress:
        """Returns how far the loop is; ``changed`` is counted from the last time that it was asked."""
        best = self._best
        self._best = best_materials(self.logits.detach())
        changed = int((self._best != best).sum())
        temperature = self.temperatures[self.step - 1]
        materials = self._best.cpu().numpy().astype(np.int32)
        return Progress(self.step, self.settings.steps, self.losses[-1], temperature, seconds, changed, materials)

    def decided(self, seconds: float) -> Dreamed:
        """Returns one material for each block, within what a builder asks."""
        logits = self.logits.detach()
        blocks = self.seen.nonzero().squeeze(1)
        values = logits[blocks].double()
        reluctance = values.amax(dim=1, keepdim=True) - values  # what logits do not favour costs
        seen = blocks.cpu().numpy()
        decision = decide(self.scene, self.settings, seen, float(len(seen)), reluctance.cpu().numpy())
        return Dreamed(
            materials=decision.materials,
            visible_blocks=seen,
            logits=logits.cpu().numpy(),
            losses=tuple(self.losses),
            temperatures=tuple(self.temperatures[: self.step]),
            seconds=seconds,
            device=logits.device.type,
            rasterizer=self.settings.rasterizer,
        )


def _start(scene: BlockScene, settings: OptimizeSettings) -> torch.Tensor:
    shape = len(scene.grid), len(scene.palette)
    if settings.init == "solve":
        raise SettingsError(
            "init 'solve' needs pictures to solve for, and a dream has none; use random, uniform or map"
        )
    if settings.init == "map":
        return lean_towards(torch.from_numpy(scene.materials.astype(np.int64)), shape[1])
    drawn = torch.randn(shape, generator=generator_of(settings.seed, 0, _START))
    return drawn if settings.init == "random" else 1e-3 * drawn  # equal ones would stay equal
