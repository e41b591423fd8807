"""OptimizeSettings: the one settings object that panel, command line and job file share.

A setting is one entry of a group below: its type, default, bounds or choices, help, and words for the panel. Command
line, panel, job file, documentation (``python -m blockcore.model.settings``) and validation follow from it. Settings
are grouped in Python and flat elsewhere: ``settings.rules.limits``, ``--limits``, ``{"limits": ...}``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blockcore.errors import SettingsError, quoted
from blockcore.model import rules_text
from blockcore.model.registry import Registry, Words
from blockcore.model.rules_text import RuleText

_LARGEST = 2**63 - 1
_ENTRY = "setting"
Choices = Mapping[str, tuple[str, str]]
"""Words to choose from, each with its name and description in the panel."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        default: its value where none is given, whose type is that of all its values.
        help: for the command line and the documentation.
        label: its name in the panel.
        description: its tooltip there.
        bounds: the least and the largest number.
        soft: how far a slider reaches, where that is less; None for the bounds.
        choices: the words to choose from, if it is one of a few.
        is_open: whether any ``module:function`` will do, too.
        text: how the value is written as text, where it is more than one number or word.
        name: the attribute's.
        group: the attribute of ``OptimizeSettings`` that holds it.
    """

    default: Any
    help: str
    label: str
    description: str
    bounds: tuple[float, float] = (0, _LARGEST)
    soft: tuple[float, float] | None = None
    choices: Choices = field(default_factory=dict)
    is_open: bool = False
    text: RuleText | None = None
    name: str = ""
    group: str = ""

    @property
    def option(self) -> str:
        """The command line's option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def few(self) -> list[str] | None:
        """The choices where they are all there are; None where any other text may be one, or packages add some."""
        return None if self.is_open or isinstance(self.choices, Words) else list(self.choices) or None

    @property
    def plain_default(self) -> bool | int | float | str:
        """The default as JSON and the command line have it."""
        return self.plain(self.default)

    def plain(self, value: Any) -> bool | int | float | str:
        """Returns a value as JSON and the command line have it: a number, or text."""
        return value if self.text is None else self.text.write(value)

    def checked(self, value: Any) -> Any:
        """Returns a value as the settings keep it.

        Raises:
            SettingsError: it is of the wrong type, out of bounds or malformed.
        """
        name = self.name
        if self.text is not None:
            return self.text.read(value, name)
        if self.choices:
            known = isinstance(value, str) and ((self.is_open and ":" in value) or value in self.choices)
            if not known:
                other = ", nor a module:function" if self.is_open else ""
                raise SettingsError(f"{name} {quoted(value)} is not one of {', '.join(self.choices)}{other}")
        elif type(self.default) is bool:
            if type(value) is not bool:
                raise SettingsError(f"{name} {quoted(value)} must be true or false")
        else:
            whole, (low, high) = type(self.default) is int, self.bounds
            right_type = type(value) is int if whole else type(value) in (int, float)
            if not right_type or not math.isfinite(value) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise SettingsError(f"{name} {quoted(value)} must be {kind} from {low} to {high}")
        return value


def setting(default: Any, help: str, label: str, description: str, **more: Any) -> Any:
    """Returns a field of a group; arguments as the attributes of ``Setting``."""
    entry = Setting(default, help, label, description, **more)
    return field(default_factory=lambda: default, metadata={_ENTRY: entry})


class Group:
    """Settings that belong together; each checks its values."""

    def __post_init__(self) -> None:
        for entry in settings_in(type(self)):
            object.__setattr__(self, entry.name, entry.checked(getattr(self, entry.name)))


def settings_in(group: type[Group], name: str = "") -> Iterator[Setting]:
    """Yields the settings of a group, which is known under a name."""
    for part in dataclasses.fields(group):  # type: ignore[arg-type]
        yield dataclasses.replace(part.metadata[_ENTRY], name=part.name, group=name)


