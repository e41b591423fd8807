"""The result folder of an optimisation: map.json, result.json, materials.npy, report.html and pictures, all or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.files import finite, new_folder, write_array, write_file, write_json
from blockcore.frames import draw, frame_colors
from blockcore.metrics import compare_pictures, psnr
from blockcore.optimize import OptimizeResult, views_with_target
from blockcore.overlays import UNSURE, confidence, difference, exposed_blocks
from blockcore.pictures import encode_png
from blockcore.report import ReportView, write_report
from blockcore.scene import BlockScene
from blockcore.settings import OptimizeSettings
from blockcore.texels import triangle_array
from blockcore.visibility import rasterize
from blockcore.webgpu import write_map


def write_results(
    folder: Path, scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult
) -> dict[str, Any]:
    """Writes what an optimisation found.

    Args:
        folder: replaced if it is an older result; its files are ``map.json``, ``result.json``, ``materials.npy``
            ((N,) int32, in the scene's block order), ``visible_blocks.npy`` ((V,) int64, indices of the blocks that
            some view shows), ``report.html`` and
            ``views/NNN_{target,before,after,difference,confidence}.png``.
        scene: what was optimised.
        settings: how.
        result: what was found.

    Returns:
        The contents of ``result.json``; a PSNR of equal pictures is None there.

    Raises:
        BlockcoreError: the folder is something else, or cannot be written.
    """
    views = _pictures(scene, result)
    summary: dict[str, Any] = finite(_summary(scene, settings, result, views))
    with new_folder(folder, "result.json") as fresh:
        write_map(fresh / "map.json", scene.grid, result.materials, scene.palette)
        write_array(fresh / "materials.npy", result.materials)
        write_array(fresh / "visible_blocks.npy", result.visible_blocks)
        for number, view in enumerate(views):
            for kind in ("target", "before", "after", "difference", "confidence"):
                write_file(fresh / "views" / f"{number:03d}_{kind}.png", encode_png(getattr(view, kind)))
        write_json(fresh / "result.json", summary)
        write_report(fresh / "report.html", scene, settings, result, views, summary)
    return summary


def _pictures(scene: BlockScene, result: OptimizeResult) -> list[ReportView]:
    faces = scene.grid.exposed_faces
    before, after = (
        frame_colors(faces, materials, scene.palette, scene.lighting)
        for materials in (result.initial, result.materials)
    )
    # Triangle 0 is none; face f has triangles 2f + 1 and 2f + 2.
    blocks = np.append(-1, np.repeat(faces.block.astype(np.int64), 2))
    margins = np.full(len(scene.grid), np.nan)
    margins[result.visible_blocks] = result.margins
    views = []
    for view in views_with_target(scene):
        assert view.target is not None
        (visibility,) = rasterize(faces, [view.camera], result.rasterizer)
        views.append(
            ReportView(
                name=view.camera.name,
                target=view.target,
                before=draw(visibility, view.camera, before)[..., :3],
                after=(shown := draw(visibility, view.camera, after)[..., :3]),
                difference=difference(shown, view.target),
                confidence=confidence(blocks[triangle_array(visibility)], margins),
            )
        )
    return views


def _summary(
    scene: BlockScene, settings: OptimizeSettings, result: OptimizeResult, views: list[ReportView]
) -> dict[str, Any]:
    rows, errors = [], []
    for view in views:
        before, after = (
            compare_pictures(picture, view.target, scene.lighting.background) for picture in (view.before, view.after)
        )
        rows.append({"name": view.name, "psnr_before": before.psnr, "psnr_after": after.psnr})
        errors.append((before.mse * before.pixels, after.mse * after.pixels, before.pixels))
    total_before, total_after, pixels = np.sum(errors, axis=0)
    return {
        "blocks": len(scene.grid),
        "visible_blocks": len(result.visible_blocks),
        "unseen_blocks": len(scene.grid) - len(result.visible_blocks),
        "hidden_blocks": int(exposed_blocks(scene.grid).sum()) - len(result.visible_blocks),
        "unsure_blocks": int((result.margins < UNSURE).sum()),
        "changed_blocks": int((result.initial != result.materials).sum()),
        "method": result.method,
        "steps": result.steps,
        "seconds": result.seconds,
        "timings": result.timings,
        "loss": result.loss,
        "optimality_gap": result.optimality_gap,
        "psnr_before": psnr(float(total_before / pixels)),
        "psnr_after": psnr(float(total_after / pixels)),
        "views": rows,
        "materials": _counts(result.materials, scene.palette.names),
        "materials_before": _counts(result.initial, scene.palette.names),
        "device": result.device,
        "rasterizer": result.rasterizer,
        "settings": settings.to_dict(),
    }


def _counts(materials: npt.NDArray[np.int32], names: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(materials, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
