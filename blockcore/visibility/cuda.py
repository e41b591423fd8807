"""The CUDA rasteriser: nvdiffrast draws, ``exact`` repairs, and what comes out is what the CPU rasteriser gives.

nvdiffrast multiplies views by triangles and by pixels in 32-bit whole numbers, takes at most 2²⁴ sub-triangles a view
and keeps its buffers as large as they ever were. So views are drawn a few at a time, faces beyond its limit in layers,
and its context is made anew before old buffers would outgrow the work at hand.
"""

from __future__ import annotations

import importlib.metadata
import weakref
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch

from blockcore import memory
from blockcore.camera import Camera
from blockcore.errors import BackendError
from blockcore.grid import ExposedFaces
from blockcore.memory import cuda_errors
from blockcore.triton_here import triton_is_here
from blockcore.visibility import Visibility, exact
from blockcore.visibility.exact import FaceCorners, Views

OLDEST = (0, 4, 0)
REMEDY = "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast.git"
_MOST_FACES = 6_000_000  # a view; its triangles and the pieces that clipping adds stay below nvdiffrast's 2²⁴
_MOST_TRIANGLES = 1 << 24  # all views of one call together, some 100 bytes each
_MOST_PIXELS = 1 << 23  # all views of one call together, some 60 bytes each
_SMALL = 1 << 29  # bytes that need no question
_SPARE_TRIANGLES = 4096  # nvdiffrast sets these aside for every view


@cache
def nvdiffrast_problem() -> str:
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


