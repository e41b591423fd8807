"""The decorator of compiled CPU kernels. Importing this module imports numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compiles a function when it is first called, and keeps the result on disk for the next process.

    It runs without the interpreter's lock, and divides by zero as IEEE 754 says. The disk is numba's choice: beside
    the module, else the user's cache folder; where neither can be written, every process compiles for itself.
    """
    compiled_with = partial(numba.njit, nogil=True, error_model="numpy")
    try:
        compiled = compiled_with(cache=True)(function)
    except RuntimeError:
        compiled = compiled_with()(function)
    return cast(Function, compiled)
