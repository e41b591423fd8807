"""Blending materials: the colour of each face, or part of a face, from the share each material has in its block.

``Σ_m shares[block, m] · table[m, look]`` is linear in both. Its adjoints have the same form, so that each of the three
functions here is differentiated by the other two, any number of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from blockcore.ops.batched import OneByOne

_FEW_LOOKS = 6  # as many as faces that no tile cuts have
_AT_A_TIME = 1 << 22  # numbers gathered at once on a GPU: bounds memory


def blend(shares: torch.Tensor, table: torch.Tensor, block: torch.Tensor, look: torch.Tensor) -> torch.Tensor:
    """Blends the values of materials.

    Args:
        shares: (V, M) float32 or float64, the share of each material in each block.
        table: (M, L, C), the value of each material in each look; same dtype and device.
        block: (F,) int64, ascending: the block of each face.
        look: (F,) int64: which of the L looks the face has.

    Returns:
        (F, C). Gradients flow to ``shares`` and ``table``. Memory beyond the arguments does not grow with F·M.
    """
    if table.shape[1] <= _FEW_LOOKS:  # every block in every look, then pick
        every = shares @ table.reshape(len(table), -1)
        return every.reshape(-1, table.shape[2]).index_select(0, block * table.shape[1] + look)
    return _Blend.apply(shares, table, block, look)  # type: ignore[no-any-return, no-untyped-call]


def sum_over_blocks(
    table: torch.Tensor, values: torch.Tensor, block: torch.Tensor, look: torch.Tensor, count: int
) -> torch.Tensor:
    """Sums over the faces of each block what each material would make of their values; the adjoint of ``blend``.

    Args:
        table: (M, L, C), as for ``blend``.
        values: (F, C), of each face.
        block: (F,) int64, ascending: the block of each face.
        look: (F,) int64: which of the L looks the face has.
        count: V, the number of blocks.

    Returns:
        (V, M): the sums of ``table[m, look] · values``. Gradients flow to ``table`` and ``values``.
    """
    return _ToShares.apply(table, values, block, look, count)  # type: ignore[no-any-return, no-untyped-call]


def blended_to_shares(
    table: torch.Tensor, values: torch.Tensor, block: torch.Tensor, look: torch.Tensor, count: int
) -> torch.Tensor:
    """Returns what ``sum_over_blocks`` does, (V, M), of plain tensors and without any gradient."""
    if table.shape[1] <= _FEW_LOOKS:
        every = values.new_zeros(count * table.shape[1], values.shape[1])
        every.index_add_(0, block * table.shape[1] + look, values)
        return every.reshape(count, table.shape[1] * table.shape[2]) @ table.reshape(len(table), -1).T
    if table.is_cuda:
        sums = values.new_zeros(count, len(table))
        for s in _slices(len(block), table):
            sums.index_add_(0, block[s], torch.einsum("mfc,fc->fm", table[:, look[s]], values[s]))
        return sums
    from blockcore.ops import blend_numba

    return torch.from_numpy(blend_numba.blend_to_shares(count, *_arrays(table, values, block, look)))


class _Bilinear(OneByOne):
    """What is linear in each of its first two arguments: the next two say which faces, what follows is a number."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs[:4])
        ctx.save_for_forward(*inputs[:4])
        ctx.count = inputs[4:]

    @classmethod
    def jvp(cls, ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        first, second, block, look = ctx.saved_tensors
        pairs = ((tangents[0], second), (first, tangents[1]))
        changes: list[torch.Tensor] = [
            cls.apply(a, b, block, look, *ctx.count)  # type: ignore[no-untyped-call]
            for a, b in pairs
            if a is not None and b is not None
        ]
        return changes[0] if len(changes) == 1 else changes[0] + changes[1]


class _Blend(_Bilinear):
    @staticmethod
    def forward(shares: torch.Tensor, table: torch.Tensor, block: torch.Tensor, look: torch.Tensor) -> torch.Tensor:
        if shares.is_cuda:
            parts = [
                torch.einsum("fm,mfc->fc", shares[block[s]], table[:, look[s]]) for s in _slices(len(block), table)
            ]
            return torch.cat(parts)
        from blockcore.ops import blend_numba

        return torch.from_numpy(blend_numba.blend(*_arrays(shares, table, block, look)))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        shares, table, block, look = ctx.saved_tensors
        to_shares = to_table = None
        if ctx.needs_input_grad[0]:
            to_shares = _ToShares.apply(table, grads[0], block, look, len(shares))  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            to_table = _ToTable.apply(shares, grads[0], block, look, table.shape[1])  # type: ignore[no-untyped-call]
        return to_shares, to_table, None, None


class _ToShares(_Bilinear):
    """(V, M): sums ``table[m, look] · grad`` over the faces of each block."""

    @staticmethod
    def forward(
        table: torch.Tensor, grad: torch.Tensor, block: torch.Tensor, look: torch.Tensor, count: int
    ) -> torch.Tensor:
        return blended_to_shares(table, grad, block, look, count)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        table, grad, block, look = ctx.saved_tensors
        to_table = to_grad = None
        if ctx.needs_input_grad[0]:
            to_table = _ToTable.apply(grads[0], grad, block, look, table.shape[1])  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            to_grad = _Blend.apply(grads[0], table, block, look)  # type: ignore[no-untyped-call]
        return to_table, to_grad, None, None, None


class _ToTable(_Bilinear):
    """(M, L, C): sums ``shares[block, m] · grad`` over the faces of each look."""

    @staticmethod
    def forward(
        shares: torch.Tensor, grad: torch.Tensor, block: torch.Tensor, look: torch.Tensor, count: int
    ) -> torch.Tensor:
        if shares.is_cuda:
            sums = grad.new_zeros(count, shares.shape[1], grad.shape[1])
            for s in _slices(len(block), shares.T):
                sums.index_add_(0, look[s], torch.einsum("fm,fc->fmc", shares[block[s]], grad[s]))
            return sums.transpose(0, 1).contiguous()
        from blockcore.ops import blend_numba

        return torch.from_numpy(blend_numba.blend_to_table(count, *_arrays(shares, grad, block, look)))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        shares, grad, block, look = ctx.saved_tensors
        to_shares = to_grad = None
        if ctx.needs_input_grad[0]:
            to_shares = _ToShares.apply(grads[0], grad, block, look, len(shares))  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            to_grad = _Blend.apply(shares, grads[0], block, look)  # type: ignore[no-untyped-call]
        return to_shares, to_grad, None, None, None


def _slices(count: int, per_material: torch.Tensor) -> Iterator[slice]:
    """Yields slices of so many faces that the gathered values of all materials stay few."""
    step = max(1, _AT_A_TIME // (4 * len(per_material)))
    return (slice(start, start + step) for start in range(0, max(1, count), step))


def _arrays(*tensors: torch.Tensor) -> list[Any]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]
