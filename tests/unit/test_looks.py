"""A palette and a light that are learned: their values, their gradients, and the way back to a palette and a light."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blockcore import WEBGPU_PALETTE, DifferentiableBlockWorld
from blockcore.errors import MapError, SettingsError
from blockcore.model.lighting import Lighting
from tests.unit.test_manners import CELLS, PROJ, VIEW, logits, picture

_RNG = np.random.default_rng(0)
TILED = WEBGPU_PALETTE.with_tiles(
    {
        (m, d): _RNG.integers(0, 256, (h, w, 4), dtype=np.uint8)
        for m, d, h, w in ((1, 2, 2, 3), (3, 2, 4, 2), (3, 0, 1, 2))
    }
)
PALETTES = {"plain": WEBGPU_PALETTE, "tiled": TILED}


def world(palette: str, trained: tuple[str, ...]) -> DifferentiableBlockWorld:
    how = {"palette": PALETTES[palette], "trained": trained}
    return DifferentiableBlockWorld.from_arrays(CELLS, logits=logits(), grid_size=(8, 8, 8), **how)


@pytest.mark.parametrize(
    ("palette", "trained"), [("plain", ("colors", "light")), ("tiled", ("colors", "tiles", "light"))]
)
def test_untrained_looks_are_those_of_the_palette(palette, trained):
    one = world(palette, trained)
    torch.testing.assert_close(picture(one), picture(world(palette, ())), rtol=0.0, atol=2e-7)
    names = {name for name, parameter in one.renderer.looks.named_parameters() if parameter.requires_grad}
    light = {"sun_direction", "sun_color", "ambient_strength", "ground_color", "sky_color", "background"}
    assert names == {*trained, *light} - {"light"}


@pytest.mark.parametrize(
    "name", ["colors", "tiles", "sun_direction", "sun_color", "ambient_strength", "sky_color", "background"]
)
def test_gradients_are_finite_differences(name):
    one = world("tiled", ("colors", "tiles", "light")).double()
    cotangent = torch.randn(1, 4, 24, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parameter = getattr(one.renderer.looks, name)
    with torch.no_grad():  # nothing is as bright as to be clamped
        one.renderer.looks.colors.mul_(0.5)
        one.renderer.looks.tiles.mul_(0.5)

    def loss() -> torch.Tensor:
        return (picture(one) * cotangent).sum()

    (gradient,) = torch.autograd.grad(loss(), parameter)
    assert gradient.abs().max() > 0
    step = 1e-6
    for at in gradient.abs().reshape(-1).argsort(descending=True)[:5].tolist():
        with torch.no_grad():
            values = parameter.view(-1)
            values[at] += step
            there = loss()
            values[at] -= 2 * step
            back = loss()
            values[at] += step
        assert abs(float(there - back) / (2 * step) - float(gradient.reshape(-1)[at])) <= 1e-6 * (
            1 + float(gradient.abs().max())
        )


def test_a_palette_and_a_light_are_found_again():
    target = picture(world("plain", ())).detach()
    one = world("plain", ("colors", "light"))
    looks = one.renderer.looks
    with torch.no_grad():
        looks.colors.add_(0.1)
        looks.sun_color.mul_(0.8)
        looks.background.mul_(0.5)
    optimiser = torch.optim.Adam(looks.parameters(), 0.03)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = (picture(one) - target)[:, :3].square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 50


def test_what_was_learned_leaves_with_the_world():
    one = world("tiled", ("colors", "tiles", "light"))
    scene = one.to_scene()
    assert np.allclose(scene.palette.colors, TILED.colors) and isinstance(scene.lighting, Lighting)
    assert all(np.array_equal(scene.palette.tiles[key], TILED.tiles[key]) for key in TILED.tiles)
    with torch.no_grad():
        one.renderer.looks.colors.fill_(1.5)
        one.renderer.looks.background.fill_(0.25)
    scene = one.to_scene()
    assert (scene.palette.colors == 1.0).all() and scene.lighting.background == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("trained", "words"), [(("colours",), "'colours' is not one of colors"), (("tiles",), "the palette has none")]
)
def test_what_cannot_be_trained_is_refused(trained, words):
    with pytest.raises(SettingsError) as raised:
        world("plain", trained)
    assert words in str(raised.value)
    with pytest.raises(SettingsError, match="none is given besides"):
        world("plain", ("light",)).render(VIEW, PROJ, 8, 8, light=torch.ones(1, 1, 1, 3))


def faces_world() -> DifferentiableBlockWorld:
    each = torch.randn(16, 6, 8, generator=torch.Generator().manual_seed(3))
    return DifferentiableBlockWorld.from_arrays(CELLS, logits=each, grid_size=(8, 8, 8), logits_per="face")


def test_faces_that_agree_are_a_block():
    same = logits()[:, None].expand(16, 6, 8)
    one = DifferentiableBlockWorld.from_arrays(CELLS, logits=same, grid_size=(8, 8, 8), logits_per="face")
    torch.testing.assert_close(picture(one), picture(world("plain", ())))
    assert np.array_equal(one.to_scene().materials, world("plain", ()).to_scene().materials)


@pytest.mark.parametrize("direction", [0, 2, 4])
def test_each_face_shows_its_own_material(direction):
    one, views = faces_world(), torch.stack([VIEW, VIEW])
    found = one.render(views, PROJ, 24, 20, hard=True, outputs=("rgba", "normal", "material", "block"))
    axis = direction // 2
    here = (found["normal"][:, axis] > 0) & (found["block"][:, 0] >= 0)
    best = one.logits[:, direction, 1:].argmax(dim=1) + 1
    assert here.any() and torch.equal(found["material"][:, 0][here], best[found["block"][:, 0][here]])
    (gradient,) = torch.autograd.grad(found["rgba"].movedim(1, -1)[here].sum(), one.logits)
    seen = found["block"][:, 0][here].unique()
    others = [d for d in range(6) if d != direction]
    assert gradient[seen, direction].abs().sum() > 0 and gradient[:, others].abs().sum() == 0


def test_faces_are_kept_and_placed():
    one = faces_world()
    assert one.place_block((7, 7, 7), "Sand").shape == (6, 8)
    other = faces_world()
    other.load_state_dict_blocks(one.state_dict_blocks())
    assert torch.equal(picture(other), picture(one)) and len(other) == 17
    with pytest.raises(SettingsError, match="not one of block, face"):
        DifferentiableBlockWorld(logits_per="cell")
    with pytest.raises(MapError, match="to_mesh"):
        one.to_mesh()
