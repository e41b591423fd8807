"""report.html: one self-contained page that shows what an optimisation did."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore import __version__
from blockcore.files import write_file
from blockcore.palette import SIDE
from blockcore.pictures import encode_png
from blockcore.scene import BlockScene
from blockcore.settings import OptimizeSettings

if TYPE_CHECKING:
    from blockcore.optimize import OptimizeResult


@dataclass(frozen=True, eq=False)
class ReportView:
    """One view's pictures, each (H, W, 3 or 4) uint8.

    Attributes:
        name: of the camera.
        target: what it should show.
        before: what it showed with the initial assignment.
        after: what it shows with the assignment found.
    """

    name: str
    target: npt.NDArray[np.uint8]
    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]


def write_report(
    path: Path,
    scene: BlockScene,
    settings: OptimizeSettings,
    result: OptimizeResult,
    views: Sequence[ReportView],
    summary: dict[str, Any],
) -> None:
    """Writes the page.

    Args:
        path: the file.
        scene: what was optimised.
        settings: how.
        result: what was found.
        views: pictures, in the order of ``summary["views"]``.
        summary: the contents of ``result.json``.
    """
    template = Template(resources.files("blockcore").joinpath("report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title="Block materials found from pictures",
        lead=html.escape(
            f"{summary['steps']} steps in {summary['seconds']:.2f} s on {summary['device']}, "
            f"rasteriser {summary['rasterizer']}, blockcore {__version__}"
        ),
        tiles=_tiles(summary),
        views="\n".join(_view_row(view, row) for view, row in zip(views, summary["views"], strict=True)),
        curve=_curve(result.losses),
        materials=_material_rows(scene, summary),
        settings="\n".join(
            f"<tr><td>{html.escape(name.replace('_', ' '))}</td><td>{html.escape(str(value))}</td></tr>"
            for name, value in settings.to_dict().items()
        ),
    )
    write_file(path, page)


def _tiles(summary: dict[str, Any]) -> str:
    figures = {
        "PSNR before": _decibel(summary["psnr_before"]),
        "PSNR after": _decibel(summary["psnr_after"]),
        "blocks": f"{summary['blocks']:,}",
        "seen by a camera": f"{summary['visible_blocks']:,}",
        "changed": f"{summary['changed_blocks']:,}",
    }
    return "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in figures.items())


def _view_row(view: ReportView, row: dict[str, Any]) -> str:
    name = html.escape(view.name, quote=True)
    pictures = "".join(
        f'<td><img alt="{kind} of {name}" src="{_data_uri(getattr(view, kind))}">{note}</td>'
        for kind, note in (
            ("target", ""),
            ("before", _decibel(row["psnr_before"])),
            ("after", _decibel(row["psnr_after"])),
        )
    )
    return f"<tr><td>{name}</td>{pictures}</tr>"


def _material_rows(scene: BlockScene, summary: dict[str, Any]) -> str:
    rows = []
    for index, name in enumerate(scene.palette.names):
        before, after = (summary[key].get(name, 0) for key in ("materials_before", "materials"))
        if before or after:
            rgb = ",".join(str(round(255 * float(c))) for c in scene.palette.colors[index, SIDE])
            rows.append(
                f'<tr><td><span class="swatch" style="background:rgb({rgb})"></span>{html.escape(name)}</td>'
                f'<td class="number">{before:,}</td><td class="number">{after:,}</td></tr>'
            )
    return "\n".join(rows)


def _curve(losses: Sequence[float], width: int = 900, height: int = 220) -> str:
    floor = 1e-9
    logs = [math.log10(max(loss, floor)) for loss in losses]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high = max(high, low + 1)
    left, bottom, top = 60, height - 30, 12

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    points = " ".join(
        f"{left + i / max(1, len(logs) - 1) * (width - left - 10):.1f},{y(v):.1f}" for i, v in enumerate(logs)
    )
    lines = "".join(
        f'<line class="axis" x1="{left}" x2="{width - 10}" y1="{y(p):.1f}" y2="{y(p):.1f}"/>'
        f'<text x="{left - 8}" y="{y(p) + 4:.1f}" text-anchor="end">1e{p}</text>'
        for p in range(low, high + 1)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="mean squared error by step">{lines}'
        f'<polyline class="curve" points="{points}"/>'
        f'<text x="{left}" y="{height - 8}">step 1</text>'
        f'<text x="{width - 10}" y="{height - 8}" text-anchor="end">step {len(logs)}</text></svg>'
        "<p>Mean squared error per pixel and channel, of values from 0 to 1.</p>"
    )


def _decibel(value: float | None) -> str:
    return "∞ dB" if value is None or math.isinf(value) else f"{value:.2f} dB"


def _data_uri(picture: npt.NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()
