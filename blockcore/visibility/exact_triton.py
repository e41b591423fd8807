"""``exact`` as Triton kernels: the same arithmetic, operation by operation, in a few launches for all views together.

``_project`` transforms and culls every face and parts those that can cover pixels into small and large ones, ``_open``
finds suspect pixels where there is a picture to repair, ``_draw`` draws small faces one a program and shares the tiles
of large ones out evenly, however large they are, ``_close`` reads the ids back. Drawing keeps the nearest triangle of
each open pixel by an atomic minimum over 64-bit keys: depth above, triangle id below.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from blockcore.visibility import exact
from blockcore.visibility.exact import FaceCorners, Views
from blockcore.visibility.reference import WINDOW_LIMIT

_CLEARED = tl.constexpr(1 << 62)  # depth 1 and no triangle: 2^(62 − ID_BITS), shifted by ID_BITS
_LIMIT = tl.constexpr(WINDOW_LIMIT)
_ROUND = tl.constexpr(6755399441055744.0)  # 1.5 · 2⁵²: adding and subtracting it rounds a float64, half to even
_LARGEST_WHOLE_ID = tl.constexpr(exact.LARGEST_WHOLE_ID)
_ID_OFFSET = tl.constexpr(exact.ID_OFFSET)
_SMALL = tl.constexpr(1 << 14)  # subpixels: across less than these, edge functions stay inside 32 bits
_FACE = tl.constexpr(1 << 35)  # one large face, as a counter holds it above the number of stretches
_CORNERS = tl.constexpr(16)  # lanes that hold a polygon, of ``exact.MOST_CORNERS`` at most
_TILE = (16, 8)  # pixels across and down: a face's bounding box is drawn in such tiles
_STRETCH = 4  # tiles of one face that a program draws before it takes the next face
_LANES = 128
_PIXELS = 512
_PROGRAMS = 4096
_REGISTERS = 128  # fewer than the compiler would like, for twice as many programs at a time


class Drawing:
    """See ``exact.Drawing``."""

    def __init__(self, faces: FaceCorners, views: Views, subpixel_bits: int = 8) -> None:
        self.faces, self.views, self.subpixel_bits = faces, views, subpixel_bits
        self.items = len(views) * len(faces)

    def draw(self) -> torch.Tensor:
        """See ``exact.Drawing.draw``."""
        self._project(None)
        return self._draw(torch.full(self._shape, _CLEARED.value, dtype=torch.int64, device=self.views.device))

    def positions(self) -> torch.Tensor:
        """See ``exact.Drawing.positions``."""
        shape = len(self.views), 4 * len(self.faces), 4
        positions = torch.empty(shape, dtype=torch.float32, device=self.views.device)
        self._project(positions)
        return positions

    def redraw(self, encoded: torch.Tensor) -> torch.Tensor:
        """See ``exact.Drawing.redraw``."""
        keys = torch.empty(self._shape, dtype=torch.int64, device=self.views.device)
        pixels, size = keys.numel(), (self.views.width, self.views.height)
        _open[(triton.cdiv(pixels, _PIXELS),)](encoded, *encoded.stride(), keys, pixels, *size, LANES=_PIXELS)
        return self._draw(keys)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return len(self.views), self.views.height, self.views.width

    def _project(self, positions: torch.Tensor | None) -> None:
        faces, views = self.faces, self.views
        self.counts = torch.zeros(2, dtype=torch.int64, device=views.device)
        self.small = torch.empty(self.items, dtype=torch.int32, device=views.device)
        self.large = torch.empty((3, self.items), dtype=torch.int32, device=views.device)
        self.ends = torch.empty(self.items, dtype=torch.int64, device=views.device)
        _project[(triton.cdiv(len(faces), _LANES), len(views))](
            faces.corners,
            faces.direction,
            views.cameras,
            positions,
            self.counts,
            self.small,
            self.large,
            self.ends,
            len(faces),
            self.items,
            views.width,
            views.height,
            BITS=self.subpixel_bits,
            ACROSS=_TILE[0],
            DOWN=_TILE[1],
            STRETCH=_STRETCH,
            LANES=_LANES,
            enable_fp_fusion=False,
        )

    def _draw(self, keys: torch.Tensor) -> torch.Tensor:
        """Draws into keys, (B, H, W) int64, and reads the ids from them."""
        faces, views = self.faces, self.views
        id_bits = (2 * len(faces) + 1).bit_length()
        _draw[(2 * _PROGRAMS,)](
            faces.corners,
            views.cameras,
            self.counts,
            self.small,
            self.large,
            self.ends,
            keys,
            self.items,
            len(faces),
            views.width,
            views.height,
            BITS=self.subpixel_bits,
            ID_BITS=id_bits,
            ACROSS=_TILE[0],
            DOWN=_TILE[1],
            STRETCH=_STRETCH,
            num_warps=1,
            maxnreg=_REGISTERS,
            enable_fp_fusion=False,
        )
        ids = torch.empty(self._shape, dtype=torch.int32, device=views.device)
        pixels = keys.numel()
        _close[(triton.cdiv(pixels, _PIXELS),)](keys, ids, pixels, ID_BITS=id_bits, LANES=_PIXELS)
        return ids


@triton.jit
def _clip(corner, matrix, use):
    """Maps a corner to clip space, in the reference's float32 order."""
    x, y, z = tl.load(corner, use), tl.load(corner + 1, use), tl.load(corner + 2, use)
    return _row(matrix, x, y, z), _row(matrix + 4, x, y, z), _row(matrix + 8, x, y, z), _row(matrix + 12, x, y, z)


