"""Shares of materials in Triton kernels: a program takes some blocks, a row of lanes each; see ``shading``."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

_ELEMENTS = 1024  # block rows times materials in a program


def rows(materials: int) -> int:
    """Returns how many blocks a program takes at once."""
    return max(1, _ELEMENTS // int(triton.next_power_of_2(materials)))


@triton.jit
def shares_of(logits, row, column, use, temperature, HARD: tl.constexpr):
    """Returns the soft-max over all materials but Air, and the shares that blend colours."""
    # A finite floor: of a row without a block, infinite scores would come to infinity less infinity.
    scores = tl.where(use & (column > 0), logits / temperature, -3.0e38)
    scores = scores - tl.max(scores, 1)[:, None]
    soft = tl.where(use & (column > 0), tl.exp(scores), 0.0)
    soft = soft / tl.maximum(tl.sum(soft, 1), 1e-30)[:, None]
    if HARD:
        best = tl.argmax(scores, 1, tie_break_left=True)
        return soft, tl.where(use & (column == best[:, None]), 1.0, 0.0)
    return soft, soft
