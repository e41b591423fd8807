"""Walks through a grid as Triton kernels; see ``walk`` and, for how a ray goes, ``walk_numba``.

A program walks the rays of a small tile together until the last has met its end: they meet the same cells at nearly the
same time. What a cell's face shows and how opaque the cell is lie side by side, and so do their gradients.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import triton
import triton.language as tl

_WIDE, _HIGH = 8, 4  # pixels of a tile: a warp
_STILL = tl.constexpr(1e-30)  # of the way along an axis: the ray does not go along it


def forward(
    alpha: torch.Tensor,
    colors: torch.Tensor,
    number: torch.Tensor,
    matrices: npt.NDArray[np.float64],
    background: torch.Tensor,
    stop: float,
) -> torch.Tensor:
    """Returns (B, 4, H, W) of the type of ``alpha``; see ``walk.walk``."""
    views, height, width = background.shape[:3]
    out = torch.empty((views, 4, height, width), dtype=alpha.dtype, device=alpha.device)
    _launch(_forward, _table(alpha, colors), number, matrices, background.contiguous(), stop, out)
    return out


def backward(
    grad: torch.Tensor,
    out: torch.Tensor,
    alpha: torch.Tensor,
    colors: torch.Tensor,
    number: torch.Tensor,
    matrices: npt.NDArray[np.float64],
    stop: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the gradients (K,), (K, 6, 3) and (B, H, W, 3) of alpha, colours and background."""
    table = _table(alpha, colors)
    to_cells = torch.zeros_like(table)
    _launch(_backward, table, number, matrices, grad.contiguous(), stop, out, to_cells)
    to_background = ((1.0 - out[:, 3:]) * grad[:, :3]).movedim(1, -1)
    return to_cells[:, :, 3].sum(dim=1), to_cells[:, :, :3].contiguous(), to_background


