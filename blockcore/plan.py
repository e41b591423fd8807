"""Plan: all that is decided before an optimisation begins, once, with the reasons; what runs is this very object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from blockcore.assignment.losses import chosen_loss
from blockcore.errors import SceneError, SettingsError
from blockcore.io.files import Json
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import AIR
from blockcore.model.rules_text import EVERYWHERE
from blockcore.model.scene import OUTSIDE, BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.visibility import ON_GPU, choose_rasterizer

COMPARE_PIXELS = ("pixels", "pictures")
"""The objectives that look at every pixel in every step."""


@dataclass(frozen=True)
class Decided:
    """What a plan says of itself, as ``--dry-run=json`` prints it.

    Attributes:
        blocks: how many there are.
        views: how many of the scene's views have a target.
        method: ``"solve"`` or ``"gradient"``.
        objective: what is minimised: ``"costs"`` (what each material costs in each block), ``"statistics"`` (sums per
            face), ``"pixels"`` (squared error, pixel by pixel) or ``"pictures"`` (a loss of whole pictures).
        steps: the most steps taken; solving is one.
        device: where tensors live, ``"cpu"`` or ``"cuda"``.
        rasterizer: what fills the visibility.
        memory: bytes of GPU memory that are likely used; 0 on the CPU.
        least_memory: bytes needed where tensors live, with what views show kept elsewhere where it may be.
        light: what light materials are chosen in.
        why: the reason of ``views``, ``method``, ``objective``, ``device``, ``rasterizer``, ``light``, ``memory`` and,
            where there are any, ``kept``.
        kept: how many blocks keep their material, which is none to choose.
    """

    blocks: int
    views: int
    method: str
    objective: str
    steps: int
    device: str
    rasterizer: str
    memory: int
    least_memory: int
    light: str
    why: Mapping[str, str] = field(default_factory=dict)
    kept: int = 0

    def lines(self) -> list[str]:
        """Returns what was decided in words, one thing a line."""
        said = {
            "views": str(self.views),
            "method": self.method if self.method == "solve" else f"{self.method}, up to {self.steps} steps",
            "objective": self.objective,
            "device": self.device,
            "rasterizer": self.rasterizer,
            "light": self.light,
            "memory": f"{self.memory / 1e9:.1f} GB of the GPU" if self.memory else "none of a GPU",
        } | ({"kept": f"{self.kept} blocks"} if self.kept else {})
        return [f"{name:<11} {what}: {self.why[name]}" for name, what in said.items()]

    def to_dict(self) -> Json:
        """Returns it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Plan:
    """An optimisation that is ready to run; see ``optimize.optimize``.

    Attributes:
        scene: blocks, palette, light and views.
        settings: what was asked for.
        views: those with a target.
        decided: all that was to be decided.
        loss: compares pictures instead of the loss that the settings name, or None.
    """

    scene: BlockScene
    settings: OptimizeSettings
    views: tuple[View, ...]
    decided: Decided
    loss: Callable[..., Any] | None = None

    @staticmethod
    def of(scene: BlockScene, settings: OptimizeSettings | None = None, loss: Callable[..., Any] | None = None) -> Plan:
        """Decides everything.

        Raises:
            SceneError: there is no block or no view with a target.
            BackendError: the device or rasteriser asked for is not to be had.
        """
        from blockcore.machine.device import choose_device

        settings = _keeping(settings or OptimizeSettings(), scene)
        kept = len(scene.regions.get(OUTSIDE, ()))
        views = _with_target(scene)
        place, why_device = choose_device(settings.machine.device)
        rasterizer, why_rasterizer = choose_rasterizer(settings.machine.rasterizer, place.type)
        method, why_method = _method(settings, loss)
        if method == "gradient" and settings.symmetry != "none":
            raise SettingsError("symmetry does not go with the method 'gradient'; leave out one of the two")
        objective, why_objective = _objective(settings, views, method, loss)
        compares = objective in COMPARE_PIXELS
        most, least = (_memory(scene, settings, views, rasterizer, compares, kept) for kept in (True, compares))
        memory, why_memory = 0, "all is kept in main memory"
        if place.type == "cuda":
            memory = most
            why_memory = "as estimated from faces, blocks, materials and pixels" + ", every pixel compared" * compares
        light, why_light = chosen_light(scene.lighting, settings.light.lighting)
        without = len(scene.views) - len(views)
        why = {
            "views": f"{without} more have no target" if without else "all have a target",
            "method": why_method,
            "objective": why_objective,
            "device": why_device,
            "rasterizer": why_rasterizer,
            "light": why_light,
            "memory": why_memory,
        } | ({"kept": "their materials are not in the palette"} if kept else {})
        steps = settings.search.steps if method == "gradient" else 1
        what = (len(scene.grid), len(views), method, objective, steps, place.type, rasterizer, memory, least, light)
        decided = Decided(*what, why, kept)
        return Plan(scene, settings, views, decided, loss)


