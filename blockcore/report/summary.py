"""What an optimisation found, in figures: what result.json holds, an engine's last event tells and the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from blockcore.io.damage import made
from blockcore.io.files import Json, finite


@dataclass(frozen=True)
class ViewSummary:
    """The figures of one view.

    Attributes:
        name: of the camera.
        psnr_before: dB, of the scene as it was; None where every pixel is equal.
        psnr_after: that of the assignment found.
        gain: the exposure of each channel, R, G, B.
    """

    name: str
    psnr_before: float | None
    psnr_after: float | None
    gain: tuple[float, ...]


@dataclass(frozen=True)
class Summary:
    """The figures of an optimisation. Plain JSON values alone: no number but is finite.

    Attributes:
        blocks: how many there are.
        visible_blocks: how many some view shows.
        unseen_blocks: how many none shows.
        hidden_blocks: how many of those have a free face, which a further camera could show.
        unsure_blocks: for how many of the visible ones another material would do nearly as well.
        changed_blocks: how many have another material than before.
        method: ``"solve"`` or ``"gradient"``.
        steps: how many were taken.
        seconds: how long it took.
        timings: seconds by stage.
        loss: mean per pixel and channel; None where it is not finite.
        optimality_gap: how far the loss is above a bound no assignment can go below, relative; None where unknown.
        psnr_before: dB over all views, of the scene as it was; None where every pixel is equal.
        psnr_after: that of the assignment found.
        views: the figures of each.
        lighting: the light, as a scene's file says it.
        materials: blocks by the name of their material.
        materials_before: likewise, of the scene as it was.
        device: where tensors lived.
        rasterizer: what filled the visibility.
        settings: as they are in a job's file.
        light: what light materials were chosen in, and why, in words.
    """

    blocks: int
    visible_blocks: int
    unseen_blocks: int
    hidden_blocks: int
    unsure_blocks: int
    changed_blocks: int
    method: str
    steps: int
    seconds: float
    timings: Mapping[str, float]
    loss: float | None
    optimality_gap: float | None
    psnr_before: float | None
    psnr_after: float | None
    views: tuple[ViewSummary, ...]
    lighting: Json
    materials: Mapping[str, int]
    materials_before: Mapping[str, int]
    device: str
    rasterizer: str
    settings: Mapping[str, bool | int | float | str]
    light: str = ""

    def to_dict(self) -> Json:
        """Returns it as JSON values."""
        values: Json = finite(asdict(self))
        return values

    @staticmethod
    def from_dict(values: Json) -> Summary:
        """Reads JSON values; names that are not known are left out.

        Raises:
            KeyError, TypeError: a name is missing, or something has the wrong form.
        """
        views = tuple(made(ViewSummary, view | {"gain": tuple(view["gain"])}) for view in values["views"])
        return made(Summary, values | {"views": views})


@dataclass(frozen=True)
class ModelSummary:
    """The figures of a model's blocks. Plain JSON values alone.

    Attributes:
        blocks: how many there are.
        visible_blocks: how many some view shows.
        grid: cells along blockcore's x, y, z.
        block_size: edge of a block, in the model's units.
        outline_match: mean intersection over union of the outlines, 0…1.
        psnr: dB over all views; None where every pixel is equal.
        seconds: how long it took.
        stages: seconds by stage.
        leaked_cells: cells inside that a flood from outside came to, through holes.
        left_out: names of objects that have no surface.
        materials: blocks by the name of their material.
        kept: how many were painted by hand before, and stay as they were.
        lost: how many painted by hand are no longer there.
    """

    blocks: int
    visible_blocks: int
    grid: tuple[int, int, int]
    block_size: float
    outline_match: float
    psnr: float | None
    seconds: float
    stages: Mapping[str, float]
    leaked_cells: int
    left_out: tuple[str, ...]
    materials: Mapping[str, int]
    kept: int = 0
    lost: int = 0

    def to_dict(self) -> Json:
        """Returns it as JSON values."""
        values: Json = finite(asdict(self))
        return values

    @staticmethod
    def from_dict(values: Json) -> ModelSummary:
        """Reads JSON values; names that are not known are left out.

        Raises:
            KeyError, TypeError: a name is missing, or something has the wrong form.
        """
        x, y, z = values["grid"]
        return made(ModelSummary, values | {"grid": (x, y, z), "left_out": tuple(values["left_out"])})
