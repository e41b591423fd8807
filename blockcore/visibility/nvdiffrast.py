"""nvdiffrast as a coarse rasteriser, within its limits; what it draws is exact to 1/16 pixel.

It multiplies views by triangles and by pixels in 32-bit whole numbers, takes at most 2²⁴ sub-triangles a view and keeps
its buffers as large as they ever were. So ``cuda`` draws a few views at a time, faces beyond its limit are drawn in
layers, and its context is made anew before old buffers would outgrow the work at hand.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cache

import torch

from blockcore.visibility import exact
from blockcore.visibility.exact import Views

OLDEST = (0, 4, 0)
REMEDY = "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast.git"
MOST_FACES = 6_000_000  # a view; its triangles and the pieces that clipping adds stay below nvdiffrast's 2²⁴
MOST_TRIANGLES = 1 << 24  # all views of one call together, some 100 bytes each
SPARE_TRIANGLES = 4096  # nvdiffrast sets these aside for every view


@cache
def problem() -> str:
    """Returns why nvdiffrast cannot be used, with the remedy, or an empty text."""
    try:
        version = importlib.metadata.version("nvdiffrast")
    except importlib.metadata.PackageNotFoundError:
        return f"nvdiffrast is not installed; {REMEDY}"
    numbers = [int(part) if part.isdigit() else 0 for part in version.split(".")[:3]]
    if tuple(numbers) < OLDEST:
        return f"nvdiffrast {version} is too old, 0.4.0 is the oldest that works; {REMEDY}"
    try:
        import nvdiffrast.torch  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"nvdiffrast {version} does not load beside torch {torch.__version__} ({first}); build it anew: {REMEDY}"
    return ""


def coarse(positions: torch.Tensor, views: Views) -> torch.Tensor:
    """Draws quads.

    Args:
        positions: (B, 4·F, 4) float32 clip positions from ``exact.Drawing.positions``.
        views: which they were computed for.

    Returns:
        (B, H, W) float32: triangle ids as nvdiffrast encodes them, row 0 on top; any strides.
    """
    most = 4 * MOST_FACES
    layers = [positions[:, start : start + most] for start in range(0, positions.shape[1], most)]
    drawn = [context(positions.device.index).draw(layer.contiguous(), views) for layer in layers]
    return drawn[0][..., 3] if len(drawn) == 1 else merge_layers(drawn, MOST_FACES)


def merge_layers(pictures: Sequence[torch.Tensor], faces: int) -> torch.Tensor:
    """Lays pictures of different faces over each other, the nearest on top.

    Args:
        pictures: per layer (B, H, W, 4) float32 from nvdiffrast: u, v, z/w and the encoded triangle id.
        faces: faces per layer; the ids of layer k begin at 2·k·faces.

    Returns:
        (B, H, W) float32: encoded triangle ids.
    """
    ids, depth = exact.decode_ids(pictures[0][..., 3]), pictures[0][..., 2]
    for layer, picture in enumerate(pictures[1:], start=1):
        more, z = exact.decode_ids(picture[..., 3]), picture[..., 2]
        nearer = (more > 0) & ((ids == 0) | (z < depth))
        ids, depth = torch.where(nearer, more + 2 * layer * faces, ids), torch.where(nearer, z, depth)
    return exact.encode_ids(ids)


class Context:
    """nvdiffrast's context of one device; remembers how large its buffers have become."""

    def __init__(self, device: int) -> None:
        self.device = device
        self._renew()

    def _renew(self) -> None:
        import nvdiffrast.torch as dr

        self.native = dr.RasterizeCudaContext(device=self.device)
        self.triangles = 0
        self.quads = torch.zeros((0, 3), dtype=torch.int32)

    def draw(self, positions: torch.Tensor, views: Views) -> torch.Tensor:
        """Draws quads, (B, 4·F, 4) clip positions; returns (B, H, W, 4) as ``nvdiffrast.torch.rasterize``."""
        import nvdiffrast.torch as dr

        triangles = positions.shape[1] // 2
        if len(views) * self.triangles > 2 * MOST_TRIANGLES:
            self._renew()
        if len(self.quads) < triangles:
            self.quads = _quads(positions)
        self.triangles = max(self.triangles, triangles + SPARE_TRIANGLES)
        size = (views.height, views.width)
        drawn: tuple[torch.Tensor, ...] = dr.rasterize(
            self.native, positions, self.quads[:triangles], size, grad_db=False
        )
        return drawn[0]


def _quads(positions: torch.Tensor) -> torch.Tensor:
    """Returns (2·F, 3) int32: the triangles of F faces of four corners each."""
    first = torch.arange(0, positions.shape[1], 4, dtype=torch.int32, device=positions.device)
    halves = torch.tensor(exact.HALVES, dtype=torch.int32, device=positions.device)
    return (first[:, None, None] + halves).reshape(-1, 3)


@cache
def context(device: int) -> Context:
    """Returns the one context of a device."""
    return Context(device)
