from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, CUBES, Place
from tests.parts import need


@pytest.fixture(scope="session")
def blend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("bpy")
    path = tmp_path_factory.mktemp("inputs") / "cubes.blend"
    subprocess.run([sys.executable, "-c", CUBES, str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture
def placed(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Place]:
    """Makes the place of a command, by its name."""

    def make(name: str, is_endless: bool = False) -> Place:
        is_bridge = name.startswith("bridge")
        return Place(tmp_path, COMMANDS[name], request.getfixturevalue("blend") if is_bridge else None, is_endless)

    return make
