"""report.html: one self-contained page that shows what an optimisation did."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockcore.io.files import write_file
from blockcore.model.baked_light import BakedLight
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.charts import log_curve
from blockcore.report.metrics import decibel
from blockcore.report.overlays import (
    CONFIDENCE_FULL,
    CONFIDENCE_STOPS,
    DIFFERENCE_FULL,
    DIFFERENCE_STOPS,
    UNSEEN_COLOR,
    gradient_css,
    plan,
)
from blockcore.report.page import data_uri, fill, png_uri
from blockcore.report.summary import Summary, ViewSummary
from blockcore.report.tables import bill_table, material_table, rows, settings_rows, versions

if TYPE_CHECKING:
    from blockcore.optimize import OptimizeResult


PICTURES = ("target", "before", "after", "difference", "confidence")
"""What is shown of a view: the target, the initial assignment and the one found, how far the latter is from the target,
and how clearly the pictures speak for each block's material."""


@dataclass(frozen=True, eq=False)
class ReportView:
    """What is shown and said of one view.

    Attributes:
        name: of the camera.
        files: the PNG of each of ``PICTURES``; encoded once, since that takes longer than to draw them.
        before: squared error of the initial assignment, a mean over channels summed over pixels, of values in 0…1.
        after: that of the assignment found.
        pixels: how many were compared.
    """

    name: str
    files: Mapping[str, bytes]
    before: float
    after: float
    pixels: int


def write_report(
    path: Path,
    scene: BlockScene,
    settings: OptimizeSettings,
    result: OptimizeResult,
    views: Iterable[ReportView],
    summary: Summary,
) -> None:
    """Writes the page.

    Args:
        path: the file.
        scene: what was optimised.
        settings: how.
        result: what was found.
        views: pictures, in the order of ``summary.views``.
        summary: its figures.
    """
    page = fill(
        "report/report.html",
        title="Block materials found from pictures",
        lead=html.escape(_lead(summary)),
        tiles=_tiles(summary),
        views="\n".join(_view_card(view, row) for view, row in zip(views, summary.views, strict=True)),
        legends=_legends(),
        course=_course(result, summary),
        materials=material_table(scene.palette, summary.materials_before, summary.materials),
        bill=bill_table(scene.with_materials(result.materials)),
        unseen=_unseen(scene, result, summary),
        settings=settings_rows(settings, OptimizeSettings()),
        light=rows([("which", summary.light), *_light(result)]),
        timings=rows((name, f"{seconds:.2f} s") for name, seconds in summary.timings.items()),
        versions=rows(versions(summary.device, summary.rasterizer)),
    )
    write_file(path, page)


def _lead(summary: Summary) -> str:
    views = len(summary.views)
    how = "solved outright" if summary.method == "solve" else f"{summary.steps:,} gradient steps"
    return (
        f"{summary.visible_blocks:,} of {summary.blocks:,} blocks show in {views} view{'s' * (views != 1)}; "
        f"{how} in {summary.seconds:.2f} s."
    )


def _tiles(summary: Summary) -> str:
    gap = summary.optimality_gap
    figures = {
        "PSNR before": decibel(summary.psnr_before),
        "PSNR after": decibel(summary.psnr_after),
        "above the least possible loss": "unknown" if gap is None else f"{100 * gap:.3g} %",
        "blocks changed": f"{summary.changed_blocks:,}",
        "blocks unsure": f"{summary.unsure_blocks:,}",
        "blocks no camera sees": f"{summary.unseen_blocks:,}",
    }
    return "".join(f'<div class="card tile"><b>{value}</b><span>{name}</span></div>' for name, value in figures.items())


