"""Neighbourhood terms: assignments that cost little and have few seams between touching blocks.

The energy of an assignment x is ``Σ_i costs[i, x_i] + Σ_ij seams[x_i, x_j]`` over touching blocks i, j: a Potts model,
or with a matrix of seam costs a general pairwise one. Finding its minimum is NP-hard for more than two materials;
``expand`` is within a factor of two of it for metric seams and in practice within a percent, as ``lower_bound`` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.assignment.neighbours import NONE, touching_pairs

Costs = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_FLOW_UNITS = 1 << 30  # what all capacities together may sum to: scipy's flows are 32-bit
_RELAXED_STEPS, _RELAXED_RATE = 200, 0.3
_BOUND_STEPS = 200
_LARGE = 4_000_000  # blocks × materials above which a cut per material takes too long


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A pairwise model over V blocks and M materials.

    Attributes:
        costs: (V, M) float64, infinite where a material may not be.
        table: (V, 6), the neighbours of each block as indices, -1 for none.
        odd: (V,) whether x + y + z of the block's cell is odd: no two blocks of a kind touch.
        seams: (M, M) float64, symmetric, 0 on the diagonal: the cost of two materials that touch.
    """

    costs: Costs
    table: npt.NDArray[np.int64]
    odd: npt.NDArray[np.bool_]
    seams: Costs

    def energy(self, labels: Labels) -> float:
        """Returns the energy of an assignment, (V,)."""
        pairs = touching_pairs(self.table)
        own = self.costs[np.arange(len(labels)), labels].sum()
        return float(own + self.seams[labels[pairs[:, 0]], labels[pairs[:, 1]]].sum())

    def conditional(self, labels: Labels, some: npt.NDArray[np.int64]) -> Costs:
        """Returns (len(some), M): what each material costs some blocks while all others stay as they are."""
        padded = np.concatenate([self.seams, np.zeros((1, self.seams.shape[1]))])
        total = self.costs[some].copy()
        for around in self.table[some].T:
            total += padded[np.where(around == NONE, NONE, labels[around])]
        return total


def smooth(model: Neighbourhood, method: str, start: Labels) -> Labels:
    """Minimises the energy.

    Args:
        model: the costs, neighbours and seams.
        method: ``"icm"``, ``"expansion"``, ``"relaxed"``, or ``"auto"``: expansion, unless the model is so large that
            it would take minutes.
        start: (V,) the assignment to begin from; where costs allow it.

    Returns:
        (V,), of no higher energy than ``start``.
    """
    if method == "auto":
        method = "expansion" if model.costs.size <= _LARGE else "icm"
    return _METHODS[method](model, start)


def icm(model: Neighbourhood, start: Labels) -> Labels:
    """Iterated conditional modes (Besag 1986): each block takes what is best beside its neighbours, until none moves.

    Blocks of even and of odd cells take turns, so that each half moves at once and the energy never rises.
    """
    labels = start.copy()
    halves = [np.flatnonzero(model.odd == odd) for odd in (False, True)]
    while True:
        before = labels.copy()
        for half in halves:
            cost = model.conditional(labels, half)
            own = cost[np.arange(len(half)), labels[half]]
            best = cost.argmin(axis=1)
            labels[half] = np.where(cost.min(axis=1) < own - 1e-12 * np.abs(own), best, labels[half])
        if np.array_equal(labels, before):
            return labels


def expand(model: Neighbourhood, start: Labels) -> Labels:
    """α-expansion: for each material in turn, the best set of blocks that change to it, until none helps.

    Boykov, Veksler and Zabih 2001, "Fast Approximate Energy Minimization via Graph Cuts"; graphs as in Kolmogorov and
    Zabih 2004, "What Energy Functions Can Be Minimized via Graph Cuts?". Seams that are no metric are cut where they
    would ask for negative capacities (Rother et al. 2005), and a move that does not help is not taken.
    """
    labels, pairs = icm(model, start), touching_pairs(model.table)
    energy = model.energy(labels)
    candidates = np.flatnonzero(np.isfinite(model.costs).any(axis=0))
    stuck = 0
    while stuck < len(candidates):
        for alpha in candidates:
            moved = np.where(_cut(model, pairs, labels, int(alpha)), alpha, labels)
            reached = model.energy(moved)
            if reached < energy * (1 - 1e-12):
                labels, energy, stuck = moved, reached, 0
            else:
                stuck += 1
            if stuck >= len(candidates):
                break
    return icm(model, labels)


def relax(model: Neighbourhood, start: Labels) -> Labels:
    """Gradient descent on the expected energy of independently drawn materials, then ICM from the likeliest ones."""
    import torch

    finite = np.isfinite(model.costs)
    costs, barred = torch.from_numpy(np.where(finite, model.costs, 0.0)), torch.from_numpy(~finite)
    seams = torch.from_numpy(model.seams)
    first, second = (torch.from_numpy(p.copy()) for p in touching_pairs(model.table).T)
    logits = torch.zeros_like(costs, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=_RELAXED_RATE, eps=1e-15)
    for temperature in np.geomspace(1.0, 0.1, _RELAXED_STEPS):
        shares = torch.softmax(logits.masked_fill(barred, -torch.inf) / temperature, dim=1)
        loss = (shares * costs).sum() + ((shares[first] @ seams) * shares[second]).sum()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    likeliest = logits.detach().masked_fill(barred, -torch.inf).argmax(dim=1).numpy()
    return min((icm(model, begin) for begin in (likeliest, start)), key=model.energy)