_METHODS: Choices = {
    "auto": ("Automatic", "Directly where that can be done, else gradually"),
    "solve": ("Direct", "Find the best materials in one go"),
    "gradient": ("Gradual", "Come nearer step by step"),
}
_RELAXATIONS: Choices = {
    "softmax": ("Smooth", "Blend materials by how likely they are (softmax)"),
    "gumbel": ("Random", "Blend them with noise, to leave dead ends (Gumbel-Softmax)"),
}
_OBJECTIVES: Choices = {
    "auto": ("Automatic", "The fastest way that is exact"),
    "statistics": ("Sums per Face", "Add up the pixels of each face once; fast"),
    "pixels": ("Pixel by Pixel", "Compare whole pictures at each step"),
}
_INITS: Choices = {
    "random": ("Random", "A random material for each block"),
    "uniform": ("Even Blend", "Every block an even blend of all materials"),
    "map": ("Current", "The materials that the blocks have now"),
    "solve": ("Direct Result", "What the direct search finds"),
}
LOSSES: Registry[Any] = Registry("loss", "blockcore.losses", "blockcore.descent.losses:OWN")
"""What compares pictures, by name; see ``assignment.losses.Loss``."""
_LIGHTINGS: Choices = {
    "scene": ("Scene", "The light that the block map came with"),
    "webgpu": ("WebGPU Editor", "The light of the WebGPU block editor"),
    "unlit": ("Unlit", "No light: pictures of plain colors"),
    "fitted": ("Fitted", "Find the light along with the materials"),
}
_EXPOSURES: Choices = {
    "fixed": ("Same", "All pictures are equally bright"),
    "exposure": ("Brightness", "Find the brightness of each picture"),
    "white_balance": ("White Balance", "Find the brightness and color balance of each picture"),
}
_SMOOTHERS: Choices = {
    "auto": ("Automatic", "Choose by the size of the scene"),
    "icm": ("Quick", "Block by block (ICM)"),
    "expansion": ("Thorough", "Nearly the best there is (alpha expansion)"),
    "relaxed": ("Gradual", "Along with the gradual search"),
}
_UNSEEN: Choices = {
    "keep": ("Keep", "They keep the material they have"),
    "fill": ("Fill", "They get the material of their neighbors"),
}
_SYMMETRIES: Choices = {
    "none": ("None", "Each block has its own material"),
    "x": ("Left and Right", "Blocks that mirror each other along X have the same material"),
    "z": ("Front and Back", "Blocks that mirror each other along Blender's Y have the same material"),
}
_CARDS = 8
_DEVICES: Choices = {
    "auto": ("Automatic", "The graphics card if the engine can use it, else the processor"),
    "cpu": ("Processor", "Always the processor"),
    "cuda": ("Graphics Card", "An NVIDIA graphics card, through CUDA"),
    **{f"cuda:{n}": (f"Graphics Card {n}", "The NVIDIA graphics card of that number, from 0") for n in range(_CARDS)},
}
RASTERIZERS: Registry[Any] = Registry("rasterizer", "blockcore.rasterizers", "blockcore.visibility.rasterizers:OWN")
"""What finds which face a pixel shows, by name; see ``visibility.rasterizers.Rasterizer``."""
_RASTERIZERS: Choices = Words(RASTERIZERS, {"auto": ("Automatic", "The fastest one that the engine has")})


@dataclass(frozen=True)
class Search(Group):
    """How the materials are looked for.

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
    """

    method: str = setting(
        "auto",
        "find the best assignment outright, or descend to it",
        "Method",
        "How the materials are found",
        choices=_METHODS,
    )
    steps: int = setting(
        300, "most steps taken", "Steps", "The most steps that are taken", bounds=(1, 100_000), soft=(1, 5000)
    )
    learning_rate: float = setting(
        0.3,
        "Adam's step size",
        "Step Size",
        "How far each step goes; large steps are fast but less certain",
        bounds=(1e-6, 1e3),
        soft=(0.01, 1.0),
    )
    relaxation: str = setting(
        "softmax",
        "how a block blends its materials",
        "Blending",
        "How a block is several materials at once while the search goes on",
        choices=_RELAXATIONS,
    )
    hard: bool = setting(
        False,
        "straight-through pictures of one material per block",
        "Single Material",
        "Compare pictures of single materials rather than of blends (straight-through)",
    )
    temperature_start: float = setting(
        1.0,
        "temperature of the first step",
        "Temp. Start",
        "How freely blocks blend materials at first",
        bounds=(1e-3, 1e3),
        soft=(1e-3, 5.0),
    )
    temperature_end: float = setting(
        0.1,
        "temperature of the last step",
        "Temp. End",
        "How freely blocks blend materials at last; small values make each block decide",
        bounds=(1e-3, 1e3),
        soft=(1e-3, 5.0),
    )
    commitment: float = setting(
        1.0,
        "weight of the spread of a block's colours, 0 to 1",
        "Commitment",
        "How strongly each block is drawn to one single material",
        bounds=(0, 1),
    )
    objective: str = setting(
        "auto",
        "how the loss is computed",
        "Comparison",
        "How the blocks are compared with the pictures",
        choices=_OBJECTIVES,
    )
    init: str = setting(
        "random",
        "where the materials start",
        "Start From",
        "The materials that a gradual search starts from",
        choices=_INITS,
    )
    seed: int = setting(0, "of everything random", "Seed", "The same seed gives the same result")
    patience: int = setting(
        60,
        "stop after so many steps without a change; 0 never",
        "Patience",
        "Stop when no block changed its material for this many steps; 0 takes all steps",
        bounds=(0, 100_000),
        soft=(0, 1000),
    )