def _keeping(settings: OptimizeSettings, scene: BlockScene) -> OptimizeSettings:
    """Returns the settings, with the blocks outside the palette locked and their materials for no other block."""
    kept = scene.regions.get(OUTSIDE, np.zeros(0, np.int32))
    if not len(kept):
        return settings
    theirs = set(np.unique(scene.materials[kept]).tolist())
    others = tuple(name for m, name in enumerate(scene.palette.names) if m != AIR and m not in theirs)
    if not others:
        raise SceneError("scene: every block's material is outside the palette; choose a palette that has some of them")
    locked = dict.fromkeys((*settings.rules.locked, OUTSIDE))
    rules = replace(settings.rules, allowed={EVERYWHERE: others, **settings.rules.allowed}, locked=tuple(locked))
    return replace(settings, rules=rules)


def reason_for_torch(settings: OptimizeSettings) -> str:
    """Returns what of the settings cannot be done without torch, in words; "" where nothing is."""
    machine = settings.machine
    if _method(settings, None)[0] == "gradient":
        return "gradient descent"
    if machine.device.startswith("cuda"):
        return f"the device {machine.device}"
    return f"the rasterizer {machine.rasterizer}" if machine.rasterizer in ON_GPU else ""


def chosen_light(of_scene: Light, wish: str) -> tuple[str, str]:
    """Returns in what light materials are chosen, and why.

    Args:
        of_scene: the scene's light.
        wish: the setting ``lighting``.
    """
    if wish == "scene":
        if isinstance(of_scene, BakedLight):
            return "the scene's own, as Cycles measures it on every face", "the scene has lights or a world"
        if replace(of_scene, background=WEBGPU_LIGHTING.background) == WEBGPU_LIGHTING:
            return "the block editor's sun and sky", "no other light came with the blocks"
        return "a sun and a sky", "they came with the blocks"
    asked = {
        "webgpu": "the block editor's sun and sky",
        "unlit": "none: materials show their own colours",
        "fitted": "a sun and a sky found with the materials",
    }
    return asked[wish], "asked for"


def _with_target(scene: BlockScene) -> tuple[View, ...]:
    if len(scene.grid) == 0:
        raise SceneError("scene: has no blocks; add some before optimising")
    views = tuple(view for view in scene.views if view.target is not None)
    if not views:
        raise SceneError("scene: no camera has a target picture; give at least one camera a background image")
    return views


def _method(settings: OptimizeSettings, loss: Callable[..., Any] | None) -> tuple[str, str]:
    if loss is not None:
        return "gradient", "the loss is a function of whole pictures"
    name = settings.comparison.loss
    if not chosen_loss(settings.comparison).is_sum:
        return "gradient", f"the loss {name} is one of whole pictures"
    if settings.search.method != "auto":
        return settings.search.method, "asked for"
    return "solve", f"the loss {name} is a sum over pixels, so that the best is found outright"


def _objective(
    settings: OptimizeSettings, views: tuple[View, ...], method: str, loss: Callable[..., Any] | None
) -> tuple[str, str]:
    wanted, commitment, named = settings.search.objective, settings.search.commitment, chosen_loss(settings.comparison)
    if method == "solve":
        return "costs", "solving needs what each material costs in each block, and no more"
    if loss is not None or not named.is_sum:
        return "pictures", "the loss is one of whole pictures"
    mixed, leveled = settings.comparison.samples > 1, settings.light.exposure != "fixed"
    if named.is_squared and not mixed and not leveled:
        if wanted != "pixels":
            return "statistics", "sums per face say all about a squared loss"
        if any(view.weight != 1.0 for view in views):
            return "statistics", "views weigh differently, which sums per face see to"
        return "pixels", "asked for"
    if wanted == "pixels":
        return "pictures", "asked for, and only a plain squared loss is compared faster"
    if named.is_squared and mixed:
        return "pictures", "samples of one pixel may show several blocks"
    if commitment == 1.0:
        return "costs", f"with a commitment of 1 the loss {named.name} is the costs of single materials"
    return "pictures", f"a commitment of {commitment:g} needs the loss of blends"


def _memory(
    scene: BlockScene, settings: OptimizeSettings, views: tuple[View, ...], rasterizer: str, compares: bool, kept: bool
) -> int:
    """Returns the bytes of GPU memory that the optimisation is going to need; see ``memory.estimate``."""
    from blockcore.machine import memory

    samples = settings.comparison.samples
    pictures = [(samples * view.camera.width, samples * view.camera.height) for view in views]
    world = len(scene.grid.exposed_faces), len(scene.grid), len(scene.palette)
    return memory.estimate(*world, pictures, rasterizer, compares, kept)
