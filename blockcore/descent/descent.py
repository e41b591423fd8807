"""Gradient descent on all visible blocks' logits at once.

A step is: soft-max the logits, compute the loss of the blended face colours, take the gradient, let Adam move the
logits. The final assignment is the likeliest material, without any sampling. On a GPU steps are those of
``fast_steps`` where it has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from blockcore.descent.fast_steps import BETAS, EPSILON, FastSteps, fits
from blockcore.descent.objectives import Objective
from blockcore.descent.progress import Progress
from blockcore.errors import Cancelled
from blockcore.machine.workers import Share
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.shading.radiance import best_materials, gumbel_noise, material_probabilities
from blockcore.visibility.faces import VisibleFaces

_CONFIDENT = 0.99  # a block whose likeliest material has this share will not change its mind
_LOOK_EVERY = 10  # steps between two looks at what changed; a look costs more than a small step
BARRED = -1e4  # logit of a material that a block may not have: its share is 0 at any temperature
_HEAD_START = 3.0  # logit of the material a block starts with


class Descent:
    """Logits on their way down; of several processes each moves those of its share of the blocks.

    Attributes:
        logits: (V, M) float32, of this process's visible blocks.
    """

    def __init__(
        self,
        scene: BlockScene,
        settings: OptimizeSettings,
        visible: VisibleFaces,
        objective: Objective,
        began: float,
        start: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
        share: Share | None = None,
    ) -> None:
        """Begins.

        Args:
            scene: blocks and palette.
            settings: how to descend.
            visible: what the views show.
            objective: what is minimised, as a function of the blocks of ``share``.
            began: when the optimisation began, by ``time.perf_counter``.
            start: float32 logits, (V, M) of the blocks of ``share``; as the settings say if None.
            generator: draws what is random, after what it drew for ``start``; by the settings' seed if None.
            share: this process's blocks; all if None.
        """
        self.scene, self.settings, self.visible, self.objective = scene, settings, visible, objective
        self.began = began
        self.generator = generator or torch.Generator().manual_seed(settings.seed)
        self.share = share or Share(0, len(visible.blocks), len(visible.blocks))
        if start is None:
            start = starting_logits(scene, settings, visible, self.generator)[self.share.rows].to(visible.device)
        self.logits = torch.nn.Parameter(start.clone())
        self.adam = torch.optim.Adam([self.logits], lr=settings.learning_rate, betas=BETAS, eps=EPSILON)
        self.fast: FastSteps | None = None
        if visible.device.type == "cuda" and fits(objective, settings):
            self.fast = FastSteps(self.logits, objective, settings, temperature_schedule(settings))

    def run(
        self, progress: Callable[[Progress], None] | None, cancelled: Callable[[], bool] | None
    ) -> tuple[list[float], list[float]]:
        """Steps until nothing changes any more; returns the losses and temperatures."""
        steps = self.settings.steps
        temperatures = temperature_schedule(self.settings)
        losses: list[torch.Tensor] = []
        best, settled_since = self._best(), 0
        for step in range(_LOOK_EVERY, steps + _LOOK_EVERY, _LOOK_EVERY):
            upcoming = temperatures[step - _LOOK_EVERY : step]
            step = min(step, steps)
            losses.append(self.take(upcoming, cancelled))
            now = self._best()
            differ, best = (now != best).sum(), now
            if progress is None and not self.settings.patience:
                continue  # nobody asks what changed, and the host need not wait to know
            changed = int(differ)
            settled_since = step if changed else settled_since
            if progress is not None:
                loss, seconds = float(losses[-1][-1]), time.perf_counter() - self.began
                progress(Progress(step, steps, loss, upcoming[-1], seconds, changed, self._materials(now)))
            if self._settled(step - settled_since, upcoming[-1]):
                break
        every = torch.cat(losses).tolist()
        return every, temperatures[: len(every)]

    def take(self, temperatures: list[float], cancelled: Callable[[], bool] | None = None) -> torch.Tensor:
        """Takes steps at the scheduled temperatures that come next; returns their losses, one each."""
        if cancelled is not None and cancelled():
            raise Cancelled("optimisation cancelled")
        if self.fast is not None:
            losses = self.objective.mean(self.fast.take(len(temperatures)))
            self.logits.data.copy_(self.fast.logits)
            return self._of_all(losses)
        taken = []
        for temperature in temperatures:
            if cancelled is not None and cancelled():
                raise Cancelled("optimisation cancelled")
            taken.append(self.step(temperature))
        return self._of_all(torch.stack(taken))

    def step(self, temperature: float) -> torch.Tensor:
        """Takes one step by autograd; returns the loss it saw of its share, without waiting for the device."""
        noise = None
        if self.settings.relaxation == "gumbel":
            every = gumbel_noise((self.share.total, self.logits.shape[1]), self.generator, torch.float32)
            noise = every[self.share.rows].to(self.logits.device)
        self.adam.zero_grad(set_to_none=True)
        shares = material_probabilities(self.logits, temperature, self.settings.hard, noise)
        loss = self.objective(shares)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        return self.objective.mean(loss.detach())

    def _best(self) -> torch.Tensor:
        """Returns the likeliest material of every visible block, whosever it is, (V,) int32."""
        best: torch.Tensor = self.share.every(best_materials(self.logits).int())
        return best

    def _of_all(self, losses: torch.Tensor) -> torch.Tensor:
        """Adds up what steps saw of each share."""
        summed: torch.Tensor = self.share.workers.add_up(losses)
        return summed

    def _materials(self, best: torch.Tensor) -> npt.NDArray[np.int32]:
        """Returns the assignment as it stands, (N,) int32; unseen blocks keep the scene's."""
        materials = self.scene.materials.copy()
        materials[self.visible.blocks.cpu().numpy()] = best.cpu().numpy()
        return materials

    def _settled(self, steps_unchanged: int, temperature: float) -> bool:
        if self.settings.patience == 0 or steps_unchanged < self.settings.patience:
            return False
        noisy = self.settings.relaxation == "gumbel"  # noise outweighs what a low temperature makes of a small lead
        shares = material_probabilities(self.logits.detach(), max(temperature, 1.0) if noisy else temperature)
        undecided = (~(shares.amax(dim=1) > _CONFIDENT)).sum()
        return int(self.share.workers.add_up(undecided)) == 0


def temperature_schedule(settings: OptimizeSettings) -> list[float]:
    """Returns the temperature of each step: geometric from start to end."""
    return [float(t) for t in np.geomspace(settings.temperature_start, settings.temperature_end, settings.steps)]


def starting_logits(
    scene: BlockScene, settings: OptimizeSettings, visible: VisibleFaces, generator: torch.Generator
) -> torch.Tensor:
    """Returns the (V, M) float32 logits that ``settings.init`` asks for, on the CPU."""
    shape = (len(visible.blocks), len(scene.palette))
    if settings.init == "map":
        return lean_towards(torch.tensor(scene.materials, dtype=torch.int64)[visible.blocks.cpu()], shape[1])
    return torch.randn(shape, generator=generator) if settings.init == "random" else torch.zeros(shape)


def lean_towards(materials: torch.Tensor, count: int) -> torch.Tensor:
    """Returns (V, ``count``) float32 logits that prefer the given materials, (V,) int64."""
    return _HEAD_START * torch.nn.functional.one_hot(materials, count).float()
