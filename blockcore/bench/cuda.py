"""The GPU suite: the same pixels as on the CPU, and steps against the loop an expert would write first.

Every time is the median of CUDA events in this run; ratios compare with ``textbook`` and with bare
``nvdiffrast.torch.rasterize`` in the same run.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blockcore.assignment.statistics import face_statistics
from blockcore.bench.landscape import landscape
from blockcore.bench.shape import occupancy_step
from blockcore.bench.textbook import Textbook
from blockcore.descent.descent import Descent, temperature_schedule
from blockcore.descent.fast_steps import FastSteps, Segments
from blockcore.descent.objectives import PixelObjective, StatisticsObjective, objective_of
from blockcore.formats.webgpu import read_scene
from blockcore.io.files import Json
from blockcore.machine import memory
from blockcore.machine.device import choose_device
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.pixels import squared_error
from blockcore.optimize import optimize, optimize_materials
from blockcore.plan import Plan
from blockcore.report.metrics import compare_pictures
from blockcore.shading.frames import draw, frame_colors
from blockcore.shading.radiance import material_probabilities, radiance_of
from blockcore.visibility import ON_GPU, choose_rasterizer, cuda, exact, nvdiffrast, rasterize
from blockcore.visibility.faces import visible_faces
from blockcore.world import DifferentiableBlockWorld

_STEPS = OptimizeSettings(method="gradient", steps=3000, device="cuda", commitment=0.5)
_NAMES = {1: "village", 2: "hills", 4: "among blocks"}


def run(data: Path) -> Json:
    """Measures everything; returns the figures as JSON values.

    Raises:
        BackendError: there is no usable GPU, or Triton or nvdiffrast is missing.
    """
    device, _ = choose_device("cuda")
    for name in ON_GPU:
        choose_rasterizer(name, "cuda")
    scenes = {name: read_scene(data / f"maps/{n}/map.json", data / f"datasets/{n}") for n, name in _NAMES.items()}
    return {
        "device": torch.cuda.get_device_name(device.index),
        "torch": torch.__version__,
        "compare": {name: comparison(scene) for name, scene in scenes.items()},
        "gradient": {name: gradients(scenes[name]) for name in ("village", "hills")},
        "visibility": {name: visibility(scenes[name]) for name in ("village", "hills")},
        "step": {name: steps(scenes[name]) for name in ("village", "hills")},
        "training": {name: training(scenes[name]) for name in ("village", "hills")},
        "reduction": {name: reductions(scenes[name]) for name in ("village", "hills")},
        "optimize": {name: optimizing(scenes[name]) for name in ("village", "hills")},
        "occupancy": occupancy(),
        "million": million(),
    }


def milliseconds(task: Callable[[], Any], rounds: int = 100, warm_up: int = 10, each: int = 1) -> float:
    """Returns the median time of ``task`` between CUDA events, divided by ``each``, the units in one task."""
    return in_turn({"": task}, rounds, warm_up)[""] / each


def in_turn(tasks: Mapping[str, Callable[[], Any]], rounds: int = 100, warm_up: int = 10) -> dict[str, float]:
    """Returns the median milliseconds of tasks between CUDA events; taken in turn, what disturbs one disturbs all."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(warm_up + rounds):
        for name, task in tasks.items():
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            before.record()
            task()
            after.record()
            after.synchronize()
            times[name].append(before.elapsed_time(after))
    return {name: float(statistics.median(each[warm_up:])) for name, each in times.items()}


def comparison(scene: BlockScene) -> dict[str, Json]:
    """Compares pictures from the GPU with the captures, and visibility with the CPU rasteriser's."""
    faces, cameras = scene.grid.exposed_faces, [view.camera for view in scene.views]
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    on_cpu = [seen.triangle_id for seen in rasterize(faces, cameras, "cpu")]
    figures: dict[str, Json] = {}
    for name in ON_GPU:
        seen = rasterize(faces, cameras, name)
        pairs = zip(seen, scene.views, strict=True)
        metrics = [
            compare_pictures(draw(v, view.camera, colors), view.target, scene.lighting.background)
            for v, view in pairs
            if view.target is not None
        ]
        figures[name] = {
            "differing_over_1": [m.differing_over_1 for m in metrics],
            "geometry_match": min(m.geometry_match for m in metrics),
            "triangles_unlike_cpu": _unlike([v.triangle_id for v in seen], on_cpu),
        }
    figures["nvdiffrast"]["without_repair"] = _unlike([coarse_ids(scene, camera) for camera in cameras], on_cpu)
    return figures