@dataclass(frozen=True)
class Comparison(Group):
    """How pictures are compared.

    Attributes:
        loss: ``"l2"`` (squared error), ``"l1"``, ``"huber"``, ``"ssim"`` (structure), ``"lowpass"`` (seen from afar,
            which dithers), ``"lpips"``, one that a package adds, or a function as ``"module:function"``; see
            ``assignment.losses``. The first three are sums over pixels and can be solved outright.
        huber_width: of the Huber loss: from this error (0…1) on it grows straight, so that outliers count less.
        blur: of the low-pass loss: the Gaussian's σ in pixels.
        samples: samples a pixel along each axis, for targets with antialiased edges: 1 to 4.
        outline: pixels beside the blocks' outline that count only where they do not look like what is behind.
    """

    loss: str = setting(
        "l2",
        "how pictures are compared: l2, l1, huber, ssim, lowpass, lpips, or a module:function",
        "Difference",
        "What counts as a difference between the blocks and a picture",
        choices=Words(LOSSES),
        is_open=True,
    )
    huber_width: float = setting(
        0.05,
        "error from which the Huber loss grows straight",
        "Outlier Width",
        "From this error on, Huber counts single wrong pixels less",
        bounds=(1e-3, 1),
    )
    blur: float = setting(
        3.0,
        "sigma of the low-pass loss, in pixels",
        "Blur",
        "How far away Seen from Afar looks from, in pixels",
        bounds=(0.3, 100),
        soft=(0.3, 20.0),
    )
    samples: int = setting(
        1,
        "samples a pixel along each axis, for antialiased targets",
        "Samples",
        "Samples per pixel along each axis, for targets with antialiased edges; 1 for hard edges",
        bounds=(1, 4),
    )
    outline: int = setting(
        0,
        "pixels beside the blocks' outline that are left out where they look like what is behind",
        "Outline",
        "Pixels beside the blocks' outline that do not count where they look like the background; for pictures of "
        "something that is not made of blocks",
        bounds=(0, 64),
        soft=(0, 8),
    )


@dataclass(frozen=True)
class Light(Group):
    """The light that the targets were made in.

    Attributes:
        lighting: ``"scene"`` (as the scene says), ``"webgpu"``, ``"unlit"`` or ``"fitted"`` (found with the materials).
        exposure: ``"fixed"``, or found per view: ``"exposure"`` (one factor) or ``"white_balance"`` (one per channel).
    """

    lighting: str = setting(
        "scene",
        "the light, or 'fitted' to find it",
        "Lighting",
        "The light that the targets were made with",
        choices=_LIGHTINGS,
    )
    exposure: str = setting(
        "fixed",
        "find each view's exposure or white balance",
        "Exposure",
        "Whether the targets differ in brightness or color balance",
        choices=_EXPOSURES,
    )


