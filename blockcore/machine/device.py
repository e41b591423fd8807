"""Where tensors live: chosen once, and said."""

from __future__ import annotations

import torch

from blockcore.errors import BackendError


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """Chooses a device.

    Args:
        name: ``"auto"`` takes CUDA where there is a usable GPU, else the CPU; ``"cpu"``; ``"cuda"``.

    Returns:
        The device, and the reason in a few words.

    Raises:
        BackendError: CUDA was asked for and is not to be had.
    """
    if name == "cpu":
        return torch.device("cpu"), "asked for"
    why_not = _cuda_problem()
    if name == "cuda":
        if why_not:
            raise BackendError(
                f"device 'cuda': {why_not}; use --device cpu, or install a CUDA build of torch and a driver"
            )
        return torch.device("cuda"), "asked for"
    if name != "auto":
        raise BackendError(f"device {name!r} is not one of auto, cpu, cuda")
    if why_not:
        return torch.device("cpu"), why_not
    return torch.device("cuda"), f"{torch.cuda.get_device_name()} is there"


def _cuda_problem() -> str:
    if torch.version.cuda is None:
        return "this torch is a CPU build"
    try:
        if not torch.cuda.is_available():
            return "no CUDA GPU, or its driver is missing or too old"
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        return f"CUDA does not start ({str(error).splitlines()[0]})"
    return ""
