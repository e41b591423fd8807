"""Coverage in Triton kernels: which pixels a snapped triangle covers, and its key there, depth above and id below."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from blockcore.visibility.clip_triton import CORNERS

CLEARED = tl.constexpr(1 << 62)  # depth 1 and no triangle: 2^(62 − ID_BITS), shifted by ID_BITS


@triton.jit
def nearest(corners, x, y, z, px, py, number, ID_BITS: tl.constexpr):
    """Returns the least keys that a polygon's triangles have at the points."""
    key = tl.full(px.shape, CLEARED, tl.int64)
    for last in range(2, corners):
        p, q, r = _corner(x, y, z, 0), _corner(x, y, z, last - 1), _corner(x, y, z, last)
        key = tl.minimum(key, triangle_key(p, q, r, px, py, number, ID_BITS, tl.int64))
    return key


@triton.jit
def _corner(x, y, z, corner):
    here = tl.arange(0, CORNERS) == corner
    return tl.sum(tl.where(here, x, 0), 0), tl.sum(tl.where(here, y, 0), 0), tl.sum(tl.where(here, z, 0.0), 0)


@triton.jit
def triangle_key(p, q, r, px, py, number, ID_BITS: tl.constexpr, TYPE: tl.constexpr):
    """Returns depth and id of a triangle where it covers the points, and the key of a cleared buffer elsewhere.

    Seen from behind or edge-on a triangle covers nothing: its edge functions add up to its area, which is not positive.
    Edge functions are reckoned in whole numbers of ``TYPE``.
    """
    area = _cross(r[0] - p[0], q[1] - p[1], q[0] - p[0], r[1] - p[1], TYPE).to(tl.float64)
    per_x = ((r[2] - p[2]) * (q[1] - p[1]) - (q[2] - p[2]) * (r[1] - p[1])) / area
    per_y = ((q[2] - p[2]) * (r[0] - p[0]) - (r[2] - p[2]) * (q[0] - p[0])) / area
    z = (p[2] + per_y * (py - p[1])) + per_x * (px - p[0])
    covers = _inside(px, py, p, q, TYPE) & _inside(px, py, q, r, TYPE) & _inside(px, py, r, p, TYPE) & (z < 1.0)
    depth = (tl.maximum(tl.where(covers, z, 1.0), 0.0) * (1 << (62 - ID_BITS))).to(tl.int64)
    return tl.where(covers, (depth << ID_BITS) | number, CLEARED)


@triton.jit
def _inside(px, py, a, b, TYPE: tl.constexpr):
    edge = _cross(px - a[0], b[1] - a[1], py - a[1], b[0] - a[0], TYPE)
    return edge >= tl.where((b[1] > a[1]) | ((b[1] == a[1]) & (b[0] < a[0])), 0, 1)  # top-left rule


@triton.jit
def _cross(a, b, c, d, TYPE: tl.constexpr):
    """Returns a·b − c·d."""
    return a.to(TYPE) * b.to(TYPE) - c.to(TYPE) * d.to(TYPE)
