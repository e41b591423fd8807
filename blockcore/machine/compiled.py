"""The decorator of compiled CPU kernels. Importing this module imports numba."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

_BLAS = "scipy.linalg.cython_blas"
Function = TypeVar("Function", bound=Callable[..., Any])


class _Kept(FunctionCache):
    """Compiled kernels on disk; a disk that takes none costs the next process's time alone.

    A kernel is compiled anew when its file changes, and when a file does whose kernels it calls: numba looks at its
    own file alone.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        called: dict[str, _Kept] = {}
        for value in vars(sys.modules[function.__module__]).values():
            if isinstance(value, Dispatcher) and isinstance(kept := vars(value).get("_cache"), _Kept):
                called[value.py_func.__module__] = kept
        called.pop(function.__module__, None)
        stamps = [called[name].stamp for name in sorted(called)]
        self.stamp: tuple[Any, ...] = (self._cache_file._source_stamp, *stamps)
        self._cache_file._source_stamp = self.stamp

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
        compiled._cache = _Kept(function)  # type: ignore[attr-defined]
    return cast(Function, compiled)


def load_without_blas() -> None:
    """Loads numba's array functions, but scipy's linear algebra only when a kernel multiplies matrices.

    numba imports that, a tenth of a second's work, to note that it is there, and again where it is used. An empty
    module stands in its place for that note. For processes of our own: another thread must not import it meanwhile.
    """
    if _BLAS in sys.modules or find_spec("scipy") is None:
        return
    sys.modules[_BLAS] = ModuleType(_BLAS)
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules[_BLAS]
