"""Parts that a machine may lack: what a test needs, it asks for here.

A part is here if it does its work, not if some file exists. A missing one skips the test with a reason, or fails it
where the environment variable BLOCKCORE_REQUIRE names the part (a comma list of bpy, wgpu, chromium, blender, cuda,
interpreter, slurm, node, namespaces, npm, mounts, torch, two-gpus).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import pytest
from packaging.version import Version

from tools.system_libraries import PARTS

_SECONDS = 60  # a program that takes longer does not run


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
    return _CHECKS[part]()


def _fails(*command: str) -> str:
    """Returns what is wrong with a program that ends by itself; nothing if it does so with exit code 0."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        return f"{command[0]} not found"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} does not run ({error})"
    return f"{' '.join(command)} ends with exit code {done.returncode}" if done.returncode else ""


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


def _bpy() -> str:
    """Imported elsewhere: in this process it would answer signals from then on. Some die of ending properly."""
    if not _module("bpy"):
        return "the Python package bpy is not installed"
    return _fails(sys.executable, "-c", "import bpy, os; os._exit(0)")


def _chromium() -> str:
    lacking = [package for part in PARTS["browser"] if not part.works() for package in part.packages]
    return f"{', '.join(lacking)} not found, or does not start" if lacking else ""


def _blender() -> str:
    from tests.gui.window import TREE

    if not (TREE / "installed-packages").is_file():
        return "its tree is not installed; run tests/gui/setup.sh"
    return _fails("chroot", str(TREE), "blender", "--version")


def _interpreter() -> str:
    """Triton before 3.9 turns arrays of one element into indices, which numpy refuses from 2.5 on."""
    if not _module("triton"):
        return "Triton is not installed"
    versions = [Version(importlib.metadata.version(name)) for name in ("triton", "numpy")]
    too_old = versions[0] < Version("3.9") and versions[1] >= Version("2.5")
    return f"Triton {versions[0]} cannot interpret with numpy {versions[1]}; install triton>=3.9" if too_old else ""


def _cuda() -> str:
    import torch

    from blockcore.visibility import nvdiffrast

    return nvdiffrast.problem() if torch.cuda.is_available() else "not found"


def _slurm() -> str:
    if os.getuid():
        return "only root can start it"
    # sbatch says nothing, not even its version, where there is no cluster yet.
    lacking = [*filter(None, (_fails(name, "-V") for name in ("munged", "slurmctld", "slurmd")))]
    lacking += [] if shutil.which("sbatch") else ["the program sbatch is not installed"]
    return f"{'; '.join(lacking)}; run tests/farm/setup.sh" if lacking else ""


def _namespaces() -> str:
    if shutil.which("ip") is None:
        return "the program ip is not installed"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return made.stderr.strip()


_CHECKS: dict[str, Callable[[], str]] = {
    "bpy": _bpy,
    "blender": _blender,
    "chromium": _chromium,
    "cuda": _cuda,
    "interpreter": _interpreter,
    "namespaces": _namespaces,
    "node": lambda: _fails("node", "--version"),
    "slurm": _slurm,
    "torch": lambda: "" if _module("torch") else "the Python package torch is not installed",
    "wgpu": _wgpu,  # of type Vulkan: another backend rounds otherwise, and its pictures differ
}
