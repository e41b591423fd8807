"""The documentation is true: its examples run, and the losses they show fall."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["docs/library.md", "README.md"])
def test_python_examples_run_in_order(page, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    code = examples(page, "python")
    assert code
    names: dict[str, object] = {}
    for number, example in enumerate(code):
        exec(compile(example, f"{page}, example {number + 1}", "exec"), names)
    losses = names["losses"]
    assert losses[-1] < losses[0] / 2
    assert capsys.readouterr().out


def test_every_public_name_is_there():
    import blockcore

    for name in blockcore.__all__:
        assert getattr(blockcore, name) is not None
    with pytest.raises(AttributeError):
        blockcore.nothing_of_the_kind  # noqa: B018


def test_the_example_of_tiles_runs():
    names: dict[str, object] = {}
    for example in examples("docs/webgpu.md", "python"):
        exec(compile(example, "docs/webgpu.md", "exec"), names)
    assert len(names["palette"].tiles) == 6