def lower_bound(model: Neighbourhood, steps: int = _BOUND_STEPS) -> float:
    """Returns an energy that no assignment can go below.

    The dual of the linear relaxation, climbed by min-sum message passing on the edges (Globerson and Jaakkola 2007,
    "Fixing Max-Product", MPLP). No two edges that leave even (or odd) blocks in the same direction share a block, so
    each such set is updated at once, and no update lowers the bound.
    """
    # Material by material a finite stand-in for "may not be": more than any assignment could save by it.
    finite = np.isfinite(model.costs)
    ceiling = np.where(finite, model.costs, -np.inf).max(axis=1) + 6.0 * model.seams.max() + 1.0
    unary = np.where(finite, model.costs, ceiling[:, None])
    groups = []
    for direction in range(model.table.shape[1]):
        for odd in (False, True):
            first = np.flatnonzero((model.odd == odd) & (model.table[:, direction] != NONE))
            if len(first) and direction % 2 == 0:
                groups.append((first, model.table[first, direction]))
    messages = [np.zeros((2, len(first), unary.shape[1])) for first, _ in groups]
    bound = -np.inf
    for _ in range(steps):
        edges = 0.0
        for (first, second), sent in zip(groups, messages, strict=True):
            a, b = unary[first] + sent[0], unary[second] + sent[1]
            to_a, to_b = 0.5 * (a + _soften(b, model.seams)), 0.5 * (b + _soften(a, model.seams))
            sent[0], sent[1] = a - to_a, b - to_b
            unary[first], unary[second] = to_a, to_b
        for sent in messages:
            edges += float((sent[0] + _soften(sent[1], model.seams)).min(axis=1).sum())
        reached = float(unary.min(axis=1).sum()) + edges
        if reached <= bound + 1e-7 * abs(bound):
            return max(bound, reached)
        bound = reached
    return bound


def _soften(costs: Costs, seams: Costs) -> Costs:
    """Returns the least of ``costs[:, k] + seams[k, m]`` over k, for each m."""
    least = costs.min(axis=1, keepdims=True)
    off = seams[~np.eye(len(seams), dtype=np.bool_)]
    if len(off) and off.min() == off.max():
        return np.asarray(np.minimum(costs, least + off[0]))
    out = np.full_like(costs, np.inf)
    for k in range(len(seams)):
        np.minimum(out, costs[:, k : k + 1] + seams[k], out=out)
    return out


def _cut(model: Neighbourhood, pairs: npt.NDArray[np.int64], labels: Labels, alpha: int) -> npt.NDArray[np.bool_]:
    """Returns which blocks change to ``alpha`` in the best such move, by a minimum cut."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(labels)
    first, second = pairs.T
    keep, change_second, change_first = (
        model.seams[labels[first], labels[second]],
        model.seams[labels[first], alpha],
        model.seams[alpha, labels[second]],
    )
    keep = np.minimum(keep, change_first + change_second)
    link = change_first + change_second - keep
    # What changing costs more than keeping, per block.
    with np.errstate(invalid="ignore"):
        change = model.costs[:, alpha] - model.costs[np.arange(count), labels]
    change = change + np.bincount(first, change_first - keep, count) - np.bincount(second, change_first, count)
    if not link.sum() > 0.0:
        return np.asarray((change < 0.0) & np.isfinite(model.costs[:, alpha]))
    # Beyond what all links of a block can carry its choice is settled, so that capacities stay small.
    most = np.bincount(first, link, count) + np.bincount(second, link, count)
    most += most.mean()
    change = np.clip(change, -most, most)
    scale = _FLOW_UNITS / float(np.abs(change).sum() + link.sum())
    source, sink = count, count + 1
    gain, loss = (np.flatnonzero(c) for c in (change > 0, change < 0))
    rows = np.concatenate([first, np.full(len(gain), source), loss])
    columns = np.concatenate([second, gain, np.full(len(loss), sink)])
    capacity = np.rint(scale * np.concatenate([link, change[gain], -change[loss]])).astype(np.int32)
    graph = csr_array((capacity, (rows, columns)), shape=(count + 2, count + 2))
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.eliminate_zeros()
    stays = breadth_first_order(residual, source, return_predecessors=False)
    changes = np.ones(count + 2, dtype=np.bool_)
    changes[stays] = False
    return np.asarray(changes[:count] & np.isfinite(model.costs[:, alpha]))


_METHODS: dict[str, Callable[[Neighbourhood, Labels], Labels]] = {"icm": icm, "expansion": expand, "relaxed": relax}
