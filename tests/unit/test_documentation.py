"""The documentation is true: its examples run, and the losses they show fall."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN_HERE = ("docs/library.md", "README.md")
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", RUN_HERE)
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


@pytest.mark.parametrize("page", ["loop", "occupancy", "several-gpus", "losses", "leaving"])
def test_pages_of_the_library_run_in_order(page, capsys):
    names: dict[str, object] = {}
    for number, example in enumerate(examples(f"docs/{page}.md", "python")):
        exec(compile(example, f"docs/{page}.md, example {number + 1}", "exec"), names)
    said = capsys.readouterr().out
    if page == "leaving":
        assert said.rstrip().endswith("36 True")
    else:
        assert names["losses"][-1] < names["losses"][0] / 2
    if page == "occupancy":
        assert len(names["right"]) == 12 and said.rstrip().endswith("0 too many")


def test_every_public_name_is_there():
    import blockcore

    for name in blockcore.__all__:
        assert getattr(blockcore, name) is not None
    with pytest.raises(AttributeError):
        blockcore.nothing_of_the_kind  # noqa: B018


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page, "python") and page not in RUN_HERE])
def test_python_examples_run_by_themselves(page):
    """In a process of their own: what they add to registries shall not be there for other tests."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(examples(page, "python"))], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_loss_added_as_contributing_says_is_solved():
    code = examples("CONTRIBUTING.md", "python")[0] + (
        "from blockcore import optimize_materials, read_scene\n"
        "scene = read_scene('tests/data/maps/4/map.json', 'tests/data/datasets/4')\n"
        "found = optimize_materials(scene, settings)\n"
        "seen = found.visible_blocks\n"
        "assert (found.materials[seen] == scene.materials[seen]).all() and found.method == 'solve'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_run(tmp_path):
    """All but those of bpy, which another test runs, and those that want files that we cannot ship."""
    blocks = [block for page in PAGES for block in examples(page, "sh")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [line for line in lines if line.startswith("python -m blockcore") and "Mine.zip" not in line]
    assert len(commands) >= 5
    for line in commands:
        line = re.sub(r"\bout/", f"{tmp_path}/", line).replace("SCENE_FOLDER", f"{tmp_path}/village")
        words = [sys.executable, *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)
    made = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= set(made)


def test_data_can_be_read():
    for page in PAGES:
        for text in examples(page, "json"):
            assert json.loads(text)
        for text in examples(page, "toml"):
            assert tomllib.loads(text)


def test_links_lead_somewhere():
    for page in PAGES:
        text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if not target.startswith(("http", "#")):
                assert ((ROOT / page).parent / target.partition("#")[0]).exists(), (page, target)


def test_the_example_of_tiles_runs():
    names: dict[str, object] = {}
    for example in examples("docs/webgpu.md", "python"):
        exec(compile(example, "docs/webgpu.md", "exec"), names)
    assert len(names["palette"].tiles) == 6


def test_what_security_promises_is_held_by_tests_that_are_there():
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 15
    assert not [name for name in named if f"def {name}(" not in tests]
    assert all((ROOT / path).exists() for path in re.findall(r"`(tests/[\w/.]+)`", page))
