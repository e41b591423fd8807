"""Clip space in Triton kernels: from corners to snapped points, cut to the clip volume as the reference cuts them.

A point is a tuple of x, y, z, w: scalars, or tensors with a point in every lane.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from blockcore.visibility.reference import WINDOW_LIMIT

CORNERS = tl.constexpr(16)  # lanes that hold a polygon, of ``exact.MOST_CORNERS`` at most
_LIMIT = tl.constexpr(WINDOW_LIMIT)
_ROUND = tl.constexpr(6755399441055744.0)  # 1.5 · 2⁵²: adding and subtracting it rounds a float64, half to even


@triton.jit
def clip(corner, matrix, use):
    """Maps a corner to clip space, in the reference's float32 order."""
    return transform(tl.load(corner, use), tl.load(corner + 1, use), tl.load(corner + 2, use), matrix)


@triton.jit
def transform(x, y, z, matrix):
    """Maps a float32 position to clip space, likewise."""
    return _row(matrix, x, y, z), _row(matrix + 4, x, y, z), _row(matrix + 8, x, y, z), _row(matrix + 12, x, y, z)


@triton.jit
def _row(row, x, y, z):
    m0, m1 = tl.load(row).to(tl.float32), tl.load(row + 1).to(tl.float32)
    m2, m3 = tl.load(row + 2).to(tl.float32), tl.load(row + 3).to(tl.float32)
    return ((m3 + z * m2) + y * m1) + x * m0


@triton.jit
def quad(corner, matrix):
    """Maps the four corners of a face to clip space."""
    a, b = clip(corner, matrix, True), clip(corner + 3, matrix, True)
    return a, b, clip(corner + 6, matrix, True), clip(corner + 9, matrix, True)


@triton.jit
def _window(p, width, height):
    """Maps a clip position to x, y in pixels from the first pixel's centre, and depth."""
    inverse = tl.div_rn(tl.cast(1.0, tl.float32), p[3])
    half_width, half_height = width.to(tl.float32) * 0.5, height.to(tl.float32) * 0.5
    x = (p[0] * inverse * half_width + half_width) - 0.5
    y = (p[1] * inverse * -half_height + half_height) - 0.5
    return x, y, p[2] * inverse


@triton.jit
def snap(p, width, height, ONE: tl.constexpr):
    """Returns x, y in int32 subpixels and float64 depth, which is not a number where others overflowed."""
    x, y, z = _window(p, width, height)
    fits = (tl.abs(x) < _LIMIT) & (tl.abs(y) < _LIMIT) & (tl.abs(z) < _LIMIT)
    x, y = _round(tl.where(fits, x, 0.0) * ONE), _round(tl.where(fits, y, 0.0) * ONE)
    return x, y, tl.where(fits, z, float("nan")).to(tl.float64)


@triton.jit
def bounded(p, width, height, ONE: tl.constexpr):
    """Returns x, y in int32 subpixels, or as far off as they may be."""
    x, y, _ = _window(p, width, height)
    x, y = tl.minimum(tl.maximum(x, -_LIMIT), _LIMIT), tl.minimum(tl.maximum(y, -_LIMIT), _LIMIT)
    return _round(x * ONE), _round(y * ONE)


@triton.jit
def _round(value):
    return ((value.to(tl.float64) + _ROUND) - _ROUND).to(tl.int32)


