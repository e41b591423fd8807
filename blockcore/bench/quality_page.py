"""The page of the quality suite: its tables, and held-out views side by side."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.io.files import write_file
from blockcore.report.page import data_uri, fill

Gallery = list[tuple[str, Mapping[str, npt.NDArray[np.uint8]]]]
"""Scene and pictures by method, of views held out."""


def write_page(path: Path, figures: Mapping[str, Any], methods: Sequence[str], gallery: Gallery) -> None:
    """Writes the page.

    Args:
        path: the file.
        figures: from ``quality.run``.
        methods: their names, in order.
        gallery: pictures to show.
    """
    page = fill(
        "bench/quality.html",
        methods=_heads(methods),
        planted="\n".join(
            _row((condition, world), [f"{100 * shares[m]:.2f} %" for m in methods], [shares[m] for m in methods])
            for condition, worlds in figures["planted"].items()
            for world, shares in worlds.items()
        ),
        smoothing="\n".join(
            _row(
                (name,),
                [f"{found['energy']:,.1f}", f"{100 * found['above_bound']:.3f} %", f"{found['seconds']:.2f} s"],
            )
            for name, found in figures["smoothing"].items()
        ),
        modelled=_modelled(figures, methods, gallery),
    )
    write_file(path, page)


def gains_in_words(gains: Mapping[str, float]) -> str:
    """Returns what a group of models gains over nearest colour, in one line."""
    return (
        f"{gains['psnr_over_nearest']:+.2f} dB on average, at least {gains['least_psnr_over_nearest']:+.2f} dB "
        f"and {gains['least_ssim_over_nearest']:+.3f} SSIM"
    )


def _modelled(figures: Mapping[str, Any], methods: Sequence[str], gallery: Gallery) -> str:
    if not figures["modelled"]:
        return '<div class="card"><p>None were given.</p></div>'
    rows = "\n".join(
        _row(
            (group, scene),
            [f"{found[m]['psnr']:.2f} dB<br>{found[m]['ssim']:.3f}" for m in methods],
            [found[m]["psnr"] for m in methods],
        )
        for group, scenes in figures["modelled"].items()
        for scene, found in scenes.items()
    )
    gains = "".join(
        f"<li>{html.escape(group)}: <b>{gains_in_words(found)}</b></li>" for group, found in figures["summary"].items()
    )
    views = "".join(_card(scene, pictures) for scene, pictures in gallery)
    return (
        "<p>Turned into blocks, with a palette of 32 materials and the light fitted; targets rendered by Cycles. PSNR "
        "and SSIM of views held out. Palette and smoothness were chosen with the figures of some models in view; "
        f"nothing was tuned on those made after. Over nearest colour:</p><ul>{gains}</ul>"
        f'<div class="card"><table><thead><tr><th>Palette and smoothness</th><th>Model</th>{_heads(methods)}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div><h2>Views held out</h2>{views}"
    )


def _heads(methods: Sequence[str]) -> str:
    return "".join(f'<th class="number">{html.escape(method)}</th>' for method in methods)


def _row(names: Sequence[str], cells: Sequence[str], values: Sequence[float] | None = None) -> str:
    """Returns a row of a table; of cells with values the best stands out."""
    parts = [f"<td>{html.escape(name)}</td>" for name in names]
    for index, cell in enumerate(cells):
        best = values is not None and values[index] == max(values)
        parts.append(f'<td class="number{" set" * best}">{cell}</td>')
    return f"<tr>{''.join(parts)}</tr>"


def _card(scene: str, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> str:
    figures = "".join(
        f'<figure><img alt="{html.escape(f"{kind}, {scene}", quote=True)}" src="{data_uri(picture)}">'
        f"<figcaption><b>{html.escape(kind)}</b></figcaption></figure>"
        for kind, picture in pictures.items()
    )
    return f'<div class="card view"><h3>{html.escape(scene)}</h3><div class="pictures">{figures}</div></div>'