@dataclass(frozen=True)
class Rules(Group):
    """What a builder asks of an assignment. The text forms are those of ``rules_text``.

    Attributes:
        smoothness: cost of a seam, where two blocks touch that have different materials: the squared error (RGB, of
            values in 0…1) over all pixels of an average block that is accepted to avoid one. 0 for none.
        smoother: how seams are minimised: ``"icm"`` (quick), ``"expansion"`` (nearly the best), ``"relaxed"``
            (gradient) or ``"auto"``; see ``smoothing``.
        seams: factors of that cost for some pairs of materials, such as ``{("Grass", "Dirt"): 0.2}``.
        allowed: materials that may be assigned, by region, ``"all"`` for everywhere, such as ``{"all": ("Stone",
            "Plank"), "roof": ("Snow",)}``; empty for all.
        limits: the most blocks of some materials, such as ``{"Stone": 100}``; unseen blocks count, too.
        max_kinds: the most different materials; 0 for any number.
        locked: regions whose blocks keep their material, such as ``("floor", "wall")``; ``"all"`` locks every block.
        unseen: what blocks that no view shows get: ``"keep"`` (what they have) or ``"fill"`` (what their neighbours
            get).
        symmetry: the axis of blockcore's world along which blocks that mirror each other get the same material, at the
            sum of what it costs in both: ``"x"``, ``"z"`` or ``"none"``; not with ``limits``, nor by gradient.
    """

    smoothness: float = setting(
        0.0,
        "cost of a seam between blocks of different materials, as squared error",
        "Smoothness",
        "How much blocks like to be of the same material as their neighbors; 0 lets each block decide alone",
        bounds=(0, 1e3),
        soft=(0, 2.0),
    )
    smoother: str = setting(
        "auto", "how seams are minimised", "Smoother", "How seams between neighbors are avoided", choices=_SMOOTHERS
    )
    seams: Mapping[tuple[str, str], float] = setting(
        {},
        "factors of that cost, such as 'Grass/Dirt = 0.2'",
        "Seams",
        "How much seams between two materials matter, such as “Grass/Dirt = 0.2”; else 1",
        text=rules_text.SEAMS,
    )
    allowed: Mapping[str, tuple[str, ...]] = setting(
        {},
        "materials that may be assigned, such as 'Stone, Plank; roof: Snow'",
        "Allowed by Region",
        "Materials for single collections or vertex groups, such as “roof: Snow, Stone”",
        text=rules_text.ALLOWED,
    )
    limits: Mapping[str, int] = setting(
        {},
        "most blocks of some materials, such as 'Stone = 100'",
        "Limits",
        "The most blocks of some materials, such as “Stone = 100, Plank = 20”",
        text=rules_text.LIMITS,
    )
    max_kinds: int = setting(
        0,
        "most different materials; 0 for any number",
        "Most Kinds",
        "The most different materials; 0 for any number",
        bounds=(0, 1_000_000),
    )
    locked: tuple[str, ...] = setting(
        (),
        "regions whose blocks keep their material",
        "Locked",
        "Collections or vertex groups whose blocks keep their material, such as “floor, wall”",
        text=rules_text.LOCKED,
    )
    unseen: str = setting(
        "keep",
        "what blocks that no view shows get",
        "Unseen Blocks",
        "What blocks that no camera sees get",
        choices=_UNSEEN,
    )
    symmetry: str = setting(
        "none",
        "the axis along which mirrored blocks get the same material",
        "Symmetry",
        "Whether blocks that mirror each other about the middle of all have the same material",
        choices=_SYMMETRIES,
    )

    @property
    def constrained(self) -> bool:
        """Whether some assignments are not allowed."""
        return bool(self.allowed or self.limits or self.locked or self.max_kinds)


@dataclass(frozen=True)
class Machine(Group):
    """What computes.

    Attributes:
        device: where tensors live: ``"auto"``, ``"cpu"``, ``"cuda"``, or ``"cuda:1"`` for the card of that number.
        rasterizer: what fills the visibility: ``"auto"``, ``"cpu"``, ``"triton"`` or ``"nvdiffrast"`` (on a GPU),
            ``"reference"``, or one that was added.
    """

    device: str = setting("auto", "where tensors live", "Device", "What computes", choices=_DEVICES)
    rasterizer: str = setting(
        "auto",
        "what finds which face a pixel shows: auto, cpu, triton, nvdiffrast, reference or an added one",
        "Rasterizer",
        "What finds out which block each pixel shows; all of them agree",
        choices=_RASTERIZERS,
    )


