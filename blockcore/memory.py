"""GPU memory and GPU errors: how much a world needs, how much there is, and one clear line when it does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from blockcore.errors import BackendError


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
        if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error).lower():
            raise BackendError(f"the GPU's memory is too small for {what}; {remedy}") from error
        if "CUDA" in str(error) or "Cuda" in str(error) or "subtriangle" in str(error):
            raise BackendError(
                f"CUDA failed at {what} ({line}); {remedy}, or restart after updating the driver"
            ) from error
        raise
