"""Whether Triton kernels can be built here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from functools import cache


@cache
def triton_is_here() -> bool:
    """Returns whether Triton is installed, and the C compiler that it calls the first time a kernel runs."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return importlib.util.find_spec("triton") is not None and bool(compiler)
