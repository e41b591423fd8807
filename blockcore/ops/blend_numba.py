"""Compiled loops behind ``blend``. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.machine.compiled import kernel
from blockcore.machine.threads import spread, thread_count

Array = npt.NDArray[Any]

_PARTS = 3  # per thread: parts take longer or shorter
_LEAST_WORK = 1 << 18  # multiplications; fewer are not worth a thread


def blend(shares: Array, table: Array, block: npt.NDArray[np.int64], look: npt.NDArray[np.int64]) -> Array:
    """Returns (F, C): ``Σ_m shares[block, m] · table[m, look]``; see ``blend.blend``."""
    out = np.empty((len(block), table.shape[2]), shares.dtype)
    by_look = np.ascontiguousarray(table.transpose(1, 2, 0))
    cuts = _cuts(len(block), out.size * len(table))
    spread(lambda first, last: _blend(shares, by_look, block, look, first, last, out), cuts[:-1], cuts[1:])
    return out


def blend_to_shares(
    count: int, table: Array, grad: Array, block: npt.NDArray[np.int64], look: npt.NDArray[np.int64]
) -> Array:
    """Returns (V, M), the adjoint of ``blend`` by shares; ``block`` ascends."""
    out = np.zeros((count, len(table)))
    by_look = np.ascontiguousarray(table.transpose(1, 2, 0))
    starts = np.searchsorted(block, np.arange(count + 1))
    cuts = _cuts(count, grad.size * len(table))
    spread(lambda first, last: _blend_to_shares(by_look, grad, starts, look, first, last, out), cuts[:-1], cuts[1:])
    return out.astype(grad.dtype, copy=False)


def blend_to_table(
    count: int, shares: Array, grad: Array, block: npt.NDArray[np.int64], look: npt.NDArray[np.int64]
) -> Array:
    """Returns (M, L, C), the adjoint of ``blend`` by its table."""
    out = np.zeros((count, grad.shape[1], shares.shape[1]))
    _blend_to_table(shares, grad, block, look, out)
    return np.ascontiguousarray(out.transpose(2, 0, 1).astype(grad.dtype))


def _cuts(items: int, work: int) -> list[int]:
    """Cuts ``items`` into parts that threads may do at a time; a result does not depend on where."""
    parts = max(1, min(items, _PARTS * thread_count(), work // _LEAST_WORK))
    return [items * part // parts for part in range(parts + 1)]


@kernel
def _blend(shares: Array, table: Array, block: Array, look: Array, first: int, last: int, out: Array) -> None:
    for f in range(first, last):
        v, t = block[f], look[f]
        for c in range(out.shape[1]):
            total = 0.0
            for m in range(shares.shape[1]):
                total += shares[v, m] * table[t, c, m]
            out[f, c] = total


@kernel
def _blend_to_shares(table: Array, grad: Array, starts: Array, look: Array, first: int, last: int, out: Array) -> None:
    for v in range(first, last):
        for f in range(starts[v], starts[v + 1]):
            t = look[f]
            for c in range(grad.shape[1]):
                for m in range(out.shape[1]):
                    out[v, m] += grad[f, c] * table[t, c, m]


@kernel
def _blend_to_table(shares: Array, grad: Array, block: Array, look: Array, out: Array) -> None:
    for f in range(len(block)):
        v, t = block[f], look[f]
        for c in range(grad.shape[1]):
            for m in range(shares.shape[1]):
                out[t, c, m] += shares[v, m] * grad[f, c]
