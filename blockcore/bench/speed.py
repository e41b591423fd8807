"""The speed suite: frames against WebGPU on this machine's Vulkan, exposed faces, optimisation steps, start-up."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from blockcore.assignment.statistics import face_statistics
from blockcore.bench.timing import median_milliseconds
from blockcore.descent.descent import Descent
from blockcore.descent.objectives import objective_of
from blockcore.errors import BackendError
from blockcore.formats.webgpu import read_scene
from blockcore.io.files import Json
from blockcore.model.grid import BlockGrid
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.shading.frames import draw, frame_colors
from blockcore.shading.radiance import radiance_of
from blockcore.visibility import rasterize
from blockcore.visibility.faces import visible_faces


def run(data: Path) -> Json:
    """Measures everything; returns the figures as JSON values."""
    village, hills = (read_scene(data / f"maps/{n}/map.json", data / f"datasets/{n}") for n in (1, 2))
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "frame": {"village": frames(village), "hills": frames(hills)},
        "tiles": {"village": tiles(village), "hills": tiles(hills)},
        "exposed_faces_ms": exposed_faces(hills),
        "step": steps(village),
        "help_ms": help_text(),
    }


def frames(scene: BlockScene) -> Json:
    """Times a frame, visibility and shading, against the same frame drawn by WebGPU and read back."""
    faces = scene.grid.exposed_faces

    def ours(view: int) -> None:
        colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
        camera = scene.views[view].camera
        draw(rasterize(faces, [camera], "cpu")[0], camera, colors)

    try:
        from blockcore.webgpu_live.renderer import WebGpuRenderer

        webgpu = WebGpuRenderer(scene)
    except BackendError as error:
        times = [median_milliseconds({"blockcore": lambda v=v: ours(v)}) for v in range(len(scene.views))]  # type: ignore[misc]
        return {"blockcore_ms": _middle(times, "blockcore"), "webgpu": str(error)}
    times = [
        median_milliseconds(
            {
                "blockcore": lambda v=v: ours(v),  # type: ignore[misc]
                "draw": lambda c=view.camera: webgpu.draw_frame(c),  # type: ignore[misc]
                "draw and read back": lambda c=view.camera: webgpu.draw(c),  # type: ignore[misc]
            }
        )
        for v, view in enumerate(scene.views)
    ]
    return {
        "adapter": webgpu.adapter,
        "blockcore_ms": _middle(times, "blockcore"),
        "webgpu_draw_ms": _middle(times, "draw"),
        "webgpu_ms": _middle(times, "draw and read back"),
        "ratio_to_draw": statistics.median(t["blockcore"] / t["draw"] for t in times),
        "ratio": statistics.median(t["blockcore"] / t["draw and read back"] for t in times),
        "worst_ratio": max(t["blockcore"] / t["draw and read back"] for t in times),
    }


def tiles(scene: BlockScene) -> float:
    """Times a frame with a tile of 16 × 16 on every face against the flat frame; returns the middle view's ratio."""
    faces = scene.grid.exposed_faces
    rng = np.random.default_rng(0)
    every = [(material, direction) for material in range(1, len(scene.palette)) for direction in range(6)]
    tiled = scene.palette.with_tiles({key: rng.integers(0, 256, (16, 16, 4), np.uint8) for key in every})
    colors = {
        name: frame_colors(faces, scene.materials, palette, scene.lighting)
        for name, palette in (("flat", scene.palette.with_tiles({})), ("tiled", tiled))
    }
    ratios = []
    for view in scene.views:
        times = median_milliseconds(
            {
                name: lambda c=view.camera, of=of: draw(rasterize(faces, [c], "cpu")[0], c, of)  # type: ignore[misc]
                for name, of in colors.items()
            }
        )
        ratios.append(times["tiled"] / times["flat"])
    return statistics.median(ratios)


def exposed_faces(scene: BlockScene) -> float:
    """Times finding the exposed faces of a scene's blocks from their positions, in milliseconds."""
    positions = np.array(scene.grid.positions)
    size, scale = scene.grid.size, scene.grid.world_scale
    grids = iter([BlockGrid(size, scale, positions) for _ in range(64)])
    return median_milliseconds({"faces": lambda: next(grids).exposed_faces})["faces"]


def steps(scene: BlockScene) -> dict[str, float]:
    """Times one optimisation step over all views, for both ways to compute the loss, in milliseconds."""
    cameras = [view.camera for view in scene.views]
    seen = rasterize(scene.grid.exposed_faces, cameras, "cpu")
    visible = visible_faces(scene.grid.exposed_faces, cameras, seen, scene.palette, torch.device("cpu"))
    targets = [view.target for view in scene.views if view.target is not None]
    sums = face_statistics(visible, targets, scene.lighting.background)
    radiance = radiance_of(scene.palette, scene.lighting, torch.device("cpu"), torch.float64, visible.looks)

    def descent(objective: str) -> Descent:
        settings = OptimizeSettings(objective=objective, device="cpu")
        loss = objective_of(objective, settings.commitment, visible, sums, radiance, targets)
        return Descent(scene, settings, visible, loss, 0.0)

    runs = {f"{name}_ms": descent(name) for name in ("pixels", "statistics")}
    return median_milliseconds({name: lambda r=run: r.step(0.5) for name, run in runs.items()})  # type: ignore[misc]


def help_text() -> float:
    """Times ``python -m blockcore --help`` as a whole process, in milliseconds."""
    command = [sys.executable, "-m", "blockcore", "--help"]
    return median_milliseconds({"help": lambda: subprocess.run(command, check=True, capture_output=True)}, rounds=7)[
        "help"
    ]


def lines(figures: Json) -> list[str]:
    """Returns the figures as lines to print."""
    rows = [f"{figures['threads']} threads on {figures['cores']} cores; medians"]
    for name, frame in figures["frame"].items():
        text = f"frame, {name}: {frame['blockcore_ms']:.2f} ms"
        if "ratio" in frame:
            text += f", {frame['ratio']:.2f} of WebGPU's {frame['webgpu_ms']:.2f} ms"
            text += f" (worst view {frame['worst_ratio']:.2f})"
        rows.append(text)
    return [
        *rows,
        *(f"frame with tiles, {name}: {ratio:.2f} of the flat one" for name, ratio in figures["tiles"].items()),
        f"exposed faces of the hills: {figures['exposed_faces_ms']:.2f} ms",
        f"one step, 8 views of 512 × 512: {figures['step']['pixels_ms']:.2f} ms by pixels, "
        f"{figures['step']['statistics_ms']:.2f} ms by statistics",
        f"--help: {figures['help_ms']:.0f} ms",
    ]


def _middle(times: list[dict[str, float]], name: str) -> float:
    return statistics.median(t[name] for t in times)
