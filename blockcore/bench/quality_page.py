"""The page of the quality suite: its tables."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blockcore.io.files import write_file
from blockcore.report.page import fill


def write_page(path: Path, figures: Mapping[str, Any], methods: Sequence[str]) -> None:
    """Writes the page.

    Args:
        path: the file.
        figures: from ``quality.run``.
        methods: their names, in order.
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
    )
    write_file(path, page)


def _heads(methods: Sequence[str]) -> str:
    return "".join(f'<th class="number">{html.escape(method)}</th>' for method in methods)


def _row(names: Sequence[str], cells: Sequence[str], values: Sequence[float] | None = None) -> str:
    """Returns a row of a table; of cells with values the best stands out."""
    parts = [f"<td>{html.escape(name)}</td>" for name in names]
    for index, cell in enumerate(cells):
        best = values is not None and values[index] == max(values)
        parts.append(f'<td class="number{" set" * best}">{cell}</td>')
    return f"<tr>{''.join(parts)}</tr>"
