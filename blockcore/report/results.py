"""The result folder of an optimisation: map.json, result.json, materials.npy, report.html and pictures, all or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.formats.webgpu import write_map
from blockcore.io.files import finite, write_array, write_file, write_json
from blockcore.io.folders import write_folder
from blockcore.io.pictures import encode_png
from blockcore.machine.threads import spread
from blockcore.model.baked_light import light_header
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import OptimizeResult
from blockcore.plan import chosen_light
from blockcore.report.metrics import psnr, squared_error
from blockcore.report.overlays import UNSURE, confidence, difference, exposed_blocks
from blockcore.report.report import PICTURES, ReportView, write_report
from blockcore.report.summary import Summary, ViewSummary
from blockcore.report.tables import counts_of
from blockcore.shading.frames import draw, frame_colors
from blockcore.viewer import write_viewer
from blockcore.visibility import rasterize
from blockcore.visibility.texels import triangle_array


def write_results(folder: Path, scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult) -> Summary:
    """Writes what an optimisation found.

    Args:
        folder: replaced if it is an older result; its files are ``map.json``, ``result.json``, ``materials.npy``
            ((N,) int32, in the scene's block order), ``visible_blocks.npy`` ((V,) int64, indices of the blocks that
            some view shows), ``report.html``, ``viewer.html`` and
            ``views/NNN_{target,before,after,difference,confidence}.png``.
        scene: what was optimised.
        settings: how.
        result: what was found.

    Returns:
        The figures, which ``result.json`` holds.

    Raises:
        BlockcoreError: the folder is something else, or cannot be written.
    """
    views = _pictures(scene, settings, result)
    summary = _summary(scene, settings, result, views)

    def fill(fresh: Path) -> None:
        write_map(fresh / "map.json", scene.grid, result.materials, scene.palette)
        write_array(fresh / "materials.npy", result.materials)
        write_array(fresh / "visible_blocks.npy", result.visible_blocks)
        for number, view in enumerate(views):
            for kind in PICTURES:
                write_file(fresh / "views" / f"{number:03d}_{kind}.png", view.files[kind])
        write_json(fresh / "result.json", summary.to_dict())
        write_report(fresh / "report.html", scene, settings, result, views, summary)
        found = scene.with_materials(result.materials)
        write_viewer(fresh / "viewer.html", found, "Block materials found from pictures", before=scene.materials)

    write_folder(folder, "result.json", fill)
    return summary


def summarise(scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult) -> Summary:
    """Returns the figures of an optimisation alone; see ``write_results``."""
    return _summary(scene, settings, result, _pictures(scene, settings, result))


def _pictures(scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult) -> list[ReportView]:
    faces = scene.grid.exposed_faces
    before, after = (
        frame_colors(faces, materials, scene.palette, result.lighting)
        for materials in (scene.materials, result.materials)
    )
    # Triangle 0 is none; face f has triangles 2f + 1 and 2f + 2.
    blocks = np.append(-1, np.repeat(faces.block.astype(np.int64), 2))
    margins = np.full(len(scene.grid), np.nan)
    margins[result.visible_blocks] = result.margins

    def drawn(view: View, gain: npt.NDArray[np.float64]) -> ReportView:
        assert view.target is not None
        camera, samples = view.camera, settings.samples
        (visibility,) = rasterize(faces, [camera], result.rasterizer)
        fine, seen = camera, visibility
        if samples > 1:
            fine = replace(camera, width=samples * camera.width, height=samples * camera.height)
            (seen,) = rasterize(faces, [fine], result.rasterizer)
        shown = [developed(draw(seen, fine, colors), samples, gain) for colors in (before, after)]
        pictures = {
            "target": view.target,
            "before": shown[0],
            "after": shown[1],
            "difference": difference(shown[1], view.target),
            "confidence": confidence(blocks[triangle_array(visibility)], margins),
        }
        errors = [squared_error(picture, view.target) for picture in shown]
        files = {kind: encode_png(pictures[kind]) for kind in PICTURES}
        return ReportView(camera.name, files, errors[0][0], errors[1][0], errors[0][1])

    return spread(drawn, [view for view in scene.views if view.target is not None], list(result.gains))


def developed(picture: npt.NDArray[np.uint8], samples: int, gain: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Returns (H, W, 3) uint8: samples averaged to pixels, with the exposure and white balance of the view."""
    if samples == 1 and (gain == 1.0).all():
        return picture[..., :3]
    height, width = picture.shape[0] // samples, picture.shape[1] // samples
    exposed = np.minimum(picture[..., :3] * gain, 255.0).reshape(height, samples, width, samples, 3)
    return np.asarray(np.rint(exposed.mean(axis=(1, 3))), dtype=np.uint8)


def _summary(scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult, views: list[ReportView]) -> Summary:
    rows: list[ViewSummary] = []
    errors = []
    for view, gain in zip(views, result.gains, strict=True):
        pixels = max(1, view.pixels)
        rows.append(
            ViewSummary(
                name=view.name,
                psnr_before=_psnr(view.before / pixels),
                psnr_after=_psnr(view.after / pixels),
                gain=tuple(gain.tolist()),
            )
        )
        errors.append((view.before, view.after, view.pixels))
    total_before, total_after, pixels = np.sum(errors, axis=0)
    return Summary(
        blocks=len(scene.grid),
        visible_blocks=len(result.visible_blocks),
        unseen_blocks=len(scene.grid) - len(result.visible_blocks),
        hidden_blocks=int(exposed_blocks(scene.grid).sum()) - len(result.visible_blocks),
        unsure_blocks=int((result.margins < UNSURE).sum()),
        changed_blocks=int((scene.materials != result.materials).sum()),
        method=result.method,
        steps=result.steps,
        seconds=result.seconds,
        timings=result.timings,
        loss=finite(result.loss),
        optimality_gap=finite(result.optimality_gap),
        psnr_before=_psnr(float(total_before / pixels)),
        psnr_after=_psnr(float(total_after / pixels)),
        views=tuple(rows),
        lighting=light_header(result.lighting),
        materials=counts_of(result.materials, scene.palette.names),
        materials_before=counts_of(scene.materials, scene.palette.names),
        device=result.device,
        rasterizer=result.rasterizer,
        settings=settings.to_dict(),
        light=": ".join(chosen_light(scene.lighting, settings.light.lighting)),
    )


def _psnr(error: float) -> float | None:
    """Returns the PSNR of a mean squared error; None for that of equal pictures, which is infinite."""
    return psnr(error) if error else None
