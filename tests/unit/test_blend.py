"""Blending of materials: values and derivatives against the definition."""

from __future__ import annotations

import pytest
import torch

from blockcore.ops import blend as module
from blockcore.ops.blend import blend
from tests.parts import need


def example(few_looks: bool, device: str = "cpu") -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    blocks, materials, looks, faces = (3, 4, 2, 40) if few_looks else (7, 5, 11, 40)
    shares = torch.rand(blocks, materials, generator=generator, dtype=torch.float64)
    table = torch.randn(materials, looks, 3, generator=generator, dtype=torch.float64)
    block = torch.randint(0, blocks - 1, (faces,), generator=generator).sort().values  # the last block has no face
    look = torch.randint(0, looks, (faces,), generator=generator)
    return tuple(t.to(device) for t in (shares, table, block, look))


def plain(shares: torch.Tensor, table: torch.Tensor, block: torch.Tensor, look: torch.Tensor) -> torch.Tensor:
    return torch.einsum("fm,mfc->fc", shares[block], table[:, look])


@pytest.mark.parametrize("few_looks", [False, True])
def test_values_and_all_derivatives(few_looks: bool) -> None:
    shares, table, block, look = example(few_looks)
    torch.testing.assert_close(blend(shares, table, block, look), plain(shares, table, block, look))
    inputs = (shares.requires_grad_(), table.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, t: blend(s, t, block, look), inputs)
    assert torch.autograd.gradgradcheck(lambda s, t: blend(s, t, block, look), inputs)


@pytest.mark.cuda
def test_gpu_agrees_with_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    need("cuda")
    monkeypatch.setattr(module, "_AT_A_TIME", 128)  # several slices
    shares, table, block, look = example(False, "cuda")
    inputs = (shares.requires_grad_(), table.requires_grad_())
    cotangent = torch.randn(len(block), 3, dtype=torch.float64, device="cuda")
    ours, theirs = blend(*inputs, block, look), plain(*inputs, block, look)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, cotangent), torch.autograd.grad(theirs, inputs, cotangent), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_no_faces() -> None:
    shares, table, _, _ = example(False)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert blend(shares, table, nothing, nothing).shape == (0, 3)
