"""Arrays inside frozen dataclasses: made read-only once, compared by value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


def frozen_array(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns a read-only, C-contiguous copy of ``values`` (or ``values`` itself if it is one already)."""
    array = np.asarray(values)
    if array.dtype == np.dtype(dtype) and not array.flags.writeable and array.flags.c_contiguous:
        return array
    array = np.array(array, dtype=dtype, order="C")
    array.flags.writeable = False
    return array


def same(a: object, b: object) -> bool:
    """Whether two values are equal: arrays and dataclasses by content and dtype, containers item by item."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(a, b))
        )
    if type(a) is not type(b):
        return False
    if is_dataclass(a) and is_dataclass(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


class ByValue:
    """Base of frozen dataclasses that hold arrays: equal when every field is, arrays by content and dtype."""

    def __eq__(self, other: object) -> bool:
        return same(self, other)

    def __hash__(self) -> int:
        return hash(type(self))
