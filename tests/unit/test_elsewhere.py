"""Blenders of other versions: the option that names one, and what is said of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cli import main
from bridge.elsewhere import split_blender, told_reader

PLAYED = '#!/bin/sh\nprintf "%s\\n" "$BLOCKCORE_PYTHON" "$@" >"$0.said"\nexit 7\n'


@pytest.mark.parametrize("words", [["--blender", "b", "apply", "x"], ["apply", "--blender=b", "x"]])
def test_the_option_may_stand_anywhere(words: list[str]) -> None:
    assert split_blender(words) == ("b", ["apply", "x"])
    assert split_blender(["apply", "x", "--bl=y"]) == (None, ["apply", "x", "--bl=y"])


def test_another_blender_gets_the_command_and_its_end_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "blender"
    program.write_text(PLAYED)
    program.chmod(0o755)
    assert main(["--blender", str(program), "apply", "x.blend", "--out", "y.blend"]) == 7
    said = (tmp_path / "blender.said").read_text().splitlines()
    assert Path(said[0]).is_file() and said[-5:] == ["--", "apply", "x.blend", "--out", "y.blend"]
    assert main(["--blender", str(tmp_path / "none"), "apply", "x.blend"]) == 2
    assert "none: cannot be started (No such file or directory)" in capfd.readouterr().err


def test_files_of_new_blenders_are_said_to_be_new() -> None:
    assert told_reader((4, 5, 3)) == "" and "Blender 4.5 and newer" in told_reader((5, 0, 1))