def _unlike(ours: Sequence[torch.Tensor], theirs: Sequence[Any]) -> list[int]:
    return [int((a.cpu().numpy() != b).sum()) for a, b in zip(ours, theirs, strict=True)]


def coarse_ids(scene: BlockScene, camera: Camera) -> torch.Tensor:
    """Returns what nvdiffrast alone shows, (H, W) int32."""
    positions, views = _coarse_input(scene, [camera])
    return exact.decode_ids(nvdiffrast.coarse(positions, views)[0])


def _coarse_input(scene: BlockScene, cameras: Sequence[Camera]) -> tuple[torch.Tensor, exact.Views]:
    device = torch.device("cuda", torch.cuda.current_device())
    corners, views = cuda._upload(scene.grid.exposed_faces, device), exact.Views.of(cameras).to(device)
    return exact.Drawing(corners, views).positions(), views


def _parts(scene: BlockScene, device: str, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    cameras, where = [view.camera for view in scene.views], torch.device(device)
    seen = rasterize(scene.grid.exposed_faces, cameras, device_type=device)
    visible = visible_faces(scene.grid.exposed_faces, cameras, seen, scene.palette, where, lighting=scene.lighting)
    targets = [view.target for view in scene.views if view.target is not None]
    return {
        "visible": visible,
        "statistics": face_statistics(visible, targets, scene.lighting.background),
        "radiance": radiance_of(scene.palette, scene.lighting, where, dtype, visible.looks, visible.received),
        "targets": targets,
    }


def _objective(settings: OptimizeSettings, parts: dict[str, Any]) -> PixelObjective | StatisticsObjective:
    objective = objective_of(settings.search.objective, settings.search.commitment, **parts)
    assert isinstance(objective, (PixelObjective, StatisticsObjective))
    return objective


def gradients(scene: BlockScene) -> dict[str, float]:
    """Compares the logits' gradient of a first step on the GPU with the CPU's by autograd, in float64."""
    on_gpu, on_cpu = _parts(scene, "cuda"), _parts(scene, "cpu")
    blocks = len(on_cpu["visible"].blocks)
    assert torch.equal(on_gpu["visible"].blocks.cpu(), on_cpu["visible"].blocks), "other blocks are visible"
    start = torch.randn((blocks, len(scene.palette)), generator=torch.Generator().manual_seed(0))
    errors = {}
    for name in ("pixels", "statistics"):
        settings = replace(_STEPS, search=replace(_STEPS.search, objective=name))
        fast = FastSteps(start.cuda(), _objective(settings, on_gpu), settings, [1.0])
        fast.take(1)
        ours = (fast.first_moment / (1.0 - fast.betas[0])).cpu().double()
        for reference, precision in (("cpu", torch.float32), ("float64", torch.float64)):
            exact_objective = _objective(
                replace(
                    settings,
                    search=replace(settings.search, objective="statistics" if reference == "float64" else name),
                ),
                on_cpu,
            )
            logits = start.clone().to(precision).detach().requires_grad_()
            exact_objective(material_probabilities(logits, 1.0)).backward()  # type: ignore[no-untyped-call]
            assert logits.grad is not None
            errors[f"{name} against {reference}"] = float(
                (ours - logits.grad.double()).norm() / logits.grad.double().norm()
            )
    return errors


def visibility(scene: BlockScene) -> dict[str, dict[str, float]]:
    """Times finding visibility, of one view and of all together, and nvdiffrast's bare rasterisation of the same.

    Of single views the medians are given, of the time and of its ratio to that of the bare rasterisation.
    """
    faces, cameras = scene.grid.exposed_faces, [view.camera for view in scene.views]
    context = nvdiffrast.context(torch.cuda.current_device())

    def timed(rasterizer: str, cameras: list[Camera]) -> dict[str, float]:
        bare = _coarse_input(scene, cameras)
        return in_turn(
            {"exact": lambda: rasterize(faces, cameras, rasterizer), "bare": lambda: context.draw(*bare)}, rounds=60
        )

    figures = {}
    for name in ON_GPU:
        single, together = [timed(name, [camera]) for camera in cameras], timed(name, cameras)
        figures[name] = {
            "exact_ms": statistics.median(times["exact"] for times in single),
            "bare_ms": statistics.median(times["bare"] for times in single),
            "ratio": statistics.median(times["exact"] / times["bare"] for times in single),
            "all_exact_ms_each": together["exact"] / len(cameras),
            "all_bare_ms_each": together["bare"] / len(cameras),
            "all_ratio": together["exact"] / together["bare"],
        }
    return figures


def steps(scene: BlockScene) -> dict[str, float]:
    """Times one optimisation step over all views: the textbook loop's, autograd's, the fast ones, also in lit faces."""
    parts, lit = _parts(scene, "cuda"), _parts(_with_light_per_face(scene), "cuda")
    textbook = Textbook(scene, torch.device("cuda"))
    times = {"textbook_ms": milliseconds(textbook.step)}
    for name in ("pixels", "statistics"):
        settings = replace(_STEPS, search=replace(_STEPS.search, objective=name))
        objective = _objective(settings, parts)
        slow = Descent(scene, settings, parts["visible"], objective, 0.0)
        times[f"{name}_autograd_ms"] = milliseconds(lambda s=slow: s.step(0.5))  # type: ignore[misc]
        fast, per_face = (
            FastSteps(slow.logits, one, settings, temperature_schedule(settings))
            for one in (objective, _objective(settings, lit))
        )
        both = in_turn({"plain": lambda f=fast: f.take(10), "lit": lambda f=per_face: f.take(10)})  # type: ignore[misc]
        times |= {f"{name}_ms": both["plain"] / 10, f"{name}_light_per_face_ms": both["lit"] / 10}
    textbook.release()
    return times


def _with_light_per_face(scene: BlockScene) -> BlockScene:
    received = np.random.default_rng(0).random((len(scene.grid.exposed_faces), 1, 1, 3), np.float32) + 0.1
    return replace(scene, lighting=BakedLight(received, background=scene.lighting.background))


def training(scene: BlockScene) -> dict[str, float]:
    """Times a step of somebody's own loop: pictures of a ``DifferentiableBlockWorld``, any loss, autograd, Adam.

    From the same cameras in every step, whose visibility is remembered, and from new ones; and the textbook loop, which
    rasterises in any case.
    """
    grid, cameras = scene.grid, [view.camera for view in scene.views]
    world = DifferentiableBlockWorld.from_arrays(
        grid.positions, None, None, grid.size, grid.world_scale, "cuda", scene.palette, scene.lighting
    )
    adam = torch.optim.Adam(world.parameters(), lr=0.3)
    views, projs = (torch.tensor(np.stack([getattr(c, name) for c in cameras])) for name in ("view", "proj"))
    targets = np.stack([view.target[..., :3] for view in scene.views if view.target is not None])
    wanted = torch.tensor(targets, device="cuda").movedim(-1, 1).float() / 255.0
    moved = itertools.count(1)

    def step(views: torch.Tensor, light: torch.Tensor | None = None) -> None:
        picture = world.render(views, projs, cameras[0].height, cameras[0].width, light=light)
        loss = (picture[:, :3] - wanted).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()

    def elsewhere() -> None:
        nudge = torch.zeros_like(views)
        nudge[:, 0, 3] = 1e-4 * next(moved)
        step(views + nudge)

    textbook = Textbook(scene, torch.device("cuda"))
    baked = _with_light_per_face(scene).lighting
    assert isinstance(baked, BakedLight)
    received = torch.tensor(baked.received, device="cuda")
    times = in_turn(
        {
            "textbook_ms": textbook.step,
            "same_cameras_ms": lambda: step(views),
            "light_per_face_ms": lambda: step(views, received),
        }
    )
    times |= in_turn({"new_cameras_ms": elsewhere})
    textbook.release()
    return times


def occupancy() -> dict[str, float]:
    """Times a step of looking for blocks in 64 × 48 × 64 cells in 4 views of 256²: fog, thin fog, and half settled."""
    figures = {}
    for opacity in (0.1, 0.01, 0.5):
        step = occupancy_step("cuda", opacity)
        figures[f"opacity {opacity:g}_ms"] = milliseconds(step, rounds=30)
    return figures


def reductions(scene: BlockScene) -> dict[str, float]:
    """Times a squared error and its gradient by faces: pixels sorted beforehand, runs added up, plain indexing."""
    parts = _parts(scene, "cuda")
    settings = replace(_STEPS, search=replace(_STEPS.search, objective="pixels"))
    objective = _objective(settings, parts)
    assert isinstance(objective, PixelObjective)
    fast = FastSteps(torch.zeros(len(parts["visible"].blocks), len(scene.palette)).cuda(), objective, settings, [1.0])
    colors = torch.rand(len(parts["visible"].block), 3, device="cuda")
    face, target = objective.face, objective.target
    goal, safe = target[:, :3].float() / 255.0, face.clamp_min(0).long()

    def plain() -> None:
        values = colors.clone().requires_grad_()
        (((values[safe] - goal) * (face >= 0)[:, None]) ** 2).sum().backward()  # type: ignore[no-untyped-call]

    return {
        "sorting_once_ms": milliseconds(lambda: Segments.of(face, target), rounds=10, warm_up=2),
        "sorted_ms": milliseconds(fast.stages.compare, rounds=50),
        "runs_ms": milliseconds(lambda: squared_error(colors, face, target), rounds=50),
        "indexing_ms": milliseconds(plain, rounds=5, warm_up=1),
    }


def optimizing(scene: BlockScene) -> Json:
    """Times whole optimisations from random, after one that warms up, and counts what they find."""
    figures: Json = {}
    for name, settings in {
        "solve": OptimizeSettings(method="solve", device="cuda"),
        "gradient": OptimizeSettings(method="gradient", device="cuda"),
        "gradient, pixels": OptimizeSettings(method="gradient", objective="pixels", device="cuda"),
        "gradient, rasterised on the CPU": OptimizeSettings(method="gradient", device="cuda", rasterizer="cpu"),
    }.items():
        optimize_materials(scene, settings)
        began = time.perf_counter()
        result = optimize_materials(scene, settings)
        seconds = time.perf_counter() - began
        seen = result.visible_blocks
        figures[name] = {
            "seconds": seconds,
            "steps": result.steps,
            "found": float(np.mean(result.materials[seen] == scene.materials[seen])),
            "rasterizer": result.rasterizer,
        }
    return figures


def million(side: int = 1024, views: int = 64, size: int = 1024) -> Json:
    """Optimises a landscape of a million exposed blocks in many views, and compares memory used with the estimate.

    Once with so little memory that what the views show has to stay on the host.
    """
    scene = landscape(side, views, size, "triton")
    faces = len(scene.grid.exposed_faces)
    pixels = OptimizeSettings(method="gradient", objective="pixels", device="cuda")
    solve, coarse = (OptimizeSettings(device="cuda", rasterizer=name) for name in ON_GPU)
    figures = {
        "solve": _large(scene, solve),
        "solve, nvdiffrast": _large(scene, coarse),
        "solve, views on the host": _large(scene, solve, kept=False),
        "gradient, pixels": _large(scene, pixels),
    }
    return {"blocks": len(scene.grid), "faces": faces, "views": views, "ways": figures}


def _large(scene: BlockScene, settings: OptimizeSettings, kept: bool = True) -> Json:
    device = torch.device("cuda", torch.cuda.current_device())
    plan = Plan.of(scene, settings)
    needed, unkept = plan.decided.memory, plan.decided.least_memory
    cuda.release()
    torch.cuda.empty_cache()
    if not kept:
        memory.limit(device, (needed + unkept) / 2 / memory.GIGABYTE)
        needed = unkept
    with _Watch() as watch:
        began = time.perf_counter()
        result = optimize(plan)
        seconds = time.perf_counter() - began
    torch.cuda.set_per_process_memory_fraction(1.0, device)
    cuda.release()
    gc.collect()
    torch.cuda.empty_cache()
    seen = result.visible_blocks
    return {
        "visible_blocks": len(seen),
        "seconds": seconds,
        "timings": result.timings,
        "steps": result.steps,
        "found": float(np.mean(result.materials[seen] == scene.materials[seen])),
        "estimate_gb": needed / memory.GIGABYTE,
        "peak_gb": watch.peak / memory.GIGABYTE,
        "left_gb": watch.used() / memory.GIGABYTE,
    }


class _Watch:
    """Watches how much of the GPU's memory is in use, beyond what was at the start."""

    def __enter__(self) -> _Watch:
        torch.zeros(1, device="cuda")
        self.before = torch.cuda.mem_get_info()[0]
        self.peak, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def used(self) -> int:
        """Returns the bytes in use now."""
        return int(self.before - torch.cuda.mem_get_info()[0])

    def _look(self) -> None:
        while not self.over.wait(0.001):
            self.peak = max(self.peak, self.used())

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def lines(figures: Json) -> list[str]:
    """Returns the figures as lines to print."""
    rows = [f"{figures['device']}, torch {figures['torch']}; medians of CUDA events"]
    for name, ways in figures["compare"].items():
        for way, f in ways.items():
            rows.append(
                f"compare, {name}, {way}: pixels off by more than 1/255 {f['differing_over_1']}, geometry ≥ "
                f"{f['geometry_match']:.6f}; triangles unlike the CPU's {f['triangles_unlike_cpu']}"
                + (f", without repair {f['without_repair']}" if "without_repair" in f else "")
            )
    for name, f in figures["gradient"].items():
        rows.append(f"gradient error, {name}: " + ", ".join(f"{k} {v:.1e}" for k, v in f.items()))
    for name, ways in figures["visibility"].items():
        for way, f in ways.items():
            rows.append(
                f"visibility, {name}, {way}: a view {f['exact_ms']:.3f} ms, bare nvdiffrast {f['bare_ms']:.3f} ms, "
                f"ratio {f['ratio']:.2f}; of all views together, each: {f['all_exact_ms_each']:.3f} ms, "
                f"{f['all_bare_ms_each']:.3f} ms, {f['all_ratio']:.2f}"
            )
    rows.append("an occupancy step: " + ", ".join(f"{k[:-3]} {v:.3f} ms" for k, v in figures["occupancy"].items()))
    for kind in ("step", "training", "reduction"):
        for name, f in figures[kind].items():
            rows.append(f"{kind}, {name}: " + ", ".join(f"{k.removesuffix('_ms')} {v:.4f} ms" for k, v in f.items()))
    for name, f in figures["step"].items():
        ratios = (f"{f['textbook_ms'] / f[f'{way}_ms']:.0f}× by {way}" for way in ("pixels", "statistics"))
        rows.append(f"faster than the textbook loop, {name}: " + ", ".join(ratios))
        lit = (f"{f[f'{way}_light_per_face_ms'] / f[f'{way}_ms']:.2f} by {way}" for way in ("pixels", "statistics"))
        rows.append(f"a step with a light per face, of one without, {name}: " + ", ".join(lit))
    for name, f in figures["training"].items():
        ratio = f["light_per_face_ms"] / f["same_cameras_ms"]
        rows.append(f"a step of one's own loop with a light per face, of one without, {name}: {ratio:.2f}")
    for name, f in figures["optimize"].items():
        for how, r in f.items():
            rows.append(
                f"optimize, {name}, {how}: {r['seconds']:.3f} s, {r['steps']} steps, {100 * r['found']:.2f} % found "
                f"({r['rasterizer']})"
            )
    world = figures["million"]
    for how, m in world["ways"].items():
        timings = ", ".join(f"{k} {v:.2f} s" for k, v in m["timings"].items())
        rows.append(
            f"{world['blocks']} blocks, {world['faces']} faces, {world['views']} views, {how}: {m['seconds']:.1f} s "
            f"({timings}), {m['visible_blocks']} visible, {100 * m['found']:.3f} % found; {m['peak_gb']:.2f} GB of GPU "
            f"memory, estimated {m['estimate_gb']:.2f}; {m['left_gb']:.2f} left in use"
        )
    return rows
