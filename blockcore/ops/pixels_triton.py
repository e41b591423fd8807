"""Faces to pixels and back as Triton kernels; see ``pixels``.

Neighbouring pixels mostly show the same face. So each program first adds up the runs of equal faces among its pixels, a
segmented scan, and only the end of a run touches memory, by an atomic addition in float64, whose order cannot be seen
in the float32 result. Nothing has to be sorted or remembered.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

_LANES = 1024


def gather(values: torch.Tensor, face: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
    """Returns (C, P): ``values[face]`` for ``values`` (F, C) and ``face`` (P,), ``outside`` where that is negative."""
    values = values.contiguous()
    out = torch.empty((values.shape[1], len(face)), dtype=values.dtype, device=values.device)
    _gather[_programs(face)](values, face, outside, out, len(face), CHANNELS=values.shape[1], LANES=_LANES)
    return out


def sum_over(pixels: torch.Tensor, face: torch.Tensor, count: int) -> torch.Tensor:
    """Returns (F, C) float64: the sums over each of ``count`` faces of ``pixels`` (C, P)."""
    sums = torch.zeros((count, pixels.shape[0]), dtype=torch.float64, device=pixels.device)
    _sum_over[_programs(face)](pixels, *pixels.stride(), face, sums, len(face), CHANNELS=pixels.shape[0], LANES=_LANES)
    return sums


def squared_error(colors: torch.Tensor, face: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the squared error over pixels that show a face, and its gradient by ``colors``, (F, 3), in float64."""
    colors = colors.contiguous()
    sums = torch.zeros((len(colors), 3), dtype=torch.float64, device=colors.device)
    loss = torch.zeros((), dtype=torch.float64, device=colors.device)
    _squared_error[_programs(face)](
        colors, face, target.contiguous(), sums, loss, len(face), CHANNELS=target.shape[1], LANES=_LANES
    )
    return loss, 2.0 * sums


def target_sums(target: torch.Tensor, face: torch.Tensor, count: int) -> torch.Tensor:
    """Sums an 8-bit picture over the faces it shows, in exact whole numbers.

    Args:
        target: (P, 3 or 4) uint8; a fourth channel of 0 leaves the pixel out.
        face: (P,) int32, -1 for none.
        count: F.

    Returns:
        (F + 1, 7) int64: pixels, sums and sums of squares of RGB; the last row is of the pixels that show no face.
    """
    sums = torch.zeros((count + 1, 7), dtype=torch.int64, device=face.device)
    _target_sums[_programs(face)](
        target.contiguous(), face, sums, count, len(face), CHANNELS=target.shape[1], LANES=_LANES
    )
    return sums


def _programs(face: torch.Tensor) -> tuple[int]:
    return (max(1, triton.cdiv(len(face), _LANES)),)


@triton.jit
def _add(value_a, head_a, value_b, head_b):
    return tl.where(head_b != 0, value_b, value_a + value_b), head_a | head_b


@triton.jit
def _runs(face_at, pixels, LANES: tl.constexpr):
    """Returns this program's pixels, which are any, their faces, and where runs of equal faces begin and end."""
    lane = tl.arange(0, LANES)
    pixel = tl.program_id(0).to(tl.int64) * LANES + lane
    use = pixel < pixels
    face = tl.load(face_at + pixel, use, -1)
    begins = (lane == 0) | (tl.load(face_at + pixel - 1, use & (lane > 0), -2) != face)
    ends = _ends(face_at, pixel, face, pixels, LANES) & (face >= 0)
    return pixel, use, face, begins.to(tl.int32), ends


@triton.jit
def _ends(face_at, pixel, face, pixels, LANES: tl.constexpr):
    lane = tl.arange(0, LANES)
    return (lane == LANES - 1) | (tl.load(face_at + pixel + 1, (lane < LANES - 1) & (pixel + 1 < pixels), -2) != face)


@triton.jit(do_not_specialize=["pixels"])
def _gather(values, face_at, outside, out, pixels, CHANNELS: tl.constexpr, LANES: tl.constexpr):
    pixel = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    use = pixel < pixels
    face = tl.load(face_at + pixel, use, -1)
    for channel in tl.static_range(CHANNELS):
        value = tl.load(values + face.to(tl.int64) * CHANNELS + channel, face >= 0, tl.load(outside + channel))
        tl.store(out + channel * pixels.to(tl.int64) + pixel, value, use)


@triton.jit(do_not_specialize=["pixels", "channel_stride", "pixel_stride"])
def _sum_over(
    values, channel_stride, pixel_stride, face_at, sums, pixels, CHANNELS: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    pixel, use, face, begins, ends = _runs(face_at, pixels, LANES)
    for channel in tl.static_range(CHANNELS):
        value = tl.load(values + channel * channel_stride + pixel * pixel_stride, use, 0.0).to(tl.float64)
        total, _ = tl.associative_scan((value, begins), 0, _add)
        tl.atomic_add(sums + face.to(tl.int64) * CHANNELS + channel, total, ends, sem="relaxed")


@triton.jit(do_not_specialize=["faces", "pixels"])
def _target_sums(target, face_at, sums, faces, pixels, CHANNELS: tl.constexpr, LANES: tl.constexpr):
    pixel, use, face, begins, ends = _runs(face_at, pixels, LANES)
    ends = (ends | ((face < 0) & _ends(face_at, pixel, face, pixels, LANES))) & use
    if CHANNELS == 4:
        use = use & (tl.load(target + pixel * 4 + 3, use, 0) != 0)
    row = sums + tl.where(face < 0, faces, face).to(tl.int64) * 7
    total, _ = tl.associative_scan((use.to(tl.int32), begins), 0, _add)
    tl.atomic_add(row, total.to(tl.int64), ends, sem="relaxed")
    for channel in tl.static_range(3):
        value = tl.load(target + pixel * CHANNELS + channel, use, 0).to(tl.int32)
        total, _ = tl.associative_scan((value, begins), 0, _add)
        tl.atomic_add(row + 1 + channel, total.to(tl.int64), ends, sem="relaxed")
        total, _ = tl.associative_scan((value * value, begins), 0, _add)
        tl.atomic_add(row + 4 + channel, total.to(tl.int64), ends, sem="relaxed")


@triton.jit(do_not_specialize=["pixels"])
def _squared_error(colors, face_at, target, sums, loss, pixels, CHANNELS: tl.constexpr, LANES: tl.constexpr):
    pixel, use, face, begins, ends = _runs(face_at, pixels, LANES)
    counts = use & (face >= 0)
    if CHANNELS == 4:
        counts = counts & (tl.load(target + pixel * 4 + 3, use, 0) != 0)
    squares = tl.zeros([LANES], tl.float32)
    for channel in tl.static_range(3):
        wanted = tl.load(target + pixel * CHANNELS + channel, counts, 0).to(tl.float32) / 255.0
        shown = tl.load(colors + face.to(tl.int64) * 3 + channel, counts, 0.0).to(tl.float32)
        error = tl.where(counts, shown - wanted, 0.0)
        squares += error * error
        total, _ = tl.associative_scan((error.to(tl.float64), begins), 0, _add)
        tl.atomic_add(sums + face.to(tl.int64) * 3 + channel, total, ends, sem="relaxed")
    tl.atomic_add(loss, tl.sum(squares.to(tl.float64), 0), sem="relaxed")
