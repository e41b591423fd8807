# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``python -m bridge batch``: one command for each of many files, done once and told of."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from blockcore.errors import BlockcoreError, SettingsError
from blockcore.io.files import Json, read_bytes, write_file
from blockcore.io.folders import check_apart
from bridge.blender.starting import program
from bridge.blocks import MODELS
from bridge.engine.itself import bridge_command
from bridge.farm.crew import Crew
from bridge.farm.records import LIST, Outcome, Task, check_notes, failed, find_done, find_failed, key_of
from bridge.farm.slurm import add_slurm, submit
from bridge.farm.sources import Shard, Source, find_sources
from bridge.farm.worker import PATHS
from bridge.job import OWN, told_settings

KINDS = {"optimize": (".blend",), "blocks": (".blend", *MODELS)}
"""The files that each way is for."""
_OWN = (
    *("command", "run", "words", "input", "out", "way", "shard", "jobs", "memory", "retry", "gather"),
    *("tasks", "slurm"),
)
_NOT_KEY = ("engine",)  # where it is computed is not what is computed
_LARGEST = 1 << 28  # bytes of a palette or job
_SOME_FAILED = 1


def add_batch_command(
    commands: Any, words: Sequence[str], options: Mapping[str, Callable[[argparse.ArgumentParser], None]]
) -> None:
    """Adds the command to those of the bridge.

    Args:
        commands: the parsers of commands.
        words: the command line, whose ``--with`` says which further options there are.
        options: adds the options of each way.
    """
    command = commands.add_parser("batch", help="one of the commands for each file of a folder or list")
    command.add_argument("input", type=Path, metavar="FOLDER|LIST", help="what holds or lists the files")
    _add_way(command)
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the results go")
    command.add_argument("--shard", metavar="I/N", help="do this share alone (default: that of a Slurm array's task)")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="Blenders that work at once (1)")
    command.add_argument("--memory", type=float, default=8.0, metavar="GB", help="renew a Blender that holds more (8)")
    command.add_argument("--retry", action="store_true", help="try what failed before again")
    command.add_argument("--gather", action="store_true", help="do nothing, but tell what is done, failed and missing")
    options[_way_in(words)](command)
    add_slurm(command)
    command.set_defaults(run=run_batch, words=list(words))


def _add_way(parser: argparse.ArgumentParser) -> None:
    text = "the command for each file: materials of its blocks, or blocks of a model (default: optimize)"
    parser.add_argument("--with", dest="way", choices=KINDS, default="optimize", help=text)