@triton.jit
def _row(row, x, y, z):
    m0, m1 = tl.load(row).to(tl.float32), tl.load(row + 1).to(tl.float32)
    m2, m3 = tl.load(row + 2).to(tl.float32), tl.load(row + 3).to(tl.float32)
    return ((m3 + z * m2) + y * m1) + x * m0


@triton.jit
def _is_front(corners, direction, eye, face, use):
    d = tl.load(direction + face, use)
    axis = d // 2
    sign = tl.where(d % 2 == 0, 1.0, -1.0).to(tl.float64)
    offset = tl.load(corners + face * 12 + axis, use).to(tl.float64)
    return use & (sign * (tl.load(eye + axis) - offset * tl.load(eye + 3)) > 0.0)


@triton.jit
def _window(p, width, height):
    """Maps a clip position to x, y in pixels from the first pixel's centre, and depth."""
    inverse = tl.div_rn(tl.cast(1.0, tl.float32), p[3])
    half_width, half_height = width.to(tl.float32) * 0.5, height.to(tl.float32) * 0.5
    x = (p[0] * inverse * half_width + half_width) - 0.5
    y = (p[1] * inverse * -half_height + half_height) - 0.5
    return x, y, p[2] * inverse


@triton.jit
def _snap(p, width, height, ONE: tl.constexpr):
    """Returns x, y in int32 subpixels and float64 depth, which is not a number where others overflowed."""
    x, y, z = _window(p, width, height)
    fits = (tl.abs(x) < _LIMIT) & (tl.abs(y) < _LIMIT) & (tl.abs(z) < _LIMIT)
    x, y = _round(tl.where(fits, x, 0.0) * ONE), _round(tl.where(fits, y, 0.0) * ONE)
    return x, y, tl.where(fits, z, float("nan")).to(tl.float64)


@triton.jit
def _round(value):
    return ((value.to(tl.float64) + _ROUND) - _ROUND).to(tl.int32)


@triton.jit
def _bounded(p, width, height, ONE: tl.constexpr):
    """Returns x, y in int32 subpixels, or as far off as they may be."""
    x, y, _ = _window(p, width, height)
    x, y = tl.minimum(tl.maximum(x, -_LIMIT), _LIMIT), tl.minimum(tl.maximum(y, -_LIMIT), _LIMIT)
    return _round(x * ONE), _round(y * ONE)


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
def _is_inside(p):
    inside = _distance(p, 0) >= 0
    for plane in tl.static_range(1, 6):
        inside &= _distance(p, plane) >= 0
    return inside


@triton.jit
def _meet(p, onward, PLANE: tl.constexpr):
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


