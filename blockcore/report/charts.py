"""Line charts as inline SVG, for pages that stand alone."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 34
_FLOOR = 1e-12  # a logarithmic axis has no zero


def log_curve(values: Sequence[float], label: str) -> str:
    """Draws positive values, one a step, over a logarithmic axis.

    Args:
        values: at least one.
        label: what they are, in words.

    Returns:
        An ``<svg>`` element.
    """
    logs = [math.log10(max(value, _FLOOR)) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high = max(high, low + 1)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(step: int) -> float:
        return _LEFT + step / max(1, len(logs) - 1) * (right - _LEFT)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    every = max(1, math.ceil((high - low) / 6))
    lines = "".join(
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{y(p):.1f}" y2="{y(p):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(p) + 4:.1f}" text-anchor="end">{_power(p)}</text>'
        for p in range(low, high + 1, every)
    )
    points = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(logs))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(label, quote=True)}">{lines}'
        f'<polyline class="curve" points="{points}"/>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 10}">step 1</text>'
        f'<text x="{right}" y="{_HEIGHT - 10}" text-anchor="end">step {len(logs):,}</text></svg>'
    )


def _power(exponent: int) -> str:
    return f"{10.0**exponent:,.{max(0, -exponent)}f}" if -2 <= exponent <= 3 else f"1e{exponent}"
