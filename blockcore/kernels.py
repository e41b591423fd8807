"""Compiled CPU loops over pixels. Importing this module imports numba; nothing is compiled until first called."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_CHUNKS = 16  # fixed, so that the order of additions and with it the result does not depend on the machine's cores


def gather(values: npt.NDArray[Any], face: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Returns (C, P): ``values[face]`` for ``values`` (F, C) and ``face`` (P,), 0 where a face is negative."""
    out = np.empty((values.shape[1], len(face)), dtype=values.dtype)
    _gather(values, face, out)
    return out


def sum_over(pixels: npt.NDArray[Any], face: npt.NDArray[np.int32], count: int) -> npt.NDArray[Any]:
    """Returns (F, C): the sums over each of ``count`` faces of ``pixels`` (C, P), accumulated in float64."""
    partial = np.zeros((_chunks(len(face), count), count, pixels.shape[0]))
    _sum_over(pixels, face, partial)
    return np.asarray(partial.sum(axis=0), dtype=pixels.dtype)


def look_up(table: npt.NDArray[np.uint32], triangle_id: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """Returns the entry of ``table`` (F + 1,) of the face each triangle (P,) belongs to; 0, nothing, has the last."""
    out = np.empty(len(triangle_id), dtype=np.uint32)
    _look_up(table, triangle_id, out)
    return out


def target_sums(
    target: npt.NDArray[np.uint8], face: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sums an 8-bit picture over the faces it shows, in exact whole numbers.

    Args:
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.
        face: (P,) int32, -1 for none.
        count: F.

    Returns:
        Pixel counts (F,), sums (F, 3) and sums of squares (F, 3) of the 8-bit values.
    """
    partial = np.zeros((_chunks(len(face), count), count, 7), dtype=np.int64)
    _target_sums(target, face, partial)
    total = partial.sum(axis=0)
    return total[:, 0], total[:, 1:4], total[:, 4:7]


def squared_error(
    colors: npt.NDArray[np.float32], face: npt.NDArray[np.int32], target: npt.NDArray[np.uint8]
) -> tuple[float, npt.NDArray[np.float32]]:
    """Compares what faces show with a picture, in one pass over the pixels.

    Args:
        colors: (F, 3), the colour of each face, 0…1.
        face: (P,) int32, -1 for none.
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.

    Returns:
        Squared error summed over the pixels that show a face, and its gradient by ``colors``, (F, 3).
    """
    chunks = _chunks(len(face), len(colors))
    partial = np.zeros((chunks, len(colors), 3), dtype=np.float32)
    loss = np.zeros(chunks)
    _squared_error(colors, face, target, partial, loss)
    return float(loss.sum()), partial.sum(axis=0)


def _chunks(pixels: int, faces: int) -> int:
    """Returns how many partial sums to make: few where there are many faces, so that they stay as large as a picture."""
    return min(_CHUNKS, max(1, pixels // max(4096, 4 * faces)))


@numba.njit(cache=True, nogil=True, parallel=True)
def _gather(values: Any, face: Any, out: Any) -> None:
    for c in numba.prange(values.shape[1]):
        for p in range(len(face)):
            f = face[p]
            out[c, p] = values[f, c] if f >= 0 else 0.0


@numba.njit(cache=True, nogil=True, parallel=True)
def _sum_over(pixels: Any, face: Any, partial: Any) -> None:
    chunks, _, channels = partial.shape
    for k in numba.prange(chunks):
        for p in range(k * len(face) // chunks, (k + 1) * len(face) // chunks):
            f = face[p]
            if f >= 0:
                for c in range(channels):
                    partial[k, f, c] += pixels[c, p]


@numba.njit(cache=True, nogil=True, parallel=True)
def _target_sums(target: Any, face: Any, partial: Any) -> None:
    chunks = partial.shape[0]
    masked = target.shape[1] == 4
    for k in numba.prange(chunks):
        for p in range(k * len(face) // chunks, (k + 1) * len(face) // chunks):
            f = face[p]
            if f < 0 or (masked and target[p, 3] == 0):
                continue
            partial[k, f, 0] += 1
            for c in range(3):
                value = np.int64(target[p, c])
                partial[k, f, 1 + c] += value
                partial[k, f, 4 + c] += value * value


@numba.njit(cache=True, nogil=True, parallel=True)
def _look_up(table: Any, triangle_id: Any, out: Any) -> None:
    last = len(table) - 1
    for p in numba.prange(len(triangle_id)):
        face = ((triangle_id[p] + 1) >> 1) - 1
        out[p] = table[face] if face >= 0 else table[last]


@numba.njit(cache=True, nogil=True, parallel=True)
def _squared_error(colors: Any, face: Any, target: Any, partial: Any, loss: Any) -> None:
    chunks = partial.shape[0]
    masked = target.shape[1] == 4
    unit = np.float32(1.0 / 255.0)
    for k in numba.prange(chunks):
        total = 0.0
        for p in range(k * len(face) // chunks, (k + 1) * len(face) // chunks):
            f = face[p]
            if f < 0 or (masked and target[p, 3] == 0):
                continue
            for c in range(3):
                error = colors[f, c] - np.float32(target[p, c]) * unit
                partial[k, f, c] += np.float32(2.0) * error
                total += error * error
        loss[k] = total
