"""What one wants to see besides the picture, and the ways out of the loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blockcore import DifferentiableBlockWorld, create_look_at_matrix, create_perspective_matrix, render_worlds
from blockcore.errors import BlockcoreError, CameraError, SettingsError
from blockcore.formats import read
from tests.unit.test_manners import CELLS, PROJ, VIEW, picture, world

EVERY = ("rgba", "depth", "normal", "block", "material")


@pytest.mark.parametrize("views", [1, 3])
def test_outputs_are_those_of_the_geometry(views):
    one = world()
    view = torch.stack([create_look_at_matrix((10.0 - 8 * k, 14.0, 12.0), (0.0, 4.0, 0.0)) for k in range(views)])
    found = one.render(view, PROJ, 24, 20, outputs=EVERY)
    assert tuple(found) == EVERY and torch.equal(found["rgba"], one.render(view, PROJ, 24, 20))
    best = one.logits[:, 1:].argmax(dim=1) + 1
    for k, buffers in enumerate(one.geometry(view, PROJ, 24, 20)):
        torch.testing.assert_close(found["depth"][k, 0], torch.from_numpy(buffers.depth), rtol=1e-6, atol=1e-6)
        assert np.array_equal(found["normal"][k].movedim(0, -1).numpy(), buffers.normal)
        block = torch.from_numpy(buffers.block).long()
        assert torch.equal(found["block"][k, 0], block)
        assert torch.equal(found["material"][k, 0], torch.where(block >= 0, best[block], 0))


def test_outputs_where_nothing_is():
    found = DifferentiableBlockWorld().render(VIEW, PROJ, 4, 5, outputs=EVERY)
    assert {name: tuple(value.shape[1:]) for name, value in found.items()} == {
        **dict.fromkeys(("depth", "block", "material"), (1, 4, 5)), "normal": (3, 4, 5), "rgba": (4, 4, 5)
    }  # fmt: skip
    assert found["block"].eq(-1).all() and found["material"].eq(0).all() and found["depth"].eq(0).all()


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 24, 20), (2, 3, 24, 20)])
def test_backgrounds_lie_behind_and_learn(shape):
    one, views = world(), torch.stack([VIEW, VIEW])
    background = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    got, plain = (one.render(views, PROJ, 24, 20, background=b) for b in (background, None))
    behind = background.detach()
    behind = (behind[..., None, None] if behind.shape[-1] == 3 else behind).expand(2, 3, 24, 20)
    covered = plain[:, 3:] > 0
    assert torch.equal(got[:, :3], torch.where(covered, plain[:, :3], behind)) and torch.equal(got[:, 3], plain[:, 3])
    got[:, :3].sum().backward()
    assert background.grad.sum() == 3 * (~covered).sum()


@pytest.mark.parametrize("samples", [2, 3])
def test_samples_are_the_mean_of_a_finer_picture(samples):
    one = world()
    fine = one.render(VIEW, PROJ, 24 * samples, 20 * samples)
    expected = fine.reshape(1, 4, 24, samples, 20, samples).mean(dim=(3, 5))
    torch.testing.assert_close(picture(one, samples=samples), expected)
    sky = torch.zeros(3)
    black = picture(one, samples=samples, background=sky)
    torch.testing.assert_close(black[:, 3], expected[:, 3])
    assert black[:, :3].max() <= expected[:, :3].max() and black[0, :3, 0, 0].eq(0).all()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"outputs": ("rgba", "alpha")}, "output 'alpha' is not one of rgba, depth"),
        ({"samples": 0}, "samples 0"),
        ({"samples": 1.5}, "samples 1.5"),
        ({"background": torch.zeros(4)}, "background has shape (4,)"),
    ],
)
def test_what_cannot_be_shown_is_refused(how, words):
    with pytest.raises(SettingsError) as raised:
        picture(world(), **how)
    assert words in str(raised.value)


def test_several_worlds_are_one_batch():
    worlds = [world(), world(torch.float32), DifferentiableBlockWorld.from_arrays(CELLS[:5], grid_size=(8, 8, 8))]
    views = torch.stack([create_look_at_matrix((10.0 - k, 14.0, 12.0), (0.0, 4.0, 0.0)) for k in range(3)])
    batch = render_worlds(worlds, views, PROJ, 12, 10, temperature=0.5)
    for k, one in enumerate(worlds):
        assert torch.equal(batch[k : k + 1], one.render(views[k], PROJ, 12, 10, 0.5))
    batch.sum().backward()
    assert all(one.logits.grad is not None for one in worlds)
    with pytest.raises(CameraError, match="3 worlds, but proj has 2"):
        render_worlds(worlds, views, torch.stack([PROJ, PROJ]), 12, 10)


def test_worlds_leave_the_loop(tmp_path):
    one = world()
    one.place_block((7, 7, 7), "Sand")
    scene = one.to_scene()
    assert scene.materials[-1] == 6 and len(scene.grid) == 17
    assert np.array_equal(scene.materials[:16], one.logits.detach()[:, 1:].argmax(dim=1).numpy() + 1)
    one.save(tmp_path / "hut.schem")
    back, _ = read(tmp_path / "hut.schem")
    assert (back.cells >= 0).all() and np.count_nonzero(back.cells) == 17
    vertices, faces, attributes = one.to_mesh()
    assert faces.shape[1] == 3 and len(vertices) == len(attributes["colors"])
    with pytest.raises(BlockcoreError, match="no format is written"):
        one.save(tmp_path / "hut.jpg")


def test_fields_of_view_reach_the_depth():
    one = world()
    near, far = (
        one.render(VIEW, create_perspective_matrix(fov, 1.0), 9, 9, outputs=["depth"])["depth"] for fov in (0.4, 0.8)
    )
    torch.testing.assert_close(near[0, 0, 4, 4], far[0, 0, 4, 4])  # the middle looks the same way
