"""Installs the system libraries that parts of this project link to: ``python tools/system_libraries.py PART...``.

A part is here if it does its work, not if some file exists. Where all do, nothing happens. On Debian and Ubuntu, as
root, the packages of a part that does not are installed; elsewhere it says what to install. Parts: blender (bpy's
window-system libraries), webgpu (a Vulkan driver), browser (Chromium and its driver).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS = 60  # a check that takes longer has failed

# In a process of its own, since a broken driver may end it. Counts the devices of an instance without extensions:
# a VkInstanceCreateInfo of zeros but for its type, 1.
_VULKAN_DEVICES = """
import ctypes
vulkan = ctypes.CDLL("libvulkan.so.1")
info, instance, count = (ctypes.c_uint64 * 8)(1), ctypes.c_void_p(), ctypes.c_uint32()
made = vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance))
listed = made or vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
raise SystemExit(bool(listed) or count.value == 0)
"""
_LIBRARIES = {
    "libXi.so.6": "libxi6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libXfixes.so.3": "libxfixes3",
    "libXrender.so.1": "libxrender1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
}


@dataclass(frozen=True)
class Part:
    """Something that a test or a command needs of the system.

    Attributes:
        packages: Debian's packages that bring it.
        works: whether it does its work.
    """

    packages: tuple[str, ...]
    works: Callable[[], bool]


def main(parts: list[str]) -> int:
    """Installs what does not work of ``parts``; returns an exit code."""
    if not sys.platform.startswith("linux"):
        return 0
    needed = [part for name in parts for part in PARTS[name]]
    missing = [part for part in needed if not part.works()]
    if not missing:
        return 0
    packages = " ".join(package for part in missing for package in part.packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"These system packages are missing; install them: sudo apt-get install {packages}", file=sys.stderr)
        return 2
    print(f"Installing {packages}")
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages.split()]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
            return 2
    still = " ".join(package for part in missing if not part.works() for package in part.packages)
    if still:
        print(f"Installed, but still not working: {still}; reinstall them with apt-get", file=sys.stderr)
        return 2
    return 0


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _loads(library: str) -> Callable[[], bool]:
    return lambda: _succeeds(sys.executable, "-c", f"import ctypes; ctypes.CDLL({library!r})")


def _browser_starts() -> bool:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return False
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        return _succeeds(browser, *options, f"--user-data-dir={profile}", "--dump-dom", "about:blank")


PARTS: dict[str, tuple[Part, ...]] = {
    "blender": tuple(Part((package,), _loads(library)) for library, package in _LIBRARIES.items()),
    "webgpu": (Part(("libvulkan1", "mesa-vulkan-drivers"), lambda: _succeeds(sys.executable, "-c", _VULKAN_DEVICES)),),
    "browser": (
        Part(("chromium",), _browser_starts),
        Part(("chromium-driver",), lambda: _succeeds("chromedriver", "--version")),
    ),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
