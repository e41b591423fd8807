"""The problem an optimisation solves: what is seen, under which light and exposure, and what each choice costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.assignment.constraints import Constraints
from blockcore.assignment.edges import MixedPixels, split_mixed
from blockcore.assignment.exposure import first_gains, refined_gains
from blockcore.assignment.light_fit import brightened, fit_lighting
from blockcore.assignment.losses import chosen_loss, guiding_loss
from blockcore.assignment.solve import assignment_cost, cheapest_materials, confidence_margins, least_cost
from blockcore.assignment.statistics import FaceStatistics, cost_table, face_statistics
from blockcore.errors import Cancelled, SceneError
from blockcore.machine import memory, workers
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.lighting import UNLIT, WEBGPU_LIGHTING, Lighting
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.arrays import Array, device_of, host, namespace, placed, sum_by
from blockcore.ops.costs import add_pixel_costs
from blockcore.visibility import ON_GPU, rasterize
from blockcore.visibility.buffer import Visibility
from blockcore.visibility.faces import VisibleFaces, visible_faces
from blockcore.visibility.texels import looks_radiance

Pictures = list[npt.NDArray[np.uint8]]

_ROUNDS = 12  # of materials and light or exposure in turn, if they do not stop changing before
_BRIGHTNESS = (0.5, 0.7, 1.0, 1.4, 2.0)  # tried when light is to be fitted: a start far off ends far off


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that is fixed while materials are chosen, and what is found besides them.

    Attributes:
        visible: what the views show, at ``samples`` times their size.
        targets: per view (H, W, 3 or 4) uint8, at their own size.
        weights: of the views.
        lighting: the light, fitted if so asked.
        gains: (views, 3) exposure and white balance of each view.
        radiance: (M, L, 3) float64, what each material sends to the camera under that light.
        statistics: of the targets, each sample counted as a part of a pixel.
        costs: (V, M) float64: summed losses. For losses of whole pictures those of a squared loss, as a guide; where a
            pixel has several samples, as if each of them had to be as the target is.
        outside: loss of what shows no block.
        mixed: the pixels with several samples that differ, or None.
        alone: (V, M) costs of the other pixels, or None.
        power: of the error in the costs: 2, or 1 for an absolute loss.
    """

    visible: VisibleFaces
    targets: Pictures
    weights: Sequence[float]
    lighting: Light
    gains: npt.NDArray[np.float64]
    radiance: Array
    statistics: FaceStatistics
    costs: Array
    outside: float
    mixed: MixedPixels | None = None
    alone: Array | None = None

    power: float = 2.0

    @property
    def plain(self) -> bool:
        """Whether face sums say all about a squared loss."""
        return self.mixed is None and bool((self.gains == 1.0).all())

    @property
    def alike(self) -> bool:
        """Whether all views weigh the same."""
        return all(weight == 1.0 for weight in self.weights)

    @cached_property
    def blocks(self) -> npt.NDArray[np.int64]:
        """(V,) the visible blocks, ascending."""
        return host(self.visible.blocks)

    @cached_property
    def pixels(self) -> float:
        """How many pixels show a block."""
        return float(self.statistics.count.sum())

    def loss(self, materials: Array) -> float:
        """Returns the summed loss of an assignment, (V,) int64."""
        if self.mixed is None or self.alone is None:
            return assignment_cost(self.costs, materials) + self.outside
        error = self.mixed.error(host(self.radiance), host(materials))
        return assignment_cost(self.alone, materials) + error + self.outside

    def mean_loss(self, materials: Array) -> float:
        """Returns the loss of an assignment per pixel and channel."""
        return self.loss(materials) / (3 * self.statistics.pixels)

    def least_loss(self) -> float:
        """Returns a loss that no assignment can go below; mixed pixels can only add to it."""
        return least_cost(self.costs if self.alone is None else self.alone) + self.outside

    def margins(self, materials: Array) -> npt.NDArray[np.float64]:
        """Returns (V,) how clearly the pictures speak for an assignment; see ``solve.confidence_margins``."""
        pixels = sum_by(self.statistics.count, self.visible.block, len(self.blocks))
        return host(confidence_margins(self.costs, materials, pixels, self.power))


