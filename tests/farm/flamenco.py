"""What a Flamenco manager and its workers make of our job type."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "farm" / "flamenco" / "optimize_materials.js"
MANAGER = Path(__file__).with_name("manager.js")
VARIABLES = {"{blender}": "blender", "{blenderArgs}": "-b -y"}
"""A manager's defaults."""


def compiled(**settings: str) -> dict[str, Any]:
    """Returns the job type, and the tasks that it makes of settings.

    Raises:
        ValueError: it refuses them; its words.
    """
    command = ["node", str(MANAGER), str(SCRIPT)]
    done = subprocess.run(command, input=json.dumps(settings), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(next(line for line in done.stderr.splitlines() if line.startswith("Error: ")))
    return json.loads(done.stdout)


def command_lines(tasks: list[dict[str, Any]]) -> list[list[str]]:
    """Returns what a worker runs: the program, its own arguments, those before the file, the file, those after it."""
    lines = []
    for task in tasks:
        (command,) = task["commands"]
        assert command["name"] == "blender-render"
        given = {name: VARIABLES.get(value, value) if isinstance(value, str) else value
                 for name, value in command["parameters"].items()}  # fmt: skip
        before = [*shlex.split(given["exeArgs"]), *given["argsBefore"]]
        lines.append([given["exe"], *before, given["blendfile"], *given["args"]])
    return lines
