"""One piece of code for numpy's arrays and torch's tensors: the few operations in which the two differ.

What runs on the CPU alone works on numpy arrays and never imports torch; on a GPU, or where gradients are to flow, the
same code works on tensors. Elsewhere arrays of either kind are typed ``Array``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = Any
"""A numpy array, or a torch tensor."""


def namespace(array: Array) -> Any:
    """Returns the module whose functions take ``array``: numpy, or torch, which whoever made a tensor has imported."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def device_of(array: Array) -> Any:
    """Returns where a tensor lives; None for a numpy array."""
    return None if isinstance(array, np.ndarray) else array.device


def placed(values: npt.NDArray[Any], device: Any) -> Array:
    """Returns values as a tensor on ``device``, or as they are where that is None."""
    if device is None:
        return values
    import torch

    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def host(array: Array) -> npt.NDArray[Any]:
    """Returns a numpy array of the same values; without a copy where they are in main memory."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu().numpy())


def packed(array: Array) -> Array:
    """Returns the same values row after row in memory."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def pieces(array: Array, rows: int) -> Iterator[Array]:
    """Yields ``rows`` rows at a time, at least once."""
    return (array[start : start + rows] for start in range(0, max(1, len(array)), rows))


def pick(table: Array, columns: Array) -> Array:
    """Returns (V,): of each row of ``table`` (V, M) the entry in its column, (V,) int64."""
    if isinstance(table, np.ndarray):
        return np.take_along_axis(table, columns[:, None], axis=1)[:, 0]
    return table.gather(1, columns[:, None])[:, 0]


def without(table: Array, columns: Array) -> Array:
    """Returns a copy of ``table`` (V, M) that is infinite in one column of each row, (V,) int64."""
    if isinstance(table, np.ndarray):
        left = table.copy()
        np.put_along_axis(left, columns[:, None], np.inf, axis=1)
        return left
    return table.scatter(1, columns[:, None], float("inf"))


def sum_by(values: Array, index: Array, count: int) -> Array:
    """Returns (count, …) float64: the rows of ``values`` summed by ``index`` (F,), in their order."""
    if isinstance(values, np.ndarray):
        flat = values.reshape(len(values), -1)
        sums = [np.bincount(index, flat[:, c], count) for c in range(flat.shape[1])]
        return np.stack(sums, axis=1).reshape(count, *values.shape[1:])
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, index, values)


def sum_over_blocks(table: Array, values: Array, block: Array, look: Array, count: int) -> Array:
    """Sums over the faces of each block what each material would make of their values.

    Args:
        table: (M, L, C), the value of each material in each look.
        values: (F, C), of each face.
        block: (F,) int64, ascending: the block of each face.
        look: (F,) int64: which of the L looks the face has.
        count: V, the number of blocks.

    Returns:
        (V, M): the sums of ``table[m, look] · values``. Of tensors, gradients flow to ``table`` and ``values``.
    """
    if isinstance(table, np.ndarray):
        from blockcore.ops import blend_numba

        return blend_numba.blend_to_shares(count, table, packed(values), block, look)
    from blockcore.ops import blend

    return blend.sum_over_blocks(table, values, block, look, count)


def add_target_sums(sums: Array, target: npt.NDArray[np.uint8], face: Array, weight: float = 1.0) -> None:
    """Adds an 8-bit picture to the sums of the faces it shows; exactly, where the weight is a whole number.

    Args:
        sums: (F + 1, 7) float64, added to: pixels, sums and squares of RGB; pixels of no face are one more face, the
            last.
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.
        face: (P,) int32, the face of each pixel, or -1.
        weight: of each pixel.
    """
    from blockcore.ops import pixels_numba

    device = device_of(sums)
    if device is None or device.type != "cuda":
        pixels_numba.add_target_sums(host(sums), target, host(face), weight)
        return
    import torch

    from blockcore.machine.triton_here import triton_is_here

    if triton_is_here():
        from blockcore.ops import pixels_triton

        of_picture = pixels_triton.target_sums(torch.tensor(target, device=device), face.to(device), len(sums) - 1)
        sums += of_picture.double() if weight == 1.0 else of_picture.double() * weight
        return
    on_host = np.zeros(tuple(sums.shape))
    pixels_numba.add_target_sums(on_host, target, host(face), weight)
    sums += placed(on_host, device)
