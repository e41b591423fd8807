"""Shading and the pixel kernels: values and gradients against a plain float64 reference, same random cotangents."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blockcore.model.camera import look_at, perspective
from blockcore.model.grid import FACE_SLOTS, BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE
from blockcore.ops.pixels import gather_faces, squared_error, sum_over_faces
from blockcore.renderer import DifferentiableBlockRenderer
from blockcore.shading.radiance import (
    TerrainShader,
    best_materials,
    composite_over_sky,
    gumbel_noise,
    material_probabilities,
    radiance_of,
)
from blockcore.visibility import rasterize

VIEW = torch.tensor(look_at((7.0, 9.0, 6.0), (0.0, 2.0, 0.0)))
PROJ = torch.tensor(perspective(0.9, 1.2, 0.1, 100.0))
CELLS = [(x, y, z) for x in range(3) for y in range(3) for z in range(3) if (x + y * z) % 3 != 1]


def renderer() -> DifferentiableBlockRenderer:
    return DifferentiableBlockRenderer(grid_size=(3, 3, 3), world_scale=2.0)


def reference_picture(logits: torch.Tensor, temperature: float, height: int, width: int) -> torch.Tensor:
    """The contract's formula, pixel by pixel, in float64, for the blend of what each material would show."""
    grid = BlockGrid((3, 3, 3), 2.0, np.array(CELLS))
    from blockcore.model.camera import Camera

    (seen,) = rasterize(grid.exposed_faces, [Camera(VIEW.numpy(), PROJ.numpy(), width, height)], "reference")
    light = WEBGPU_LIGHTING.face_light()
    palette = torch.tensor(WEBGPU_PALETTE.colors, dtype=torch.float64)
    sky = torch.tensor(WEBGPU_LIGHTING.background, dtype=torch.float64)
    rows = []
    for face in np.asarray(seen.face).ravel():
        if face < 0:
            rows.append(torch.cat([sky, torch.zeros(1, dtype=torch.float64)]))
            continue
        block, direction = grid.exposed_faces.block[face], grid.exposed_faces.direction[face]
        shares = torch.softmax(logits[int(block), 1:] / temperature, dim=0)
        shown = (palette[1:, int(FACE_SLOTS[direction])] * torch.tensor(light[direction])).clamp(0, 1)
        color = shares @ shown
        rows.append(torch.cat([color, torch.ones(1, dtype=torch.float64)]))
    return torch.stack(rows).T.reshape(1, 4, height, width)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_gradients_equal_the_reference(dtype):
    torch.manual_seed(3)
    logits = torch.randn(len(CELLS), 8, dtype=dtype)
    logits[4] = torch.eye(8)[5] * 20  # snow, whose top is brighter than the clamp lets through
    cotangent = torch.randn(1, 4, 20, 24, dtype=torch.float64)
    ours, plain = (t.clone().requires_grad_() for t in (logits, logits.double()))
    picture = renderer().render(CELLS, ours, VIEW, PROJ, 20, 24, temperature=0.7)
    expected = reference_picture(plain, 0.7, 20, 24)
    picture.backward(cotangent.to(dtype))
    expected.backward(cotangent)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]
    assert torch.allclose(picture.double(), expected, atol=tolerance)
    scale = plain.grad.abs().max()
    assert torch.allclose(ours.grad.double() / scale, plain.grad / scale, atol=tolerance)


def test_gradcheck_of_a_picture():
    torch.manual_seed(0)
    logits = torch.randn(len(CELLS), 8, dtype=torch.float64, requires_grad=True)
    one = renderer()
    assert torch.autograd.gradcheck(lambda x: one.render(CELLS, x, VIEW, PROJ, 9, 11), (logits,))


