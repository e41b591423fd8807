"""Compiled CPU loops over pixels. Importing this module imports numba; nothing is compiled until first called."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count

Array = npt.NDArray[Any]

_CHUNKS = 16  # fixed, so that the order of additions and with it the result does not depend on the machine's cores
_MOST_PIXELS = 1 << 18  # a picture of fewer pixels is coloured faster than a second thread wakes up
_BAND = 1 << 17  # pixels whose sums are worth a table of their own
_NEAR = 6  # bits of a face's number that make no difference to whose it is: neighbours share lines of the cache


def gather(values: Array, face: npt.NDArray[np.int32], outside: Array) -> Array:
    """Returns (C, P): ``values[face]`` for ``values`` (F, C) and ``face`` (P,), ``outside`` where that is negative."""
    out = np.empty((values.shape[1], len(face)), dtype=values.dtype)
    cuts = _cuts(len(face), -(-len(face) // _MOST_PIXELS))
    spread(lambda first, last: _gather(values, face[first:last], outside, out[:, first:last]), cuts[:-1], cuts[1:])
    return out


def sum_over(pixels: Array, face: npt.NDArray[np.int32], count: int) -> Array:
    """Returns (F, C): the sums over each of ``count`` faces of ``pixels`` (C, P), accumulated in float64."""
    partial_sums = np.zeros((_chunks(len(face), count), count, pixels.shape[0]))
    cuts = _cuts(len(face), len(partial_sums))
    spread(
        lambda sums, first, last: _sum_over(pixels[:, first:last], face[first:last], sums),
        list(partial_sums),
        cuts[:-1],
        cuts[1:],
    )
    return np.asarray(partial_sums.sum(axis=0), dtype=pixels.dtype)


def look_up(table: npt.NDArray[np.uint32], triangle_id: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """Returns the entry of ``table`` (F + 1,) of the face each triangle (P,) belongs to; 0, nothing, has the last."""
    out = np.empty(len(triangle_id), dtype=np.uint32)
    cuts = _cuts(len(out), -(-len(out) // _MOST_PIXELS))
    spread(lambda first, last: _look_up(table, triangle_id[first:last], out[first:last]), cuts[:-1], cuts[1:])
    return out


def add_target_sums(
    sums: npt.NDArray[np.float64], target: npt.NDArray[np.uint8], face: npt.NDArray[np.int32], weight: float = 1.0
) -> None:
    """Adds an 8-bit picture to the sums of the faces it shows.

    Few faces get a table for each band of pixels. Where such tables would cost more than the pixels, every thread looks
    at all pixels and adds those of its own faces to the one table. Either way the order of additions does not depend
    on the machine's cores.

    Args:
        sums: (F + 1, 7), added to: pixels, sums and sums of squares of RGB; the last row is of what shows no face.
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.
        face: (P,) int32, -1 for none.
        weight: of each pixel.
    """
    bands = min(_CHUNKS, len(face) // _BAND, len(face) // (8 * len(sums)))
    if bands > 1:
        tables = np.zeros((bands, *sums.shape))
        cuts = _cuts(len(face), bands)
        spread(
            lambda table, first, last: _add_target_sums(target[first:last], face[first:last], weight, 0, 1, table),
            list(tables),
            cuts[:-1],
            cuts[1:],
        )
        sums += tables.sum(axis=0)
        return
    parts = thread_count() if len(face) >= _MOST_PIXELS else 1
    spread(lambda part: _add_target_sums(target, face, weight, part, parts, sums), range(parts))


def squared_error(
    colors: npt.NDArray[np.float32], face: npt.NDArray[np.int32], target: npt.NDArray[np.uint8]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Compares what faces show with a picture, in one pass over the pixels.

    Args:
        colors: (F, 3), the colour of each face, 0…1.
        face: (P,) int32, -1 for none.
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.

    Returns:
        Squared error summed over the pixels that show a face, and its gradient by ``colors``, (F, 3); both in float64,
        so that the order of summation does not show once they are rounded.
    """
    gradients = np.zeros((_chunks(len(face), len(colors)), len(colors), 3))
    cuts = _cuts(len(face), len(gradients))
    losses = spread(
        lambda gradient, first, last: _squared_error(colors, face[first:last], target[first:last], gradient),
        list(gradients),
        cuts[:-1],
        cuts[1:],
    )
    return float(sum(losses)), gradients.sum(axis=0)


def _chunks(pixels: int, faces: int) -> int:
    """Returns how many partial sums to make: few where there are many faces, so they stay as large as a picture."""
    return min(_CHUNKS, max(1, pixels // max(4096, 4 * faces)))


def _cuts(pixels: int, chunks: int) -> list[int]:
    return [k * pixels // chunks for k in range(chunks + 1)] if chunks else [0]


@kernel
def _gather(values: Array, face: Array, outside: Array, out: Array) -> None:
    for c in range(values.shape[1]):
        for p in range(len(face)):
            f = face[p]
            out[c, p] = values[f, c] if f >= 0 else outside[c]


@kernel
def _sum_over(pixels: Array, face: Array, sums: Array) -> None:
    for p in range(len(face)):
        f = face[p]
        if f >= 0:
            for c in range(pixels.shape[0]):
                sums[f, c] += pixels[c, p]


@kernel
def _look_up(table: Array, triangle_id: Array, out: Array) -> None:
    last = len(table) - 1
    for p in range(len(triangle_id)):
        face = ((triangle_id[p] + 1) >> 1) - 1
        out[p] = table[face] if face >= 0 else table[last]


@kernel
def _add_target_sums(target: Array, face: Array, weight: float, part: int, parts: int, sums: Array) -> None:
    masked, nothing = target.shape[1] == 4, len(sums) - 1
    last, count = -1, np.int64(0)
    red = green = blue = reds = greens = blues = np.int64(0)
    for p in range(len(face)):
        f = face[p] if face[p] >= 0 else nothing
        if f != last:  # neighbours mostly show the same face: their whole numbers are added up before they are written
            if count > 0:
                _add_run(sums[last], weight, count, red, green, blue, reds, greens, blues)
                count = red = green = blue = reds = greens = blues = np.int64(0)
            last = f
        if (parts > 1 and (f >> _NEAR) % parts != part) or (masked and target[p, 3] == 0):
            continue
        r, g, b = np.int64(target[p, 0]), np.int64(target[p, 1]), np.int64(target[p, 2])
        count += 1
        red, green, blue = red + r, green + g, blue + b
        reds, greens, blues = reds + r * r, greens + g * g, blues + b * b
    if count > 0:
        _add_run(sums[last], weight, count, red, green, blue, reds, greens, blues)


@kernel
def _add_run(
    sums: Array, weight: float, count: Any, red: Any, green: Any, blue: Any, reds: Any, greens: Any, blues: Any
) -> None:
    sums[0] += weight * count
    sums[1] += weight * red
    sums[2] += weight * green
    sums[3] += weight * blue
    sums[4] += weight * reds
    sums[5] += weight * greens
    sums[6] += weight * blues


@kernel
def _squared_error(colors: Array, face: Array, target: Array, gradient: Array) -> float:
    masked = target.shape[1] == 4
    unit = np.float32(1.0 / 255.0)
    total = 0.0
    for p in range(len(face)):
        f = face[p]
        if f < 0 or (masked and target[p, 3] == 0):
            continue
        for c in range(3):
            error = colors[f, c] - np.float32(target[p, c]) * unit
            gradient[f, c] += 2.0 * error
            total += error * error
    return total
