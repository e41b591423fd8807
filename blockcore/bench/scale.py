"""The scale suite: how the time and memory of solving grow with blocks, views, pixels and materials.

Each point is a process of its own, whose highest memory is its own, and whose seconds are those of its processors: all
threads together, whatever else the machine does.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from blockcore.errors import BackendError
from blockcore.io.files import Json
from blockcore.model.palette import Palette
from blockcore.model.settings import OptimizeSettings

_ROUNDS = 3
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Size:
    """A problem's size: ``side``² blocks, and views of ``size``² pixels."""

    side: int = 316
    views: int = 8
    size: int = 256
    materials: int = 16

    def of(self, axis: str) -> int:
        """Returns how much there is along an axis."""
        return {
            "blocks": self.side**2,
            "views": self.views,
            "pixels": self.views * self.size**2,
            "materials": self.materials,
        }[axis]


AXES = {
    "blocks": [Size(side=side) for side in (100, 316, 1000, 3162)],
    "views": [Size(views=views) for views in (1, 8, 64, 256)],
    "pixels": [Size(size=size) for size in (64, 256, 1024, 2048)],
    "materials": [Size(side=100, materials=count) for count in (4, 40, 400, 4000)],
}
"""What grows along each axis; all else stays as it is."""


def run(data: Path) -> Json:
    """Measures all curves; returns the figures as JSON values. ``data`` is not needed.

    Raises:
        BackendError: a point cannot be measured here.
    """
    if importlib.util.find_spec("resource") is None:
        raise BackendError("bench: Windows does not tell what a process held at most; measure on Linux or macOS")
    return {axis: [_point(axis, size) for size in sizes] for axis, sizes in AXES.items()}


def growth(points: list[Json], figure: str) -> float:
    """Returns the power with which a figure grew over the last tenth of a curve's range or more: 1 is linear."""
    first, last = points[-2], points[-1]
    return float(np.log(last[figure] / first[figure]) / np.log(last["amount"] / first["amount"]))


def lines(figures: Json) -> list[str]:
    """Returns the figures in words."""
    said = []
    for axis, points in figures.items():
        said.append(f"{axis}: time grows with the power {growth(points, 'cpu_seconds'):.2f} at the end of the curve")
        for point in points:
            said.append(
                f"  {point['amount']:>10,} {axis:<9} {point['cpu_seconds']:9.3f} s of processors, "
                f"{point['solve_mb']:8.0f} MB more than the scene's {point['scene_mb']:.0f} MB"
            )
    return said


def _point(axis: str, size: Size) -> Json:
    words = [sys.executable, "-m", "blockcore.bench.scale", json.dumps(asdict(size))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendError(f"bench: {size} ended with exit code {done.returncode}; give this machine more memory")
    measured: Json = json.loads(done.stdout)
    return {"amount": size.of(axis)} | measured | asdict(size)


def measure(size: Size) -> Json:
    """Solves one problem; returns the seconds of processors that it took at best, and the megabytes.

    Solved three times, the first of which compiles kernels; large ones, where that is nothing, once.
    """
    from blockcore.bench.landscape import landscape
    from blockcore.optimize import optimize
    from blockcore.plan import Plan

    colors = np.random.default_rng(1).random((size.materials, 3, 3)).astype(np.float32)
    palette = Palette(("Air", *(f"Material {number}" for number in range(1, size.materials))), colors)
    scene = landscape(size.side, size.views, size.size, "cpu", palette)
    before = _peak()
    taken = []
    for _ in range(_ROUNDS):
        scene.grid.__dict__.pop("exposed_faces", None)  # finding them is a part of the work
        began, wall = time.process_time(), time.perf_counter()
        result = optimize(Plan.of(scene, OptimizeSettings(device="cpu")))
        taken.append((time.process_time() - began, time.perf_counter() - wall))
        if taken[-1][1] > 30.0:
            break
    seconds, wall = min(taken)
    return {
        "visible_blocks": len(result.visible_blocks),
        "cpu_seconds": seconds,
        "seconds": wall,
        "timings": result.timings,
        "scene_mb": before / _MEGABYTE,
        "solve_mb": (_peak() - before) / _MEGABYTE,
    }


def _peak() -> int:
    """Returns the most bytes of memory that this process has held."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


if __name__ == "__main__":
    json.dump(measure(Size(**json.loads(sys.argv[1]))), sys.stdout)
