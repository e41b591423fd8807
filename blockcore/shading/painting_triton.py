"""Pictures of materials, and their adjoint, as Triton kernels; see ``painting``."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from blockcore.ops import pixels_triton
from blockcore.ops.shares_triton import rows, shares_of
from blockcore.shading.radiance import Sight

_CHANNELS = tl.constexpr(4)  # RGB and coverage


def picture(logits: torch.Tensor, sight: Sight, temperature: float, hard: bool) -> torch.Tensor:
    """Returns (..., 4, H, W) float32; arguments as for ``shading.shaded_picture``, logits float32."""
    colors = torch.empty((len(sight.visible.block), 4), dtype=torch.float32, device=logits.device)
    _launch(_face_colors, logits, sight, colors, None, temperature, hard)
    outside = torch.nn.functional.pad(sight.background.float(), (0, 1))
    flat = pixels_triton.gather(colors, sight.face.reshape(-1), outside)
    return flat.reshape(4, *sight.face.shape).movedim(0, -3)


def gradient(pixels: torch.Tensor, logits: torch.Tensor, sight: Sight, temperature: float, hard: bool) -> torch.Tensor:
    """Returns the gradient of logits, (V, M) float32, that belongs to one of the picture, (..., 4, H, W)."""
    flat = pixels.movedim(-3, 0).reshape(4, -1)
    pull = pixels_triton.sum_over(flat, sight.face.reshape(-1), len(sight.visible.block))
    result = torch.empty_like(logits)
    _launch(_logits_gradient, logits, sight, pull, result, temperature, hard)
    return result


def _launch(
    kernel: Any,
    logits: torch.Tensor,
    sight: Sight,
    faces: torch.Tensor,
    blocks: torch.Tensor | None,
    temperature: float,
    hard: bool,
) -> None:
    """Runs a kernel over all blocks, with what it reads or writes of each face and each block."""
    materials = logits.shape[1]
    kernel[(triton.cdiv(len(logits), rows(materials)),)](
        logits.contiguous(),
        sight.visible.starts,
        sight.visible.look,
        sight.radiance.float().contiguous(),
        faces,
        blocks,
        temperature,
        len(logits),
        materials,
        sight.radiance.shape[1],
        HARD=hard,
        ROWS=rows(materials),
        COLUMNS=triton.next_power_of_2(materials),
    )


@triton.jit(do_not_specialize=["temperature", "blocks", "materials", "looks"])
def _face_colors(
    logits_at, starts, look_at, table_at, colors_at, none, temperature, blocks, materials, looks,
    HARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Blends the colours of each block's faces; their coverage is 1."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)[None, :]
    use = (row[:, None] < blocks) & (column < materials)
    logits = tl.load(logits_at + row[:, None].to(tl.int64) * materials + column, use, 0.0)
    _, shares = shares_of(logits, row, column, use, temperature, HARD)
    start = tl.load(starts + row, row < blocks, 0)
    faces = tl.load(starts + row + 1, row < blocks, 0) - start
    for k in range(tl.max(faces, 0)):
        has, to = k < faces, colors_at + (start + k) * _CHANNELS
        place = table_at + (column * looks + tl.load(look_at + start + k, has, 0)[:, None]) * 3
        for channel in tl.static_range(3):
            tl.store(to + channel, tl.sum(shares * tl.load(place + channel, use, 0.0), 1), has)
        tl.store(to + 3, tl.full([ROWS], 1.0, tl.float32), has)


@triton.jit(do_not_specialize=["temperature", "blocks", "materials", "looks"])
def _logits_gradient(
    logits_at, starts, look_at, table_at, pull_at, gradient_at, temperature, blocks, materials, looks,
    HARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Takes the gradient of each face's colour back to its block's logits; coverage does not depend on them."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)[None, :]
    use = (row[:, None] < blocks) & (column < materials)
    at = row[:, None].to(tl.int64) * materials + column
    soft, _ = shares_of(tl.load(logits_at + at, use, 0.0), row, column, use, temperature, HARD)
    gradient = tl.zeros([ROWS, COLUMNS], tl.float32)
    start = tl.load(starts + row, row < blocks, 0)
    faces = tl.load(starts + row + 1, row < blocks, 0) - start
    for k in range(tl.max(faces, 0)):
        has, pull = k < faces, pull_at + (start + k) * _CHANNELS
        place = table_at + (column * looks + tl.load(look_at + start + k, has, 0)[:, None]) * 3
        for channel in tl.static_range(3):
            values = tl.load(place + channel, use & has[:, None], 0.0)
            gradient += tl.load(pull + channel, has, 0.0).to(tl.float32)[:, None] * values
    gradient = soft * (gradient - tl.sum(soft * gradient, 1)[:, None]) / temperature
    tl.store(gradient_at + at, gradient, use)
