"""Whether Triton kernels can be built here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from functools import cache


@cache
def triton_problem() -> str:
    """Returns why Triton cannot be used on this machine's GPU, with the remedy, or an empty text."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; pip install triton"
    if not (os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        return "Triton finds no C compiler; install gcc, or name one in the environment variable CC"
    try:
        from triton.runtime import driver

        driver.active.get_current_target()  # builds what launches kernels, which takes Python's headers
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        unbuilt = isinstance(error, subprocess.SubprocessError)
        why = "the C compiler fails" if unbuilt else next(iter(str(error).splitlines()), type(error).__name__)
        version = importlib.metadata.version("triton")
        return f"Triton {version} does not work here ({why}); install a C compiler and Python's headers (python3-dev)"
    return ""


def triton_is_here() -> bool:
    """Returns whether Triton can be used on this machine's GPU."""
    return not triton_problem()
