"""OptimizeSettings: the one settings object that panel, command line and batch file share."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from blockcore.errors import SettingsError

METHODS = ("auto", "solve", "gradient")
INITS = ("random", "uniform", "map", "solve")
SEPARABLE_LOSSES = ("l2", "l1", "huber")
LOSSES = (*SEPARABLE_LOSSES, "ssim", "lowpass", "lpips")
LIGHTINGS = ("scene", "webgpu", "unlit", "fitted")
EXPOSURES = ("fixed", "exposure", "white_balance")
SMOOTHERS = ("auto", "icm", "expansion", "relaxed")
UNSEEN = ("keep", "fill")
RELAXATIONS = ("softmax", "gumbel")
OBJECTIVES = ("auto", "statistics", "pixels")
DEVICES = ("auto", "cpu", "cuda")
RASTERIZERS = ("auto", "cpu", "triton", "nvdiffrast", "reference")
CHOICES = {
    "method": METHODS,
    "relaxation": RELAXATIONS,
    "objective": OBJECTIVES,
    "init": INITS,
    "lighting": LIGHTINGS,
    "exposure": EXPOSURES,
    "smoother": SMOOTHERS,
    "unseen": UNSEEN,
    "device": DEVICES,
    "rasterizer": RASTERIZERS,
}
"""The settings that are one of a few words, and those words."""


@dataclass(frozen=True)
class OptimizeSettings:
    """How to look for the materials.

    Attributes:
        method: ``"solve"`` finds the best assignment outright, which a loss that is a sum over pixels allows;
            ``"gradient"`` descends; ``"auto"`` solves where that can be done.
        steps: the most optimisation steps taken.
        learning_rate: Adam's step size, in logits.
        relaxation: ``"softmax"`` blends the materials of a block by their probability; ``"gumbel"`` adds Gumbel noise
            to the logits first (Jang et al. 2017, "Categorical Reparameterization with Gumbel-Softmax").
        hard: straight-through mode: pictures of one material per block, gradients of the blend.
        temperature_start: temperature of the soft-max at the first step.
        temperature_end: temperature at the last step; the schedule between them is geometric.
        commitment: weight, 0…1, of the spread of a block's colours over its materials. At 1 a squared loss becomes the
            expected loss of a material drawn at random, whose minimum is always a single material; at 0 it is the
            loss of the blend, which a mixture of wrong materials can satisfy.
        objective: how the loss is computed: ``"statistics"`` (exact sums per face, needs a squared loss),
            ``"pixels"`` (pictures compared pixel by pixel), or ``"auto"``, which takes statistics where exact.
        init: where the logits start: ``"random"``, ``"uniform"``, ``"map"`` (the scene's own materials) or ``"solve"``
            (what solving finds).
        seed: of everything random.
        patience: stop when no block changed its best material for this many steps; 0 never stops early.
        loss: how pictures are compared: ``"l2"`` (squared error), ``"l1"``, ``"huber"``, ``"ssim"`` (structure),
            ``"lowpass"`` (seen from afar, which dithers), ``"lpips"``, or a function as ``"module:function"``; see
            ``picture_losses``. The first three are sums over pixels and can be solved outright.
        huber_width: of the Huber loss: from this error (0…1) on it grows straight, so that outliers count less.
        blur: of the low-pass loss: the Gaussian's σ in pixels.
        samples: samples a pixel along each axis, for targets with antialiased edges: 1 to 4.
        lighting: ``"scene"`` (as the scene says), ``"webgpu"``, ``"unlit"`` or ``"fitted"`` (found with the materials).
        exposure: ``"fixed"``, or found per view: ``"exposure"`` (one factor) or ``"white_balance"`` (one per channel).
        smoothness: cost of a seam, where two blocks touch that have different materials: the squared error (RGB, of
            values in 0…1) over all pixels of an average block that is accepted to avoid one. 0 for none.
        smoother: how seams are minimised: ``"icm"`` (quick), ``"expansion"`` (nearly the best), ``"relaxed"``
            (gradient) or ``"auto"``; see ``smoothing``.
        seams: factors of that cost for some pairs of materials, such as ``"Grass/Dirt = 0.2"``; see ``constraints``.
        allowed: materials that may be assigned, everywhere or by region, such as ``"Stone, Plank; roof: Snow"``; empty
            for all; see ``constraints``.
        limits: the most blocks of some materials, such as ``"Stone = 100"``.
        max_kinds: the most different materials; 0 for any number.
        locked: regions whose blocks keep their material, such as ``"floor, wall"``.
        unseen: what blocks that no view shows get: ``"keep"`` (what they have) or ``"fill"`` (what their neighbours
            get).
        device: where tensors live: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        rasterizer: what fills the visibility: ``"auto"``, ``"cpu"``, ``"triton"`` or ``"nvdiffrast"`` (on a GPU), or
            ``"reference"``.
    """

    method: str = "auto"
    steps: int = 300
    learning_rate: float = 0.3
    relaxation: str = "softmax"
    hard: bool = False
    temperature_start: float = 1.0
    temperature_end: float = 0.1
    commitment: float = 1.0
    objective: str = "auto"
    init: str = "random"
    seed: int = 0
    patience: int = 60
    loss: str = "l2"
    huber_width: float = 0.05
    blur: float = 3.0
    samples: int = 1
    lighting: str = "scene"
    exposure: str = "fixed"
    smoothness: float = 0.0
    smoother: str = "auto"
    seams: str = ""
    allowed: str = ""
    limits: str = ""
    max_kinds: int = 0
    locked: str = ""
    unseen: str = "keep"
    device: str = "auto"
    rasterizer: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            whole = isinstance(getattr(type(self), name), int)
            right_type = type(value) is int if whole else type(value) in (int, float)
            if not right_type or not math.isfinite(value) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise SettingsError(f"{name} {value!r} must be {kind} from {low} to {high}")
        if type(self.hard) is not bool:
            raise SettingsError(f"hard {self.hard!r} must be true or false")
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise SettingsError(f"{name} {getattr(self, name)!r} must be text")
        if self.loss not in LOSSES and ":" not in self.loss:
            raise SettingsError(f"loss {self.loss!r} is not one of {', '.join(LOSSES)}, nor a module:function")
        if self.method == "solve" and self.loss not in SEPARABLE_LOSSES:
            raise SettingsError(
                f"method 'solve' needs a loss that is a sum over pixels ({', '.join(SEPARABLE_LOSSES)}), and "
                f"{self.loss!r} is not; choose the method 'gradient' or 'auto'"
            )

    @property
    def constrained(self) -> bool:
        """Whether some assignments are not allowed."""
        return bool(self.allowed or self.limits or self.locked or self.max_kinds)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain JSON values, by name."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> OptimizeSettings:
        """Builds settings from JSON values; names left out keep their default.

        Raises:
            SettingsError: a name is unknown or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(OptimizeSettings)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise SettingsError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(sorted(known))}")
        return OptimizeSettings(**values)


_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 100_000),
    "learning_rate": (1e-6, 1e3),
    "commitment": (0, 1),
    "temperature_start": (1e-3, 1e3),
    "temperature_end": (1e-3, 1e3),
    "seed": (0, 2**63 - 1),
    "patience": (0, 100_000),
    "huber_width": (1e-3, 1),
    "blur": (0.3, 100),
    "samples": (1, 4),
    "smoothness": (0, 1e3),
    "max_kinds": (0, 1_000_000),
}
_TEXTS = ("loss", "seams", "allowed", "limits", "locked")