def look(
    scene: BlockScene,
    views: Sequence[View],
    samples: int,
    rasterizer: str,
    device: Any,
    cancelled: Callable[[], bool] | None,
) -> VisibleFaces:
    """Finds what the views show, ``samples`` times a pixel along each axis; processes working together share them.

    Args:
        scene: blocks, palette and light.
        views: the views.
        samples: per axis of a pixel.
        rasterizer: what finds it.
        device: where tensors shall live; None for numpy arrays.
        cancelled: asked at every view.

    Raises:
        Cancelled: ``cancelled`` said so.
    """
    faces = scene.grid.exposed_faces
    cameras = [
        replace(view.camera, width=samples * view.camera.width, height=samples * view.camera.height) for view in views
    ]
    sizes = [(camera.width, camera.height) for camera in cameras]
    needed = memory.estimate(len(faces), len(scene.grid), len(scene.palette), sizes, rasterizer, compared=False)
    keep = None if device is None else memory.where_to_keep(device, needed)
    team, found = workers.current(), {}
    for index in team.mine([width * height for width, height in sizes]):
        if cancelled is not None and cancelled():
            raise Cancelled("optimisation cancelled")
        (visibility,) = rasterize(faces, [cameras[index]], rasterizer)
        shown = _unmasked(visibility, views[index], samples).triangle_id
        found[index] = placed(shown, keep) if isinstance(shown, np.ndarray) else shown.to(keep)
    if rasterizer in ON_GPU:
        from blockcore.visibility import cuda

        cuda.release_large()
    seen = [Visibility(ids) for ids in team.exchange(found, [(height, width) for width, height in sizes], device, keep)]
    return visible_faces(faces, cameras, seen, scene.palette, device, keep, scene.lighting)


def pose(scene: BlockScene, settings: OptimizeSettings, views: Sequence[View], visible: VisibleFaces) -> Problem:
    """Sums the targets, finds light and exposure where they are to be found, and works out what each choice costs.

    Args:
        scene: blocks, palette and light.
        settings: loss, samples, lighting and exposure.
        views: those with a target.
        visible: what they show, from ``look``.

    Raises:
        SceneError: no pixel of a target counts.
        SettingsError: constraints contradict each other or the scene.
    """
    targets = [view.target for view in views if view.target is not None]
    weights = [view.weight for view in views]
    samples = settings.samples
    fine = targets if samples == 1 else [t.repeat(samples, axis=0).repeat(samples, axis=1) for t in targets]
    sampled = [weight / samples**2 for weight in weights]
    statistics = face_statistics(visible, fine, scene.lighting.background, sampled)
    if not statistics.pixels:
        raise SceneError("targets: every pixel is masked; make the parts to be compared opaque")
    search = _Search(scene, settings, visible, fine, sampled, statistics)
    lighting, gains = search.run()
    radiance = search.radiance(lighting)
    costs, outside = search.costs(radiance, gains, lighting)
    power = guiding_loss(settings.comparison).power
    problem = Problem(visible, targets, weights, lighting, gains, radiance, statistics, costs, outside, power=power)
    if samples == 1 or not chosen_loss(settings.comparison).is_squared:
        return problem
    single, shown, mixed = split_mixed(visible, targets, samples, weights, gains, lighting.background)
    alone = _Search(
        scene, settings, single, shown, weights, face_statistics(single, shown, lighting.background, weights)
    )
    costs_alone, outside = alone.costs(radiance, gains, lighting)
    return replace(problem, mixed=mixed, alone=costs_alone, outside=outside)