def _table(alpha: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
    """Returns (K, 6, 4): the colour and the opacity of every face."""
    return torch.cat([colors, alpha[:, None, None].expand(-1, 6, 1)], dim=2)


def _launch(
    kernel: Any,
    table: torch.Tensor,
    number: torch.Tensor,
    matrices: npt.NDArray[np.float64],
    pixels: torch.Tensor,
    stop: float,
    out: torch.Tensor,
    *more: torch.Tensor,
) -> None:
    views, _, height, width = out.shape
    placed = torch.from_numpy(matrices).to(table.device)
    kernel[(triton.cdiv(height, _HIGH) * triton.cdiv(width, _WIDE), views)](
        *(table, number, placed, pixels, out, *more, stop, height, width, *number.shape),
        WIDE=_WIDE,
        HIGH=_HIGH,
        num_warps=1,
    )


@triton.jit
def _axis(matrix, a: tl.constexpr, x, y, size):
    """Returns where rays start along an axis, their way and the inverse of it, and where they enter and leave."""
    near_w = tl.load(matrix + 12) * x + tl.load(matrix + 13) * y + tl.load(matrix + 15)
    near = tl.load(matrix + 4 * a) * x + tl.load(matrix + 4 * a + 1) * y + tl.load(matrix + 4 * a + 3)
    start = near / near_w
    way = (near + tl.load(matrix + 4 * a + 2)) / (near_w + tl.load(matrix + 14)) - start
    still, far = tl.abs(way) < _STILL, float("inf")
    slowness = tl.where(still, far, 1.0 / tl.where(still, 1.0, way))
    one, other = (0.0 - start) / tl.where(still, 1.0, way), (size - start) / tl.where(still, 1.0, way)
    inside = (start >= 0.0) & (start < size)
    enters = tl.where(still, tl.where(inside, -far, far), tl.minimum(one, other))
    leaves = tl.where(still, tl.where(inside, far, -far), tl.maximum(one, other))
    return start, tl.where(still, 0.0, way), slowness, enters, leaves


@triton.jit
def _first(start, way, begins, entered, size):
    """Returns the cell, along an axis, that rays are in where they begin."""
    inside = tl.minimum(tl.maximum(tl.floor(start + begins * way), 0.0), size - 1.0)
    return tl.where(entered, tl.where(way > 0.0, 0.0, size - 1.0), inside)


@triton.jit
def _ends(start, way, slowness, size):
    """Returns where rays leave the grid along an axis, by the very product that a step compares with it."""
    return tl.where(way == 0.0, float("inf"), (tl.where(way > 0.0, size, 0.0) - start) * slowness)


@triton.jit
def _rays(
    matrices, height, width, size_x, size_y, size_z, WIDE: tl.constexpr, HIGH: tl.constexpr
):  # fmt: skip
    """Returns this program's pixels, and of their rays where they end, start, how they go, and the planes ahead."""
    lane, across, matrix = tl.arange(0, WIDE * HIGH), tl.cdiv(width, WIDE), matrices + 16 * tl.program_id(1)
    row = tl.program_id(0) // across * HIGH + lane // WIDE
    column = tl.program_id(0) % across * WIDE + lane % WIDE
    x, y = (column.to(tl.float64) + 0.5) / width * 2.0 - 1.0, 1.0 - (row.to(tl.float64) + 0.5) / height * 2.0
    start_x, way_x, slow_x, enters_x, leaves_x = _axis(matrix, 0, x, y, size_x)
    start_y, way_y, slow_y, enters_y, leaves_y = _axis(matrix, 1, x, y, size_y)
    start_z, way_z, slow_z, enters_z, leaves_z = _axis(matrix, 2, x, y, size_z)
    begins = tl.maximum(tl.maximum(enters_x, 0.0), tl.maximum(enters_y, enters_z))
    meets = begins < tl.minimum(tl.minimum(leaves_x, 1.0), tl.minimum(leaves_y, leaves_z))
    begins = tl.where(meets, begins, 0.0)
    by_x = (begins > 0.0) & (enters_x == begins)
    by_y = (begins > 0.0) & (enters_x != begins) & (enters_y == begins)
    by_z = (begins > 0.0) & (enters_x != begins) & (enters_y != begins)
    cell_x = _first(start_x, way_x, begins, by_x, size_x)
    cell_y = _first(start_y, way_y, begins, by_y, size_y)
    cell_z = _first(start_z, way_z, begins, by_z, size_z)
    face = tl.where(by_x, 0 + (way_x >= 0.0), tl.where(by_y, 2 + (way_y >= 0.0), 4 + (way_z >= 0.0)))
    face = tl.where(by_x | by_y | by_z, face, -1)
    use = (row < height) & (column < width)
    at = (cell_x.to(tl.int32) * size_y + cell_y.to(tl.int32)) * size_z + cell_z.to(tl.int32)
    x, y, z = cell_x + (way_x >= 0.0), cell_y + (way_y >= 0.0), cell_z + (way_z >= 0.0)
    ends = tl.minimum(_ends(start_x, way_x, slow_x, size_x), _ends(start_y, way_y, slow_y, size_y))
    ends = tl.minimum(tl.minimum(ends, _ends(start_z, way_z, slow_z, size_z)), 1.0)
    return (
        row.to(tl.int64) * width + column, use, meets & use, ends, at, face,
        start_x, start_y, start_z, way_x, way_y, way_z, slow_x, slow_y, slow_z, x, y, z,
    )  # fmt: skip


@triton.jit
def _step(at, x, y, z, start_x, start_y, start_z, slow_x, slow_y, slow_z, way_x, way_y, way_z, size_y, size_z):
    """Returns how far along the ray the next plane is, the cell behind it, the face met there, and the planes ahead."""
    to_x, to_y, to_z = (x - start_x) * slow_x, (y - start_y) * slow_y, (z - start_z) * slow_z
    along_x = (to_x <= to_y) & (to_x <= to_z)
    along_y = (to_y < to_x) & (to_y <= to_z)
    along_z = (along_x | along_y) == 0
    face = tl.where(along_x, 0 + (way_x >= 0.0), tl.where(along_y, 2 + (way_y >= 0.0), 4 + (way_z >= 0.0)))
    step_x = tl.where(along_x, tl.where(way_x >= 0.0, 1, -1), 0)
    step_y = tl.where(along_y, tl.where(way_y >= 0.0, 1, -1), 0)
    step_z = tl.where(along_z, tl.where(way_z >= 0.0, 1, -1), 0)
    at += (step_x * size_y + step_y) * size_z + step_z
    return tl.minimum(to_x, tl.minimum(to_y, to_z)), at, face, x + step_x, y + step_y, z + step_z


@triton.jit(do_not_specialize=["stop", "height", "width", "size_x", "size_y", "size_z"])
def _forward(
    table, number, matrices, background, out, stop, height, width, size_x, size_y, size_z,
    WIDE: tl.constexpr, HIGH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    (
        pixel, use, walking, ends, at, face,
        start_x, start_y, start_z, way_x, way_y, way_z, slow_x, slow_y, slow_z, x, y, z,
    ) = _rays(matrices, height, width, size_x, size_y, size_z, WIDE, HIGH)  # fmt: skip
    none = tl.zeros([WIDE * HIGH], out.dtype.element_ty)
    red, green, blue, left = none, none, none, none + 1.0
    while tl.max(walking.to(tl.int32), 0) > 0:
        n = tl.load(number + at, walking & (face >= 0), -1)
        shows, place = n >= 0, table + (n.to(tl.int64) * 6 + face) * 4
        opaque = tl.load(place + 3, shows, 0.0)
        red += left * opaque * tl.load(place, shows, 0.0)
        green += left * opaque * tl.load(place + 1, shows, 0.0)
        blue += left * opaque * tl.load(place + 2, shows, 0.0)
        left *= 1.0 - opaque
        met, at, face, x, y, z = _step(
            at, x, y, z, start_x, start_y, start_z, slow_x, slow_y, slow_z, way_x, way_y, way_z, size_y, size_z
        )  # fmt: skip
        walking = walking & (left > stop) & (met < ends)
    pixels = height.to(tl.int64) * width
    behind, to = background + (view * pixels + pixel) * 3, out + view * 4 * pixels + pixel
    tl.store(to, red + left * tl.load(behind, use, 0.0), use)
    tl.store(to + pixels, green + left * tl.load(behind + 1, use, 0.0), use)
    tl.store(to + 2 * pixels, blue + left * tl.load(behind + 2, use, 0.0), use)
    tl.store(to + 3 * pixels, 1.0 - left, use)


@triton.jit(do_not_specialize=["stop", "height", "width", "size_x", "size_y", "size_z"])
def _backward(
    table, number, matrices, grad, out, to_cells, stop, height, width, size_x, size_y, size_z,
    WIDE: tl.constexpr, HIGH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    (
        pixel, use, walking, ends, at, face,
        start_x, start_y, start_z, way_x, way_y, way_z, slow_x, slow_y, slow_z, x, y, z,
    ) = _rays(matrices, height, width, size_x, size_y, size_z, WIDE, HIGH)  # fmt: skip
    pixels = height.to(tl.int64) * width
    of, seen = grad + view * 4 * pixels + pixel, out + view * 4 * pixels + pixel
    red, green, blue = tl.load(of, use, 0.0), tl.load(of + pixels, use, 0.0), tl.load(of + 2 * pixels, use, 0.0)
    beyond = red * tl.load(seen, use, 0.0) + green * tl.load(seen + pixels, use, 0.0)
    beyond += blue * tl.load(seen + 2 * pixels, use, 0.0)
    beyond -= tl.load(of + 3 * pixels, use, 0.0) * (1.0 - tl.load(seen + 3 * pixels, use, 0.0))
    channel = tl.arange(0, 4)[None, :]
    pull = tl.where(channel == 0, red[:, None], tl.where(channel == 1, green[:, None], blue[:, None]))
    left = tl.zeros([WIDE * HIGH], out.dtype.element_ty) + 1.0
    while tl.max(walking.to(tl.int32), 0) > 0:
        n = tl.load(number + at, walking & (face >= 0), -1)
        shows, row = n >= 0, (n.to(tl.int64) * 6 + face) * 4
        opaque = tl.load(table + row + 3, shows, 0.0)
        shown = red * tl.load(table + row, shows, 0.0) + green * tl.load(table + row + 1, shows, 0.0)
        shown += blue * tl.load(table + row + 2, shows, 0.0)
        through, weight = 1.0 - opaque, left * opaque
        beyond -= weight * shown
        of_alpha = left * shown - tl.where(through > 0.0, beyond / tl.where(through > 0.0, through, 1.0), 0.0)
        values = tl.where(channel == 3, of_alpha[:, None], weight[:, None] * pull)
        tl.atomic_add(to_cells + row[:, None] + channel, values, shows[:, None], sem="relaxed")
        left *= through
        met, at, face, x, y, z = _step(
            at, x, y, z, start_x, start_y, start_z, slow_x, slow_y, slow_z, way_x, way_y, way_z, size_y, size_z
        )  # fmt: skip
        walking = walking & (left > stop) & (met < ends)
