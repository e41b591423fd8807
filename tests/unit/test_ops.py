"""Every array operation, on every backend that has it, against its definition in float64: values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from blockcore.ops import arrays, blend, pixels, pixels_numba
from tests.parts import need

P, F, V, M, L = 700, 40, 7, 5, 3
_draw = torch.Generator().manual_seed(11)


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=_draw, dtype=torch.float64)


FACE = torch.randint(-1, F, (P,), generator=_draw, dtype=torch.int32)
BLOCK = torch.randint(0, V - 1, (F,), generator=_draw).sort().values  # the last block has no face
LOOK = torch.randint(0, L, (F,), generator=_draw)
TARGET = torch.randint(0, 256, (P, 4), generator=_draw, dtype=torch.uint8)
TARGET[:, 3] *= torch.randint(0, 2, (P,), generator=_draw, dtype=torch.uint8)
COLUMN = torch.randint(0, M, (V,), generator=_draw)
SEEN = FACE >= 0
COUNTED = SEEN & (TARGET[:, 3] > 0)
OUTSIDE = _random(3)


@dataclass(frozen=True)
class Operation:
    """One operation: how it is called, what it is, and what it is given.

    Attributes:
        call: on a backend's tensors or arrays; ``put`` brings a constant there.
        definition: the same in plain torch, differentiable.
        inputs: float64 tensors that gradients flow to, if ``flows``.
        backends: that have it.
        flows: whether gradients flow.
        dtypes: that it takes.
    """

    call: Callable[..., Any]
    definition: Callable[..., torch.Tensor]
    inputs: tuple[torch.Tensor, ...]
    backends: tuple[str, ...] = ("numba", "torch", "triton")
    flows: bool = True
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32)


def _sums(values: torch.Tensor, index: torch.Tensor, count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(index.long(), count).T.to(values) @ values


def _blended(shares: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    return torch.einsum("fm,mfc->fc", shares[BLOCK], table[:, LOOK])


def _error(colors: torch.Tensor) -> torch.Tensor:
    return ((colors[FACE[COUNTED].long()] - TARGET[COUNTED, :3] / 255.0) ** 2).sum()


def _target_sums() -> torch.Tensor:
    shown, last = TARGET[TARGET[:, 3] > 0].double(), torch.where(SEEN, FACE, F)[TARGET[:, 3] > 0]
    return _sums(torch.cat([torch.ones(len(shown), 1), shown[:, :3], shown[:, :3] ** 2], dim=1), last, F + 1)


def _added(put: Callable[..., Any], face: Any) -> Any:
    sums = put(torch.zeros(F + 1, 7, dtype=torch.float64))
    arrays.add_target_sums(sums, TARGET.numpy(), face)
    return sums


ANYWHERE = ("numpy", "numba", "torch", "triton")
OPERATIONS = {
    "gather_faces": Operation(
        lambda put, values: pixels.gather_faces(values, put(FACE), put(OUTSIDE)),
        lambda values: torch.where(SEEN, values[FACE.long()].T, OUTSIDE[:, None]),
        (_random(F, 3),),
    ),
    "sum_over_faces": Operation(
        lambda put, values: pixels.sum_over_faces(values, put(FACE), F),
        lambda values: _sums(values.T[SEEN], FACE[SEEN], F),
        (_random(3, P),),
    ),
    "squared_error": Operation(
        lambda put, colors: pixels.squared_error(colors, put(FACE), put(TARGET)),
        _error,
        (_random(F, 3),),
        dtypes=(torch.float32,),
    ),
    "blend": Operation(
        lambda put, shares, table: blend.blend(shares, table, put(BLOCK), put(LOOK)),
        _blended,
        (_random(V, M), _random(M, L, 3)),
    ),
    "sum_over_blocks": Operation(
        lambda put, table, values: arrays.sum_over_blocks(table, values, put(BLOCK), put(LOOK), V),
        lambda table, values: _sums((table[:, LOOK] * values).sum(dim=2).T, BLOCK, V),
        (_random(M, L, 3), _random(F, 3)),
        ANYWHERE,
    ),
    "sum_by": Operation(
        lambda put, values: arrays.sum_by(values, put(LOOK), L),
        lambda values: _sums(values, LOOK, L),
        (_random(F, 4),),
        ANYWHERE,
    ),
    "pick": Operation(
        lambda put, table: arrays.pick(table, put(COLUMN)),
        lambda table: table[torch.arange(V), COLUMN],
        (_random(V, M),),
        ANYWHERE,
    ),
    "without": Operation(
        lambda put, table: 1.0 / arrays.without(table, put(COLUMN)),
        lambda table: (1.0 / table) * (1 - torch.nn.functional.one_hot(COLUMN, M)),
        (_random(V, M) + 0.5,),
        ANYWHERE,
    ),
    "target_sums": Operation(
        lambda put: _added(put, put(FACE)),
        _target_sums,
        (),
        ANYWHERE,
        flows=False,
    ),
}
CASES = [
    pytest.param(name, backend, dtype, marks=pytest.mark.cuda if backend in ("torch", "triton") else ())
    for name, operation in OPERATIONS.items()
    for backend in operation.backends
    for dtype in operation.dtypes
]


@pytest.fixture
def on_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """What brings a tensor to the backend that the test is for."""
    backend = request.getfixturevalue("backend")
    if backend in ("torch", "triton"):
        need("cuda")
    if backend == "torch":
        monkeypatch.setattr(pixels, "triton_is_here", lambda: False)
        monkeypatch.setattr("blockcore.machine.triton_here.triton_is_here", lambda: False)
    device = "cuda" if backend in ("torch", "triton") else "cpu"
    yield (lambda tensor: tensor.numpy()) if backend == "numpy" else (lambda tensor: tensor.to(device))


@pytest.mark.parametrize(("name", "backend", "dtype"), CASES)
def test_an_operation_is_its_definition(
    name: str, backend: str, dtype: torch.dtype, on_backend: Callable[..., Any]
) -> None:
    operation = OPERATIONS[name]
    inputs = [values.to(dtype) for values in operation.inputs]
    exact = [values.double().clone().requires_grad_(operation.flows) for values in inputs]
    expected = operation.definition(*exact)
    ours = [on_backend(values.clone()) for values in inputs]
    if operation.flows and backend != "numpy":
        ours = [values.requires_grad_() for values in ours]
    got = operation.call(on_backend, *ours)
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(arrays.host(got), expected.detach().numpy(), **tolerance)
    if operation.flows and backend != "numpy":
        cotangent = torch.rand(expected.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        theirs = torch.autograd.grad(expected, exact, cotangent)
        for a, b in zip(torch.autograd.grad(got, ours, cotangent.to(got)), theirs, strict=True):
            np.testing.assert_allclose(arrays.host(a), b.numpy(), **tolerance)


def test_sums_of_a_picture_are_the_same_by_any_number_of_threads():
    """A weight that is no power of two rounds, so that what is added up before it counts has to be the same."""
    draws, faces = np.random.default_rng(0), 300
    face = np.repeat(draws.integers(-1, faces, 5000), 4).astype(np.int32)
    target = draws.integers(0, 256, (len(face), 4)).astype(np.uint8)
    target[:, 3] = np.where(draws.random(len(face)) < 0.2, 0, 255)

    def added(parts: int) -> np.ndarray:
        sums = np.zeros((faces + 1, 7))
        for part in range(parts):
            pixels_numba._add_target_sums(target, face, 0.3, part, parts, sums)
        return sums

    for parts in (2, 3, 7):
        np.testing.assert_array_equal(added(parts), added(1))


@pytest.mark.parametrize("faces", [300, 100_000])  # a table for each band of pixels; one table
def test_sums_of_a_large_picture_are_exact(faces: int):
    draws = np.random.default_rng(3)
    face = np.repeat(draws.integers(-1, faces, 75_000), 4).astype(np.int32)
    target = draws.integers(0, 256, (len(face), 3)).astype(np.uint8)
    sums, expected = np.ones((faces + 1, 7)), np.ones((faces + 1, 7))
    pixels_numba.add_target_sums(sums, target, face)
    values = target.astype(np.float64)
    np.add.at(expected, face, np.concatenate([np.ones((len(face), 1)), values, values**2], axis=1))
    np.testing.assert_array_equal(sums, expected)
