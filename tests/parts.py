"""Parts that a machine may lack: what a test needs, it asks for here.

A missing part skips the test with a reason, or fails it where the environment variable BLOCKCORE_REQUIRE names the part
(a comma list of bpy, wgpu, chromium, blender, cuda, interpreter, slurm, node, namespaces, npm,
mounts, two-gpus).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import pytest
from packaging.version import Version


def need(part: str) -> None:
    """Returns if ``part`` is here; else skips the running test, or fails it if the part is required.

    At the top of a test module it does the same to the whole module.
    """
    lacking = _lacking(part)
    if lacking:
        lack(part, lacking)


def lack(part: str, lacking: str) -> None:
    """Skips the running test for want of a part, or fails it if the part is required."""
    if part in os.environ.get("BLOCKCORE_REQUIRE", "").split(","):
        pytest.fail(f"{part} is not to be had here, and BLOCKCORE_REQUIRE asks for it: {lacking}", pytrace=False)
    pytest.skip(f"{part} is not to be had here: {lacking}", allow_module_level=True)


def chromium() -> str | None:
    """Returns the path of the Chromium browser, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@cache
def _lacking(part: str) -> str:
    """Returns what of ``part`` is not here; nothing if it is."""
    found = _CHECKS[part]()
    if isinstance(found, str):
        return found
    return "" if found else "not found"


def _module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _wgpu() -> str:
    if not _module("wgpu"):
        return "the Python package wgpu is not installed"
    import wgpu

    try:
        backend = str(wgpu.gpu.request_adapter_sync(power_preference="high-performance").info["backend_type"])
    except RuntimeError as error:
        return f"there is no adapter ({error})"
    return "" if backend == "Vulkan" else f"pictures are promised for Vulkan, and the adapter is of {backend}"


def _blender() -> bool:
    from tests.gui.window import TREE

    return (TREE / "installed-packages").is_file()


def _interpreter() -> str:
    """Triton before 3.9 turns arrays of one element into indices, which numpy refuses from 2.5 on."""
    if not _module("triton"):
        return "Triton is not installed"
    versions = [Version(importlib.metadata.version(name)) for name in ("triton", "numpy")]
    too_old = versions[0] < Version("3.9") and versions[1] >= Version("2.5")
    return f"Triton {versions[0]} cannot interpret with numpy {versions[1]}; install triton>=3.9" if too_old else ""


def _cuda() -> bool:
    import torch

    from blockcore.visibility import nvdiffrast

    return torch.cuda.is_available() and not nvdiffrast.problem()


def _slurm() -> str:
    if os.getuid():
        return "only root can start it"
    lacking = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    return f"{', '.join(lacking)} not found; run tests/farm/setup.sh" if lacking else ""


def _namespaces() -> str:
    if shutil.which("ip") is None:
        return "the program ip is not installed"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return made.stderr.strip()


_CHECKS: dict[str, Callable[[], bool | str]] = {
    "bpy": lambda: _module("bpy"),
    "blender": _blender,
    "chromium": lambda: chromium() is not None,
    "cuda": _cuda,
    "interpreter": _interpreter,
    "namespaces": _namespaces,
    "node": lambda: shutil.which("node") is not None,
    "slurm": _slurm,
    "wgpu": _wgpu,  # of type Vulkan: another backend rounds otherwise, and its pictures differ
}