class _Search:
    """Light and exposure, in turn with the materials."""

    def __init__(
        self,
        scene: BlockScene,
        settings: OptimizeSettings,
        visible: VisibleFaces,
        targets: Pictures,
        weights: Sequence[float],
        statistics: FaceStatistics,
    ) -> None:
        self.scene, self.settings, self.visible = scene, settings, visible
        self.targets, self.weights, self.statistics = targets, weights, statistics
        self.barred: Array | None = None
        if settings.constrained and (settings.lighting == "fitted" or settings.exposure != "fixed"):
            allowed = Constraints.of(settings.rules, scene).allowed[host(visible.blocks)]
            self.barred = placed(~allowed, visible.device)

    def run(self) -> tuple[Light, npt.NDArray[np.float64]]:
        """Returns the light and the gains."""
        fits_light, fits_gains = self.settings.lighting == "fitted", self.settings.exposure != "fixed"
        gains = np.ones((len(self.targets), 3))
        lighting = self._start()
        if fits_gains:
            gains = first_gains(self.visible, self.targets, self.weights, self.radiance(lighting))
        if not (fits_light or fits_gains):
            return lighting, gains
        before = None
        for _ in range(_ROUNDS):
            materials = self._best(lighting, gains)
            if before is not None and bool((materials == before).all()):
                break
            before = materials
            if fits_light and isinstance(lighting, Lighting):
                lighting = fit_lighting(self.scene.palette, self.visible, self._leveled(gains), materials, lighting)
            if fits_gains:
                balance = self.settings.exposure == "white_balance"
                radiance = self.radiance(lighting)
                gains = refined_gains(self.visible, self.targets, radiance, materials, gains, balance)
                if fits_light:
                    # Brighter light and darker exposure look the same: exposures are 1 on average.
                    gains = gains / np.exp(np.log(gains).mean(axis=0))
        return lighting, gains

    def radiance(self, lighting: Light) -> Array:
        """Returns (M, L, 3) float64."""
        seen = self.visible
        return placed(looks_radiance(self.scene.palette, lighting, seen.looks, seen.received), seen.device)

    def costs(self, radiance: Array, gains: npt.NDArray[np.float64], lighting: Light) -> tuple[Array, float]:
        """Returns (V, M) float64 costs and the loss outside."""
        comparison = self.settings.comparison
        loss = guiding_loss(comparison)
        if loss.is_squared and bool((gains == 1.0).all()):
            return cost_table(self.visible, self.statistics, radiance), self.statistics.outside
        shown = np.ascontiguousarray(host(radiance).clip(0.0, 1.0).transpose(1, 2, 0))
        block, look = host(self.visible.block), host(self.visible.look)
        costs, outside = np.zeros((len(self.visible.blocks), len(radiance))), np.zeros((1, 1))
        sky = np.asarray(lighting.background, dtype=np.float64).reshape(1, 3, 1)
        none = np.zeros(1, dtype=np.int64)
        priced = loss.priced_by(comparison)
        for view, target, gain, weight in zip(self.visible.views, self.targets, gains, self.weights, strict=True):
            face, pixels = host(view.reshape(-1)), np.ascontiguousarray(target.reshape(-1, target.shape[2]))
            how = (gain, loss.compiled, priced, comparison.huber_width, float(weight))
            add_pixel_costs(costs, face, block, look, pixels, shown, *how)
            empty = np.where(face < 0, 0, -1).astype(np.int32)
            add_pixel_costs(outside, empty, none, none, pixels, sky, *how)
        return placed(costs, self.visible.device), float(outside[0, 0])

    def _best(self, lighting: Light, gains: npt.NDArray[np.float64]) -> Array:
        return cheapest_materials(self._allowed_costs(lighting, gains))

    def _allowed_costs(self, lighting: Light, gains: npt.NDArray[np.float64]) -> Array:
        costs, _ = self.costs(self.radiance(lighting), gains, lighting)
        return costs if self.barred is None else namespace(costs).where(self.barred, np.inf, costs)

    def _start(self) -> Light:
        """Returns the light to use, or to begin from: of several guesses the one that explains the targets best."""
        scene, name = self.scene, self.settings.lighting
        given: Light = {"webgpu": WEBGPU_LIGHTING, "unlit": UNLIT}.get(name, scene.lighting)
        if name != "fitted":
            return replace(given, background=scene.lighting.background)
        guesses = [
            replace(brightened(light, factor), background=scene.lighting.background)
            for light in (scene.lighting, WEBGPU_LIGHTING, UNLIT)
            if not isinstance(light, BakedLight)
            for factor in _BRIGHTNESS
        ]
        gains = np.ones((len(self.targets), 3))
        return min(guesses, key=lambda light: least_cost(self._allowed_costs(light, gains)))

    def _leveled(self, gains: npt.NDArray[np.float64]) -> FaceStatistics:
        """Returns the statistics of the targets without their exposure."""
        if (gains == 1.0).all():
            return self.statistics
        level = [
            np.dstack([np.clip(np.rint(t[..., :3] / g), 0, 255).astype(np.uint8), t[..., 3:]])
            for t, g in zip(self.targets, gains, strict=True)
        ]
        return face_statistics(self.visible, level, self.scene.lighting.background, self.weights)


def _unmasked(visibility: Visibility, view: View, samples: int) -> Visibility:
    """Takes away what the target's mask hides: a block that shows nowhere else is as good as unseen."""
    if view.target is None or view.target.shape[2] == 3:
        return visibility
    hidden = np.kron(view.target[..., 3] == 0, np.ones((samples, samples), np.bool_))
    ids = visibility.triangle_id
    return Visibility(namespace(ids).where(placed(hidden, device_of(ids)), 0, ids))