@triton.jit
def _distance(p, PLANE: tl.constexpr):
    """Returns how far inside a plane of the clip volume a point is; planes as in ``exact.distances``."""
    if PLANE == 4:
        distance = p[2]
    elif PLANE % 2 == 0 or PLANE == 5:
        distance = p[3] - p[PLANE // 2]
    else:
        distance = p[PLANE // 2] + p[3]
    return distance


@triton.jit
def is_inside(p):
    """Returns whether points lie in the clip volume."""
    inside = _distance(p, 0) >= 0
    for plane in tl.static_range(1, 6):
        inside &= _distance(p, plane) >= 0
    return inside


@triton.jit
def meet(p, onward, PLANE: tl.constexpr):
    """Returns where edges cross a plane; always reckoned from the outside inwards."""
    here, there = _distance(p, PLANE), _distance(onward, PLANE)
    inside = here >= 0
    far, near = tl.where(inside, there, here), tl.where(inside, here, there)
    t = tl.div_rn(far, far - near)
    return (
        _between(inside, p[0], onward[0], t),
        _between(inside, p[1], onward[1], t),
        _between(inside, p[2], onward[2], t),
        _between(inside, p[3], onward[3], t),
    )


@triton.jit
def _between(inside, here, there, t):
    outer, inner = tl.where(inside, there, here), tl.where(inside, here, there)
    return outer + t * (inner - outer)


@triton.jit
def polygon(a, b, c, width, height, BITS: tl.constexpr):
    """Cuts a triangle to the clip volume; returns how many corners that leaves, and them, snapped, one a lane."""
    corner = tl.arange(0, CORNERS)
    x, y = _lanes(corner, a[0], b[0], c[0]), _lanes(corner, a[1], b[1], c[1])
    z, w = _lanes(corner, a[2], b[2], c[2]), _lanes(corner, a[3], b[3], c[3])
    count = tl.sum((corner < 3).to(tl.int32), 0)
    gone = (_is_finite(a) & _is_finite(b) & _is_finite(c)) == 0
    for plane in tl.static_range(6):
        out_a, out_b, out_c = _distance(a, plane) < 0, _distance(b, plane) < 0, _distance(c, plane) < 0
        if out_a | out_b | out_c:
            count, x, y, z, w = _cut_by_plane(count, x, y, z, w, plane)
        gone |= out_a & out_b & out_c
    x, y, z = snap((x, y, z, w), width, height, 1 << BITS)
    return tl.where(gone, 0, count), x, y, z


@triton.jit
def _lanes(corner, a, b, c):
    return tl.where(corner == 0, a, tl.where(corner == 1, b, c))


@triton.jit
def _is_finite(p):
    endless = float("inf")
    return (tl.abs(p[0]) < endless) & (tl.abs(p[1]) < endless) & (tl.abs(p[2]) < endless) & (tl.abs(p[3]) < endless)


@triton.jit
def _cut_by_plane(count, x, y, z, w, PLANE: tl.constexpr):
    """Cuts a polygon, one corner a lane: a corner leaves itself, where its edge crosses, both, or nothing."""
    corner = tl.arange(0, CORNERS)
    used, after = corner < count, tl.where(corner + 1 < count, corner + 1, 0)
    onward = tl.gather(x, after, 0), tl.gather(y, after, 0), tl.gather(z, after, 0), tl.gather(w, after, 0)
    meets = meet((x, y, z, w), onward, PLANE)
    inside = _distance((x, y, z, w), PLANE) >= 0
    kept = (used & inside).to(tl.int32)
    leaves = kept + (used & (inside != (_distance(onward, PLANE) >= 0))).to(tl.int32)
    ends = tl.cumsum(leaves, 0)
    source = tl.minimum(tl.sum((ends[None, :] <= corner[:, None]).to(tl.int32), 1), CORNERS - 1)
    itself = (tl.gather(kept, source, 0) > 0) & (tl.gather(ends - leaves, source, 0) == corner)
    x = tl.where(itself, tl.gather(x, source, 0), tl.gather(meets[0], source, 0))
    y = tl.where(itself, tl.gather(y, source, 0), tl.gather(meets[1], source, 0))
    z = tl.where(itself, tl.gather(z, source, 0), tl.gather(meets[2], source, 0))
    w = tl.where(itself, tl.gather(w, source, 0), tl.gather(meets[3], source, 0))
    return tl.sum(leaves, 0), x, y, z, w
