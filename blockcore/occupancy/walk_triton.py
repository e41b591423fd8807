"""Walks through a grid as Triton kernels; see ``walk`` and, for how a ray goes, ``rays_triton``.

A program walks the rays of a small tile together until the last has met its end: they meet the same cells at nearly the
same time. What a cell's face shows and how opaque the cell is lie side by side, and so do their gradients.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from blockcore.occupancy.rays_triton import PLACES, UNSURE, drawn_axis, first_cell, next_axis, onward

_WIDE, _HIGH = 8, 4  # pixels of a tile: a warp


def forward(
    faces: torch.Tensor, number: torch.Tensor, rays: torch.Tensor, background: torch.Tensor, stop: float
) -> torch.Tensor:
    """Returns (B, 4, H, W) of the type of ``faces``; see ``walk.walk``. Rays are ``rays_triton.table``'s."""
    views, height, width = background.shape[:3]
    out = torch.empty((views, 4, height, width), dtype=faces.dtype, device=faces.device)
    _launch(_forward, faces.contiguous(), number, rays, background.contiguous(), stop, out)
    return out


def backward(
    grad: torch.Tensor,
    out: torch.Tensor,
    faces: torch.Tensor,
    number: torch.Tensor,
    rays: torch.Tensor,
    stop: float,
) -> torch.Tensor:
    """Returns the gradient (K, 6, 4) of faces."""
    to_faces = torch.zeros(faces.shape, dtype=faces.dtype, device=faces.device)
    _launch(_backward, faces.contiguous(), number, rays, grad.contiguous(), stop, out, to_faces)
    return to_faces


def _launch(
    kernel: Any,
    faces: torch.Tensor,
    number: torch.Tensor,
    rays: torch.Tensor,
    pixels: torch.Tensor,
    stop: float,
    out: torch.Tensor,
    *more: torch.Tensor,
) -> None:
    views, _, height, width = out.shape
    kernel[(triton.cdiv(height, _HIGH) * triton.cdiv(width, _WIDE), views)](
        *(faces, number, rays, pixels, out, *more, stop, height, width, *number.shape),
        WIDE=_WIDE,
        HIGH=_HIGH,
        num_warps=1,
        enable_fp_fusion=False,  # corners are drawn to the last bit
    )


@triton.jit
def _pixels(height, width, WIDE: tl.constexpr, HIGH: tl.constexpr):
    """Returns this program's rows and columns, and which of them are in the picture."""
    lane, across = tl.arange(0, WIDE * HIGH), tl.cdiv(width, WIDE)
    row = tl.program_id(0) // across * HIGH + lane // WIDE
    column = tl.program_id(0) % across * WIDE + lane % WIDE
    return row, column, (row < height) & (column < width)


@triton.jit
def _axis_of(rays, row, column, height, width, walking, plane, ends, start, slowness, signs, blur):
    """Returns the axes that rays go on along, -1 at their end."""
    axis = next_axis(plane, ends, start, slowness, blur)
    if tl.max((walking & (axis == UNSURE)).to(tl.int32), 0) > 0:
        drawn = drawn_axis(rays, row, column, height, width, plane, ends, start, slowness, signs, blur)
        axis = tl.where(axis == UNSURE, drawn, axis)
    return axis


@triton.jit(do_not_specialize=["stop", "height", "width", "size_x", "size_y", "size_z"])
def _forward(
    faces, number, rays, background, out, stop, height, width, size_x, size_y, size_z,
    WIDE: tl.constexpr, HIGH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    rays += PLACES * view
    row, column, use = _pixels(height, width, WIDE, HIGH)
    at, plane, ends, start, slowness, signs, blur = first_cell(rays, row, column, height, width, size_x, size_y, size_z)
    none = tl.zeros([WIDE * HIGH], out.dtype.element_ty)
    red, green, blue, left, walking = none, none, none, none + 1.0, use
    while tl.max(walking.to(tl.int32), 0) > 0:
        axis = _axis_of(rays, row, column, height, width, walking, plane, ends, start, slowness, signs, blur)
        walking = walking & (axis >= 0)
        at, face, plane = onward(at, plane, signs, axis, size_y, size_z)
        n = tl.load(number + at, walking, -1)
        shows, place = n >= 0, faces + (n.to(tl.int64) * 6 + face) * 4
        red += left * tl.load(place, shows, 0.0)
        green += left * tl.load(place + 1, shows, 0.0)
        blue += left * tl.load(place + 2, shows, 0.0)
        left *= 1.0 - tl.load(place + 3, shows, 0.0)
        walking = walking & (left > stop)
    pixels, pixel = height.to(tl.int64) * width, row.to(tl.int64) * width + column
    behind, to = background + (view * pixels + pixel) * 3, out + view * 4 * pixels + pixel
    tl.store(to, red + left * tl.load(behind, use, 0.0), use)
    tl.store(to + pixels, green + left * tl.load(behind + 1, use, 0.0), use)
    tl.store(to + 2 * pixels, blue + left * tl.load(behind + 2, use, 0.0), use)
    tl.store(to + 3 * pixels, 1.0 - left, use)


@triton.jit(do_not_specialize=["stop", "height", "width", "size_x", "size_y", "size_z"])
def _backward(
    faces, number, rays, grad, out, to_faces, stop, height, width, size_x, size_y, size_z,
    WIDE: tl.constexpr, HIGH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    rays += PLACES * view
    row, column, use = _pixels(height, width, WIDE, HIGH)
    at, plane, ends, start, slowness, signs, blur = first_cell(rays, row, column, height, width, size_x, size_y, size_z)
    pixels, pixel = height.to(tl.int64) * width, row.to(tl.int64) * width + column
    of, seen = grad + view * 4 * pixels + pixel, out + view * 4 * pixels + pixel
    red, green, blue = tl.load(of, use, 0.0), tl.load(of + pixels, use, 0.0), tl.load(of + 2 * pixels, use, 0.0)
    beyond = red * tl.load(seen, use, 0.0) + green * tl.load(seen + pixels, use, 0.0)
    beyond += blue * tl.load(seen + 2 * pixels, use, 0.0)
    beyond -= tl.load(of + 3 * pixels, use, 0.0) * (1.0 - tl.load(seen + 3 * pixels, use, 0.0))
    channel = tl.arange(0, 4)[None, :]
    pull = tl.where(channel == 0, red[:, None], tl.where(channel == 1, green[:, None], blue[:, None]))
    left, walking = tl.zeros([WIDE * HIGH], out.dtype.element_ty) + 1.0, use
    while tl.max(walking.to(tl.int32), 0) > 0:
        axis = _axis_of(rays, row, column, height, width, walking, plane, ends, start, slowness, signs, blur)
        walking = walking & (axis >= 0)
        at, face, plane = onward(at, plane, signs, axis, size_y, size_z)
        n = tl.load(number + at, walking, -1)
        shows, place = n >= 0, (n.to(tl.int64) * 6 + face) * 4
        shown = red * tl.load(faces + place, shows, 0.0) + green * tl.load(faces + place + 1, shows, 0.0)
        shown += blue * tl.load(faces + place + 2, shows, 0.0)
        through = 1.0 - tl.load(faces + place + 3, shows, 0.0)
        beyond -= left * shown
        of_alpha = tl.where(through > 0.0, -beyond / tl.where(through > 0.0, through, 1.0), 0.0)
        values = tl.where(channel == 3, of_alpha[:, None], left[:, None] * pull)
        tl.atomic_add(to_faces + place[:, None] + channel, values, shows[:, None], sem="relaxed")
        left *= through
        walking = walking & (left > stop)
