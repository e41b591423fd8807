# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch as a Slurm array: a job whose tasks are shares of it, and one after them that gathers what they did."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blockcore.errors import BackendError, SettingsError
from bridge.engine.environment import checkout

DRY_RUN = "--dry-run"
LOGS = "slurm"
_MOST_TASKS = 256
_SECONDS = 120.0  # to wait for a controller that does not answer


def add_slurm(parser: argparse.ArgumentParser) -> None:
    """Adds --tasks and --slurm."""
    parser.add_argument("--tasks", type=int, metavar="N", help=f"shares of a Slurm array (one a file, {_MOST_TASKS})")
    parser.add_argument(
        "--slurm",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help=f"submit this to Slurm, with all that follows as options of sbatch; {DRY_RUN} prints the script instead",
    )


def submit(command: Sequence[str], out: Path, files: int, tasks: int | None, options: Sequence[str]) -> list[str]:
    """Submits a batch as an array job and a job that gathers.

    Args:
        command: the batch's words without ``--slurm``, paths absolute.
        out: the folder of its results, which gets the logs in its "slurm".
        files: how many there are.
        tasks: how many shares; None for one a file, but not too many.
        options: for sbatch; with ``--dry-run`` among them nothing is submitted.

    Returns:
        What to print.

    Raises:
        SettingsError: the number of shares is wrong, or the options choose an array of their own.
        BackendError: there is no Slurm, or it refuses.
    """
    tasks = min(files, _MOST_TASKS) if tasks is None else tasks
    if tasks < 1:
        raise SettingsError(f"--tasks {tasks}: must be at least 1")
    given = [word for word in options if word != DRY_RUN]
    if any(word == "-a" or word.startswith("--array") for word in given):
        raise SettingsError("--slurm: the array's size is what --tasks says; leave --array out")
    logs = out / LOGS
    share = _script([f"--array=1-{tasks}", f"--output={logs}/%A_%a.log", *_KEPT], [*command, "--shard"], f"/{tasks}")
    gather = _script([f"--output={logs}/gathered.jsonl"], [*command, "--gather"])
    if DRY_RUN in options:
        return [share, gather]
    with _folder(logs):
        number = _sbatch(share, given)
    last = _sbatch(gather, [*given, f"--dependency=afterany:{number}", "--open-mode=truncate"])
    return [f"submitted {number}, an array of {tasks}, and {last}, which gathers: {logs / 'gathered.jsonl'}"]


_KEPT = ("--requeue", "--open-mode=append")  # a task that lost its node starts again, and tells on in its log


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Makes a folder, without which Slurm would end tasks for their logs; takes it away where nothing is submitted."""
    with ExitStack() as stack:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                try:
                    folder.mkdir(exist_ok=True)
                except OSError as error:
                    raise SettingsError(f"{folder}: cannot be made ({error.strerror}); choose another --out") from error
                stack.callback(folder.rmdir)
        yield
        stack.pop_all()


def _script(options: Sequence[str], command: Sequence[str], share: str = "") -> str:
    lines = ["#!/bin/sh", *(f"#SBATCH {shlex.quote(option)}" for option in ("--job-name=blockcore", *options))]
    folder = checkout()
    if folder is not None:
        lines.append(f"export PYTHONPATH={shlex.quote(str(folder))}${{PYTHONPATH:+:$PYTHONPATH}}")
    lines.append("exec " + shlex.join(command) + (f' "$SLURM_ARRAY_TASK_ID{share}"' if share else ""))
    return "\n".join(lines) + "\n"


def _sbatch(script: str, options: Sequence[str]) -> str:
    """Submits a script; returns the job's number."""
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", *options],
            input=script,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("SLURM_ARRAY_")},
        )
    except FileNotFoundError as error:
        raise BackendError("--slurm: there is no sbatch here; run this where jobs are submitted") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"--slurm: no answer in {_SECONDS:.0f} s; ask whether Slurm's controller runs") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BackendError(f"--slurm: sbatch refused ({said}); nothing more was submitted, correct it and submit again")
    return done.stdout.strip().partition(";")[0]