_GROUPS: dict[str, type[Group]] = {
    "search": Search,
    "comparison": Comparison,
    "light": Light,
    "rules": Rules,
    "machine": Machine,
}
TITLES = {"comparison": "Difference", "light": "Light", "rules": "Materials", "search": "Search", "machine": "Engine"}
"""What the panel calls the groups, in its order."""
SETTINGS = {entry.name: entry for name, group in _GROUPS.items() for entry in settings_in(group, name)}
"""All settings by name, in the order of job files and figures."""


@dataclass(frozen=True, init=False)
class OptimizeSettings:
    """How to look for the materials. Frozen; compares by value.

    Made of groups, of single settings, or both: ``OptimizeSettings(method="gradient", limits="Stone = 100")`` or
    ``OptimizeSettings(rules=Rules(limits={"Stone": 100}))``; single ones win, so that ``dataclasses.replace`` takes
    them, too. ``settings.steps`` is short for ``settings.search.steps``.

    Attributes:
        search: how the materials are looked for.
        comparison: how pictures are compared.
        light: the light of the targets.
        rules: what a builder asks of the assignment.
        machine: what computes.
    """

    search: Search
    comparison: Comparison
    light: Light
    rules: Rules
    machine: Machine

    def __init__(self, **given: Any) -> None:
        """Makes settings; what is left out keeps its default.

        Raises:
            SettingsError: a name is unknown, a value out of range, or two values contradict each other.
        """
        unknown = sorted(given.keys() - SETTINGS.keys() - _GROUPS.keys())
        if unknown:
            raise SettingsError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(sorted(SETTINGS))}")
        for name, kind in _GROUPS.items():
            group = given.get(name) or kind()
            if not isinstance(group, kind):
                raise SettingsError(f"{name} {group!r} must be a {kind.__name__}")
            single = {key: value for key, value in given.items() if key in SETTINGS and SETTINGS[key].group == name}
            object.__setattr__(self, name, dataclasses.replace(group, **single))  # type: ignore[type-var]
        if self.rules.symmetry != "none" and self.rules.limits:
            raise SettingsError(f"symmetry {self.rules.symmetry!r} does not go with limits; leave out one of the two")
        loss = self.comparison.loss
        if self.search.method == "solve" and not (loss in LOSSES and LOSSES[loss].is_sum):
            sums = ", ".join(name for name, entry in LOSSES.items() if entry.is_sum)
            raise SettingsError(
                f"method 'solve' needs a loss that is a sum over pixels ({sums}), and {loss!r} is not; "
                "choose the method 'gradient' or 'auto'"
            )

    def __getattr__(self, name: str) -> Any:
        entry = SETTINGS.get(name)
        if entry is None:
            raise AttributeError(f"settings have no {name!r}")
        return getattr(getattr(self, entry.group), name)

    @property
    def constrained(self) -> bool:
        """Whether some assignments are not allowed."""
        return self.rules.constrained

    def to_dict(self) -> dict[str, bool | int | float | str]:
        """Returns the settings as plain JSON values, by name."""
        return {name: entry.plain(getattr(self, name)) for name, entry in SETTINGS.items()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> OptimizeSettings:
        """Builds settings from JSON values; names left out keep their default.

        Raises:
            SettingsError: a name is unknown or a value out of range.
        """
        unknown = sorted(values.keys() - SETTINGS.keys())
        if unknown:
            raise SettingsError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(sorted(SETTINGS))}")
        return OptimizeSettings(**values)


def documentation() -> str:
    """Returns the table of all settings, in Markdown, as docs/settings.md has it."""
    lines = []
    for group, title in TITLES.items():
        lines += [f"\n## {title}: `settings.{group}`\n", "| option | default | | |", "|---|---|---|---|"]
        for entry in (e for e in SETTINGS.values() if e.group == group):
            if entry.choices:
                values = ", ".join(f"`{word}`" for word in entry.choices)
            elif entry.text is not None:
                values = "text"
            elif type(entry.default) is bool:
                values = "yes or no"
            else:
                values = f"{entry.bounds[0]:,.7g} to {entry.bounds[1]:,.7g}"
            default = f"`{entry.plain_default}`" if entry.plain_default != "" else "none"
            lines.append(f"| `{entry.option}` | {default} | {values} | {entry.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
