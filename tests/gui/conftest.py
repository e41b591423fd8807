"""One Blender with the extension installed serves all tests of the window; pictures of each stage go to out/gui."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.extension import assert_no_engine
from tests.gui.window import PROJECT, Tree, Window
from tests.parts import need
from tools.build_extension import build

PICTURES = PROJECT / "out" / "gui"


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of Debian's Blender, whose Python is 3.13."""
    need("bpy")
    (archive,) = build(tmp_path_factory.mktemp("extension"), ["linux-x64"], "3.13")
    return archive


@pytest.fixture(scope="session")
def tree(extension: Path) -> Tree:
    """A Blender with the extension, and an engine that has torch."""
    return installed(Tree(extension.parent, sys.executable), extension)


@pytest.fixture
def bare_tree(extension: Path, tmp_path: Path) -> Tree:
    """A Blender with the extension, on a machine without another Python; nothing was ever run in it."""
    return installed(Tree(tmp_path), extension)


def installed(tree: Tree, extension: Path) -> Tree:
    """Lets Blender's own command install the extension."""
    need("blender")
    archive = tree.folder / extension.name
    if archive != extension:
        shutil.copy(extension, archive)
    for words in (("validate",), ("install-file", "-r", "user_default", "--enable")):
        done = tree.run("blender", "--command", "extension", *words, str(archive))
        assert done.returncode == 0, done.stdout
    return tree


@pytest.fixture
def window(tree: Tree, request: pytest.FixtureRequest) -> Iterator[Window]:
    with Window(tree, PICTURES / request.node.name, *getattr(request, "param", ())) as window:
        yield window
        assert "Traceback" not in window.log.read_text(), window.log.read_text()
    assert_no_engine(tree.folder)
