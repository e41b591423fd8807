"""One Blender with the extension installed serves all tests of the window; pictures of each stage go to out/gui."""

from __future__ import annotations

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
    need("bpy")
    return build(tmp_path_factory.mktemp("extension"))


@pytest.fixture(scope="session")
def tree(extension: Path) -> Tree:
    """A Blender into which its own command installed the extension."""
    need("blender")
    tree = Tree(extension.parent)
    for words in (("validate",), ("install-file", "-r", "user_default", "--enable")):
        done = tree.run("blender", "--command", "extension", *words, str(extension))
        assert done.returncode == 0, done.stdout
    return tree


@pytest.fixture
def window(tree: Tree, request: pytest.FixtureRequest) -> Iterator[Window]:
    with Window(tree, PICTURES / request.node.name, *getattr(request, "param", ())) as window:
        yield window
        assert "Traceback" not in window.log.read_text(), window.log.read_text()
    assert_no_engine(tree.folder)
