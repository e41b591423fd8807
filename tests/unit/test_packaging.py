"""The wheel, built by way of the sdist, has everything: its commands work where no checkout is."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.captures import dataset_path, map_path

ROOT = Path(__file__).parents[2]
_BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"


def build(kind: str, source: Path, out: Path) -> Path:
    command = [sys.executable, "-c", _BUILD, f"build_{kind}", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return out / done.stdout.split()[-1]


def built_wheel(folder: Path) -> Path:
    """Builds the wheel by way of the sdist, as those who have no checkout get it."""
    source = folder / "source"
    source.mkdir()
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("blockcore", "bridge", "LICENSES"):
        shutil.copytree(ROOT / name, source / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.unpack_archive(build("sdist", source, folder), folder / "unpacked")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packaging")
    site = folder / "site"
    zipfile.ZipFile(built_wheel(folder)).extractall(site)
    return site


def run_command(site: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a console command as its installed script does, away from the checkout."""
    (about,) = site.glob("*.dist-info/entry_points.txt")
    commands = configparser.ConfigParser()
    commands.read(about)
    module, function = commands["console_scripts"][name].split(":")
    # -I leaves the checkout out of the path; .venv may have it installed, so the wheel comes first.
    script = f"import sys; sys.path.insert(0, {str(site)!r}); from {module} import {function} as main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-I", "-c", script, *words], cwd=site.parent, capture_output=True, text=True, check=False
    )


def test_the_library_is_typed_and_knows_its_licences(installed):
    assert (installed / "blockcore" / "py.typed").is_file()
    assert len(list(installed.glob("*.dist-info/licenses/LICENSES/*.txt"))) == 2


def test_blockcore_draws_a_page_outside_the_checkout(installed, tmp_path):
    page = tmp_path / "page.html"
    done = run_command(installed, "blockcore", "view", "--map", str(map_path(1)), "--out", str(page))
    assert done.returncode == 0, done.stderr
    assert "fn " in page.read_text(encoding="utf-8")  # the shaders came along


def test_blockcore_informs(installed):
    done = run_command(installed, "blockcore", "info", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"]


def test_the_bridge_helps(installed):
    done = run_command(installed, "block-bridge", "--help")
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.fixture(scope="module")
def small_environment(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of blockcore's wheel without its dependencies, and four packages; returns its interpreter."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in ("numpy", "numba", "llvmlite", "pillow", "scipy"):  # llvmlite comes with numba
        package = metadata.distribution(name)
        for top in {Path(path).parts[0] for path in package.files or () if Path(path).parts[0] != ".."}:
            (site / top).symlink_to(package.locate_file(top))
    for part in installed.iterdir():
        (site / part.name).symlink_to(part)
    return folder / "bin" / "python"


def test_the_default_job_runs_beside_four_packages_alone(small_environment, tmp_path):
    job = ("optimize", "--map", map_path(1), "--dataset", dataset_path(1), "--out", tmp_path / "out")
    command = [small_environment, "-I", "-m", "blockcore", *job]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "result.json").read_text())["psnr_after"] is None  # every pixel is equal
    lacks = subprocess.run([small_environment, "-I", "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in lacks.stderr
