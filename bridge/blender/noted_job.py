# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene's panel says, noted in the file as a job, so that a command line without the panel finds it."""

from __future__ import annotations

import json
from typing import Any

from blockcore.errors import BlockcoreError
from blockcore.io.damage import DAMAGE
from blockcore.io.files import parse_json
from bridge.job import Job

_JOB = "blockcore_job"


def note_job(scene: Any, job: Job | None) -> None:
    """Notes a job on a scene; None takes the note away."""
    if job is not None:
        scene[_JOB] = json.dumps(job.to_dict())
    elif _JOB in scene:
        del scene[_JOB]


def noted_job(scene: Any) -> Job | None:
    """Returns the job that is noted on a scene, or None where there is none that makes sense."""
    try:
        return Job.from_dict(parse_json(scene[_JOB]))
    except (*DAMAGE, BlockcoreError):
        return None  # a property of that name that somebody else wrote
