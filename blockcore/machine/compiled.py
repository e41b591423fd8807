"""The decorator of compiled CPU kernels. Importing this module imports numba."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Function = TypeVar("Function", bound=Callable[..., Any])


class _Kept(FunctionCache):
    """Compiled kernels on disk; a disk that takes none costs the next process's time alone."""

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def kernel(function: Function) -> Function:
    """Compiles a function when it is first called, and keeps the result on disk for the next process.

    It runs without the interpreter's lock, and divides by zero as IEEE 754 says. The disk is numba's choice: beside
    the module, else the user's cache folder; where neither can be written, every process compiles for itself.
    """
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # numba finds no folder
        compiled._cache = _Kept(function)  # type: ignore[attr-defined,no-untyped-call]
    return cast(Function, compiled)
