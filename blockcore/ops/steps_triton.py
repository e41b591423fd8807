"""The optimisation step as Triton kernels, in three launches whatever the number of views; see ``fast_steps``.

``colors`` blends every face's colour, ``compare`` holds it against the pixels that show the face, ``update`` turns
the gradient of each face into that of its block's logits and lets Adam move them. With statistics ``update`` alone
is a whole step. The same arithmetic in torch is ``fast_steps._TorchStages``.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from blockcore.ops import step_modes
from blockcore.ops.shares_triton import rows, shares_of

_LANES = 128  # pixels compared at once by a program: most faces show in fewer
_COSTS = tl.constexpr(step_modes.COSTS)
_STATISTICS = tl.constexpr(step_modes.STATISTICS)
_PIXELS = tl.constexpr(step_modes.PIXELS)


def colors(state: Any, hard: bool) -> None:
    """Writes the blended colour of every face and clears what ``compare`` adds to."""
    _colors[(triton.cdiv(len(state.logits), rows(state.materials)),)](
        state.logits,
        state.counter,
        state.temperatures,
        state.starts,
        state.look,
        state.table,
        state.colors,
        state.compared,
        len(state.logits),
        state.materials,
        state.table.shape[1],
        HARD=hard,
        ROWS=rows(state.materials),
        COLUMNS=triton.next_power_of_2(state.materials),
    )


def compare(state: Any) -> None:
    """Adds up, per face, the gradient of the squared error of its pixels, and the loss."""
    segments = state.segments
    _compare[(len(segments.face),)](
        state.colors,
        segments.face,
        segments.first,
        segments.last,
        segments.target,
        state.compared,
        LANES=_LANES,
        num_warps=1,
    )


def update(state: Any, hard: bool, mode: int) -> None:
    """Moves the logits by one Adam step."""
    _update[(triton.cdiv(len(state.logits), rows(state.materials)),)](
        state.logits,
        state.first_moment,
        state.second_moment,
        state.counter,
        state.temperatures,
        state.rates,
        state.scales,
        state.starts,
        state.look,
        state.table,
        state.count,
        state.total,
        state.square,
        state.compared,
        state.costs,
        state.losses,
        state.commitment,
        len(state.logits),
        state.materials,
        state.table.shape[1],
        BETA1=state.betas[0],
        BETA2=state.betas[1],
        EPSILON=state.epsilon,
        MODE=mode,
        HARD=hard,
        ROWS=rows(state.materials),
        COLUMNS=triton.next_power_of_2(state.materials),
    )


@triton.jit(do_not_specialize=["blocks", "materials", "looks"])
def _colors(
    logits_at, counter, temperatures, starts, look_at, table_at, colors_at, compared_at, blocks, materials, looks,
    HARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)[None, :]
    use = (row[:, None] < blocks) & (column < materials)
    logits = tl.load(logits_at + row[:, None] * materials + column, use, 0.0)
    _, shares = shares_of(logits, row, column, use, tl.load(temperatures + tl.load(counter)), HARD)
    start = tl.load(starts + row, row < blocks, 0)
    faces = tl.load(starts + row + 1, row < blocks, 0) - start
    for k in range(tl.max(faces, 0)):
        has = k < faces
        look = tl.load(look_at + start + k, has, 0)
        place = table_at + (column * looks + look[:, None]) * 3
        for channel in tl.static_range(3):
            color = tl.sum(shares * tl.load(place + channel, use, 0.0), 1)
            tl.store(colors_at + (start + k) * 3 + channel, color, has)
            tl.store(compared_at + (start + k) * 4 + channel, tl.zeros_like(color).to(tl.float64), has)
        tl.store(compared_at + (start + k) * 4 + 3, tl.zeros([ROWS], tl.float64), has)


@triton.jit
def _compare(colors_at, face_at, first_at, last_at, target_at, compared_at, LANES: tl.constexpr):
    segment = tl.program_id(0)
    face = tl.load(face_at + segment)
    first, last = tl.load(first_at + segment), tl.load(last_at + segment)
    red, green, blue = (
        tl.load(colors_at + face * 3),
        tl.load(colors_at + face * 3 + 1),
        tl.load(colors_at + face * 3 + 2),
    )
    lane = tl.arange(0, LANES)
    nothing = tl.zeros([LANES], tl.float64)  # sums in float64: the order of summation must not show
    sum_red, sum_green, sum_blue, squares = nothing, nothing, nothing, nothing
    for base in range(first, last, LANES):
        use = base + lane < last
        packed = tl.load(target_at + base + lane, use, 0)
        error_red = tl.where(use, red - (packed & 255).to(tl.float32) / 255.0, 0.0).to(tl.float64)
        error_green = tl.where(use, green - ((packed >> 8) & 255).to(tl.float32) / 255.0, 0.0).to(tl.float64)
        error_blue = tl.where(use, blue - ((packed >> 16) & 255).to(tl.float32) / 255.0, 0.0).to(tl.float64)
        sum_red += error_red
        sum_green += error_green
        sum_blue += error_blue
        squares += error_red * error_red + error_green * error_green + error_blue * error_blue
    tl.atomic_add(compared_at + face * 4, 2.0 * tl.sum(sum_red, 0), sem="relaxed")
    tl.atomic_add(compared_at + face * 4 + 1, 2.0 * tl.sum(sum_green, 0), sem="relaxed")
    tl.atomic_add(compared_at + face * 4 + 2, 2.0 * tl.sum(sum_blue, 0), sem="relaxed")
    tl.atomic_add(compared_at + face * 4 + 3, tl.sum(squares, 0), sem="relaxed")


@triton.jit(do_not_specialize=["blocks", "materials", "looks"])
def _update(
    logits_at, first_moment_at, second_moment_at, counter, temperatures, rates, scales, starts, look_at, table_at,
    count_at, total_at, square_at, compared_at, costs_at, losses_at, commitment, blocks, materials, looks,
    BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, MODE: tl.constexpr, HARD: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)[None, :]
    use = (row[:, None] < blocks) & (column < materials)
    place = row[:, None] * materials + column
    logits = tl.load(logits_at + place, use, 0.0)
    step = tl.load(counter)
    temperature = tl.load(temperatures + step)
    soft, shares = shares_of(logits, row, column, use, temperature, HARD)
    gradient = tl.zeros([ROWS, COLUMNS], tl.float32)
    loss = tl.zeros([ROWS], tl.float64)
    if MODE != _PIXELS:
        costs = tl.load(costs_at + place, use, 0.0)
        gradient += commitment * costs
        loss += tl.sum(shares * costs, 1).to(tl.float64) * commitment
    if MODE != _COSTS:
        start = tl.load(starts + row, row < blocks, 0)
        faces = tl.load(starts + row + 1, row < blocks, 0) - start
        for k in range(tl.max(faces, 0)):
            has = k < faces
            face = start + k
            look = tl.load(look_at + face, has, 0)
            count = tl.load(count_at + face, has, 0.0)
            if MODE == _PIXELS:
                loss += tl.load(compared_at + face * 4 + 3, has, 0.0)
            for channel in tl.static_range(3):
                values = tl.load(table_at + (column * looks + look[:, None]) * 3 + channel, use & has[:, None], 0.0)
                color = tl.sum(shares * values, 1)
                precise = color.to(tl.float64)
                if MODE == _STATISTICS:
                    total = tl.load(total_at + face * 3 + channel, has, 0.0)
                    square = tl.load(square_at + face * 3 + channel, has, 0.0)
                    pull = (1.0 - commitment) * 2.0 * (count * precise - total)
                    loss += (1.0 - commitment) * ((count * precise - 2.0 * total) * precise + square)
                else:
                    pull = tl.load(compared_at + face * 4 + channel, has, 0.0) - 2.0 * commitment * count * precise
                    gradient += (commitment * count).to(tl.float32)[:, None] * values * values
                    spread = tl.sum(shares * values * values, 1) - color * color
                    loss += commitment * count * spread.to(tl.float64)
                gradient += pull.to(tl.float32)[:, None] * values
    gradient = soft * (gradient - tl.sum(soft * gradient, 1)[:, None]) / temperature
    first = BETA1 * tl.load(first_moment_at + place, use, 0.0) + (1.0 - BETA1) * gradient
    second = BETA2 * tl.load(second_moment_at + place, use, 0.0) + (1.0 - BETA2) * gradient * gradient
    tl.store(first_moment_at + place, first, use)
    tl.store(second_moment_at + place, second, use)
    root = tl.sqrt_rn(second) / tl.load(scales + step) + EPSILON
    tl.store(logits_at + place, logits - tl.load(rates + step) * first / root, use)
    tl.atomic_add(losses_at + step, tl.sum(loss, 0), sem="relaxed")
