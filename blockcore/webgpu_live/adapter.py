"""The machine's WebGPU adapter: which one is drawn with, and through what backend."""

from __future__ import annotations

from typing import Any

from blockcore.errors import BackendError


def request_adapter() -> Any:
    """Asks for the adapter that pictures are drawn with.

    Raises:
        BackendError: the ``wgpu`` package or an adapter is missing; the message tells what to install.
    """
    try:
        import wgpu
    except ImportError as error:
        raise BackendError(f"WebGPU: the Python package wgpu cannot be loaded ({error}); pip install wgpu") from error
    try:
        return wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    except RuntimeError as error:
        raise BackendError(
            f"WebGPU: there is no adapter ({error}); install a Vulkan driver, such as Mesa's lavapipe"
        ) from error


def describe_adapter() -> tuple[str | None, str]:
    """Returns the backend's name, such as "Vulkan", and the adapter's; or None and what is missing."""
    try:
        information = request_adapter().info
    except BackendError as error:
        return None, str(error)
    return str(information["backend_type"]), str(information["device"])
