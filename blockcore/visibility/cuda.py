"""Visibility on a GPU: exact kernels draw every pixel, or repair what nvdiffrast draws.

Views are drawn a few at a time, within the memory there is and the 32-bit numbers of kernels and of nvdiffrast.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch

from blockcore.machine import memory
from blockcore.machine.memory import cuda_errors
from blockcore.machine.triton_here import triton_is_here
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.visibility import exact, nvdiffrast
from blockcore.visibility.buffer import Visibility
from blockcore.visibility.exact import FaceCorners, Views

_MOST_PIXELS = 1 << 23  # all views of one call together, some 60 bytes each
_SMALL = 1 << 29  # bytes that need no question


@torch.no_grad()
def rasterize(
    faces: ExposedFaces, cameras: Sequence[Camera], rasterizer: str, subpixel_bits: int = 8
) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows; see ``blockcore.visibility.rasterize``.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views; those of one picture size are drawn together.
        rasterizer: ``"triton"`` or ``"nvdiffrast"``, which ``choose_rasterizer`` found to be here. Only the second
            makes the host wait for the GPU.
        subpixel_bits: vertices snap to 1/2^bits of a pixel; 0 to 8.

    Returns:
        One ``Visibility`` per camera: (H, W) int32 tensors on the current CUDA device.

    Raises:
        BackendError: the GPU cannot be used, or its memory is too small.
    """
    with cuda_errors(f"drawing {len(faces)} faces from {len(cameras)} cameras", "use --rasterizer cpu"):
        device = torch.device("cuda", torch.cuda.current_device())
        return _rasterize(faces, cameras, rasterizer, subpixel_bits, device)


def release() -> None:
    """Gives back the GPU memory that nvdiffrast and the last drawn faces hold."""
    _repeated.clear()
    nvdiffrast.context.cache_clear()
    _uploaded.clear()


def release_large() -> None:
    """Gives back what a large world left behind; the buffers of small ones stay for the next drawing."""
    if any(memory.drawing(len(corners), 0, 1, "nvdiffrast") > _SMALL // 4 for _, corners in _uploaded.values()):
        release()
        torch.cuda.empty_cache()


def _rasterize(
    faces: ExposedFaces, cameras: Sequence[Camera], rasterizer: str, subpixel_bits: int, device: torch.device
) -> list[Visibility]:
    drawn: dict[int, Visibility] = {}
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, camera in enumerate(cameras):
        sizes[camera.width, camera.height].append(index)
    corners = _upload(faces, device)
    for (width, height), indices in sizes.items():
        at_once = _affordable(len(faces), width * height, len(indices), rasterizer, device)
        for start in range(0, len(indices), at_once):
            chosen = indices[start : start + at_once]
            views = Views.of([cameras[i] for i in chosen])
            ids = _draw_again(corners, views, rasterizer, subpixel_bits, device)
            drawn.update((i, Visibility(view)) for i, view in zip(chosen, ids.unbind(), strict=True))
    return [drawn[i] for i in range(len(cameras))]


def views_at_once(faces: int, pixels: int) -> int:
    """Returns how many views of ``pixels`` each may be drawn in one call; at least 1."""
    triangles = 2 * min(faces, nvdiffrast.MOST_FACES) + nvdiffrast.SPARE_TRIANGLES
    return max(1, min(nvdiffrast.MOST_TRIANGLES // triangles, _MOST_PIXELS // pixels))


def _affordable(faces: int, pixels: int, views: int, rasterizer: str, device: torch.device) -> int:
    """Returns how many of so many views to draw at once, given the memory there is.

    Raises:
        BackendError: it is too small for a single one.
    """
    views = min(views, views_at_once(faces, pixels))
    if memory.drawing(faces, pixels, views, rasterizer) > _SMALL:
        while views > 1 and memory.drawing(faces, pixels, views, rasterizer) > memory.available(device):
            views = (views + 1) // 2
        needed = memory.drawing(faces, pixels, views, rasterizer)
        memory.check(device, needed, f"drawing {faces} faces in {pixels} pixels")
    return views


def _draw(faces: FaceCorners, views: Views, rasterizer: str, subpixel_bits: int) -> torch.Tensor:
    if len(faces) == 0:
        return torch.zeros(len(views), views.height, views.width, dtype=torch.int32, device=views.device)
    drawing = _kernels().Drawing(faces, views, subpixel_bits)
    if rasterizer == "triton":
        return drawing.draw()  # type: ignore[no-any-return]
    return drawing.redraw(nvdiffrast.coarse(drawing.positions(), views))  # type: ignore[no-any-return]


class _Replay:
    """A drawing as CUDA graphs, two with nvdiffrast between: to launch its kernels takes longer than they do."""

    def __init__(self, faces: FaceCorners, views: Views, rasterizer: str, subpixel_bits: int) -> None:
        self.views = views
        drawing = _kernels().Drawing(faces, views, subpixel_bits)
        self.before, self.after = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self.positions: torch.Tensor | None = None
        # Other threads, such as a data loader's, may go on using CUDA.
        capture = partial(torch.cuda.graph, capture_error_mode="thread_local")
        if rasterizer == "nvdiffrast":
            self.encoded = torch.zeros((len(views), views.height, views.width), device=views.device)
            with capture(self.before):
                self.positions = drawing.positions()
        with capture(self.after):
            self.ids: torch.Tensor = drawing.draw() if self.positions is None else drawing.redraw(self.encoded)

    def draw(self, views: Views) -> torch.Tensor:
        """Draws from other cameras of the same number and picture size."""
        self.views.cameras.copy_(views.cameras, non_blocking=True)
        if self.positions is not None:
            self.before.replay()
            self.encoded.copy_(nvdiffrast.coarse(self.positions, self.views))
        self.after.replay()
        return self.ids.clone()


def _draw_again(
    faces: FaceCorners, views: Views, rasterizer: str, subpixel_bits: int, device: torch.device
) -> torch.Tensor:
    """Draws on ``device``; from the second time on that the same faces are drawn at one size, by replaying graphs.

    Without Triton the repair has to ask the GPU how much there is to do, which no graph can hold.
    """
    small = memory.drawing(len(faces), views.width * views.height, len(views), rasterizer) < _SMALL
    if not small or len(faces) == 0 or device.type != "cuda" or not triton_is_here():
        return _draw(faces, views.to(device), rasterizer, subpixel_bits)
    stream = torch.cuda.current_stream(device).cuda_stream
    key = (rasterizer, len(views), views.width, views.height, subpixel_bits, stream)
    last, replay = _repeated.get(device, (None, None))
    if last is None or last[0] is not faces or last[1] != key:
        _repeated[device] = ((faces, key), None)
        return _draw(faces, views.to(device), rasterizer, subpixel_bits)
    if replay is None:
        replay = _Replay(faces, views.to(device), rasterizer, subpixel_bits)
        _repeated[device] = (last, replay)
    return replay.draw(views)


_repeated: dict[torch.device, tuple[tuple[FaceCorners, tuple[Any, ...]] | None, _Replay | None]] = {}


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
