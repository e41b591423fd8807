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
from blockcore.visibility.clip_triton import bounded, clip, is_inside, meet, polygon, quad, snap
from blockcore.visibility.cover_triton import CLEARED, nearest, triangle_key
from blockcore.visibility.exact import FaceCorners, Views

_LARGEST_WHOLE_ID = tl.constexpr(exact.LARGEST_WHOLE_ID)
_ID_OFFSET = tl.constexpr(exact.ID_OFFSET)
_SMALL = tl.constexpr(1 << 14)  # subpixels: across less than these, edge functions stay inside 32 bits
_FACE = tl.constexpr(1 << 35)  # one large face, as a counter holds it above the number of stretches
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
        return self._draw(torch.full(self._shape, CLEARED.value, dtype=torch.int64, device=self.views.device))

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
def _is_front(corners, direction, eye, face, use):
    d = tl.load(direction + face, use)
    axis = d // 2
    sign = tl.where(d % 2 == 0, 1.0, -1.0).to(tl.float64)
    offset = tl.load(corners + face * 12 + axis, use).to(tl.float64)
    return use & (sign * (tl.load(eye + axis) - offset * tl.load(eye + 3)) > 0.0)


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
        here = clip(first + corner * 3, matrix, use)
        onward = clip(first + (corner + 1) % 4 * 3, matrix, use)
        if positions is not None:
            to = positions + (place * 4 + corner) * 4
            tl.store(to, tl.where(front, here[0], 2.0), use)
            tl.store(to + 1, tl.where(front, -here[1], 2.0), use)
            tl.store(to + 2, tl.where(front, 2.0 * here[2] - here[3], 2.0), use)
            tl.store(to + 3, tl.where(front, here[3], 1.0), use)
        # What lies before the near plane has a place in the picture; where it is cut, the cuts are close by.
        ahead, crosses, meets = here[2] >= 0, (here[2] >= 0) != (onward[2] >= 0), meet(here, onward, 4)
        whole &= is_inside(here)
        wide |= (ahead & (here[3] <= 0)) | (crosses & (meets[3] <= 0))
        x, y = bounded(here, width, height, 1 << BITS)
        cut_x, cut_y = bounded(meets, width, height, 1 << BITS)
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
    tl.store(keys + pixel, tl.where(suspect, CLEARED, -1 - number.to(tl.int64)), use)


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
        a, b, c, d = quad(corners + face * 12, cameras + view * 20)
        p, q = snap(a, width, height, 1 << BITS), snap(b, width, height, 1 << BITS)
        r, s = snap(c, width, height, 1 << BITS), snap(d, width, height, 1 << BITS)
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
        a, b, c, d = quad(corners + face * 12, cameras + view * 20)
        left, top, begin, end = first & 0xFFFF, first >> 16, tl.maximum(begin, 0), begin + STRETCH
        if is_inside(a) & is_inside(b) & is_inside(c) & is_inside(d):
            p, q = snap(a, width, height, 1 << BITS), snap(b, width, height, 1 << BITS)
            r, s = snap(c, width, height, 1 << BITS), snap(d, width, height, 1 << BITS)
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
                triangle_key(p, q, r, px, py, 1 + 2 * face, ID_BITS, TYPE),
                triangle_key(p, r, s, px, py, 2 + 2 * face, ID_BITS, TYPE),
            )
            tl.atomic_min(place, key, mask=key < held, sem="relaxed")


@triton.jit
def _draw_cut(
    keys, view, face, a, b, c, d, left, top, columns, begin, end, width, height, BITS: tl.constexpr,
    ID_BITS: tl.constexpr, ACROSS: tl.constexpr, DOWN: tl.constexpr,
):  # fmt: skip
    """Draws tiles of a face of which the clip volume leaves a part."""
    corners_b, xb, yb, zb = polygon(a, b, c, width, height, BITS)
    corners_d, xd, yd, zd = polygon(a, c, d, width, height, BITS)
    for tile in range(begin, end):
        x, y, place, held = _pixels(keys, view, left, top, columns, tile, width, height, ACROSS, DOWN)
        if tl.max(held, 0) >= 0:
            px, py = x << BITS, y << BITS
            key = tl.minimum(
                nearest(corners_b, xb, yb, zb, px, py, 1 + 2 * face, ID_BITS),
                nearest(corners_d, xd, yd, zd, px, py, 2 + 2 * face, ID_BITS),
            )
            tl.atomic_min(place, key, mask=key < held, sem="relaxed")


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
