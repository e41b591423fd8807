"""Where tensors live: chosen once, and said. torch is imported only where there may be a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from dataclasses import dataclass

from blockcore.errors import BackendError


@dataclass(frozen=True)
class Device:
    """Where the work is done.

    Attributes:
        type: ``"cpu"`` or ``"cuda"``.
        index: of the GPU; None for the current one.
    """

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type


def choose_device(name: str = "auto") -> tuple[Device, str]:
    """Chooses a device.

    Args:
        name: ``"auto"`` takes CUDA where there is a usable GPU, else the CPU; ``"cpu"``; ``"cuda"``; ``"cuda:1"`` for
            the GPU of that number, which becomes the current one of this process.

    Returns:
        The device, and the reason in a few words.

    Raises:
        BackendError: CUDA was asked for and is not to be had.
    """
    if name == "cpu":
        return Device("cpu"), "asked for"
    kind, _, number = name.partition(":")
    if name != "auto" and (kind != "cuda" or (":" in name and not number.isdecimal())):
        raise BackendError(f"device {name!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, …")
    index = int(number) if number else None
    why_not = _driver_problem() or _cuda_problem(index)
    if kind == "cuda":
        if why_not:
            raise BackendError(
                f"device {name!r}: {why_not}; use --device cpu, or install a CUDA build of torch and a driver"
            )
        return Device("cuda", index), "asked for"
    if why_not:
        return Device("cpu"), why_not
    import torch

    return Device("cuda"), f"{torch.cuda.get_device_name()} is there"


def require_torch(what: str) -> None:
    """Says in one line that ``what`` needs torch.

    Raises:
        BackendError: torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendError(f"{what} needs torch, which is not installed here; pip install torch, or do without it")


def _driver_problem() -> str:
    """Returns why there is no NVIDIA GPU for sure, or an empty text: to ask torch takes seconds."""
    if sys.platform == "darwin":
        return "macOS has no CUDA"
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no driver of an NVIDIA GPU"
    return ""


def _cuda_problem(index: int | None) -> str:
    """Returns why the GPU of that number, which becomes the current one, cannot be used, or an empty text."""
    import torch

    if torch.version.cuda is None:
        return "this torch is a CPU build"
    try:
        if not torch.cuda.is_available():
            return "no CUDA GPU, or its driver is missing or too old"
        if index is not None:
            if index >= torch.cuda.device_count():
                return f"there are {torch.cuda.device_count()} GPUs here, counted from 0"
            torch.cuda.set_device(index)
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        return f"CUDA does not start ({str(error).splitlines()[0]})"
    return ""
