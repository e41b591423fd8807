import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from blockcore.assignment.solve import assignment_cost, cheapest_materials, confidence_margins, least_cost
from blockcore.assignment.statistics import FaceStatistics, cost_table
from blockcore.commands.cli import main
from blockcore.errors import SceneError
from blockcore.model.scene import BlockScene, View
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import OptimizeResult, optimize_materials
from blockcore.visibility.faces import VisibleFaces
from blockcore.visibility.texels import WHOLE_FACES
from tests.captures import captured, dataset_path, map_path


def found(number: int, **settings: object) -> OptimizeResult:
    return optimize_materials(captured(number), OptimizeSettings(device="cpu", **settings))  # type: ignore[arg-type]


def random_problem(blocks: int, materials: int, seed: int = 0) -> tuple[VisibleFaces, FaceStatistics, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    direction = torch.rand(blocks, 6, generator=draw).argsort(dim=1)[:, :3].reshape(-1)
    block = torch.arange(blocks).repeat_interleave(3)
    count = torch.randint(1, 50, (len(block),), generator=draw).double()
    total = torch.rand(len(block), 3, generator=draw).double() * count[:, None]
    spread = torch.rand(len(block), 3, generator=draw).double()
    statistics = FaceStatistics(count, total, total.square() / count[:, None] + spread, 1.5, 100)
    radiance = 1.2 * torch.rand(materials, 6, 3, generator=draw).double()
    return VisibleFaces(torch.arange(blocks), block, direction, WHOLE_FACES, ()), statistics, radiance


def test_cost_table_is_the_squared_loss_of_each_choice():
    visible, statistics, radiance = random_problem(40, 9)
    expected = torch.zeros(40, 9, dtype=torch.float64)
    for f, (b, d) in enumerate(zip(visible.block.tolist(), visible.look.tolist(), strict=True)):
        for m in range(9):
            c = radiance[m, d].clamp(0, 1)
            n, s, q = statistics.count[f], statistics.total[f], statistics.square[f]
            expected[b, m] += (n * c * c - 2 * c * s + q).sum()
    torch.testing.assert_close(cost_table(visible, statistics, radiance), expected, rtol=1e-12, atol=1e-10)


def test_no_assignment_costs_less():
    costs = torch.rand(4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    every = [
        sum(float(costs[b, m]) for b, m in enumerate(chosen)) for chosen in itertools.product(range(1, 5), repeat=4)
    ]
    best = cheapest_materials(costs)
    assert assignment_cost(costs, best) == pytest.approx(min(every), abs=1e-12)
    assert least_cost(costs) == pytest.approx(min(every), abs=1e-12)


def test_of_equal_materials_the_first_is_taken():
    costs = torch.tensor([[0.0, 2.0, 1.0 + 1e-15, 1.0], [0.0, 3.0, 4.0, 3.0 - 1e-15]], dtype=torch.float64)
    assert cheapest_materials(costs).tolist() == [2, 1]


def test_a_material_that_may_not_be_is_never_taken():
    costs = torch.tensor([[0.0, 1.0, 9.0], [0.0, 9.0, 1.0]], dtype=torch.float64)
    costs[:, 2] = torch.inf
    assert cheapest_materials(costs).tolist() == [1, 1]


def test_margin_is_the_shades_to_the_next_best():
    costs = torch.tensor([[0.0, 0.0, 3 * 4 * (10 / 255) ** 2], [0.0, 1.0, 1.0]], dtype=torch.float64)
    margins = confidence_margins(costs, torch.tensor([1, 1]), torch.tensor([4.0, 4.0]))
    assert margins.tolist() == pytest.approx([10.0, 0.0])


@pytest.mark.parametrize("method", ["solve", "gradient"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_planted_materials_come_back_whole(number: int, method: str):
    result = found(number, method=method, init="random", seed=1)
    seen = result.visible_blocks
    wrong = seen[result.materials[seen] != captured(number).materials[seen]]
    assert len(wrong) == 0
    assert result.optimality_gap == (0.0 if method == "solve" else pytest.approx(0.0, abs=1e-4))
    assert (result.initial != result.materials).any()


def test_unseen_blocks_keep_their_material():
    scene = captured(1)
    result = found(1)
    unseen = np.setdiff1d(np.arange(len(scene.grid)), result.visible_blocks)
    assert len(unseen)
    assert (result.materials[unseen] == scene.materials[unseen]).all()


def test_descent_that_starts_from_the_solution_stays_there():
    result = found(1, method="gradient", init="solve", steps=20)
    assert (result.initial == result.materials).all()


def test_auto_solves():
    assert found(1).method == "solve"


def test_same_seed_same_result():
    for method in ("solve", "gradient"):
        a, b = (found(4, method=method, steps=40) for _ in range(2))
        assert a.materials.tobytes() == b.materials.tobytes()
        assert a.losses == b.losses


_TOLD = ("result.json", ".blockcore.json")


@pytest.mark.parametrize(
    "options",
    [["--seed", "3"], ["--method", "gradient", "--steps", "40", "--relaxation", "gumbel", "--seed", "3"]],
    ids=["solve", "gradient"],
)
def test_two_runs_write_the_same_bytes(options, tmp_path):
    """All but how long it took, which result.json and the report tell, and so the hashes of those two."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        where = ["--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--device", "cpu", "--out", str(folder)]
        assert main(["optimize", *where, "--progress", "none", *options]) == 0
    first, second = ({p.relative_to(f): p.read_bytes() for p in sorted(f.rglob("*")) if p.is_file()} for f in folders)
    assert first.keys() == second.keys()
    figures, written = ([json.loads(files.pop(Path(name))) for files in (first, second)] for name in _TOLD)
    for found, list_of_files, files in zip(figures, written, (first, second), strict=True):
        del found["seconds"], found["timings"], files[Path("report.html")]
        del list_of_files["files"]["report.html"], list_of_files["files"]["result.json"]
    assert first == second and figures[0] == figures[1] and written[0] == written[1]


@pytest.mark.parametrize(
    "options",
    [
        ["--limits", "Stone = 1", "--allowed", "Stone"],
        ["--allowed", "Bedrock"],
        ["--method", "solve", "--loss", "ssim"],
        ["--loss", "math:nan"],
        ["--loss", "tests.unit.test_solve:broken_loss", "--steps", "2"],
        ["--samples", "9"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(options, tmp_path, capsys):
    where = ["--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--out", str(tmp_path / "out")]
    assert main(["optimize", *where, "--progress", "none", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("blockcore: ") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def broken_loss(rendered: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (rendered - target).mean() / 0.0


def _masked(number: int, rows: slice) -> BlockScene:
    scene = captured(number)
    views = []
    for view in scene.views:
        assert view.target is not None
        target = np.concatenate([view.target[..., :3], np.full((*view.target.shape[:2], 1), 255, np.uint8)], axis=2)
        target[rows, :, 3] = 0
        views.append(View(view.camera, target))
    return dataclasses.replace(scene, views=tuple(views))


def test_a_mask_hides_blocks():
    half = optimize_materials(_masked(4, slice(0, 150)), OptimizeSettings(device="cpu"))
    whole = found(4)
    assert 0 < len(half.visible_blocks) < len(whole.visible_blocks)
    assert not np.isnan(half.margins).any()


def test_a_mask_that_hides_everything_is_refused():
    with pytest.raises(SceneError, match="masked"):
        optimize_materials(_masked(4, slice(None)), OptimizeSettings(device="cpu"))
