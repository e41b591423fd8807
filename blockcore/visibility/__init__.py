"""Visibility: which triangle each pixel of a view shows. Found once per view, whatever the materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blockcore.errors import BackendError, SettingsError
from blockcore.machine.triton_here import triton_problem
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.settings import RASTERIZERS

MAX_SUBPIXEL_BITS = 8
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
ON_GPU = ("triton", "nvdiffrast")
"""The rasterisers that need a CUDA device; the first that is here is taken."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """Which triangle each pixel of one view shows.

    Attributes:
        triangle_id: (H, W) int32, row 0 on top: 0 where the background shows, else 1 + 2·face + (0 or 1), with face an
            index into the ``ExposedFaces`` that were drawn. A numpy array, or a torch tensor on the device from the
            CUDA path. No gradient flows through it.
    """

    triangle_id: Any

    @property
    def face(self) -> Any:
        """(H, W) int32: index of the exposed face that each pixel shows, or -1 for the background."""
        return (self.triangle_id + 1) // 2 - 1


def choose_rasterizer(name: str, device_type: str) -> tuple[str, str]:
    """Chooses what fills the visibility.

    Args:
        name: ``"auto"``, or the rasteriser asked for: ``"cpu"``, ``"triton"``, ``"nvdiffrast"`` or ``"reference"``.
        device_type: where the tensors of the optimisation live: ``"cpu"`` or ``"cuda"``.

    Returns:
        ``(name, why)``: the rasteriser's name, never ``"auto"``, and a phrase that says why it was chosen.

    Raises:
        BackendError: the name is unknown, or that rasteriser is not to be had here.
    """
    if name not in RASTERIZERS:
        raise BackendError(f"rasterizer {name!r} is not one of {', '.join(RASTERIZERS)}")
    if name in ON_GPU:
        if device_type != "cuda":
            raise BackendError(
                f"rasterizer {name!r} needs a CUDA device, but the device is {device_type!r}; "
                "choose the device 'cuda' or the rasterizer 'cpu'"
            )
        problem = _problem(name)
        if problem:
            raise BackendError(f"rasterizer {name!r}: {problem}; or use --rasterizer cpu")
    if name != "auto":
        return name, "asked for"
    if device_type != "cuda":
        return "cpu", f"the device is {device_type}"
    problems = []
    for name in ON_GPU:
        problem = _problem(name)
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
        device_type = "cuda" if rasterizer in ON_GPU else "cpu"
    if type(subpixel_bits) is not int or not 0 <= subpixel_bits <= MAX_SUBPIXEL_BITS:
        raise SettingsError(f"subpixel_bits {subpixel_bits!r} must be a whole number from 0 to {MAX_SUBPIXEL_BITS}")
    name, _ = choose_rasterizer(rasterizer, device_type)
    drawn = _draw(faces, [_straight(camera) for camera in cameras], name, subpixel_bits)
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


def _draw(faces: ExposedFaces, cameras: Sequence[Camera], name: str, subpixel_bits: int) -> list[Visibility]:
    if name == "reference":
        from blockcore.visibility import reference

        return reference.rasterize(faces, cameras, subpixel_bits)
    if name in ON_GPU:
        from blockcore.visibility import cuda

        drawn: list[Visibility] = cuda.rasterize(faces, cameras, name, subpixel_bits)
        return drawn
    try:
        from blockcore.visibility import cpu
    except ImportError as error:
        raise BackendError(f"rasterizer 'cpu' needs numba ({error}); pip install numba") from error
    return cpu.rasterize(faces, cameras, subpixel_bits)


def _problem(name: str) -> str:
    """Returns why a rasteriser of ``ON_GPU`` cannot be used, with the remedy, or an empty text."""
    if name == "triton":
        return triton_problem()
    from blockcore.visibility import nvdiffrast

    return nvdiffrast.problem()