def test_only_so_many_pixels_are_remembered(monkeypatch):
    monkeypatch.setattr("blockcore.shading.remembered.MOST_PIXELS", 3 * 9 * 11)
    one, logits = renderer(), torch.zeros(len(CELLS), 8)
    pictures = []
    for shift in (0.0, 0.1, 0.2, 0.3, 0.0):
        view = VIEW.clone()
        view[0, 3] += shift
        pictures.append(one.render(CELLS, logits, view, PROJ, 9, 11))
        assert len(one._seen) <= 3
    assert torch.equal(pictures[0], pictures[-1])
    assert not torch.equal(pictures[0], pictures[1])


@pytest.fixture
def rasterized(monkeypatch) -> list[int]:
    """The numbers of faces that a renderer lets rasterise, one each time."""
    times = []

    def counted(faces, *others, **named):
        times.append(len(faces))
        return rasterize(faces, *others, **named)

    monkeypatch.setattr("blockcore.renderer.rasterize", counted)
    return times


@pytest.mark.parametrize("sets", [1, 2, 4])
def test_block_sets_that_take_turns_are_rasterised_once_each(sets, rasterized):
    one, turns = renderer(), [CELLS[: len(CELLS) - n] for n in range(sets)]
    pictures = [one.render(cells, torch.zeros(len(cells), 8), VIEW, PROJ, 9, 11) for _ in range(3) for cells in turns]
    assert len(rasterized) == sets
    for n, cells in enumerate(turns):
        fresh = renderer().render(cells, torch.zeros(len(cells), 8), VIEW, PROJ, 9, 11)
        assert all(torch.equal(picture, fresh) for picture in pictures[n::sets])


def test_forgotten_block_sets_leave_nothing_behind():
    one = renderer()
    for n in range(7):
        cells = CELLS[: len(CELLS) - n]
        one.render(cells, torch.zeros(len(cells), 8), VIEW, PROJ, 9, 11)
        one.geometry(cells, VIEW, PROJ, 9, 11)
    assert len(one._seen) == len(one._remembered.found) == 4


def test_geometry_remembers_what_it_rasterised(rasterized):
    one, fewer = renderer(), CELLS[:-3]
    first = [one.geometry(cells, VIEW, PROJ, 9, 11)[0] for cells in (CELLS, fewer)]
    first[0].depth[:] = 0.0  # whoever changes what was returned does not change what is remembered
    again = [one.geometry(cells, VIEW, PROJ, 9, 11)[0] for cells in (CELLS, fewer)]
    assert len(rasterized) == 2
    one.geometry(CELLS, VIEW, PROJ, 11, 9)
    assert len(rasterized) == 3
    fresh = renderer().geometry(CELLS, VIEW, PROJ, 9, 11)[0]
    np.testing.assert_array_equal(again[0].depth, fresh.depth)
    np.testing.assert_array_equal(again[1].block, first[1].block)


def test_gather_and_sum_are_each_others_derivative():
    face = torch.tensor([0, 2, -1, 2, 1, -1], dtype=torch.int32)
    values = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    pixels = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: gather_faces(v, face), (values,))
    assert torch.autograd.gradcheck(lambda p: sum_over_faces(p, face, 3), (pixels,))
    assert torch.autograd.gradgradcheck(lambda v: gather_faces(v, face).square(), (values,))
    assert gather_faces(values, face)[:, 2].tolist() == [0.0, 0.0]
    assert gather_faces(values, face, torch.tensor([0.5, 2.0]))[:, 2].tolist() == [0.5, 2.0]


@pytest.mark.parametrize("pixels", [1, 5000, 200_000])
def test_sums_equal_plain_indexing(pixels):
    torch.manual_seed(pixels)
    face = torch.randint(-1, 40, (pixels,), dtype=torch.int32)
    values = torch.randn(3, pixels)
    expected = torch.zeros(41, 3, dtype=torch.float64).index_add_(0, face.long() % 41, values.T.double())[:40]
    assert torch.allclose(sum_over_faces(values, face, 40).double(), expected, atol=1e-3)


