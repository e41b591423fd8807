"""The job type for Flamenco, compiled as its manager does; tests/gui/test_farm.py runs what comes out."""

from __future__ import annotations

import pytest

from tests.farm.flamenco import command_lines, compiled
from tests.parts import need


@pytest.fixture(autouse=True)
def _node() -> None:
    need("node")


def test_every_file_is_a_task() -> None:
    job = compiled(files="/in/a b.blend; /in/c.BLEND;", output_folder="/out", job_file="/in/job.json")
    assert job["type"]["label"] == "Optimize Materials"
    assert [(task["name"], task["type"]) for task in job["tasks"]] == [
        ("materials of a b.blend", "blender"),
        ("materials of c.BLEND", "blender"),
    ]
    first, second = command_lines(job["tasks"])
    own = ["--command", "optimize_materials", "--job", "/in/job.json"]
    assert first == [
        *("blender", "-b", "-y", "/in/a b.blend", *own),
        *("--out", "/out/a b.blend", "--report", "/out/a b.report"),
    ]
    assert second[3:] == ["/in/c.BLEND", *own, "--out", "/out/c.blend", "--report", "/out/c.report"]
    assert "--job" not in command_lines(compiled(files="a.blend", output_folder="/out")["tasks"])[0]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (" ; ", "files: no .blend file is named; name one at least"),
        ("/in/a.blend;/in/b.obj", "files: /in/b.obj is no .blend file; leave it out"),
        ("/in/a.blend;/more/a.blend", "/more/a.blend and /in/a.blend would have the same result; make two jobs"),
        (r"C:\in\a.blend;D:\in\a.blend", "would have the same result"),
    ],
)
def test_what_cannot_be_done_is_refused_when_it_is_submitted(files: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^Error: ") as refused:
        compiled(files=files, output_folder="/out")
    assert said in str(refused.value)


def test_nowhere_to_write_is_refused() -> None:
    with pytest.raises(ValueError, match="the setting output_folder is required"):
        compiled(files="a.blend")
