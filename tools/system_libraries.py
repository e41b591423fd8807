"""Installs the system libraries that parts of this project link to: ``python tools/system_libraries.py PART...``.

Does nothing where they are there. On Debian and Ubuntu, as root, it installs what is missing; elsewhere it says what to
install. Parts: blender (bpy's window-system libraries), webgpu (a software Vulkan driver), browser (Chromium).
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def main(parts: list[str]) -> int:
    """Installs what is missing of ``parts``; returns an exit code."""
    if not sys.platform.startswith("linux"):
        return 0
    missing = [package for part in parts for package, there in _PARTS[part].items() if not there()]
    if not missing:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"These system packages are missing; install them: sudo apt-get install {' '.join(missing)}")
        return 2
    print(f"Installing {' '.join(missing)}")
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
            return 2
    return 0


def _library(name: str) -> Callable[[], bool]:
    return lambda: ctypes.util.find_library(name) is not None


def _vulkan_driver() -> bool:
    return any(Path(folder).glob("*.json") for folder in ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"))


_PARTS: dict[str, dict[str, Callable[[], bool]]] = {
    "blender": {
        "libxi6": _library("Xi"),
        "libxxf86vm1": _library("Xxf86vm"),
        "libxfixes3": _library("Xfixes"),
        "libxrender1": _library("Xrender"),
        "libxkbcommon0": _library("xkbcommon"),
        "libsm6": _library("SM"),
        "libice6": _library("ICE"),
        "libgl1": _library("GL"),
        "libegl1": _library("EGL"),
    },
    "webgpu": {"mesa-vulkan-drivers": _vulkan_driver, "libvulkan1": _library("vulkan")},
    "browser": {
        "chromium": lambda: any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
        "chromium-driver": lambda: shutil.which("chromedriver") is not None,
    },
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