@pytest.mark.parametrize("channels", [3, 4])
def test_squared_error_equals_autograd(channels):
    torch.manual_seed(1)
    face = torch.randint(-1, 30, (9000,), dtype=torch.int32)
    target = torch.randint(0, 256, (9000, channels), dtype=torch.uint8)
    if channels == 4:
        target[:, 3] = torch.randint(0, 2, (9000,)) * 255
    colors = torch.rand(30, 3, requires_grad=True)
    plain = colors.detach().double().requires_grad_()
    counts = (face >= 0) & ((target[:, 3] > 0) if channels == 4 else True)
    expected = (plain[face.long()] - target[:, :3].double() / 255).square()[counts].sum()
    loss = squared_error(colors, face, target)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(colors.grad.double(), plain.grad, rtol=1e-4, atol=1e-4)


def test_gradients_survive_the_clamp():
    table = radiance_of(WEBGPU_PALETTE, WEBGPU_LIGHTING, torch.device("cpu"), torch.float64)
    snow, top = 5, 2
    assert table[snow, top, 1:].tolist() == [1.0, 1.0]  # brighter than 8 bits can show
    logits = torch.zeros(1, 8)
    logits[0, snow] = 6.0
    logits.requires_grad_()
    above = torch.tensor(look_at((0.1, 9.0, 0.1), (0.0, 0.0, 0.0)))
    picture = DifferentiableBlockRenderer((1, 1, 1)).render([(0, 0, 0)], logits, above, PROJ, 16, 16)
    assert picture.amax() <= 1.0
    picture[0, :3].sum().backward()
    assert logits.grad[0, 1:].abs().min() > 1e-4


def test_air_never_has_a_share():
    logits = torch.zeros(4, 8)
    logits[:, 0] = 1e6
    for hard in (False, True):
        shares = material_probabilities(logits, hard=hard)
        assert shares[:, 0].eq(0).all() and torch.allclose(shares.sum(dim=1), torch.ones(4))
    assert best_materials(logits).eq(1).all()


def test_hard_materials_are_one_hot_with_the_gradient_of_the_blend():
    logits = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 8, dtype=torch.float64)
    hard = material_probabilities(logits, 0.5, hard=True)
    assert torch.equal(hard.detach(), torch.nn.functional.one_hot(best_materials(logits), 8).double())
    (ours,) = torch.autograd.grad((hard * weights).sum(), logits)
    (soft,) = torch.autograd.grad((material_probabilities(logits, 0.5) * weights).sum(), logits)
    assert torch.allclose(ours, soft)


def test_gumbel_noise_has_the_gumbel_distribution():
    noise = gumbel_noise((100_000,), torch.Generator().manual_seed(0), torch.float64)
    assert noise.mean().item() == pytest.approx(0.57722, abs=0.01)
    assert noise.var().item() == pytest.approx(np.pi**2 / 6, abs=0.03)
    assert torch.isfinite(noise).all()


def test_terrain_shader_lights_faces_as_the_table_does():
    table = radiance_of(WEBGPU_PALETTE, WEBGPU_LIGHTING, torch.device("cpu"), torch.float64).clamp(0, 1)
    normals = torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=torch.float64)
    colors = torch.tensor(WEBGPU_PALETTE.colors.astype(np.float64)[3, FACE_SLOTS])
    assert torch.allclose(TerrainShader().shade(normals, colors), table[3])


def test_composite_over_sky():
    rgb, alpha = torch.rand(2, 3, 4, 5), torch.zeros(2, 1, 4, 5)
    alpha[..., 2:] = 1.0
    rgba = composite_over_sky(rgb, alpha)
    assert torch.equal(rgba[..., 2:][:, :3], rgb[..., 2:])
    assert torch.allclose(rgba[0, :3, 0, 0], torch.tensor(WEBGPU_LIGHTING.background))
    assert torch.equal(rgba[:, 3:], alpha)
