"""Losses as objects: one from outside is solved and descended like any; compiled costs are those of the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore.assignment.losses import Loss, chosen_loss
from blockcore.assignment.problem import look, pose
from blockcore.commands.cli import main
from blockcore.descent.picture_objective import PictureObjective
from blockcore.errors import SettingsError
from blockcore.model.settings import LOSSES, SETTINGS, Comparison, OptimizeSettings
from blockcore.ops.costs import add_pixel_costs, pixel_costs
from blockcore.optimize import optimize_materials
from tests.captures import captured, dataset_path, map_path

CAUCHY = Loss(
    "cauchy",
    "Cauchy",
    "Hardly minds outliers",
    lambda _: lambda rendered, target: torch.log1p(((rendered - target) / 0.1) ** 2).mean(),
    lambda error, _: np.log1p((error / 0.1) ** 2),
)


@pytest.fixture
def cauchy() -> Iterator[Loss]:
    LOSSES.add(CAUCHY)
    yield CAUCHY
    LOSSES.remove(CAUCHY.name)


@pytest.mark.parametrize("more", [{}, {"method": "gradient"}, {"method": "gradient", "objective": "pixels"}])
def test_a_loss_from_outside_finds_the_materials(cauchy: Loss, more: dict[str, str]) -> None:
    scene = captured(4)
    scrambled = replace(scene, materials=np.ones_like(scene.materials))
    result = optimize_materials(scrambled, OptimizeSettings(device="cpu", loss="cauchy", **more))
    seen = look(scene, scene.views, 1, "cpu", None, None).blocks
    np.testing.assert_array_equal(result.materials[seen], scene.materials[seen])
    assert result.method == more.get("method", "solve")
    assert SETTINGS["loss"].choices["cauchy"] == ("Cauchy", "Hardly minds outliers")


def test_a_loss_from_outside_is_a_word_of_the_command_line(cauchy: Loss, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["optimize", "--map", str(map_path(1)), "--dataset", str(dataset_path(1)), "--dry-run"]
    assert main([*command, "--loss", "cauchy"]) == 0
    assert "the loss cauchy is a sum over pixels" in capsys.readouterr().out
    with pytest.raises(SettingsError, match=r"needs a loss that is a sum over pixels .*cauchy.*, and 'ssim' is not"):
        OptimizeSettings(method="solve", loss="ssim")


@pytest.mark.parametrize("name", ["l2", "l1", "huber"])
@pytest.mark.parametrize("channels", [3, 4])
def test_compiled_costs_are_those_of_the_plain_ones(name: str, channels: int) -> None:
    draw = np.random.default_rng(channels)
    pixels, faces, blocks, looks, materials = 4000, 60, 25, 6, 9
    face = draw.integers(-1, faces, pixels).astype(np.int32)
    block, look_of = draw.integers(0, blocks, faces), draw.integers(0, looks, faces)
    target = draw.integers(0, 256, (pixels, channels)).astype(np.uint8)
    if channels == 4:
        target[:, 3] = draw.choice([0, 255], pixels)
    seen = face, block, look_of, target, draw.random((looks, 3, materials)), np.array([0.8, 1.0, 1.3])
    comparison = Comparison(loss=name, huber_width=0.2)
    loss = chosen_loss(comparison)
    expected = 0.7 * pixel_costs(blocks, *seen, loss.priced_by(comparison))
    for kind in (loss.compiled, None):
        costs = np.zeros((blocks, materials))
        add_pixel_costs(costs, *seen, kind, loss.priced_by(comparison), comparison.huber_width, 0.7)
        np.testing.assert_allclose(costs, expected, rtol=1e-12)


def test_the_loss_of_an_assignment_knows_no_spread_and_leaves_the_objective_as_it_is() -> None:
    scene = captured(4)
    settings = OptimizeSettings(device="cpu", loss="ssim")
    problem = pose(scene, settings, scene.views, look(scene, scene.views, 1, "cpu", torch.device("cpu"), None))
    objective = PictureObjective(
        problem, chosen_loss(settings.comparison).of_pictures(settings.comparison), settings.comparison, 0.5
    )
    materials = torch.from_numpy(scene.materials[problem.blocks]).long()
    shares = torch.full((len(problem.blocks), len(scene.palette)), 1.0 / len(scene.palette))
    before = objective(shares)
    assert objective.hard(materials) == pytest.approx(0.0, abs=1e-4)
    assert objective.commitment == 0.5 and torch.equal(objective(shares), before)
    objective.commitment = 0.0
    assert objective(shares) < before