def _view_card(view: ReportView, row: ViewSummary) -> str:
    name = html.escape(view.name, quote=True)
    notes = {
        "target": ("Target", ""),
        "before": ("Before", decibel(row.psnr_before)),
        "after": ("After", decibel(row.psnr_after) + _exposed(row.gain)),
        "difference": ("Difference", "after to target"),
        "confidence": ("Confidence", "per block"),
    }
    pictures = "".join(
        f'<figure><img alt="{label} of {name}" src="{png_uri(view.files[kind])}">'
        f"<figcaption><b>{label}</b> {note}</figcaption></figure>"
        for kind, (label, note) in notes.items()
    )
    return f'<div class="card view"><h3>{name}</h3><div class="pictures">{pictures}</div></div>'


def _exposed(gain: Sequence[float]) -> str:
    if all(value == 1.0 for value in gain):
        return ""
    factors = [gain[0]] if len(set(gain)) == 1 else gain
    return ", exposure × " + " ".join(f"{value:.2f}" for value in factors)


def _legends() -> str:
    def ramp(stops: Any, low: str, high: str) -> str:
        return f'{low}<span class="ramp" style="background:{gradient_css(stops)}"></span>{high}'

    return (
        f"<span>Difference: {ramp(DIFFERENCE_STOPS, 'equal', f'{DIFFERENCE_FULL} shades or more')}</span>"
        "<span>Confidence, how much worse the next best material fits: "
        f"{ramp(CONFIDENCE_STOPS, '0', f'{CONFIDENCE_FULL} shades or more')}</span>"
    )


def _course(result: OptimizeResult, summary: Summary) -> str:
    if summary.method == "solve":
        return (
            '<div class="card"><p>The assignment was solved for outright, so there is no curve to show. Its loss, a '
            f"mean per pixel and channel, of values from 0 to 1: <b>{summary.loss:.3g}</b>.</p>"
            "</div>"
        )
    return (
        '<div class="pair">'
        f'<div class="card"><h3>Loss, mean per pixel and channel</h3>{log_curve(result.losses, "loss by step")}'
        "</div>"
        f'<div class="card"><h3>Temperature</h3>{log_curve(result.temperatures, "temperature by step")}</div></div>'
    )


def _unseen(scene: BlockScene, result: OptimizeResult, summary: Summary) -> str:
    if not summary.unseen_blocks:
        return '<div class="card"><p>None: every block shows in some view.</p></div>'
    unseen = np.ones(len(scene.grid), dtype=np.bool_)
    unseen[result.visible_blocks] = False
    picture = plan(scene.grid, result.materials, scene.palette, unseen)
    color = "rgb({} {} {})".format(*UNSEEN_COLOR)
    hidden = summary.hidden_blocks
    return (
        '<div class="card pair"><div>'
        f"<p><b>{summary.unseen_blocks:,}</b> blocks show in no view, so no picture says what they are made of. "
        f"{summary.unseen_blocks - hidden:,} are walled in by others; <b>{hidden:,}</b> have a free face, and a "
        "further camera could show them.</p>"
        f'<p class="soft">The world from above, +X to the right, +Z down. A column whose highest block is unseen is '
        f'<span style="color:{color};font-weight:600">coloured like this</span>.</p></div>'
        f'<figure class="plan"><img alt="The world from above" src="{data_uri(picture)}"></figure></div>'
    )


def _light(result: OptimizeResult) -> list[tuple[str, str]]:
    light = result.lighting

    if isinstance(light, BakedLight):
        side, faces = light.side, len(light.received)
        mean = light.received.mean(axis=(0, 1, 2))
        return [
            ("measured on", f"{faces} faces, {side} × {side} places each"),
            ("white face, mean (linear)", " ".join(f"{value:.2f}" for value in mean.tolist())),
            ("display transform", "mixes channels" if light.display.mixes else "a curve a channel"),
        ]

    def triple(values: Iterable[float]) -> str:
        return " ".join(f"{value:.2f}" for value in values)

    return [
        ("towards the sun", triple(light.sun_direction)),
        ("sun", triple(light.sun_color)),
        ("sky above", triple(light.ambient_strength * value for value in light.sky_color)),
        ("ground below", triple(light.ambient_strength * value for value in light.ground_color)),
    ]
