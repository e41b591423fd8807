"""Optimisation steps without autograd: the gradient written out, each step a few launches, kept as a CUDA graph.

A step needs the shares of the materials, the colours they blend to, the gradient of each face's colour and, back the
same way, that of the logits. Everything that changes from step to step (the step's number, temperature, Adam's bias)
lives on the device, so that a captured graph of the step can be replayed without the host having a say.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch

from blockcore.descent.objectives import Objective, PixelObjective, StatisticsObjective
from blockcore.machine.triton_here import triton_is_here
from blockcore.model.palette import AIR
from blockcore.model.settings import OptimizeSettings
from blockcore.ops.step_modes import COSTS, PIXELS, STATISTICS

_SEGMENT = 1 << 10  # pixels of a face compared by one program
_BURST = 10  # steps in one graph
BETAS = (0.9, 0.95)  # Adam's; temperatures fall fast, so that old gradients soon mislead
EPSILON = 1e-15  # Adam's; blocks of one pixel have gradients far below the usual, and must move as fast as others


def fits(objective: Objective, settings: OptimizeSettings) -> TypeGuard[PixelObjective | StatisticsObjective]:
    """Returns whether steps of these settings and this objective can be taken by ``FastSteps``."""
    return settings.relaxation == "softmax" and isinstance(objective, (PixelObjective, StatisticsObjective))


@dataclass(frozen=True, eq=False)
class Segments:
    """The pixels of all views, sorted by the face they show and cut into segments of one face each.

    Attributes:
        face: (S,) int32, the face of each segment.
        first: (S,) int32, its first pixel.
        last: (S,) int32, the pixel after its last.
        target: (P,) int32, the pixels' targets, packed red first from the lowest byte.
    """

    face: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    target: torch.Tensor

    @staticmethod
    def of(face: torch.Tensor, target: torch.Tensor) -> Segments:
        """Sorts pixels.

        Args:
            face: (P,) int32, the face of each pixel, or -1.
            target: (P, 3) or (P, 4) uint8; a fourth channel of 0 leaves the pixel out.
        """
        counts = face >= 0 if target.shape[1] == 3 else (face >= 0) & (target[:, 3] > 0)
        chosen = torch.nonzero(counts)[:, 0]
        chosen = chosen[torch.sort(face[chosen], stable=True)[1]]
        channels = [target[:, c][chosen].int() << (8 * c) for c in range(3)]
        shown, length = torch.unique_consecutive(face[chosen], return_counts=True)
        pieces = (length + _SEGMENT - 1) // _SEGMENT
        begin = (length.cumsum(0) - length).repeat_interleave(pieces)
        rank = torch.arange(int(pieces.sum()), device=face.device) - (pieces.cumsum(0) - pieces).repeat_interleave(
            pieces
        )
        first = begin + rank * _SEGMENT
        last = torch.minimum(first + _SEGMENT, begin + length.repeat_interleave(pieces))
        return Segments(
            shown.repeat_interleave(pieces).int(), first.int(), last.int(), channels[0] | channels[1] | channels[2]
        )


class FastSteps:
    """Steps of gradient descent on the logits of visible blocks; the same as ``Descent.step``, faster.

    Attributes:
        logits: (V, M) float32, moved in place.
        losses: (steps,) float64: the objective's loss of each step taken.
    """

    def __init__(
        self,
        logits: torch.Tensor,
        objective: PixelObjective | StatisticsObjective,
        settings: OptimizeSettings,
        temperatures: list[float],
    ) -> None:
        device, visible = logits.device, objective.visible

        def constant(values: Any) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        self.logits = logits.detach().clone().contiguous()
        self.materials = logits.shape[1]
        self.hard = settings.hard
        self.commitment = objective.commitment
        self.betas, self.epsilon = BETAS, EPSILON
        steps = range(1, len(temperatures) + 1)
        self.temperatures = constant(temperatures)
        self.rates = constant([settings.learning_rate / (1.0 - BETAS[0] ** t) for t in steps])
        self.scales = constant([(1.0 - BETAS[1] ** t) ** 0.5 for t in steps])
        self.losses = torch.zeros(len(temperatures), dtype=torch.float64, device=device)
        self.counter = torch.zeros(1, dtype=torch.int64, device=device)
        self.first_moment, self.second_moment = torch.zeros_like(self.logits), torch.zeros_like(self.logits)
        self.block, self.look = visible.block, visible.look.int()
        self.starts = visible.starts
        self.table = objective.radiance.float().contiguous()
        statistics = objective.statistics
        self.count, self.total, self.square = statistics.count, statistics.total, statistics.square
        self.costs = self.logits
        self.segments: Segments | None = None
        self.offset = 0.0
        if isinstance(objective, StatisticsObjective):
            self.mode = COSTS if self.commitment == 1.0 else STATISTICS
            self.costs = objective.costs.contiguous()
            self.offset = (1.0 - self.commitment) * (statistics.outside - objective.floor)
        else:
            self.mode = PIXELS
            self.segments = Segments.of(objective.face, objective.target)
            self.offset = statistics.outside
        faces = len(visible.block) if self.mode == PIXELS else 0
        self.colors = torch.zeros(faces, 3, device=device)
        # The gradient by each face's colour, and its loss: for one sum of all losses programs would queue.
        self.compared = torch.zeros(faces, 4, dtype=torch.float64, device=device)
        self.taken = 0
        self.stages = _TritonStages(self) if device.type == "cuda" and triton_is_here() else _TorchStages(self)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def take(self, count: int) -> torch.Tensor:
        """Takes ``count`` steps; returns their losses, (count,) float64, without waiting for the device."""
        before, left = self.taken, count
        while left:
            burst = _BURST if left >= _BURST else 1
            self._run(burst)
            left -= burst
        self.taken += count
        return self.losses[before : self.taken] + self.offset

    def _run(self, burst: int) -> None:
        if self.logits.device.type != "cuda":
            for _ in range(burst):
                self._step()
            return
        if burst not in self._graphs:
            self._graphs[burst] = self._capture(burst)
        self._graphs[burst].replay()

    def _step(self) -> None:
        if self.mode == PIXELS:
            self.stages.colors()
            self.stages.compare()
        self.stages.update()
        self.counter += 1

    def _capture(self, burst: int) -> torch.cuda.CUDAGraph:
        """Records ``burst`` steps; what the steps that warm up do to the state is undone."""
        state = [self.logits, self.first_moment, self.second_moment, self.counter, self.losses]
        kept = [tensor.clone() for tensor in state]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step()
        torch.cuda.current_stream().wait_stream(stream)
        for tensor, value in zip(state, kept, strict=True):
            tensor.copy_(value)
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # torch.cuda.graph would give all free memory back first, which takes longer
            graph.capture_begin(capture_error_mode="thread_local")
            for _ in range(burst):
                self._step()
            graph.capture_end()
        return graph


class _TritonStages:
    """The stages of a step as kernels."""

    def __init__(self, state: FastSteps) -> None:
        # No cycle: a graph left to the garbage collector may be destroyed while another one is captured, and spoil it.
        self.state: FastSteps = weakref.proxy(state)

    def colors(self) -> None:
        from blockcore.ops import steps_triton

        steps_triton.colors(self.state, self.state.hard)

    def compare(self) -> None:
        from blockcore.ops import steps_triton

        steps_triton.compare(self.state)

    def update(self) -> None:
        from blockcore.ops import steps_triton

        steps_triton.update(self.state, self.state.hard, self.state.mode)


class _TorchStages:
    """The stages of a step in torch, on any device."""

    def __init__(self, state: FastSteps) -> None:
        self.state: FastSteps = weakref.proxy(state)
        segments = state.segments
        if segments is not None:
            self.lengths = (segments.last - segments.first).long()
            self.shown = segments.face.long()
            self.face = self.shown.repeat_interleave(self.lengths)  # once, since it makes the host wait
            shifts = torch.tensor([0, 8, 16], device=state.logits.device)
            self.target = ((segments.target[:, None] >> shifts) & 255).float() / 255.0

    def shares(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the soft-max over all materials but Air, and the shares that blend colours."""
        s = self.state
        soft = torch.zeros_like(s.logits)
        solid = s.logits[:, AIR + 1 :] / s.temperatures[s.counter]
        soft[:, AIR + 1 :] = torch.softmax(solid, dim=1)
        if not s.hard:
            return soft, soft
        best = solid.argmax(dim=1, keepdim=True) + AIR + 1
        return soft, torch.zeros_like(soft).scatter_(1, best, 1.0)

    def colors(self) -> None:
        s = self.state
        s.colors.copy_(self._blend(self.shares()[1], s.table))

    def _blend(self, shares: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        s = self.state
        return torch.einsum("fm,mfc->fc", shares[s.block], table[:, s.look.long()])

    def compare(self) -> None:
        s = self.state
        error = (s.colors[self.face] - self.target).double()
        terms = torch.cat([2.0 * error, error.square().sum(dim=1, keepdim=True)], dim=1)
        sums = torch.segment_reduce(terms, "sum", lengths=self.lengths, unsafe=True)  # unasked, the host need not wait
        s.compared.zero_().index_add_(0, self.shown, sums)

    def update(self) -> None:
        s = self.state
        soft, shares = self.shares()
        gradient = torch.zeros_like(soft)
        loss = s.compared[:, 3].sum()
        if s.mode != PIXELS:
            gradient += s.commitment * s.costs
            loss = loss + s.commitment * (shares * s.costs).sum(dtype=torch.float64)
        if s.mode != COSTS:
            to_faces, of_faces = self._face_terms(shares)
            gradient.index_add_(0, s.block, to_faces)
            loss = loss + of_faces
        gradient = soft * (gradient - (soft * gradient).sum(dim=1, keepdim=True)) / s.temperatures[s.counter]
        s.first_moment.mul_(s.betas[0]).add_(gradient, alpha=1.0 - s.betas[0])
        s.second_moment.mul_(s.betas[1]).add_(gradient.square(), alpha=1.0 - s.betas[1])
        root = s.second_moment.sqrt() / s.scales[s.counter] + s.epsilon
        s.logits -= s.rates[s.counter] * s.first_moment / root
        s.losses[s.counter] += loss

    def _face_terms(self, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what each face adds to its block's gradient of shares, (F, M), and what all add to the loss."""
        s = self.state
        values = s.table[:, s.look.long()]
        color = self._blend(shares, s.table)
        precise, count = color.double(), s.count[:, None]
        if s.mode == STATISTICS:
            pull = (1.0 - s.commitment) * 2.0 * (count * precise - s.total)
            loss = (1.0 - s.commitment) * ((count * precise - 2.0 * s.total) * precise + s.square).sum()
            return torch.einsum("fc,mfc->fm", pull.float(), values), loss
        pull = s.compared[:, :3] - 2.0 * s.commitment * count * precise
        spread = self._blend(shares, s.table.square()) - color.square()
        to_faces = torch.einsum("fc,mfc->fm", pull.float(), values)
        to_faces += (s.commitment * count).float() * values.square().sum(dim=2).T
        return to_faces, (s.commitment * count * spread).sum()
