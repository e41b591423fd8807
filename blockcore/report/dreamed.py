"""The result folder of a dream: map.json, result.json, materials.npy, report.html with a turntable, all or none."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.formats.webgpu import write_map
from blockcore.guidance.dreaming import Dreamed
from blockcore.guidance.shots import Shots
from blockcore.io.files import finite, write_array, write_file, write_json
from blockcore.io.folders import write_folder
from blockcore.io.pictures import encode_png
from blockcore.machine.threads import spread
from blockcore.model.baked_light import light_header
from blockcore.model.camera import Camera
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.report.charts import log_curve
from blockcore.report.overlays import exposed_blocks
from blockcore.report.page import fill, png_uri
from blockcore.report.results import developed
from blockcore.report.summary import Summary
from blockcore.report.tables import bill_table, counts_of, material_table, rows, settings_rows, versions
from blockcore.shading.frames import draw, frame_colors
from blockcore.viewer import write_viewer
from blockcore.visibility import rasterize

_SIDE, _SAMPLES = 320, 2


@dataclass(frozen=True, eq=False)
class Told:
    """What is told of a dream besides its result.

    Attributes:
        title: what was dreamed of, in words.
        asked: what was asked for, by name.
        settings: the names of the settings that count.
        turntable: the cameras to show the result from.
        previews: PNGs of what pictures showed on the way, by step.
    """

    title: str
    asked: Mapping[str, str]
    settings: Sequence[str]
    turntable: Shots
    previews: Mapping[int, bytes]


def write_dream(folder: Path, scene: BlockScene, settings: OptimizeSettings, dreamed: Dreamed, told: Told) -> Summary:
    """Writes what a dream came to.

    Args:
        folder: replaced if it is an older result; its files are those of ``results.write_results`` but for the views,
            and ``turntable/NNN.png``.
        scene: the blocks, with the materials that they had.
        settings: how they were looked for.
        dreamed: what was found.
        told: what else the page shows.

    Returns:
        The figures, which ``result.json`` holds.

    Raises:
        BlockcoreError: the folder is something else, or cannot be written.
    """
    found = replace(scene.with_materials(dreamed.materials), views=())
    summary = _summary(scene, settings, dreamed)
    frames = _frames(found, told.turntable)

    def fill_folder(fresh: Path) -> None:
        write_map(fresh / "map.json", found.grid, found.materials, found.palette)
        write_array(fresh / "materials.npy", dreamed.materials)
        write_array(fresh / "visible_blocks.npy", dreamed.visible_blocks)
        for number, frame in enumerate(frames):
            write_file(fresh / "turntable" / f"{number:03d}.png", frame)
        write_json(fresh / "result.json", summary.to_dict())
        write_file(fresh / "report.html", _page(found, settings, dreamed, told, summary, frames))
        write_viewer(fresh / "viewer.html", found, told.title, before=scene.materials)

    write_folder(folder, "result.json", fill_folder)
    return summary


def _summary(scene: BlockScene, settings: OptimizeSettings, dreamed: Dreamed) -> Summary:
    visible = len(dreamed.visible_blocks)
    return Summary(
        blocks=len(scene.grid),
        visible_blocks=visible,
        unseen_blocks=len(scene.grid) - visible,
        hidden_blocks=int(exposed_blocks(scene.grid).sum()) - visible,
        unsure_blocks=0,
        changed_blocks=int((scene.materials != dreamed.materials).sum()),
        method="guidance",
        steps=len(dreamed.losses),
        seconds=dreamed.seconds,
        timings={"steps": dreamed.seconds},
        loss=finite(dreamed.losses[-1]),
        optimality_gap=None,
        psnr_before=None,
        psnr_after=None,
        views=(),
        lighting=light_header(scene.lighting),
        materials=counts_of(dreamed.materials, scene.palette.names),
        materials_before=counts_of(scene.materials, scene.palette.names),
        device=dreamed.device,
        rasterizer=dreamed.rasterizer,
        settings=settings.to_dict(),
    )


def _frames(scene: BlockScene, shots: Shots) -> list[bytes]:
    faces, side = scene.grid.exposed_faces, _SIDE * _SAMPLES
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)

    def drawn(view: npt.NDArray[np.float64], proj: npt.NDArray[np.float64]) -> bytes:
        camera = Camera(view, proj, side, side, "turntable")
        (visibility,) = rasterize(faces, [camera], "cpu")
        return encode_png(developed(draw(visibility, camera, colors), _SAMPLES, np.ones(3)))

    return spread(drawn, list(shots.view), list(shots.proj))


def _page(
    found: BlockScene,
    settings: OptimizeSettings,
    dreamed: Dreamed,
    told: Told,
    summary: Summary,
    frames: Sequence[bytes],
) -> str:
    figures = {
        "blocks some picture showed": f"{summary.visible_blocks:,} of {summary.blocks:,}",
        "steps": f"{summary.steps:,}",
        "minutes": f"{summary.seconds / 60.0:.1f}",
        "blocks changed": f"{summary.changed_blocks:,}",
        "materials used": f"{len(summary.materials)}",
    }
    curves = {"What the guidance says": dreamed.losses, "Temperature": dreamed.temperatures}
    return fill(
        "report/dream.html",
        title=html.escape(told.title),
        lead=f"{summary.visible_blocks:,} of {summary.blocks:,} blocks were seen in {summary.steps:,} steps.",
        tiles="".join(f'<div class="card tile"><b>{v}</b><span>{k}</span></div>' for k, v in figures.items()),
        frames=json.dumps([png_uri(frame) for frame in frames]),
        previews="".join(
            f'<figure><img alt="at step {step}" src="{png_uri(data)}"><figcaption>step {step:,}</figcaption></figure>'
            for step, data in sorted(told.previews.items())
        ),
        course="".join(
            f'<div class="card"><h3>{name}</h3>{log_curve([abs(v) for v in values], name)}</div>'
            for name, values in curves.items()
        ),
        materials=material_table(found.palette, summary.materials_before, summary.materials),
        bill=bill_table(found),
        asked=rows(told.asked.items()),
        settings=settings_rows(settings, OptimizeSettings(), told.settings),
        versions=rows(versions(summary.device, summary.rasterizer)),
    )