def _way_in(words: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    _add_way(parser)
    try:
        return str(parser.parse_known_args(words)[0].way)
    except argparse.ArgumentError:
        return "optimize"  # the whole parser will say what is wrong


def run_batch(args: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 where everything is done, 1 where something failed or is missing.

    Raises:
        BlockcoreError: a setting is wrong, there is no file, or nothing can be written.
    """
    told_settings(argparse.Namespace(**vars(args)))
    if args.jobs < 1:
        raise SettingsError(f"--jobs {args.jobs}: must be at least 1")
    if not args.memory > 0.0:
        raise SettingsError(f"--memory {args.memory:g}: must be a positive number of gigabytes")
    sources = find_sources(args.input, KINDS[args.way])
    check_apart(args.out, [source.path for source in sources])
    if args.slurm is not None:
        print("\n".join(submit(_again(args), args.out.absolute(), len(sources), args.tasks, args.slurm)))
        return 0
    shard = Shard.of(args.shard)
    tasks = _tasks(args, shard.mine(sources))
    check_notes(tasks, args.out / LIST)
    outcomes = _gathered(tasks) if args.gather else _done(args, tasks)
    summary = _summary(outcomes)
    if shard.count == 1:
        lines = [outcome.line() for outcome in sorted(outcomes, key=lambda outcome: outcome.name)]
        write_file(args.out / LIST, "\n".join([*lines, summary]) + "\n")
    print(summary, flush=True)
    return 0 if all(outcome.state in ("done", "skipped") for outcome in outcomes) else _SOME_FAILED


def _again(args: argparse.Namespace) -> list[str]:
    """Returns the words that start this command anywhere, without ``--slurm`` and what follows it."""
    words = args.words[: args.words.index("--slurm")]
    paths = {str(path): str(path.absolute()) for path in (args.input, args.out, *_files_named(args))}
    return [*bridge_command(program()), *(paths.get(word, word) for word in words)]


def _files_named(args: argparse.Namespace) -> list[Path]:
    return list(_files_in(vars(args)).values())


def _files_in(options: Json) -> dict[str, Path]:
    """Returns the options that name a file; the palette that a .blend keeps is none."""
    named = {name: Path(options[name]) for name in PATHS if options.get(name)}
    return {name: path for name, path in named.items() if path != OWN}


def _tasks(args: argparse.Namespace, sources: Sequence[Source]) -> list[Task]:
    out = args.out.absolute()
    options = {n: str(v) if isinstance(v, Path) else v for n, v in vars(args).items() if n not in _OWN}
    options |= {name: str(path.absolute()) for name, path in _files_in(options).items()}
    return [Task(source, out / source.name, args.way, options) for source in sources]


def _done(args: argparse.Namespace, tasks: Sequence[Task]) -> list[Outcome]:
    """Has tasks done, telling of each as it ends.

    Raises:
        BlockcoreError: the disk takes nothing, which would end every other the same way.
    """
    prepare = _Preparation(args.retry)
    outcomes: list[Outcome] = []
    with Crew([*bridge_command(program()), "batch-worker"], args.jobs, args.memory * 1e9) as crew:
        for outcome in crew.outcomes(tasks, prepare):
            print(outcome.line(), flush=True)
            _show(len(outcomes) + 1, len(tasks), outcome)
            if outcome.stops_all:
                raise BlockcoreError(f"{outcome.error}; make room and run this again: what is done stays")
            outcomes.append(outcome)
    return outcomes


def _gathered(tasks: Sequence[Task]) -> list[Outcome]:
    look = _Preparation(retry=False)
    found = [look(task) for task in tasks]
    outcomes = [o if isinstance(o, Outcome) else Outcome(o.source.name, "missing", o.out) for o in found]
    for outcome in outcomes:
        print(outcome.line())
    return outcomes


class _Preparation:
    """Finds out what is known of a task, and gives those of which nothing is their keys."""

    def __init__(self, retry: bool) -> None:
        self._retry = retry
        self._alike: dict[int, Json] = {}

    def __call__(self, task: Task) -> Task | Outcome:
        try:
            keyed = replace(task, key=key_of(task.source.path, task.way, self._meant(task.options)))
        except BlockcoreError as error:
            return failed(task, str(error))
        before = None if self._retry else find_failed(keyed)
        return find_done(keyed) or before or keyed

    def _meant(self, options: Json) -> Json:
        """Returns options with the contents of files in the place of their names; all tasks share one object."""
        if id(options) not in self._alike:
            meant = {name: value for name, value in options.items() if name not in _NOT_KEY}
            self._alike[id(options)] = meant | {n: _contents(path) for n, path in _files_in(options).items()}
        return self._alike[id(options)]


def _contents(path: Path) -> str:
    try:
        return hashlib.blake2b(read_bytes(path, _LARGEST), digest_size=16).hexdigest()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); check its name") from error


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.state for outcome in outcomes)
    told: Json = {state: counts[state] for state in ("done", "skipped", "failed", "missing")}
    return json.dumps({"summary": told | {"seconds": round(sum(outcome.seconds for outcome in outcomes), 3)}})


def _show(number: int, count: int, outcome: Outcome) -> None:
    if sys.stderr.isatty():
        print(f"{number} of {count}: {outcome.name} {outcome.state}", file=sys.stderr, flush=True)
