"""GPU memory: how much a world needs, how much may be used, and one clear line when it does not suffice.

Estimates count what lives on the GPU at once while views are drawn, numbered and compared, and take the largest. Every
block is taken to be visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockcore.errors import BackendError, SettingsError
from blockcore.machine.device import Device

if TYPE_CHECKING:
    import torch

GIGABYTE = 1e9


@dataclass(frozen=True)
class _Drawing:
    """Bytes that a rasteriser takes.

    Attributes:
        face: of a face: its corners and direction.
        drawn_face: of a face in each view drawn at once: lists of what to draw; nvdiffrast's input and own buffers.
        drawn_pixel: of a pixel in each such view: keys, ids; nvdiffrast's output and own buffers.
    """

    face: int = 0
    drawn_face: int = 0
    drawn_pixel: int = 0


_DRAWING = {"nvdiffrast": _Drawing(52, 173, 60), "triton": _Drawing(52, 24, 16)}
_ELSEWHERE = _Drawing()  # not on the GPU
_NUMBERED_FACE = 64  # of a face, while the visible ones are numbered
_KEPT_PIXEL = 4  # of a pixel of any view: its face; twice that while the visible ones are numbered
_COMPARED_PIXEL = 50  # of a pixel of any view that is compared in every step: target, and while they are sorted
_CHOICE = 56  # of a material of a visible block: costs, logits, moments, temporaries
_WORK = 200_000_000  # kernels, libraries, and what allocators round up


def estimate(
    faces: int,
    blocks: int,
    materials: int,
    pictures: Sequence[tuple[int, int]],
    rasterizer: str,
    compared: bool,
    kept: bool = True,
) -> int:
    """Estimates the most GPU memory that an optimisation uses at one time.

    Args:
        faces: exposed faces of the world.
        blocks: blocks that views may show.
        materials: M.
        pictures: width and height of each view.
        rasterizer: what draws them, one at a time.
        compared: whether pictures are compared pixel by pixel in every step.
        kept: whether what all views show is kept on the GPU, too; it need not be unless pictures are compared.

    Returns:
        Bytes.
    """
    pixels = sum(width * height for width, height in pictures)
    largest = max((width * height for width, height in pictures), default=0)
    keeping = _KEPT_PIXEL * pixels if kept else 0
    draws = drawing(faces, largest, 1, rasterizer) + keeping
    numbers = _NUMBERED_FACE * faces + 2 * keeping
    chooses = keeping + (_COMPARED_PIXEL * pixels if compared else 0) + _CHOICE * blocks * materials
    return _WORK + max(draws, numbers, chooses)


def drawing(faces: int, pixels: int, views: int, rasterizer: str) -> int:
    """Estimates the bytes that drawing ``views`` views of ``pixels`` each takes at one time."""
    of = _DRAWING.get(rasterizer, _ELSEWHERE)
    return of.face * faces + views * (of.drawn_face * faces + of.drawn_pixel * pixels)


def limit(device: Device | torch.device, gigabytes: float) -> None:
    """Lets this process use at most so much of a GPU's memory.

    Raises:
        SettingsError: it is not a positive number.
    """
    if not 0.0 < gigabytes < float("inf"):
        raise SettingsError(f"--max-memory {gigabytes} must be a positive number of gigabytes")
    if device.type == "cuda":
        import torch

        index = torch.cuda.current_device() if device.index is None else device.index
        total = torch.cuda.mem_get_info(index)[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * GIGABYTE / total), index)


def available(device: Device | torch.device) -> float:
    """Returns the bytes that may still be used on a device; without end on the CPU, whose memory is not watched."""
    if device.type != "cuda":
        return float("inf")
    import torch

    index = torch.cuda.current_device() if device.index is None else device.index
    free, total = torch.cuda.mem_get_info(index)
    fraction = getattr(torch.cuda, "get_per_process_memory_fraction", lambda index: 1.0)(index)  # torch 2.8 on
    allowed = fraction * total - torch.cuda.memory_allocated(index)
    return float(min(allowed, free + torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)))


def check(device: Device | torch.device, needed: int, what: str) -> None:
    """Raises a BackendError, before anything is begun, where a device has less memory than ``what`` needs."""
    has = available(device)
    if needed > has:
        raise BackendError(
            f"{what} needs about {needed / GIGABYTE:.1f} GB of GPU memory, and {has / GIGABYTE:.1f} GB may be used; "
            "use fewer or smaller views, a larger --max-memory, or --device cpu"
        )


def where_to_keep(device: torch.device, needed: int) -> torch.device:
    """Returns the device if it has room for so many bytes, else the CPU."""
    import torch

    return device if needed <= available(device) else torch.device("cpu")


@contextmanager
def cuda_errors(what: str, remedy: str) -> Iterator[None]:
    """Turns what CUDA, torch and nvdiffrast raise while doing ``what`` into one line with its ``remedy``.

    Raises:
        BackendError: the GPU's memory was too small, or CUDA failed.
    """
    try:
        yield
    except RuntimeError as error:  # torch's out-of-memory and CUDA errors are RuntimeErrors, too
        line = next(iter(str(error).splitlines()), type(error).__name__).strip()
        if type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error).lower():
            raise BackendError(f"the GPU's memory is too small for {what}; {remedy}") from error
        if "CUDA" in str(error) or "Cuda" in str(error) or "subtriangle" in str(error):
            raise BackendError(f"CUDA failed at {what} ({line}); update the driver, or {remedy}") from error
        raise
