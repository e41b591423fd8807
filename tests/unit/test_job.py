"""job.json: what is written is read, and what is wrong with one is said in one line."""

import json

import pytest

from blockcore.errors import BlockcoreError
from blockcore.model.settings import OptimizeSettings
from bridge.job import Job

JOB = Job(
    blocks="Wälle und Türme",
    blocks_kind="object",
    palette="file",
    palette_file="//palettes/my palette.json",
    cameras=("Camera 1", "Kamera ü"),
    as_boxes=True,
    result="in_place",
    settings=OptimizeSettings(steps=12, seed=7, allowed="Grass, Stone"),
)


def test_a_job_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "größer als ein job.json"
    JOB.write(path)
    assert Job.read(path) == JOB


def test_what_a_job_leaves_out_keeps_its_default(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"format": "blockcore.job", "version": 1, "blocks": "Blocks"}))
    assert Job.read(path) == Job(blocks="Blocks")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a job"),
        ({"version": 99}, "version 99"),
        ({"version": None}, "version None"),
        ({"blocks": None}, "blocks must be text"),
        ({"blocks_kind": "pile"}, "pile"),
        ({"cameras": "Camera"}, "list of names"),
        ({"cameras": [1]}, "list of names"),
        ({"cameras": 5}, "job.json"),
        ({"speed": 3}, "speed"),
        ({"settings": {"steps": -1}}, "steps"),
        ({"settings": []}, "settings"),
        ({"settings": {"loss": "os:system"}}, "names code"),
        ({"settings": {"loss": ["os:system"]}}, "names code"),
        ({"settings": {"quality": "x" * 5000}}, "quality|unknown"),
        ({"engine": "/bin/sh"}, "engine"),
    ],
)
def test_a_wrong_job_is_one_clear_line(tmp_path, change, message):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"format": "blockcore.job", "version": 1, "blocks": "Blocks"} | change))
    with pytest.raises(BlockcoreError, match=message) as caught:
        Job.read(path)
    assert "job.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_job_is_refused(tmp_path, text):
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(BlockcoreError, match=r"job\.json"):
        Job.read(path)
