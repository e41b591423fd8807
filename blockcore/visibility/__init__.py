"""Visibility: which triangle each pixel of a view shows. Found once per view, whatever the materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from blockcore.errors import BackendError, SettingsError
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.settings import RASTERIZERS
from blockcore.visibility.buffer import Visibility

MAX_SUBPIXEL_BITS = 8
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
ON_GPU = ("triton", "nvdiffrast")
"""Those of ``cuda``."""


def choose_rasterizer(name: str, device_type: str) -> tuple[str, str]:
    """Chooses what fills the visibility.

    Args:
        name: ``"auto"``, or the rasteriser asked for: a name in ``RASTERIZERS``.
        device_type: where the tensors of the optimisation live: ``"cpu"`` or ``"cuda"``.

    Returns:
        ``(name, why)``: the rasteriser's name, never ``"auto"``, and a phrase that says why it was chosen.

    Raises:
        BackendError: the name is unknown, or that rasteriser is not to be had here.
    """
    if name == "auto":
        return _fastest(device_type)
    if name not in RASTERIZERS:
        raise BackendError(f"rasterizer {name!r} is not one of auto, {', '.join(RASTERIZERS)}")
    chosen = RASTERIZERS[name]
    if chosen.on_gpu and device_type != "cuda":
        raise BackendError(
            f"rasterizer {name!r} needs a CUDA device, but the device is {device_type!r}; "
            "choose the device 'cuda' or the rasterizer 'cpu'"
        )
    problem = chosen.problem()
    if problem:
        raise BackendError(f"rasterizer {name!r}: {problem}; or use --rasterizer cpu")
    return name, "asked for"


def _fastest(device_type: str) -> tuple[str, str]:
    if device_type != "cuda":
        return "cpu", f"the device is {device_type}"
    problems = []
    for name, rasterizer in RASTERIZERS.items():
        if rasterizer.on_gpu:
            problem = rasterizer.problem()
            if not problem:
                return name, f"the device is cuda and {name} is installed"
            problems.append(problem)
    return "cpu", "; ".join(problems)


def rasterize(
    faces: ExposedFaces,
    cameras: Sequence[Camera],
    rasterizer: str = "auto",
    subpixel_bits: int = 8,
    device_type: str | None = None,
) -> list[Visibility]:
    """Finds which triangle each pixel of each view shows.

    A camera whose pose mirrors, as a negative scale makes it, sees what a straight one sees, mirrored. A projection
    that mirrors turns fronts into backs, as on a GPU.

    Args:
        faces: the exposed faces of a grid.
        cameras: the views.
        rasterizer: see ``choose_rasterizer``.
        subpixel_bits: vertices snap to 1/2^bits of a pixel: 8 as GPUs do, 4 as SwiftShader does; 0 to 8.
        device_type: ``"cpu"`` or ``"cuda"``; by default what the rasteriser that is asked for needs.

    Returns:
        One ``Visibility`` per camera, in their order.

    Raises:
        BackendError: the rasteriser is not to be had here.
        SettingsError: ``subpixel_bits`` is out of range.
    """
    if device_type is None:
        on_gpu = rasterizer in RASTERIZERS and RASTERIZERS[rasterizer].on_gpu
        device_type = "cuda" if on_gpu else "cpu"
    if type(subpixel_bits) is not int or not 0 <= subpixel_bits <= MAX_SUBPIXEL_BITS:
        raise SettingsError(f"subpixel_bits {subpixel_bits!r} must be a whole number from 0 to {MAX_SUBPIXEL_BITS}")
    name, _ = choose_rasterizer(rasterizer, device_type)
    drawn = RASTERIZERS[name].rasterize(faces, [_straight(camera) for camera in cameras], subpixel_bits)
    return [_mirrored(seen) if camera.is_mirrored else seen for seen, camera in zip(drawn, cameras, strict=True)]


def _straight(camera: Camera) -> Camera:
    """Returns the camera that sees, mirrored left to right, what a mirroring one sees; any other camera itself."""
    return (
        replace(camera, view=_MIRROR @ camera.view, proj=_MIRROR @ camera.proj @ _MIRROR)
        if camera.is_mirrored
        else camera
    )


def _mirrored(seen: Visibility) -> Visibility:
    ids = seen.triangle_id
    return Visibility(np.ascontiguousarray(ids[:, ::-1]) if isinstance(ids, np.ndarray) else ids.flip(1))
