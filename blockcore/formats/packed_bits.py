"""Numbers of a fixed count of bits, one after another in words of 64, the lowest bits first; some straddle two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_AT_ONCE = 1 << 20  # numbers; bounds the memory that single bits take, and ends on a whole word


def pack(values: npt.NDArray[np.int32], bits: int) -> npt.NDArray[np.int64]:
    """Returns the words of numbers of no sign, (n,), ``bits`` each."""
    parts = [_pack(values[start : start + _AT_ONCE], bits) for start in range(0, len(values), _AT_ONCE)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def unpack(words: npt.NDArray[np.int64], bits: int, count: int) -> npt.NDArray[np.int32]:
    """Returns the numbers, (count,), that ``pack`` made words of.

    Raises:
        ValueError: there are too few words or too many, or a number has more than 31 bits.
    """
    if not 0 < bits < 32:
        raise ValueError(f"has numbers of {bits} bits")
    if len(words) != -(-count * bits // 64):
        raise ValueError(f"has {len(words)} words of blocks where its sides make {-(-count * bits // 64)}")
    step = _AT_ONCE * bits // 64
    sizes = [min(_AT_ONCE, count - start) for start in range(0, count, _AT_ONCE)]
    values = np.empty(count, np.int32)
    for index, size in enumerate(sizes):
        start = index * _AT_ONCE
        values[start : start + size] = _unpack(words[index * step : (index + 1) * step], bits, size)
    return values


def _pack(values: npt.NDArray[np.int32], bits: int) -> npt.NDArray[np.int64]:
    single = np.unpackbits(values.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, count=bits, bitorder="little")
    packed = np.packbits(single.ravel(), bitorder="little")
    words = np.zeros(-(-len(packed) // 8) * 8, np.uint8)
    words[: len(packed)] = packed
    return words.view("<i8").astype(np.int64, copy=False)


def _unpack(words: npt.NDArray[np.int64], bits: int, count: int) -> npt.NDArray[np.int32]:
    single = np.unpackbits(words.astype("<i8").view(np.uint8), count=count * bits, bitorder="little")
    packed = np.packbits(single.reshape(count, bits), axis=1, bitorder="little")
    whole = np.zeros((count, 4), np.uint8)
    whole[:, : packed.shape[1]] = packed
    return whole.view("<i4").ravel().astype(np.int32, copy=False)
