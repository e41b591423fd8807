"""GPU memory: what is estimated, what is refused, and where views are kept."""

from pathlib import Path

import pytest
import torch

from blockcore.commands.cli import main
from blockcore.errors import BackendError, SettingsError
from blockcore.machine import memory
from tests.captures import dataset_path, map_path

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
PICTURES = [(1024, 1024)] * 64


def test_estimates_are_what_an_h100_used_to_within_a_fifth() -> None:
    """A million blocks in 64 views, as ``bench --device cuda`` measured them."""
    for rasterizer, compared, used in (
        ("triton", False, 0.89e9),
        ("nvdiffrast", False, 1.06e9),
        ("triton", True, 4.31e9),
    ):
        estimated = memory.estimate(3_035_436, 1 << 20, 8, PICTURES, rasterizer, compared)
        assert abs(used / estimated - 1.0) <= 0.2


def test_more_of_anything_needs_no_less() -> None:
    least = memory.estimate(1_000_000, 500_000, 8, PICTURES, "nvdiffrast", compared=False, kept=False)
    assert memory.estimate(1_000_000, 500_000, 8, PICTURES, "nvdiffrast", compared=False) >= least
    assert memory.estimate(2_000_000, 500_000, 8, PICTURES, "nvdiffrast", compared=False, kept=False) > least
    assert memory.estimate(1_000_000, 500_000, 80, PICTURES, "nvdiffrast", compared=False, kept=False) > least
    assert memory.estimate(1_000_000, 500_000, 8, [], "nvdiffrast", compared=False) < least


def test_rasterisers_that_need_less_are_estimated_with_less() -> None:
    needs = [
        memory.estimate(10_000_000, 1, 8, PICTURES[:1], r, compared=False) for r in ("nvdiffrast", "triton", "cpu")
    ]
    assert needs[0] > needs[1] > needs[2]
    assert memory.drawing(1000, 1000, 3, "nvdiffrast") > memory.drawing(1000, 1000, 3, "triton")


def test_the_cpus_memory_is_not_watched() -> None:
    assert memory.available(CPU) == float("inf")
    memory.check(CPU, 1 << 60, "anything")
    assert memory.where_to_keep(CPU, 1 << 60) == CPU


def test_too_small_a_gpu_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 2e9)
    memory.check(GPU, 1_900_000_000, "this")
    with pytest.raises(
        BackendError, match=r"^this needs about 2\.1 GB of GPU memory, and 2\.0 GB may be used; use few"
    ):
        memory.check(GPU, 2_100_000_000, "this")


def test_views_are_kept_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 2e9)
    assert memory.where_to_keep(GPU, 1_900_000_000) == GPU
    assert memory.where_to_keep(GPU, 2_100_000_000) == CPU


def test_the_command_counts_samples_and_pictures_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def refuse(device: torch.device, needed: int, what: str) -> None:
        asked.append(needed)
        raise BackendError(what)

    monkeypatch.setattr(memory, "check", refuse)
    scene = ["--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--out", str(tmp_path / "out")]
    for way in ([], ["--loss", "ssim"], ["--loss", "ssim", "--samples", "2"]):
        assert main(["optimize", *scene, "--progress", "none", "--device", "cpu", *way]) == 2
    assert asked == sorted(set(asked))


@pytest.mark.parametrize("gigabytes", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(gigabytes: float) -> None:
    with pytest.raises(SettingsError, match="must be a positive number of gigabytes"):
        memory.limit(CPU, gigabytes)