@triton.jit(do_not_specialize=["faces", "items", "width", "height"])
def _project(
    corners, direction, cameras, positions, counts, small, large, ends, faces, items, width, height,
    BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr, STRETCH: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Lists the faces that can cover pixels, with the boxes of large ones; writes nvdiffrast's input, if asked to."""
    view = tl.program_id(1)
    face = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    use = face < faces
    matrix, first = cameras + view * 20, corners + face * 12
    front = _is_front(corners, direction, matrix + 16, face, use)
    place = view.to(tl.int64) * faces + face
    left = tl.full([LANES], 1 << 30, tl.int32)
    right, top, bottom = -left, left, -left
    whole, wide = front, tl.zeros([LANES], tl.int1)
    for corner in tl.static_range(4):
        here = _clip(first + corner * 3, matrix, use)
        onward = _clip(first + (corner + 1) % 4 * 3, matrix, use)
        if positions is not None:
            to = positions + (place * 4 + corner) * 4
            tl.store(to, tl.where(front, here[0], 2.0), use)
            tl.store(to + 1, tl.where(front, -here[1], 2.0), use)
            tl.store(to + 2, tl.where(front, 2.0 * here[2] - here[3], 2.0), use)
            tl.store(to + 3, tl.where(front, here[3], 1.0), use)
        # What lies before the near plane has a place in the picture; where it is cut, the cuts are close by.
        ahead, crosses, meets = here[2] >= 0, (here[2] >= 0) != (onward[2] >= 0), _meet(here, onward, 4)
        whole &= _is_inside(here)
        wide |= (ahead & (here[3] <= 0)) | (crosses & (meets[3] <= 0))
        x, y = _bounded(here, width, height, 1 << BITS)
        cut_x, cut_y = _bounded(meets, width, height, 1 << BITS)
        left = tl.minimum(left, tl.minimum(tl.where(ahead, x, left), tl.where(crosses, cut_x, left)))
        right = tl.maximum(right, tl.maximum(tl.where(ahead, x, right), tl.where(crosses, cut_x, right)))
        top = tl.minimum(top, tl.minimum(tl.where(ahead, y, top), tl.where(crosses, cut_y, top)))
        bottom = tl.maximum(bottom, tl.maximum(tl.where(ahead, y, bottom), tl.where(crosses, cut_y, bottom)))
    whole &= (right - left < _SMALL) & (bottom - top < _SMALL)
    slack, end = tl.where(whole, 0, 2), 1 << 30
    left, right = tl.where(wide, 0, left - slack), tl.where(wide, end, right + slack)
    top, bottom = tl.where(wide, 0, top - slack), tl.where(wide, end, bottom + slack)
    left, columns = _tiles(left, right, width, BITS, ACROSS)
    top, rows = _tiles(top, bottom, height, BITS, DOWN)
    some = front & (columns > 0) & (rows > 0)
    stretches = (columns * rows + STRETCH - 1) // STRETCH
    is_small = some & whole & (stretches == 1)
    tl.store(small + _append(counts, is_small.to(tl.int64))[0], place.to(tl.int32), is_small)
    is_large = some & (is_small == 0)
    before, after = _append(counts + 1, tl.where(is_large, _FACE | stretches.to(tl.int64), 0))
    entry = large + (before // _FACE)
    tl.store(entry, place.to(tl.int32), is_large)
    tl.store(entry + items, (left | (top << 16)).to(tl.int32), is_large)
    tl.store(entry + items.to(tl.int64) * 2, (columns | (rows << 16)).to(tl.int32), is_large)
    tl.store(ends + (before // _FACE), after % _FACE, is_large)


@triton.jit
def _tiles(low, high, size, BITS: tl.constexpr, TILE: tl.constexpr):
    """Returns the first pixel centre from low to high, in subpixels, and how many tiles cover them all."""
    first = tl.maximum((low + ((1 << BITS) - 1)) >> BITS, 0)
    return first, (tl.minimum(high >> BITS, size - 1) - first + TILE) // TILE


@triton.jit
def _append(counter, amount):
    """Adds up the lanes' amounts on a counter that all programs share; returns its values before and after each."""
    after = tl.cumsum(amount, 0) + tl.atomic_add(counter, tl.sum(amount, 0), sem="relaxed")
    return after - amount, after


@triton.jit(do_not_specialize=["pixels", "width", "height", "stride_b", "stride_y", "stride_x"])
def _open(encoded, stride_b, stride_y, stride_x, keys, pixels, width, height, LANES: tl.constexpr):
    """Gives suspect pixels the key of a cleared depth buffer, and the others −1 − id, which no key undercuts."""
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    use = pixel < pixels
    line = pixel // width
    x, y, view = pixel - line * width, line % height, line // height
    here = encoded + view.to(tl.int64) * stride_b + y.to(tl.int64) * stride_y + x * stride_x
    own = tl.load(here, use, 0.0)
    suspect = tl.zeros([LANES], tl.int1)
    for dy in tl.static_range(-1, 2):
        for dx in tl.static_range(-1, 2):
            there = use & (x + dx >= 0) & (x + dx < width) & (y + dy >= 0) & (y + dy < height)
            suspect |= there & (tl.load(here + dy * stride_y + dx * stride_x, there, 0.0) != own)
    number = tl.where(own <= _LARGEST_WHOLE_ID, own.to(tl.int32), own.to(tl.int32, bitcast=True) - _ID_OFFSET)
    tl.store(keys + pixel, tl.where(suspect, _CLEARED, -1 - number.to(tl.int64)), use)


@triton.jit(do_not_specialize=["pixels"])
def _close(keys, ids, pixels, ID_BITS: tl.constexpr, LANES: tl.constexpr):
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    use = pixel < pixels
    key = tl.load(keys + pixel, use, 0)
    tl.store(ids + pixel, tl.where(key < 0, -1 - key, key & ((1 << ID_BITS) - 1)).to(tl.int32), use)


@triton.jit(do_not_specialize=["items", "faces", "width", "height"])
def _draw(
    corners, cameras, counts, small, large, ends, keys, items, faces, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr, STRETCH: tl.constexpr,
):  # fmt: skip
    """Draws small faces with one half of the programs and large ones with the other, so that neither waits."""
    program, programs = tl.program_id(0) // 2, tl.num_programs(0) // 2
    if tl.program_id(0) % 2 == 0:
        _draw_small(
            program, programs, corners, cameras, counts, small, keys, faces, width, height, BITS, ID_BITS, ACROSS, DOWN
        )
    else:
        _draw_large(
            program, programs, corners, cameras, counts, large, ends, keys, items, faces, width, height, BITS, ID_BITS,
            ACROSS, DOWN, STRETCH,
        )  # fmt: skip


@triton.jit
def _draw_small(
    program, programs, corners, cameras, counts, small, keys, faces, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr,
):  # fmt: skip
    """Draws face after face of those that lie before the camera and are small enough for one program and 32 bits."""
    for entry in range(program, tl.load(counts), programs):
        item = tl.load(small + entry)
        view, face = (item // faces).to(tl.int64), (item % faces).to(tl.int64)
        a, b, c, d = _quad(corners + face * 12, cameras + view * 20)
        p, q = _snap(a, width, height, 1 << BITS), _snap(b, width, height, 1 << BITS)
        r, s = _snap(c, width, height, 1 << BITS), _snap(d, width, height, 1 << BITS)
        left, columns = _tiles(_least(p[0], q[0], r[0], s[0]), _most(p[0], q[0], r[0], s[0]), width, BITS, ACROSS)
        top, rows = _tiles(_least(p[1], q[1], r[1], s[1]), _most(p[1], q[1], r[1], s[1]), height, BITS, DOWN)
        _draw_whole(
            keys, view, face, p, q, r, s, left, top, columns, 0, columns * rows, width, height, BITS, ID_BITS, ACROSS,
            DOWN, tl.int32,
        )  # fmt: skip


@triton.jit
def _draw_large(
    program, programs, corners, cameras, counts, large, ends, keys, items, faces, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr, STRETCH: tl.constexpr,
):  # fmt: skip
    """Draws stretch after stretch of tiles; programs take turns, so that all have as much to do."""
    count = tl.load(counts + 1)
    for stretch in range(program, count % _FACE, programs):
        low, high = count * 0, (count // _FACE) - 1
        while low < high:
            middle = (low + high) // 2
            beyond = tl.load(ends + middle) > stretch
            high = tl.where(beyond, middle, high)
            low = tl.where(beyond, low, middle + 1)
        item, first = tl.load(large + low), tl.load(large + items + low)
        across = tl.load(large + items.to(tl.int64) * 2 + low)
        columns, tiles = across & 0xFFFF, (across & 0xFFFF) * (across >> 16)
        begin = tiles - (tl.load(ends + low) - stretch).to(tl.int32) * STRETCH
        view, face = (item // faces).to(tl.int64), (item % faces).to(tl.int64)
        a, b, c, d = _quad(corners + face * 12, cameras + view * 20)
        left, top, begin, end = first & 0xFFFF, first >> 16, tl.maximum(begin, 0), begin + STRETCH
        if _is_inside(a) & _is_inside(b) & _is_inside(c) & _is_inside(d):
            p, q = _snap(a, width, height, 1 << BITS), _snap(b, width, height, 1 << BITS)
            r, s = _snap(c, width, height, 1 << BITS), _snap(d, width, height, 1 << BITS)
            _draw_whole(
                keys, view, face, p, q, r, s, left, top, columns, begin, end, width, height, BITS, ID_BITS, ACROSS,
                DOWN, tl.int64,
            )  # fmt: skip
        else:
            _draw_cut(
                keys, view, face, a, b, c, d, left, top, columns, begin, end, width, height, BITS, ID_BITS, ACROSS, DOWN
            )


@triton.jit
def _draw_whole(
    keys, view, face, p, q, r, s, left, top, columns, begin, end, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr, TYPE: tl.constexpr,
):  # fmt: skip
    """Draws tiles of a face with snapped corners p, q, r, s."""
    for tile in range(begin, end):
        x, y, place, held = _pixels(keys, view, left, top, columns, tile, width, height, ACROSS, DOWN)
        if tl.max(held, 0) >= 0:  # else no pixel here is open
            px, py = x << BITS, y << BITS
            key = tl.minimum(
                _key(p, q, r, px, py, 1 + 2 * face, ID_BITS, TYPE), _key(p, r, s, px, py, 2 + 2 * face, ID_BITS, TYPE)
            )
            tl.atomic_min(place, key, mask=key < held, sem="relaxed")


@triton.jit
def _draw_cut(
    keys, view, face, a, b, c, d, left, top, columns, begin, end, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr,
):  # fmt: skip
    """Draws tiles of a face of which the clip volume leaves a part."""
    corners_b, xb, yb, zb = _polygon(a, b, c, width, height, BITS)
    corners_d, xd, yd, zd = _polygon(a, c, d, width, height, BITS)
    for tile in range(begin, end):
        x, y, place, held = _pixels(keys, view, left, top, columns, tile, width, height, ACROSS, DOWN)
        if tl.max(held, 0) >= 0:
            px, py = x << BITS, y << BITS
            key = tl.minimum(
                _nearest(corners_b, xb, yb, zb, px, py, 1 + 2 * face, ID_BITS),
                _nearest(corners_d, xd, yd, zd, px, py, 2 + 2 * face, ID_BITS),
            )
            tl.atomic_min(place, key, mask=key < held, sem="relaxed")


@triton.jit
def _quad(corner, matrix):
    a, b = _clip(corner, matrix, True), _clip(corner + 3, matrix, True)
    return a, b, _clip(corner + 6, matrix, True), _clip(corner + 9, matrix, True)


@triton.jit
def _least(a, b, c, d):
    return tl.minimum(tl.minimum(a, b), tl.minimum(c, d))


@triton.jit
def _most(a, b, c, d):
    return tl.maximum(tl.maximum(a, b), tl.maximum(c, d))


@triton.jit
def _pixels(keys, view, left, top, columns, tile, width, height, ACROSS: tl.constexpr, DOWN: tl.constexpr):
    """Returns the columns and rows of a tile's pixels, where their keys are, and the keys; −1 outside the picture."""
    lane = tl.arange(0, ACROSS * DOWN)
    x, y = left + tile % columns * ACROSS + lane % ACROSS, top + tile // columns * DOWN + lane // ACROSS
    place = keys + (view * height + y) * width + x
    return x, y, place, tl.load(place, (x < width) & (y < height), -1)


@triton.jit
def _polygon(a, b, c, width, height, BITS: tl.constexpr):
    """Cuts a triangle to the clip volume; returns how many corners that leaves, and them, snapped, one a lane."""
    corner = tl.arange(0, _CORNERS)
    x, y = _lanes(corner, a[0], b[0], c[0]), _lanes(corner, a[1], b[1], c[1])
    z, w = _lanes(corner, a[2], b[2], c[2]), _lanes(corner, a[3], b[3], c[3])
    count = tl.sum((corner < 3).to(tl.int32), 0)
    gone = (_is_finite(a) & _is_finite(b) & _is_finite(c)) == 0
    for plane in tl.static_range(6):
        out_a, out_b, out_c = _distance(a, plane) < 0, _distance(b, plane) < 0, _distance(c, plane) < 0
        if out_a | out_b | out_c:
            count, x, y, z, w = _cut_by_plane(count, x, y, z, w, plane)
        gone |= out_a & out_b & out_c
    x, y, z = _snap((x, y, z, w), width, height, 1 << BITS)
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
    corner = tl.arange(0, _CORNERS)
    used, after = corner < count, tl.where(corner + 1 < count, corner + 1, 0)
    onward = tl.gather(x, after, 0), tl.gather(y, after, 0), tl.gather(z, after, 0), tl.gather(w, after, 0)
    meets = _meet((x, y, z, w), onward, PLANE)
    inside = _distance((x, y, z, w), PLANE) >= 0
    kept = (used & inside).to(tl.int32)
    leaves = kept + (used & (inside != (_distance(onward, PLANE) >= 0))).to(tl.int32)
    ends = tl.cumsum(leaves, 0)
    source = tl.minimum(tl.sum((ends[None, :] <= corner[:, None]).to(tl.int32), 1), _CORNERS - 1)
    itself = (tl.gather(kept, source, 0) > 0) & (tl.gather(ends - leaves, source, 0) == corner)
    x = tl.where(itself, tl.gather(x, source, 0), tl.gather(meets[0], source, 0))
    y = tl.where(itself, tl.gather(y, source, 0), tl.gather(meets[1], source, 0))
    z = tl.where(itself, tl.gather(z, source, 0), tl.gather(meets[2], source, 0))
    w = tl.where(itself, tl.gather(w, source, 0), tl.gather(meets[3], source, 0))
    return tl.sum(leaves, 0), x, y, z, w


@triton.jit
def _nearest(corners, x, y, z, px, py, number, ID_BITS: tl.constexpr):
    """Returns the least keys that a polygon's triangles have at the points."""
    key = tl.full(px.shape, _CLEARED, tl.int64)
    for last in range(2, corners):
        p, q, r = _corner(x, y, z, 0), _corner(x, y, z, last - 1), _corner(x, y, z, last)
        key = tl.minimum(key, _key(p, q, r, px, py, number, ID_BITS, tl.int64))
    return key


@triton.jit
def _corner(x, y, z, corner):
    here = tl.arange(0, _CORNERS) == corner
    return tl.sum(tl.where(here, x, 0), 0), tl.sum(tl.where(here, y, 0), 0), tl.sum(tl.where(here, z, 0.0), 0)


@triton.jit
def _key(p, q, r, px, py, number, ID_BITS: tl.constexpr, TYPE: tl.constexpr):
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
    return tl.where(covers, (depth << ID_BITS) | number, _CLEARED)


@triton.jit
def _inside(px, py, a, b, TYPE: tl.constexpr):
    edge = _cross(px - a[0], b[1] - a[1], py - a[1], b[0] - a[0], TYPE)
    return edge >= tl.where((b[1] > a[1]) | ((b[1] == a[1]) & (b[0] < a[0])), 0, 1)  # top-left rule


@triton.jit
def _cross(a, b, c, d, TYPE: tl.constexpr):
    """Returns a·b − c·d."""
    return a.to(TYPE) * b.to(TYPE) - c.to(TYPE) * d.to(TYPE)