@torch.no_grad()
def rasterize(faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int = 8) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows; see ``blockcore.visibility.rasterize``.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views; those of one picture size are drawn together.
        subpixel_bits: vertices snap to 1/2^bits of a pixel; 0 to 8.

    Returns:
        One ``Visibility`` per camera: (H, W) int32 tensors on the current CUDA device.

    Raises:
        BackendError: nvdiffrast is missing or too old, the GPU cannot be used, or its memory is too small.
    """
    problem = nvdiffrast_problem()
    if problem:
        raise BackendError(f"rasterizer 'nvdiffrast': {problem}; or use --rasterizer cpu")
    with cuda_errors(f"drawing {len(faces)} faces from {len(cameras)} cameras", "use --rasterizer cpu"):
        return _rasterize(faces, cameras, subpixel_bits, torch.device("cuda", torch.cuda.current_device()))


def release() -> None:
    """Gives back the GPU memory that nvdiffrast and the last drawn faces hold."""
    _repeated.clear()
    _context.cache_clear()
    _uploaded.clear()


def release_large() -> None:
    """Gives back what a large world left behind; the buffers of small ones stay for the next drawing."""
    if any(memory.drawing(len(corners), 0, 1) > _SMALL // 4 for _, corners in _uploaded.values()):
        release()
        torch.cuda.empty_cache()


def _rasterize(
    faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int, device: torch.device
) -> list[Visibility]:
    drawn: dict[int, Visibility] = {}
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, camera in enumerate(cameras):
        sizes[camera.width, camera.height].append(index)
    corners = _upload(faces, device)
    for (width, height), indices in sizes.items():
        at_once = _affordable(len(faces), width * height, len(indices), device)
        for start in range(0, len(indices), at_once):
            chosen = indices[start : start + at_once]
            views = Views.of([cameras[i] for i in chosen])
            ids = _draw_again(corners, views, subpixel_bits, device)
            drawn.update((i, Visibility(view)) for i, view in zip(chosen, ids.unbind(), strict=True))
    return [drawn[i] for i in range(len(cameras))]


def views_at_once(faces: int, pixels: int) -> int:
    """Returns how many views of ``pixels`` each nvdiffrast may draw in one call; at least 1."""
    triangles = 2 * min(faces, _MOST_FACES) + _SPARE_TRIANGLES
    return max(1, min(_MOST_TRIANGLES // triangles, _MOST_PIXELS // pixels))


def _affordable(faces: int, pixels: int, views: int, device: torch.device) -> int:
    """Returns how many of so many views to draw at once, given the memory there is.

    Raises:
        BackendError: it is too small for a single one.
    """
    views = min(views, views_at_once(faces, pixels))
    if memory.drawing(faces, pixels, views) > _SMALL:
        while views > 1 and memory.drawing(faces, pixels, views) > memory.available(device):
            views = (views + 1) // 2
        memory.check(device, memory.drawing(faces, pixels, views), f"drawing {faces} faces in {pixels} pixels")
    return views


def _draw(faces: FaceCorners, views: Views, subpixel_bits: int) -> torch.Tensor:
    if len(faces) == 0:
        return torch.zeros(len(views), views.height, views.width, dtype=torch.int32, device=views.device)
    drawing = _kernels().Drawing(faces, views, subpixel_bits)
    positions = drawing.positions()
    most = 4 * _MOST_FACES
    layers = [positions[:, start : start + most] for start in range(0, positions.shape[1], most)]
    coarse = [_context(views.device.index).draw(layer.contiguous(), views) for layer in layers]
    encoded = coarse[0][..., 3] if len(coarse) == 1 else merge_layers(coarse, _MOST_FACES)
    ids: torch.Tensor = drawing.redraw(encoded)
    return ids


class _Replay:
    """A drawing as two CUDA graphs, before and after nvdiffrast: to launch its kernels takes longer than they do.

    Only the host's work after nvdiffrast's end delays the picture, since nvdiffrast waits for the GPU. So all that can
    be done before is, and that it waits also makes it safe to write the next cameras where the last ones were.
    """

    def __init__(self, faces: FaceCorners, views: Views, subpixel_bits: int, device: torch.device) -> None:
        self.cameras = views.cameras.pin_memory()
        self.views = views.to(device)
        self.context = _context(device.index)
        self.drawing = _kernels().Drawing(faces, self.views, subpixel_bits)
        self.encoded = torch.zeros((len(views), views.height, views.width), device=device)
        self.before, self.after = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.before):
            self.views.cameras.copy_(self.cameras, non_blocking=True)
            self.positions = self.drawing.positions()
        with torch.cuda.graph(self.after):
            self.ids: torch.Tensor = self.drawing.redraw(self.encoded)

    def draw(self, views: Views) -> torch.Tensor:
        """Draws from other cameras of the same number and picture size."""
        self.cameras.copy_(views.cameras)
        self.before.replay()
        self.encoded.copy_(self.context.draw(self.positions, self.views)[..., 3])
        self.after.replay()
        return self.ids.clone()


def _draw_again(faces: FaceCorners, views: Views, subpixel_bits: int, device: torch.device) -> torch.Tensor:
    """Draws on ``device``; from the second time on that the same faces are drawn at one size, by replaying graphs."""
    stream = torch.cuda.current_stream().cuda_stream if device.type == "cuda" else 0
    key = (len(views), views.width, views.height, subpixel_bits, stream)
    small = memory.drawing(len(faces), views.width * views.height, len(views)) < _SMALL
    if device.type != "cuda" or not small or len(faces) == 0:
        return _draw(faces, views.to(device), subpixel_bits)
    last, replay = _repeated.get(device, (None, None))
    if last is None or last[0] is not faces or last[1] != key:
        _repeated[device] = ((faces, key), None)
        return _draw(faces, views.to(device), subpixel_bits)
    if replay is None:
        replay = _Replay(faces, views, subpixel_bits, device)
        _repeated[device] = (last, replay)
    return replay.draw(views)


_repeated: dict[torch.device, tuple[tuple[FaceCorners, tuple[int, ...]] | None, _Replay | None]] = {}


def merge_layers(coarse: Sequence[torch.Tensor], faces: int) -> torch.Tensor:
    """Lays pictures of different faces over each other, the nearest on top.

    Args:
        coarse: per layer (B, H, W, 4) float32 from nvdiffrast: u, v, z/w and the encoded triangle id.
        faces: faces per layer; the ids of layer k begin at 2·k·faces.

    Returns:
        (B, H, W) float32: encoded triangle ids.
    """
    ids, depth = exact.decode_ids(coarse[0][..., 3]), coarse[0][..., 2]
    for layer, picture in enumerate(coarse[1:], start=1):
        more, z = exact.decode_ids(picture[..., 3]), picture[..., 2]
        nearer = (more > 0) & ((ids == 0) | (z < depth))
        ids, depth = torch.where(nearer, more + 2 * layer * faces, ids), torch.where(nearer, z, depth)
    return exact.encode_ids(ids)


class _Context:
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
        if len(views) * self.triangles > 2 * _MOST_TRIANGLES:
            self._renew()
        if len(self.quads) < triangles:
            self.quads = _quads(positions)
        self.triangles = max(self.triangles, triangles + _SPARE_TRIANGLES)
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
def _context(device: int) -> _Context:
    return _Context(device)


@cache
def _kernels() -> ModuleType:
    """Returns ``exact_triton`` where Triton is there, else ``exact``: the same, slower."""
    if not triton_is_here():
        return exact
    from blockcore.visibility import exact_triton

    return exact_triton


_uploaded: dict[torch.device, tuple[Any, FaceCorners]] = {}


def _upload(faces: ExposedFaces, device: torch.device) -> FaceCorners:
    """Returns the faces on the device; the last ones are remembered for as long as they live."""
    source, corners = _uploaded.get(device, (lambda: None, None))
    if source() is not faces or corners is None:
        corners = FaceCorners.of(faces, device)
        _uploaded[device] = (weakref.ref(faces), corners)
    return corners
