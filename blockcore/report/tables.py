"""Rows of the tables that pages about a result show."""

from __future__ import annotations

import html
import platform
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata

import numpy as np
import numpy.typing as npt

from blockcore import __version__
from blockcore.formats.bill import bill
from blockcore.formats.exchange import block_names
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene
from blockcore.model.settings import SETTINGS, OptimizeSettings


def counts_of(materials: npt.NDArray[np.int32], names: tuple[str, ...]) -> dict[str, int]:
    """Returns blocks by the name of their material, of (N,) palette indices; those of none left out."""
    counts = np.bincount(materials, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def material_table(palette: Palette, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Returns how many blocks of each material there were and are, from counts by name: swatches, numbers, bars."""
    counts = [tuple(blocks.get(name, 0) for blocks in (before, after)) for name in palette.names]
    most = max(max(pair) for pair in counts)
    lines = []
    for index, (name, (old, new)) in enumerate(zip(palette.names, counts, strict=True)):
        if not old and not new:
            continue
        colors = (",".join(str(round(255 * float(c))) for c in rgb) for rgb in palette.colors[index])
        swatches = "".join(f'<i style="background:rgb({rgb})"></i>' for rgb in colors)
        bars = "".join(
            f'<div class="bar {kind}" style="width:{100 * count / most:.2f}%"></div>'
            for kind, count in (("before", old), ("after", new))
        )
        lines.append(
            f'<tr><td><span class="swatches" title="top, bottom, side">{swatches}</span>{html.escape(name)}</td>'
            f'<td class="number">{old:,}</td><td class="number">{new:,}</td><td class="bars">{bars}</td></tr>'
        )
    head = '<th>Material</th><th class="number">Before</th><th class="number">After</th>'
    return _table(f"{head}<th>Blocks: before pale, after full</th>", "\n".join(lines))


def bill_table(scene: BlockScene) -> str:
    """Returns what to gather for a world, and what of it has no such block."""
    names, losses = block_names(scene)
    counts: dict[str, int] = {}
    for state, count in zip(names[1:], np.bincount(scene.materials, minlength=len(names)).tolist()[1:], strict=True):
        counts[state] = counts.get(state, 0) + count
    lines = "\n".join(
        f'<tr><td>{html.escape(one.block)}</td><td class="number">{one.count:,}</td>'
        f'<td class="number">{one.stacks:,} + {one.rest}</td><td class="number">{one.boxes:,}</td></tr>'
        for one in bill(counts)
    )
    lost = "".join(f'<tr><td colspan="4" class="soft">{html.escape(loss)}</td></tr>' for loss in losses)
    head = '<th>Block of Minecraft</th><th class="number">Blocks</th><th class="number">Stacks of 64 + single</th>'
    return _table(f'{head}<th class="number">Shulker boxes</th>', lines + lost)


def _table(head: str, lines: str) -> str:
    return f'<div class="card"><table><thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def settings_rows(settings: OptimizeSettings, usual: OptimizeSettings, names: Collection[str] = SETTINGS) -> str:
    """Returns settings by name; those that differ from the usual ones stand out."""
    expected = usual.to_dict()
    return "\n".join(
        f"<tr><td>{html.escape(name.replace('_', ' '))}</td>"
        f"<td{' class=set' * (value != expected[name])}>{html.escape(str(value)) or '–'}</td></tr>"
        for name, value in settings.to_dict().items()
        if name in names
    )


def versions(device: str, rasterizer: str) -> list[tuple[str, str]]:
    """Returns what a result was made with."""
    installed = [(name, _version(name)) for name in ("torch", "numpy", "numba", "scipy")]
    return [
        ("blockcore", __version__),
        ("device", device),
        ("rasteriser", rasterizer),
        ("Python", platform.python_version()),
        *installed,
        ("system", f"{platform.system()} {platform.machine()}"),
    ]


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns rows of two cells of text."""
    return "\n".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in pairs)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
